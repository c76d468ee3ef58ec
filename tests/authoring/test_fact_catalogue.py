"""Tests of the list of facts."""

import json

import pytest

from responder.authoring.fact_catalogue import UnknownKindError, render
from responder.rules.facts import registry


def test_one_kind_is_listed_with_types_and_sentences() -> None:
    listed = render("deal", as_json=False, width=120)
    assert listed.startswith("deal: A deal of the CRM.\n")
    (stage,) = [line for line in listed.splitlines() if "deal.stage_id " in line]
    assert stage.split(None, 2) == ["deal.stage_id", "text", "The stage, such as NEW or C2:WON."]
    assert "deal.uf_…" in listed


def test_a_list_for_people_fits_the_terminal() -> None:
    assert [line for line in render(None, as_json=False).splitlines() if len(line) > 80] == []


def test_all_kinds_are_listed_and_each_fact_is_one() -> None:
    listed = render(None, as_json=True)
    rows = [json.loads(line) for line in listed.splitlines()]
    assert {row["kind"] for row in rows} >= {*registry.KINDS, "workflow", "template", "item_147"}
    for row in rows:
        assert registry.find(row["fact"])
        assert row["tests"]


def test_a_smart_process_is_listed_under_its_number() -> None:
    assert "item_1038.stage_id" in render("item_1038", as_json=False)


def test_an_unknown_kind_has_a_nearest_one() -> None:
    with pytest.raises(UnknownKindError, match="no kind `deals`") as raised:
        render("deals", as_json=False)
    assert raised.value.suggestion == "deal"
