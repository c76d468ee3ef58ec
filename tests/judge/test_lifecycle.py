"""The life of a stop holds its three laws in every row."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.judge.lifecycle import (
    LIFE,
    PORTAL_CUTS_AT,
    SENT_WITHIN,
    TRIES,
    Seen,
    Standing,
    Step,
    step,
)
from responder.model import OPEN_OUTCOMES, Action, Outcome

NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)

standings = st.builds(
    Standing,
    action=st.sampled_from([Action.KILL, Action.TERMINATE]),
    tries=st.integers(0, TRIES - 1),
    condemned_at=st.timedeltas(timedelta(0), timedelta(hours=1)).map(lambda d: NOW - d),
    called_at=st.timedeltas(timedelta(0), timedelta(hours=1)).map(lambda d: NOW - d),
    unknown_id=st.booleans(),
)


def seen(outcome: Outcome, what: Seen, **known: object) -> Step:
    standing: dict[str, object] = {
        "action": Action.KILL,
        "tries": 0,
        "condemned_at": NOW,
        "called_at": NOW,
        "unknown_id": False,
    }
    return step(outcome, what, Standing(**{**standing, **known}), NOW, "why")  # type: ignore[arg-type]


@given(st.sampled_from(sorted(LIFE)), standings)
def test_only_a_fresh_condemnation_leads_to_a_call(
    row: tuple[Outcome, Seen], standing: Standing
) -> None:
    taken = step(*row, standing, NOW, "why")
    assert taken.call == (row[1] is Seen.CONDEMNED)


@given(st.sampled_from(sorted(LIFE)), standings)
def test_killed_with_a_receipt_comes_from_an_answer_that_says_so(
    row: tuple[Outcome, Seen], standing: Standing
) -> None:
    taken = step(*row, standing, NOW, "why")
    if taken.outcome in (Outcome.KILLED, Outcome.TERMINATED):
        assert (row[1] is Seen.DONE) == (taken.receipt is True)
        assert row[1] in (Seen.DONE, Seen.ABSENT)
        assert taken.verify_at is not None


@given(st.sampled_from(sorted(LIFE)), standings)
def test_what_lasts_is_due_and_what_is_final_is_not(
    row: tuple[Outcome, Seen], standing: Standing
) -> None:
    taken = step(*row, standing, NOW, "why")
    if taken.call:
        assert taken.outcome is Outcome.IN_DOUBT
    elif taken.outcome in OPEN_OUTCOMES and (taken.outcome is not Outcome.HELD or taken.hold):
        assert taken.due_at is not None  # what waits to be approved is due when it lapses
        assert taken.due_at >= NOW
    else:
        assert taken.due_at is None


@given(st.sampled_from(sorted(LIFE)), standings)
def test_tries_never_go_down_nor_past_the_limit(
    row: tuple[Outcome, Seen], standing: Standing
) -> None:
    taken = step(*row, standing, NOW, "why")
    if taken.outcome in OPEN_OUTCOMES and not standing.unknown_id:
        assert standing.tries <= taken.tries < TRIES


def test_a_workflow_still_there_is_not_tried_again_before_the_portal_cuts_the_request() -> None:
    sent_at = NOW - timedelta(seconds=59)  # at the latest: so long after the intent it may be sent
    early = seen(Outcome.IN_DOUBT, Seen.PRESENT, called_at=sent_at - SENT_WITHIN)
    assert early.outcome is Outcome.IN_DOUBT
    assert early.due_at == sent_at + PORTAL_CUTS_AT
    sent_at = NOW - timedelta(seconds=60)
    late = seen(Outcome.IN_DOUBT, Seen.PRESENT, called_at=sent_at - SENT_WITHIN)
    assert late.outcome is Outcome.WAITING


def test_a_clock_that_was_ahead_lengthens_no_wait() -> None:
    ahead = Standing(action=Action.KILL, tries=0, condemned_at=NOW + timedelta(days=1))
    assert ahead.waits_from(NOW) == NOW
    put_off = replace(ahead, postponed_at=NOW - timedelta(minutes=3))
    assert put_off.waits_from(NOW) == NOW - timedelta(minutes=3)


def test_an_unknown_id_that_is_absent_was_already_gone() -> None:
    taken = seen(Outcome.IN_DOUBT, Seen.ABSENT, unknown_id=True)
    assert taken.outcome is Outcome.ALREADY_GONE
    assert taken.receipt is False


def test_an_unknown_id_that_is_still_listed_is_tried_once_more_and_given_up() -> None:
    first = seen(Outcome.IN_DOUBT, Seen.PRESENT, unknown_id=True)
    assert first.outcome is Outcome.WAITING
    second = seen(Outcome.IN_DOUBT, Seen.PRESENT, unknown_id=True, calls=2)
    assert second.outcome is Outcome.GAVE_UP


def test_a_workflow_that_executes_is_given_up_after_five_minutes() -> None:
    assert seen(Outcome.WAITING, Seen.EXECUTING).outcome is Outcome.WAITING
    late = seen(Outcome.WAITING, Seen.EXECUTING, ready_at=NOW - timedelta(minutes=5))
    assert late.outcome is Outcome.GAVE_UP


def test_five_tries_take_about_ten_minutes() -> None:
    waited, tries = timedelta(0), 0
    while True:
        taken = seen(Outcome.WAITING, Seen.UNREADABLE, tries=tries)
        if taken.outcome is Outcome.GAVE_UP:
            break
        assert taken.due_at is not None
        waited, tries = waited + (taken.due_at - NOW), taken.tries
    assert tries == TRIES - 1
    assert timedelta(minutes=4) < waited < timedelta(minutes=11)


def test_what_cannot_be_seen_in_a_state_is_an_error() -> None:
    with pytest.raises(KeyError):
        seen(Outcome.WAITING, Seen.DONE)
    with pytest.raises(KeyError):
        seen(Outcome.KILLED, Seen.PRESENT)


def test_a_call_made_while_our_clock_was_ahead_has_its_time_from_when_it_was_looked_at() -> None:
    longest = SENT_WITHIN + PORTAL_CUTS_AT
    ahead = NOW + timedelta(days=1)
    first = seen(Outcome.IN_DOUBT, Seen.PRESENT, called_at=ahead, postponed_at=ahead)
    assert (first.outcome, first.due_at) == (Outcome.IN_DOUBT, NOW + longest)
    early = NOW - longest + timedelta(seconds=1)
    again = seen(Outcome.IN_DOUBT, Seen.PRESENT, called_at=ahead, postponed_at=early)
    assert (again.outcome, again.due_at) == (Outcome.IN_DOUBT, NOW + longest)
    over = seen(Outcome.IN_DOUBT, Seen.PRESENT, called_at=ahead, postponed_at=NOW - longest)
    assert (over.outcome, over.due_at) == (Outcome.WAITING, NOW)
