"""Tests of what bears out an approval: an entry that says the same of the same decision."""

from datetime import UTC, datetime, timedelta

import pytest

from responder.journal.approval_proof import Approval

AT = datetime(2026, 9, 24, 12, tzinfo=UTC)
BY_ANNA = Approval("anna", AT, 7)
ENTRY = {"control": "approve", "by": "anna", "decisions": ["main-5-1", "main-5-2"]}
ENTRIES = {
    "it says so": (ENTRY, AT, True),
    "it says so of others too": ({**ENTRY, "decisions": ["main-9-1", "main-5-1"]}, AT, True),
    "it names another decision": ({**ENTRY, "decisions": ["main-5-11"]}, AT, False),
    "it names none": ({**ENTRY, "decisions": []}, AT, False),
    "somebody else did": ({**ENTRY, "by": "boris"}, AT, False),
    "it was at another time": (ENTRY, AT + timedelta(microseconds=1), False),
    "it is another kind of order": ({**ENTRY, "control": "cancel"}, AT, False),
    "it is no order": ({"decision": "main-5-1", "outcome": "killed"}, AT, False),
}


@pytest.mark.parametrize(("body", "at", "recorded"), ENTRIES.values(), ids=ENTRIES)
def test_what_an_entry_says_of_an_approval(
    body: dict[str, object], at: datetime, recorded: bool
) -> None:
    assert BY_ANNA.is_recorded_in("main-5-1", at, body) is recorded


def test_a_name_that_no_database_can_hold_is_compared_as_it_was_kept() -> None:
    entry = {**ENTRY, "by": "an\x00na"}
    assert Approval("an\ufffdna", AT, 7).is_recorded_in("main-5-1", AT, entry)
