"""What a row of offline events says, however it is written, and how it is removed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.bitrix24 import payload
from responder.bitrix24.events import offline_rows
from responder.bitrix24.events.offline_rows import OfflineRow

MESSAGE = "0123456789abcdef0123456789abcdef"
CHANGED = "2026-11-27T12:00:00+03:00"


def row(**other: object) -> dict[str, object]:
    return {
        "ID": "2",
        "TIMESTAMP_X": CHANGED,
        "EVENT_NAME": "ONCRMDEALUPDATE",
        "EVENT_DATA": {"FIELDS": {"ID": 759}},
        "EVENT_ADDITIONAL": {"user_id": 7},
        "MESSAGE_ID": MESSAGE,
        **other,
    }


def only(value: object) -> OfflineRow:
    page = offline_rows.page_of(value)
    assert page is not None
    (found,) = page.rows
    return found


def test_a_row_is_an_event_of_its_document() -> None:
    found = only([row()])
    assert (found.id, found.message_id, found.process_id) == (2, MESSAGE, None)
    assert found.event == "ONCRMDEALUPDATE"
    assert found.document is not None
    assert found.document.ref == "deal:759"


@pytest.mark.parametrize(
    ("event", "data", "ref"),
    [
        ("ONCRMDEALUPDATE", {"FIELDS": {"ID": "759"}}, "deal:759"),
        ("onCrmDealUpdate", {"FIELDS": {"ID": 759}}, "deal:759"),
        ("ONCRMDEALMOVETOCATEGORY", {"FIELDS": {"ID": 759, "CATEGORY_ID": 2}}, "deal:759"),
        (
            "ONCRMDYNAMICITEMUPDATE",
            {"FIELDS": {"ID": 5, "ENTITY_TYPE_ID": 147}},
            "item_147:5",
        ),
        ("ONCRMDYNAMICITEMADD", {"FIELDS": {"ID": 5, "ENTITY_TYPE_ID": "31"}}, "invoice:5"),
        ("ONTASKADD", {"FIELDS_BEFORE": "undefined", "FIELDS_AFTER": {"ID": 9}}, "task:9"),
        ("ONTASKDELETE", {"FIELDS_BEFORE": {"ID": 9}, "FIELDS_AFTER": "undefined"}, "task:9"),
        ("ONTASKCOMMENTADD", {"FIELDS_AFTER": {"ID": 1, "TASK_ID": 9}}, "task:9"),
        ("ONCRMDEALUPDATE", False, None),
        ("ONCRMDEALUPDATE", [], None),
        ("ONCRMDEALUPDATE", None, None),
        ("ONCRMDEALUPDATE", "text", None),
        ("ONCRMDEALUPDATE", {"FIELDS": False}, None),
        ("ONCRMDEALUPDATE", {"FIELDS": {"ID": True}}, None),
        ("ONCRMDEALUPDATE", {"FIELDS": {"ID": 7.5}}, None),
        ("ONCRMDEALUPDATE", {"FIELDS": {"ID": -1}}, None),
        ("ONCRMDEALUPDATE", {"FIELDS": {"ID": [759]}}, None),
        ("ONCRMACTIVITYADD", {"FIELDS": {"ID": 3}}, None),
    ],
)
def test_the_document_is_found_however_its_id_is_written(
    event: str, data: object, ref: str | None
) -> None:
    page = offline_rows.page_of([row(EVENT_NAME=event, EVENT_DATA=data)])
    assert page is not None
    assert page.odd == ()
    (found,) = page.events
    assert (found.document.ref if found.document else None) == ref


def test_its_form_is_what_would_have_been_posted() -> None:
    found = only([row(EVENT_DATA={"FIELDS": {"ID": 759, "SECRET": "x"}})])
    assert payload.event(found.form) == {
        "event": "ONCRMDEALUPDATE",
        "data": {"FIELDS": {"ID": "759"}},
        "ts": "1795770000",
    }
    scanned = payload.call(payload.scan(found.form))
    assert found.document is not None
    assert scanned.document_ref == found.document.ref


@pytest.mark.parametrize("changed", [None, "", "yesterday", 5, "9999-99-99"])
def test_a_time_that_cannot_be_read_is_left_out(changed: object) -> None:
    assert b"ts=" not in only([row(TIMESTAMP_X=changed)]).form


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "text",
        [],
        row(ID=None),
        row(ID="x"),
        row(ID=True),
        row(ID=0),
        row(ID="9" * 30),
    ],
)
def test_a_row_without_an_id_is_odd_and_hinders_no_other(odd: object) -> None:
    page = offline_rows.page_of([odd, row()])
    assert page is not None
    assert [one.id for one in page.rows] == [2]
    assert len(page.odd) == 1
    assert page.size == 2


@pytest.mark.parametrize("name", [None, "", 5, False, "X" * 300])
def test_a_row_without_an_event_is_odd_and_is_removed_but_not_stored(name: object) -> None:
    page = offline_rows.page_of([row(EVENT_NAME=name), row(ID=3)])
    assert page is not None
    assert [one.id for one in page.rows] == [2, 3]
    assert [one.id for one in page.events] == [3]
    assert len(page.odd) == 1


@pytest.mark.parametrize("value", [None, 5, "text", True, {"process_id": "p"}, {"events": 5}])
def test_an_answer_of_another_shape_is_no_page(value: object) -> None:
    page = offline_rows.page_of(value)
    assert page is None or page.rows == ()


@pytest.mark.parametrize("events", [[], {}])
def test_nothing_kept_is_an_empty_page(events: object) -> None:
    page = offline_rows.page_of({"process_id": None, "events": events})
    assert page is not None
    assert (page.size, page.is_full) == (0, False)


def test_rows_that_were_reserved_together_have_the_answers_process_id() -> None:
    found = only({"process_id": "p1", "events": [row(PROCESS_ID="p0")]})
    assert found.process_id == "p1"


def test_listed_rows_have_each_its_own_process_id() -> None:
    page = offline_rows.page_of([row(PROCESS_ID="p0"), row(ID=3, PROCESS_ID="")])
    assert page is not None
    assert [one.id for one in page.reserved] == [2]
    assert [one.id for one in page.unreserved] == [3]


def test_a_page_with_fifty_rows_may_not_be_the_last() -> None:
    for size, full in ((49, False), (50, True), (250, True)):
        page = offline_rows.page_of([row(ID=number) for number in range(1, size + 1)])
        assert page is not None
        assert page.is_full is full


def test_rows_are_removed_by_both_names_and_never_without_a_process() -> None:
    page = offline_rows.page_of(
        [
            row(ID=1, PROCESS_ID="p1"),
            row(ID=2, PROCESS_ID="p2", MESSAGE_ID="m2"),
            row(ID=3, PROCESS_ID="p1", MESSAGE_ID=None),
            row(ID=4, PROCESS_ID="p1", MESSAGE_ID="m4"),
            row(ID=5),
        ]
    )
    assert page is not None
    assert [dict(one.params) for one in offline_rows.clear_commands(page.rows)] == [
        {"process_id": "p1", "id": [1, 4], "message_id": [MESSAGE, "m4"]},
        {"process_id": "p2", "id": [2], "message_id": ["m2"]},
        {"process_id": "p1", "id": [3]},
    ]


@pytest.mark.parametrize("process_id", ["", None, False, 5, "with space", "p\ud800"])
def test_a_process_id_that_is_none_reserves_nothing(process_id: object) -> None:
    page = offline_rows.page_of({"process_id": process_id, "events": [row()]})
    assert page is not None
    assert offline_rows.clear_commands(page.rows) == []


def test_a_row_is_another_once_it_has_changed_again() -> None:
    later = row(TIMESTAMP_X="2026-11-27T12:00:01+03:00")
    assert only([row()]).key != only([later]).key


def test_what_is_reserved_is_asked_for_in_large_pages() -> None:
    assert dict(offline_rows.read_command(reserve=True).params) == {"clear": 0, "limit": 250}


def test_what_is_taken_lies_between_two_ids() -> None:
    command = offline_rows.read_command(reserve=False, first=3, last=9)
    assert command.params["clear"] == 1
    assert command.params["filter"] == {">=ID": 3, "<=ID": 9}


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
_NAMES = ("ID", "TIMESTAMP_X", "EVENT_NAME", "EVENT_DATA", "MESSAGE_ID", "PROCESS_ID")
_rows = st.fixed_dictionaries({}, optional=dict.fromkeys(_NAMES, _json))


@given(st.lists(_rows | _json, max_size=6))
def test_no_row_raises_and_each_is_read_or_odd(values: list[Any]) -> None:
    page = offline_rows.page_of(values)
    assert page is not None
    assert page.size == len(values)
    assert len(page.events) + len(page.odd) == len(values)
    for command in offline_rows.clear_commands(page.rows):
        assert command.params["process_id"]
