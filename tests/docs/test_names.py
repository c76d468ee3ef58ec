"""The pages name what there is: every setting with its default, every command, every metric."""

import re

import pytest

from responder.adapters.metrics import Metrics
from responder.commands.cli import COMMANDS
from responder.settings.settings import IMAGE, PortalSettings, Settings
from tests.docs.texts import PAGES, README

ALL = "\n".join((README, *PAGES.values()))
VARIABLES = [
    *(f"RESPONDER_PORTALS__<NAME>__{name.upper()}" for name in PortalSettings.model_fields),
    *(
        f"RESPONDER_{name.upper()}"
        for name in Settings.model_fields
        if name not in ("portals", "admins")
    ),
    "RESPONDER_ADMINS__<NAME>",
]


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_setting_is_described(variable: str) -> None:
    assert f"| `{variable}` |" in PAGES["settings"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_named(command: str) -> None:
    assert f"responder {command}" in ALL or f"`{command}`" in ALL


def test_every_metric_is_named() -> None:
    for metric in Metrics().registry.collect():
        if metric.name.startswith("responder_"):
            assert metric.name in PAGES["metrics"], metric.name


def test_they_name_no_metric_that_does_not_exist() -> None:
    there = {metric.name for metric in Metrics().registry.collect()}
    named = set(re.findall(r"\b(?:responder|process)_[a-z_]+", PAGES["scaling"] + PAGES["rules"]))
    assert {name.removesuffix("_total") for name in named} <= there


def test_they_name_no_variable_that_does_not_exist() -> None:
    named = set(re.findall(r"RESPONDER_[A-Z_<>]+[A-Z>]", ALL))
    concrete = {name for name in named if "__MAIN__" not in name and "__ANNA" not in name}
    assert concrete <= {*VARIABLES, "RESPONDER_", IMAGE}


def test_what_they_have_people_type_begins_with_a_command_that_exists() -> None:
    typed = re.findall(r"^    (?:.*&& )?(?:uv run )?responder (\S+)", ALL, re.MULTILINE)
    assert len(typed) > 30
    assert set(typed) <= set(COMMANDS)
