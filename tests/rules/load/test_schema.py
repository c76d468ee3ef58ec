"""Tests that the schema and the loader do not disagree: what it refuses, the loader refuses."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.adapters.package_texts import RECIPES
from responder.authoring.cases import json_schema
from responder.authoring.check import check
from responder.rules.facts import fields, registry
from responder.rules.facts.operators import OPERATORS
from responder.rules.load.loader import FILE_KEYS
from responder.rules.load.rule_parser import RULE_KEYS
from responder.rules.load.syntax.yaml_reader import read
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table, truth
from tests.rules.json_schema import Checker

SCHEMA = json.loads(json_schema.render())
CHECKER = Checker(SCHEMA)
PERSON = ("id", "active", "department")


def value_of(node: Node | None) -> object:
    """Turn what the loader reads into what an editor's YAML reads."""
    match node:
        case Table():
            return {key.text: value_of(value) for key, value in node.pairs}
        case Items():
            return [value_of(item) for item in node.items]
        case Scalar(kind="truth"):
            return truth(node)
        case Scalar(kind="number"):
            return float(node.text) if "." in node.text else int(node.text)
        case Scalar(kind="text"):
            return node.text
        case _:
            return None


def loads(text: str) -> bool:
    """Say whether a file has no mistake, in its rules or in their tests."""
    return not any(mistake.severity == "error" for mistake in check(text.encode(), "r"))


def accepted(text: str) -> bool:
    return CHECKER.accepts(value_of(read(text.encode(), Mistakes("r"))))


