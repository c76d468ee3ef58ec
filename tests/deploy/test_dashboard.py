"""The dashboard: Grafana can lay it out, and each query asks for what the service measures."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from responder.adapters.metrics import Metrics
from responder.adapters.package_texts import DEPLOY
from tests.deploy.promtool import needs_promtool, promtool

Panel = dict[str, Any]
DASHBOARD: Panel = json.loads(DEPLOY.text("dashboard"))
PANELS: list[Panel] = DASHBOARD["panels"]
VARIABLES: list[Panel] = DASHBOARD["templating"]["list"]
OF_PROMETHEUS = {"instance", "job", "le"}
SELECTOR = re.compile(r"\b((?:responder|process)_\w+)(?:\{([^}]*)\})?")


def targets() -> Iterator[Panel]:
    for panel in PANELS:
        yield from panel.get("targets", ())


QUERIES: list[str] = [target["expr"] for target in targets()]


def asked(query: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric that a query names, with the labels that the query wants it to have."""
    grouped = {
        label.strip()
        for labels in re.findall(r"\bby \(([^)]*)\)", query)
        for label in labels.split(",")
    }
    for metric, matchers in SELECTOR.findall(query):
        yield metric, (grouped | set(re.findall(r"(\w+)=~?\"", matchers))) - OF_PROMETHEUS


def measured_labels(measured: bytes) -> dict[str, set[str]]:
    """Return the labels of each series that the service shows, by its name."""
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", measured.decode(), re.MULTILINE):
        found[name] = set(re.findall(r'(\w+)="', labels)) - OF_PROMETHEUS
    return found


def declared_labels() -> dict[str, set[str]]:
    """Return the labels of each metric, by its name without `_total` and the like."""
    metrics = vars(Metrics()).values()
    return {
        one._name: set(one._labelnames) for one in metrics if isinstance(one, MetricWrapperBase)
    }


@pytest.mark.parametrize("query", QUERIES)
def test_every_metric_and_label_that_it_asks_for_is_measured(query: str, measured: bytes) -> None:
    there, declared = measured_labels(measured), declared_labels()
    exposed = set(re.findall(r"^# TYPE (\w+)", measured.decode(), re.MULTILINE))
    wanted = list(asked(query))
    assert wanted
    for metric, labels in wanted:
        family = re.sub(r"_(bucket|sum|count)$", "", metric)
        assert family in exposed
        # a series that nothing has happened to yet has no sample
        known = there.get(metric, declared.get(family.removesuffix("_total"), set()))
        assert labels <= known, metric


def test_what_a_legend_names_is_there_after_the_query() -> None:
    for target in targets():
        shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        grouped = re.findall(r"\bby \(([^)]*)\)", target["expr"])
        kept = set(re.split(r", *", grouped[-1])) if grouped else {"instance"}
        assert shown <= kept, target["expr"]


def test_its_variables_are_declared_and_ask_for_what_is_measured(measured: bytes) -> None:
    names = {one["name"] for one in VARIABLES}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(PANELS + VARIABLES)))
    assert used - {"__rate_interval"} == names
    for one in VARIABLES:
        for metric, label in re.findall(r"label_values\((\w+), (\w+)\)", one["query"]):
            assert label in measured_labels(measured)[metric] | OF_PROMETHEUS


@needs_promtool
def test_prometheus_can_parse_every_query(tmp_path: Path) -> None:
    rules = [
        {
            "record": f"query:{number}",
            "expr": query.replace("$__rate_interval", "5m").replace("$portal", ".*"),
        }
        for number, query in enumerate(QUERIES)
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = promtool("check", "rules", str(file))
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def test_panels_have_a_number_a_place_and_a_title_each() -> None:
    assert len({one["id"] for one in PANELS}) == len(PANELS)
    places = [one["gridPos"] for one in PANELS]
    assert all(one["x"] + one["w"] <= 24 for one in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)
    shown = [one for one in PANELS if one["type"] != "row"]
    assert all(one["title"] and one["targets"] for one in shown)
    assert all(one["datasource"]["uid"] == "${datasource}" for one in shown)
