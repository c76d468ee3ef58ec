"""Defines the state machine of one stop, from condemned to concluded, as one table.

Theory of operation. A *stop* is a decision that condemned a workflow. Its outcome in the journal is
also its state, and `due_at` is when the next step is due:

    waiting    judge it afresh at `due_at`; no call is under way
    held       a pause, a tripped rule or a limit holds it, or it waits for approval; once freed it
               is waiting again
    in_doubt   an intent is committed, so a call may have been made: search for the workflow by its
               id
    the rest   final

Each observation (`Seen`) of a judgement, a call or a search leads to the next step, and the table
`LIFE` has a row for every observation that is possible in each state. A stop of a rule in mode
`approve` is held once its time has come (the rule's `wait` is over, its hours are open), for a day;
approved, it is judged afresh like any waiting stop. An approval is valid for a day of the rule's
hours, and for that stop alone. Three laws hold, and the tests prove them of every row:

1. Only `Seen.CONDEMNED` leads to a call, and it is observed only in a judgement that is seconds
   old. So between one call and the next there are always a search that found the workflow alive and
   a fresh judgement (a kill cannot be undone, and it may have worked although we saw no answer).
2. `killed` with a receipt comes only from an answer that says so in full; `killed` without one only
   from a call that was made and a complete list in which the workflow is absent.
3. No stop waits for ever: tries are counted, and the stop is given up after `TRIES`; a stop in
   doubt is searched for until the portal answers.

The portal cuts a request at 60 s (docs: limits.md). Until then the lost call may yet stop a
workflow that is still there, so no other call is made earlier. That time counts from the last
moment at which the call can have been sent: `SENT_WITHIN` after its intent.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from responder.bitrix24.client.rest import CONNECT_SECONDS
from responder.journal.approval_proof import Approval
from responder.journal.approvals import GOOD_FOR, approved_text
from responder.model import OPEN_OUTCOMES, WOULD, Action, Outcome
from responder.store.clock_setback import AHEAD
from responder.store.limits import APPROVAL

TRIES = 5
RETRY_AFTER = tuple(timedelta(seconds=s) for s in (10, 60, 180, 350))  # ten minutes in all
FACTS_STALE_AFTER = timedelta(seconds=30)
EXECUTING_AGAIN = timedelta(seconds=10)
EXECUTING_AT_MOST = timedelta(minutes=5)
PORTAL_CUTS_AT = timedelta(seconds=60)
CALL_WITHIN = timedelta(seconds=10)  # of its intent; later nothing is sent
SENT_WITHIN = CALL_WITHIN + timedelta(seconds=CONNECT_SECONDS)
OVER_WITHIN = SENT_WITHIN + PORTAL_CUTS_AT  # of its intent: the portal carries it out no more
BUSY_AGAIN = timedelta(seconds=2)
REFUSED_AGAIN = timedelta(seconds=60)
LOOK_AGAIN = timedelta(seconds=10)
VERIFY_AFTER = timedelta(seconds=2)


class Seen(StrEnum):
    """An observation of one workflow, from a judgement, a call or a search by its id."""

    CONDEMNED = "condemned"
    EXECUTING = "executing"
    SPARED = "spared"
    GONE = "gone"
    UNREADABLE = "unreadable"
    DONE = "done"
    NOT_SENT = "not sent"
    UNREACHABLE = "unreachable"
    PORTAL_SHUT = "portal shut"
    HELD = "held"
    OBSERVED = "observed"
    UNAPPROVED = "unapproved"
    LAPSED = "lapsed"
    LOST = "lost"
    UNKNOWN_ID = "unknown id"
    REFUSED = "refused"
    FORBIDDEN = "forbidden"
    ABSENT = "absent"
    PRESENT = "present"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopProgress:
    """The progress of a stop so far: its counts and instants, as the journal has them."""

    action: Action
    tries: int
    condemned_at: datetime
    called_at: datetime | None = None
    calls: int = 0
    ready_at: datetime | None = None
    unknown_id: bool = False
    approval: Approval | None = None
    lapses_at: datetime | None = None
    postponed_at: datetime | None = None

    def waits_from(self, now: datetime) -> datetime:
        """Return when the wait of the stop's rule began.

        A clock that was ahead when the workflow was condemned must not lengthen the wait. Then it
        counts from when the stop was last postponed, an instant that `store.clock_setback` has
        moved to the corrected time.
        """
        if self.condemned_at <= now:
            return self.condemned_at
        return min(now, self.postponed_at or now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The next state of a stop, as it is written: outcome, and for an open stop due time and tries.

    `call` is True only for a step that makes the call. `hold` names what holds a held stop, which
    is due once that frees it; `due_at` of one that waits for approval is when it lapses.
    `perhaps_done` marks for good a stop whose call may have been carried out, though its workflow
    was found running later: it may have come back.
    """

    outcome: Outcome
    detail: str | None = None
    receipt: bool | None = None
    due_at: datetime | None = None
    tries: int = 0
    call: bool = False
    verify_at: datetime | None = None
    unknown_id: bool = False
    hold: str | None = None
    ready_at: datetime | None = None
    perhaps_done: bool = False