SEEDS = [
    {
        "version": 1,
        "defaults": {"mode": "observe", "limit": {"per_hour": 3}, "timezone": "Europe/Moscow"},
        "lists": {"vip": [17, "204"], "other": ["x", True]},
        "calendars": {
            "office": {"days": ["mon"], "from": "9:00", "to": "18:00", "holidays": ["2026-01-01"]}
        },
        "rules": [
            {"id": "guard", "if": {"deal.company_id": {"in_list": "vip"}}, "then": "leave"},
            {
                "id": "one",
                "because": "so",
                "mode": "enforce",
                "when": ["deal.updated", "robot", "ONCRMDEALADD"],
                "if": {
                    "deal.stage_semantic_id": "F",
                    "deal.category_id": [0, "2"],
                    "deal.opportunity": {"between": [1, 5.5]},
                    "deal.currency_id": "RUB",
                    "deal.closed": "Y",
                    "deal.uf_crm_1": {"over": 3, "exists": True},
                    "deal.uf_crm_3": {"over": 3, "currency": "RUB"},
                    "deal.company.industry": "IT",
                    "deal.assigned_by.active": False,
                    "document.running": {"at_least": 2},
                    "deal.uf_crm_2": {"between": ["2026-09-01", "2026-09-30T10:00:00Z"]},
                    "deal.closedate": {
                        "between": ["2026-09-01", "2026-09-30"],
                        "is_not": "2026-09-24",
                    },
                    "workflow.template_id": 61,
                    "workflow.age": {"over": "30d"},
                    "workflow.started": {"older_than": "2w", "outside": "office"},
                    "any": [{"deal.title": {"matches": "a+"}}, {"not": {"deal.title": 5}}],
                },
                "unless": {"deal.assigned_by_id": {"is": {"fact": "workflow.started_by"}}},
                "limit": {"per_document": 0},
                "portals": ["main"],
                "tell": ["timeline", "starter", "responsible", "waiting"],
                "expires": "2026-12-31",
                "sweep": True,
                "every_template": False,
                "then": "kill",
            },
            {
                "id": "two",
                "when": ["item_147.added"],
                "if": {"item_147.title": "x", "item_147.parent_id_2": 4, "template.known": True},
                "disabled": "for now",
                "then": "terminate",
            },
            {
                "id": "three",
                "when": [{"every": "1h"}],
                "if": {
                    "workflow.template_id": 61,
                    "workflow.age": {"over": "3wd", "in": "office"},
                },
                "wait": "1h",
                "warn": ["starter"],
                "keep": {"newest": 3},
                "per": ["template", "starter.id", "deal.uf_crm_1"],
                "then": "kill",
            },
            {
                "id": "four",
                "when": [{"every": "1h"}],
                "if": {
                    "list_23.property_1": {"older_than": "1d"},
                    "list_23.created_by.active": False,
                    "list_23.name": "x",
                    "workflow.template_id": 61,
                },
                "then": "terminate",
            },
        ],
        "tests": [
            {
                "name": "one",
                "event": "deal.updated",
                "at": "2026-09-24T12:00:00+03:00",
                "document": "deal:759",
                "portal": "main",
                "facts": {
                    "deal": {
                        "stage_semantic_id": "F",
                        "closed": "Y",
                        "uf_crm_1": [1, 2],
                        "company": {"industry": "IT", "uf_x": None},
                        "created_by": 5,
                        "assigned_by": {"active": False},
                    },
                    "document.running": 3,
                },
                "unknown": ["deal.title", "deal.uf_crm_2", "workflow.started"],
                "workflows": [
                    {"id": "a", "template_id": 61, "template.known": True, "started_by": None},
                    {"id": 5, "template": {"known": False}, "starter": {"active": [True]}},
                ],
                "expect": {"a": [{"kill": "one"}, {"waiting": "three"}], "5": "none"},
            },
            {"name": "two", "event": ["deal.added", "ONCRMDEALADD"], "expect": "none"},
            {"event": "schedule", "facts": {"task": {"status": "5.0"}}, "expect": {}},
        ],
    }
]
ODD = st.sampled_from(
    [
        *(None, True, 0, 1, 61, -5, 2.5, "", "x", "61", "30d", "2026-09-24", "office", "vip", "F"),
        *("3wd", ["1wd", "5wd"], {"over": "3wd"}, {"over": "1wd", "in": "office"}),
        *("deal.updated", "kill", "leave", "enforce", "9:00", [], [1], ["mon"], {}, {"is": 5}),
        *({"fact": "x"}, {"exists": True}, {"one_of": [1]}, {"every": "5m"}, [{"deal.title": "x"}]),
    ]
).map(copy.deepcopy)
KEYS = st.sampled_from(
    [
        *(*FILE_KEYS, *RULE_KEYS, *OPERATORS, "any", "all", "not", "deal.title", "task.status"),
        *("newest", "oldest", "starter.id", "in", "facts", "workflows", "expect", "stuck"),
        *("timeline", "responsible"),
        *("fact", "workflow.stuck", "starter.active", "per_hour", "timezone", "unles", "deal.uf_x"),
    ]
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401  # what JSON can be
    """Yield every place within a value that something else could stand in."""
    keys = range(len(value)) if isinstance(value, list) else value
    for key in keys if isinstance(value, dict | list) else ():
        inner = value[key]
        yield value, key
        yield from places(inner)


@st.composite
def changed_files(draw: st.DrawFn) -> str:
    """Make a rules file that loads, and change up to three things in it."""
    file = json.loads(json.dumps(draw(st.sampled_from(SEEDS))))
    for _ in range(draw(st.integers(0, 3))):
        holder, key = draw(st.sampled_from(list(places(file))))
        change = draw(st.sampled_from(["value", "key", "gone"]))
        if change == "key" and isinstance(holder, dict):
            holder[draw(KEYS)] = draw(ODD)
        elif change == "gone":
            del holder[key]
        else:
            holder[key] = draw(ODD)
    return json.dumps(file)


@given(changed_files())
def test_what_the_schema_refuses_the_loader_refuses(text: str) -> None:
    if loads(text):
        assert accepted(text)


def test_the_whole_language_is_accepted() -> None:
    for seed in SEEDS:
        assert loads(json.dumps(seed))
        assert accepted(json.dumps(seed))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"rules": [{"id": "a", "then": "kil"}]},
        {"rules": [{"id": "a", "if": {"deal.oportunity": 5}, "then": "leave"}]},
        {"rules": [{"id": "a", "if": {"deal.opportunity": {"ovr": 5}}, "then": "leave"}]},
        {"rules": [{"id": "a", "if": {"deal.opportunity": "much"}, "then": "leave"}]},
        {"rules": [{"id": "a", "if": {"deal.title": "x"}, "mode": "observe", "then": "leave"}]},
        {"rules": [{"id": "a", "if": {"workflow.template_id": 1}, "then": "kill"}]},
        {"rules": [{"id": "A", "if": {"deal.title": "x"}, "then": "leave"}]},
        {"rules": [{"id": "a", "unles": {"deal.title": "x"}, "then": "leave"}]},
        {"ruls": []},
        {"defaults": {"portals": [True]}},
    ],
)
def test_an_editor_underlines_what_authors_get_wrong(change: dict[str, object]) -> None:
    file = {"version": 1, "rules": [], **change}
    assert not CHECKER.accepts(file)
    assert not loads(json.dumps(file))


def test_every_key_fact_and_operator_is_there_with_words_about_it() -> None:
    rule = SCHEMA["$defs"]["rule"]["properties"]
    assert set(rule) == set(RULE_KEYS)
    assert set(SCHEMA["properties"]) == set(FILE_KEYS)
    tests = SCHEMA["$defs"]["tests"]["properties"]
    described = [*SCHEMA["properties"].values(), *rule.values(), *tests.values()]
    for type_ in fields.Type:
        shapes = SCHEMA["$defs"][f"of_{type_.name.lower()}"]
        tables = [one for one in shapes.get("anyOf", [shapes]) if one.get("type") == "object"]
        described += [one for table in tables for one in table["properties"].values()]
    assert all(one["description"].endswith(".") for one in described)
    assert {path for path in tests if path.startswith("task.")} == {
        *(f"task.{field.name}" for field in registry.of_kind("task")),
        *(f"task.{link}.{name}" for link in ("responsible", "created_by") for name in PERSON),
    }


@pytest.mark.parametrize("name", RECIPES.names())
def test_recipes_are_accepted(name: str) -> None:
    assert accepted(RECIPES.text(name))
