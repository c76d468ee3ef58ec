"""The README names what there is: every setting with its default, every command, every metric."""

import re
from pathlib import Path

import pytest

from responder.adapters.metrics import Metrics
from responder.commands.cli import COMMANDS
from responder.settings.settings import PortalSettings, Settings

README = (Path(__file__).parents[2] / "README.md").read_text()

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
    assert f"| `{variable}` |" in README


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_named(command: str) -> None:
    assert f"responder {command}" in README or f"`{command}`" in README


def test_every_metric_is_named() -> None:
    for metric in Metrics().registry.collect():
        if metric.name.startswith("responder_"):
            assert metric.name in README, metric.name


def test_it_names_no_variable_that_does_not_exist() -> None:
    named = set(re.findall(r"RESPONDER_[A-Z_<>]+[A-Z>]", README))
    concrete = {name for name in named if "__MAIN__" not in name and "__ANNA" not in name}
    assert concrete <= {*VARIABLES, "RESPONDER_"}
