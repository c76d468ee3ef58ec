"""The life of a stop holds its three laws in every row."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.journal.approval_proof import Approval
from responder.journal.approvals import GOOD_FOR, approved_text
from responder.judge.stop_lifecycle import (
    BUSY_AGAIN,
    EXECUTING_AGAIN,
    LIFE,
    LOOK_AGAIN,
    PORTAL_CUTS_AT,
    REFUSED_AGAIN,
    RETRY_AFTER,
    SENT_WITHIN,
    TRIES,
    Seen,
    Step,
    StopProgress,
    not_before,
    step,
)
from responder.model import OPEN_OUTCOMES, Action, Outcome

NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)

stops_in_progress = st.builds(
    StopProgress,
    action=st.sampled_from([Action.KILL, Action.TERMINATE]),
    tries=st.integers(0, TRIES - 1),
    condemned_at=st.timedeltas(timedelta(0), timedelta(hours=1)).map(lambda d: NOW - d),
    called_at=st.timedeltas(timedelta(0), timedelta(hours=1)).map(lambda d: NOW - d),
    unknown_id=st.booleans(),
)


def seen(outcome: Outcome, what: Seen, **known: object) -> Step:
    progress: dict[str, object] = {
        "action": Action.KILL,
        "tries": 0,
        "condemned_at": NOW,
        "called_at": NOW,
        "unknown_id": False,
    }
    return step(outcome, what, StopProgress(**{**progress, **known}), NOW, "why")  # type: ignore[arg-type]


@given(st.sampled_from(sorted(LIFE)), stops_in_progress)
def test_only_a_fresh_condemnation_leads_to_a_call(
    row: tuple[Outcome, Seen], progress: StopProgress
) -> None:
    taken = step(*row, progress, NOW, "why")
    assert taken.call == (row[1] is Seen.CONDEMNED)


@given(st.sampled_from(sorted(LIFE)), stops_in_progress)
def test_killed_with_a_receipt_comes_from_an_answer_that_says_so(
    row: tuple[Outcome, Seen], progress: StopProgress
) -> None:
    taken = step(*row, progress, NOW, "why")
    if taken.outcome in (Outcome.KILLED, Outcome.TERMINATED):
        assert (row[1] is Seen.DONE) == (taken.receipt is True)
        assert row[1] in (Seen.DONE, Seen.ABSENT)
        assert taken.verify_at is not None


@given(st.sampled_from(sorted(LIFE)), stops_in_progress)
def test_what_lasts_is_due_and_what_is_final_is_not(
    row: tuple[Outcome, Seen], progress: StopProgress
) -> None:
    taken = step(*row, progress, NOW, "why")
    if taken.call:
        assert taken.outcome is Outcome.IN_DOUBT
    elif taken.outcome in OPEN_OUTCOMES and (taken.outcome is not Outcome.HELD or taken.hold):
        assert taken.due_at is not None  # what waits to be approved is due when it lapses
        assert taken.due_at >= NOW
    else:
        assert taken.due_at is None


@given(st.sampled_from(sorted(LIFE)), stops_in_progress)
def test_tries_never_go_down_nor_past_the_limit(
    row: tuple[Outcome, Seen], progress: StopProgress
) -> None:
    taken = step(*row, progress, NOW, "why")
    if taken.outcome in OPEN_OUTCOMES and not progress.unknown_id:
        assert progress.tries <= taken.tries < TRIES


def test_a_workflow_still_there_is_not_tried_again_before_the_portal_cuts_the_request() -> None:
    sent_at = NOW - timedelta(seconds=59)  # at the latest: so long after the intent it may be sent
    early = seen(Outcome.IN_DOUBT, Seen.PRESENT, called_at=sent_at - SENT_WITHIN)
    assert early.outcome is Outcome.IN_DOUBT
    assert early.due_at == sent_at + PORTAL_CUTS_AT
    sent_at = NOW - timedelta(seconds=60)
    late = seen(Outcome.IN_DOUBT, Seen.PRESENT, called_at=sent_at - SENT_WITHIN)
    assert late.outcome is Outcome.WAITING


def test_a_call_whose_end_nobody_saw_may_have_been_carried_out_though_its_workflow_runs() -> None:
    long_ago = NOW - timedelta(minutes=5)
    assert seen(Outcome.IN_DOUBT, Seen.PRESENT, called_at=long_ago).perhaps_done
    assert seen(Outcome.IN_DOUBT, Seen.PRESENT, called_at=long_ago, tries=TRIES - 1).perhaps_done
    for certain in (Seen.NOT_SENT, Seen.UNREACHABLE, Seen.PORTAL_SHUT, Seen.FORBIDDEN):
        assert not seen(Outcome.IN_DOUBT, certain, called_at=long_ago).perhaps_done


def test_a_clock_that_was_ahead_lengthens_no_wait() -> None:
    ahead = StopProgress(action=Action.KILL, tries=0, condemned_at=NOW + timedelta(days=1))
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


LAST: dict[str, object] = {"tries": TRIES - 1}
W, H, D = Outcome.WAITING, Outcome.HELD, Outcome.IN_DOUBT
LONG_AGO = NOW - timedelta(hours=1)
# what is seen of a stop, what is known of it, and what it does then: its outcome, how long it
# rests, and how many tries it has had
ROWS = {
    "condemned: it is called": (W, Seen.CONDEMNED, {}, D, None, 0),
    "executing: ten seconds": (W, Seen.EXECUTING, {}, W, EXECUTING_AGAIN, 0),
    "spared": (W, Seen.SPARED, {}, Outcome.CLEARED, None, 0),
    "gone": (W, Seen.GONE, {}, Outcome.ALREADY_GONE, None, 0),
    "unreadable: a try": (W, Seen.UNREADABLE, {}, W, RETRY_AFTER[0], 1),
    "unreadable, for the fifth time": (W, Seen.UNREADABLE, LAST, Outcome.GAVE_UP, None, 0),
    "not sent: no try": (W, Seen.NOT_SENT, LAST, W, BUSY_AGAIN, TRIES - 1),
    "shut: no try": (W, Seen.PORTAL_SHUT, LAST, W, REFUSED_AGAIN, TRIES - 1),
    "held: until it is freed": (W, Seen.HELD, LAST, H, None, TRIES - 1),
    "observed": (W, Seen.OBSERVED, {}, Outcome.WOULD_KILL, None, 0),
    "unapproved: for a day": (W, Seen.UNAPPROVED, LAST, H, GOOD_FOR, TRIES - 1),
    "lapsed, while it waited": (W, Seen.LAPSED, {}, Outcome.CANCELLED, None, 0),
    "lapsed, while it was held": (H, Seen.LAPSED, {}, Outcome.CANCELLED, None, 0),
    "done": (D, Seen.DONE, {}, Outcome.KILLED, None, 0),
    "called, and not sent: no try": (D, Seen.NOT_SENT, LAST, W, BUSY_AGAIN, TRIES - 1),
    "called, and unreachable: a try": (D, Seen.UNREACHABLE, {}, W, RETRY_AFTER[0], 1),
    "unreachable, for the fifth time": (D, Seen.UNREACHABLE, LAST, Outcome.GAVE_UP, None, 0),
    "called, and shut: no try": (D, Seen.PORTAL_SHUT, LAST, W, REFUSED_AGAIN, TRIES - 1),
    "lost: looked for at once": (D, Seen.LOST, LAST, D, timedelta(0), TRIES - 1),
    "unknown id: looked for at once": (D, Seen.UNKNOWN_ID, LAST, D, timedelta(0), TRIES - 1),
    "refused": (D, Seen.REFUSED, {}, Outcome.REFUSED, None, 0),
    "forbidden: a try": (D, Seen.FORBIDDEN, {}, W, RETRY_AFTER[0], 1),
    "forbidden, for the fifth time": (D, Seen.FORBIDDEN, LAST, Outcome.REFUSED, None, 0),
    "absent: it worked": (D, Seen.ABSENT, {}, Outcome.KILLED, None, 0),
    "present, the call over: a try": (D, Seen.PRESENT, {"called_at": LONG_AGO}, W, timedelta(0), 1),
    "present, for the fifth time": (
        D,
        Seen.PRESENT,
        {**LAST, "called_at": LONG_AGO},
        Outcome.GAVE_UP,
        None,
        0,
    ),
    "unseen: looked for again": (D, Seen.UNSEEN, LAST, D, LOOK_AGAIN, TRIES - 1),
}


@pytest.mark.parametrize(
    ("outcome", "what", "known", "after", "rests", "tries"), ROWS.values(), ids=ROWS
)
def test_what_is_seen_of_a_stop_moves_it_along(
    outcome: Outcome,
    what: Seen,
    known: dict[str, object],
    after: Outcome,
    rests: timedelta | None,
    tries: int,
) -> None:
    taken = seen(outcome, what, **known)
    due_at = None if rests is None else NOW + rests
    assert (taken.outcome, taken.due_at, taken.tries) == (after, due_at, tries)


def test_the_table_has_a_row_for_everything_that_can_be_seen() -> None:
    assert {(outcome, what) for outcome, what, *_ in ROWS.values()} == set(LIFE)


BY_ANNA = approved_text("anna", NOW)


@pytest.mark.parametrize(
    ("outcome", "what", "detail"),
    [
        pytest.param(D, Seen.DONE, BY_ANNA, id="nothing else is to be said"),
        pytest.param(W, Seen.SPARED, f"{BY_ANNA}; why", id="and what came of it"),
        pytest.param(W, Seen.UNREADABLE, "why", id="it is not over"),
    ],
)
def test_what_was_approved_says_by_whom_once_it_is_over(
    outcome: Outcome, what: Seen, detail: str
) -> None:
    taken = seen(outcome, what, approval=Approval("anna", NOW, 7))
    assert taken.detail == detail


def test_an_answer_that_was_awaited_before_is_awaited_no_longer() -> None:
    soon = NOW + timedelta(hours=1)
    assert seen(W, Seen.UNAPPROVED, lapses_at=soon).due_at == soon


def test_not_before_keeps_what_was_tried() -> None:
    progress = StopProgress(action=Action.KILL, tries=3, condemned_at=NOW)
    taken = not_before(progress, NOW + timedelta(hours=1), "not yet")
    assert (taken.outcome, taken.tries, taken.call) == (Outcome.WAITING, 3, False)
    assert (taken.due_at, taken.detail) == (NOW + timedelta(hours=1), "not yet")


def test_a_wait_begins_when_it_was_condemned() -> None:
    progress = StopProgress(action=Action.KILL, tries=0, condemned_at=LONG_AGO, postponed_at=NOW)
    assert progress.waits_from(NOW) == LONG_AGO