def _call(progress: StopProgress, _now: datetime, _why: str) -> Step:
    return Step(outcome=Outcome.IN_DOUBT, tries=progress.tries, call=True)


def _executing(progress: StopProgress, now: datetime, _why: str) -> Step:
    ready_at = progress.ready_at or now
    if now - ready_at >= EXECUTING_AT_MOST:
        return Step(
            outcome=Outcome.GAVE_UP,
            detail="it was executing each time we looked for five minutes; "
            "killed while it executes, it could write itself back",
        )
    return Step(
        outcome=Outcome.WAITING,
        detail="it is executing at this moment; looked at again in 10 s",
        due_at=now + EXECUTING_AGAIN,
        tries=progress.tries,
        ready_at=ready_at,
    )


def _spared(_standing: StopProgress, _now: datetime, why: str) -> Step:
    return Step(outcome=Outcome.CLEARED, detail=why)


def _gone(_standing: StopProgress, _now: datetime, _why: str) -> Step:
    return Step(
        outcome=Outcome.ALREADY_GONE,
        receipt=False,
        detail="it was no longer running when we looked again",
    )


def _retry(progress: StopProgress, now: datetime, why: str) -> Step:
    """Count a try and wait, or give up after the last one."""
    if progress.tries + 1 >= TRIES:
        return Step(outcome=Outcome.GAVE_UP, detail=f"after {TRIES} tries: {why}")
    return Step(
        outcome=Outcome.WAITING,
        detail=why,
        due_at=now + RETRY_AFTER[progress.tries],
        tries=progress.tries + 1,
    )


def _wait_uncounted(wait: timedelta) -> Callable[[StopProgress, datetime, str], Step]:
    """Return a row that waits without counting a try: the portal was not ready for any call."""

    def step(progress: StopProgress, now: datetime, why: str) -> Step:
        return Step(outcome=Outcome.WAITING, detail=why, due_at=now + wait, tries=progress.tries)

    return step


def _held(progress: StopProgress, _now: datetime, why: str) -> Step:
    return Step(outcome=Outcome.HELD, detail=why, tries=progress.tries)


def _observed(progress: StopProgress, _now: datetime, _why: str) -> Step:
    return Step(outcome=WOULD[progress.action])


def _unapproved(progress: StopProgress, now: datetime, _why: str) -> Step:
    return Step(
        outcome=Outcome.HELD,
        detail="held until somebody approves it",
        due_at=progress.lapses_at or now + GOOD_FOR,
        tries=progress.tries,
        hold=APPROVAL,
    )


def _lapsed(_standing: StopProgress, _now: datetime, why: str) -> Step:
    return Step(outcome=Outcome.CANCELLED, detail=f"lapsed: {why}")


def not_before(progress: StopProgress, at: datetime, why: str) -> Step:
    """Return the step of a stop that waits for its rule's time, to be judged afresh then."""
    return Step(outcome=Outcome.WAITING, detail=why, due_at=at, tries=progress.tries)


def _stopped_by_call(progress: StopProgress, now: datetime, _why: str) -> Step:
    return Step(outcome=_stopped_outcome(progress), receipt=True, verify_at=now + VERIFY_AFTER)


def _unanswered(progress: StopProgress, now: datetime, why: str) -> Step:
    return Step(outcome=Outcome.IN_DOUBT, detail=why, due_at=now, tries=progress.tries)


def _unknown_id(progress: StopProgress, now: datetime, why: str) -> Step:
    return Step(
        outcome=Outcome.IN_DOUBT, detail=why, due_at=now, tries=progress.tries, unknown_id=True
    )


def _refused(_standing: StopProgress, _now: datetime, why: str) -> Step:
    return Step(outcome=Outcome.REFUSED, detail=why)


def _forbidden(progress: StopProgress, now: datetime, why: str) -> Step:
    """Wait for a missing right to be granted, as often as for any failure; then it is refused."""
    if progress.tries + 1 >= TRIES:
        return Step(outcome=Outcome.REFUSED, detail=why)
    return _retry(progress, now, why)


def _absent(progress: StopProgress, now: datetime, _why: str) -> Step:
    if progress.unknown_id:
        return Step(
            outcome=Outcome.ALREADY_GONE,
            receipt=False,
            detail="the portal answered that it does not know the id, and the workflow is not "
            "running; an older portal may answer so although the call stopped it",
        )
    return Step(
        outcome=_stopped_outcome(progress),
        receipt=False,
        detail="no answer to the call was seen; the workflow is no longer running",
        verify_at=now + VERIFY_AFTER,
    )


