"""The history of stages (BITRIX24-APP §7)."""

import pytest

from responder.bitrix24.sandbox import Sandbox
from tests.bitrix24.sandbox.caller import Caller, mapping, rows

METHOD = "crm.stagehistory.list"
AT = "2026-11-01T10:00:00+03:00"


def changes(caller: Caller, **params: object) -> list[dict[str, object]]:
    return rows(mapping(caller.result(METHOD, {"entityTypeId": 2, **params}))["items"])


@pytest.fixture(autouse=True)
def moved(sandbox: Sandbox) -> None:
    for number in (759, 760):
        sandbox.add_item(2, number)
        sandbox.stage_history.add(2, number, "NEW", created=AT, type=1)
    sandbox.stage_history.add(2, 759, "LOSE", created=AT, type=3, semantics="F")


def test_the_newest_row_says_since_when_and_not_who(caller: Caller) -> None:
    """§7: `items[]`, filter `@OWNER_ID`, the newest row is the stage now; not who."""
    [newest, _] = changes(caller, filter={"@OWNER_ID": [759]}, order={"ID": "DESC"})
    assert newest == {
        "ID": 3,
        "TYPE_ID": 3,
        "OWNER_ID": 759,
        "CREATED_TIME": AT,
        "CATEGORY_ID": 0,
        "STAGE_SEMANTIC_ID": "F",
        "STAGE_ID": "LOSE",
    }
    assert len(changes(caller)) == 3


def test_leads_have_a_status(sandbox: Sandbox, caller: Caller) -> None:
    """§7: leads STATUS_*."""
    sandbox.add_item(1, 5)
    sandbox.stage_history.add(1, 5, "NEW", created=AT)
    [row] = changes(caller, entityTypeId=1)
    assert (row["STATUS_ID"], row["STATUS_SEMANTIC_ID"]) == ("NEW", "P")
    assert "STAGE_ID" not in row


def test_the_history_goes_with_the_item(sandbox: Sandbox, caller: Caller) -> None:
    """§7: goes with the item; unreadable ones are silently absent."""
    del sandbox.items[2, 759]
    sandbox.denied_items.add((2, 760))
    assert changes(caller) == []


def test_it_is_paged_and_selected(sandbox: Sandbox, caller: Caller) -> None:
    """§7: order, select, start."""
    for _ in range(50):
        sandbox.stage_history.add(2, 760, "NEW", created=AT)
    answer = caller.call(METHOD, {"entityTypeId": 2, "select": ["ID"]})
    assert (answer["total"], answer["next"]) == (53, 50)
    assert rows(mapping(answer["result"])["items"])[0] == {"ID": 1}


@pytest.mark.parametrize(("params", "code"), [({}, "100"), ({"entityTypeId": 3}, "ERROR_ARGUMENT")])
def test_other_types_have_none(caller: Caller, params: dict[str, int], code: str) -> None:
    """§7: types 1, 2, 5, 31, smart."""
    assert caller.refusal(METHOD, params)[:2] == (400, code)