def _present(progress: StopProgress, now: datetime, _why: str) -> Step:
    new_step = _present_after_call(progress, now)
    return replace(new_step, perhaps_done=new_step.outcome is not Outcome.IN_DOUBT)


def _present_after_call(progress: StopProgress, now: datetime) -> Step:
    if progress.unknown_id:
        if progress.calls > 1:
            return Step(
                outcome=Outcome.GAVE_UP,
                detail="called again, the portal still lists the workflow but does not know its id",
            )
        return Step(
            outcome=Outcome.WAITING,
            detail="the portal lists the workflow but did not know its id; once more later",
            due_at=now + LOOK_AGAIN,
            tries=progress.tries,
        )
    cut_at = _cut_at(progress, now)
    if now < cut_at:
        return Step(
            outcome=Outcome.IN_DOUBT,
            detail="the call may still be under way in the portal",
            due_at=cut_at,
            tries=progress.tries,
        )
    again = _retry(progress, now, "the call had no effect")
    if again.outcome is Outcome.GAVE_UP:
        return again
    return Step(
        outcome=Outcome.WAITING, detail="the call had no effect", due_at=now, tries=again.tries
    )


def _cut_at(progress: StopProgress, now: datetime) -> datetime:
    """Return when the portal has certainly cut off the call.

    Where our clock was ahead at the call, `called_at` is useless: then the whole time counts from
    the first search after the call.
    """
    called_at, put_off_at = progress.called_at or now, progress.postponed_at or now
    if called_at <= now + AHEAD:
        return called_at + OVER_WITHIN
    return now if put_off_at + OVER_WITHIN <= now else now + OVER_WITHIN


def _not_found_out(progress: StopProgress, now: datetime, why: str) -> Step:
    return Step(
        outcome=Outcome.IN_DOUBT,
        detail=why,
        due_at=now + LOOK_AGAIN,
        tries=progress.tries,
        unknown_id=progress.unknown_id,
    )


def _stopped_outcome(progress: StopProgress) -> Outcome:
    return Outcome.KILLED if progress.action is Action.KILL else Outcome.TERMINATED


LIFE: dict[tuple[Outcome, Seen], Callable[[StopProgress, datetime, str], Step]] = {
    # judged (a new stop is in the same state as one that waits)
    (Outcome.WAITING, Seen.CONDEMNED): _call,
    (Outcome.WAITING, Seen.EXECUTING): _executing,
    (Outcome.WAITING, Seen.SPARED): _spared,
    (Outcome.WAITING, Seen.GONE): _gone,
    (Outcome.WAITING, Seen.UNREADABLE): _retry,
    (Outcome.WAITING, Seen.NOT_SENT): _wait_uncounted(BUSY_AGAIN),
    (Outcome.WAITING, Seen.PORTAL_SHUT): _wait_uncounted(REFUSED_AGAIN),
    (Outcome.WAITING, Seen.HELD): _held,
    (Outcome.WAITING, Seen.OBSERVED): _observed,
    (Outcome.WAITING, Seen.UNAPPROVED): _unapproved,
    (Outcome.WAITING, Seen.LAPSED): _lapsed,
    (Outcome.HELD, Seen.LAPSED): _lapsed,
    # called
    (Outcome.IN_DOUBT, Seen.DONE): _stopped_by_call,
    (Outcome.IN_DOUBT, Seen.NOT_SENT): _wait_uncounted(BUSY_AGAIN),
    (Outcome.IN_DOUBT, Seen.UNREACHABLE): _retry,
    (Outcome.IN_DOUBT, Seen.PORTAL_SHUT): _wait_uncounted(REFUSED_AGAIN),
    (Outcome.IN_DOUBT, Seen.LOST): _unanswered,
    (Outcome.IN_DOUBT, Seen.UNKNOWN_ID): _unknown_id,
    (Outcome.IN_DOUBT, Seen.REFUSED): _refused,
    (Outcome.IN_DOUBT, Seen.FORBIDDEN): _forbidden,
    # searched for by its id
    (Outcome.IN_DOUBT, Seen.ABSENT): _absent,
    (Outcome.IN_DOUBT, Seen.PRESENT): _present,
    (Outcome.IN_DOUBT, Seen.UNSEEN): _not_found_out,
}


def step(
    outcome: Outcome, seen: Seen, progress: StopProgress, now: datetime, why: str = ""
) -> Step:
    """Return the next step of a stop. Raise KeyError for what cannot be seen in that state."""
    new_step = LIFE[outcome, seen](progress, now, why)
    if progress.approval is None or new_step.outcome in OPEN_OUTCOMES:
        return new_step
    said = approved_text(progress.approval.by, progress.approval.at)
    return replace(
        new_step, detail=said if new_step.detail is None else f"{said}; {new_step.detail}"
    )
