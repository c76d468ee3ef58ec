"""Defines the call that carries out a decision, and reads its answer."""

from dataclasses import dataclass
from datetime import datetime

from responder.bitrix24.client.answers import (
    Answer,
    Command,
    FailureKind,
    explain,
    is_done,
    stopping_method,
)
from responder.bitrix24.client.client import WITHHELD
from responder.bitrix24.client.rate_limit import LIMIT_CODES
from responder.judge.stop_lifecycle import Seen, Step, StopProgress, step
from responder.model import Action, Outcome
from responder.stop.telling.message_words import state_title


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCall:
    """A call whose intent is committed, with the progress of its stop. `because` is the rule's."""

    decision_id: str
    workflow_id: str
    rule: str
    progress: StopProgress
    because: str | None = None
    received_at: datetime | None = None

    @property
    def action(self) -> Action:
        """Return the action: kill or terminate."""
        return self.progress.action

    @property
    def command(self) -> Command:
        """Return the REST call. `STATUS` of a terminate is the state's title that people see."""
        params: dict[str, object] = {"ID": self.workflow_id}
        if self.progress.action is Action.TERMINATE:
            params["STATUS"] = state_title(self.because, self.rule)
        return Command(stopping_method(self.progress.action), params)

    @property
    def intended_at(self) -> datetime:
        """Return when the intent was committed."""
        assert self.progress.called_at is not None
        return self.progress.called_at

    def too_late(self, now: datetime) -> Step:
        """Return the step after a call that was not made, because its facts grew too old."""
        why = "not called: its facts were too old once its intent was committed"
        return step(Outcome.IN_DOUBT, Seen.UNREACHABLE, self.progress, now, why)

    def after(self, answer: Answer, now: datetime) -> Step:
        """Return the step after the portal's answer."""
        seen, why = seen_in(answer)
        return step(Outcome.IN_DOUBT, seen, self.progress, now, why)


def seen_in(answer: Answer) -> tuple[Seen, str]:
    """Return what the answer to a kill or a terminate shows, and why, in words."""
    if is_done(answer):
        return Seen.DONE, ""
    failure = answer.failure
    if failure is None:
        return Seen.LOST, "the answer was not `true`"
    why = failure.text if failure.code == WITHHELD else explain(failure)
    match failure.kind:
        case FailureKind.BUSY:
            unsent = failure.code in (*LIMIT_CODES, WITHHELD)
            return (Seen.NOT_SENT if unsent else Seen.UNREACHABLE), why
        case FailureKind.UNCERTAIN:
            return Seen.LOST, why
        case FailureKind.PORTAL:
            return Seen.PORTAL_SHUT, why
        case FailureKind.METHOD:
            return Seen.FORBIDDEN, why
        case FailureKind.REJECTED:
            # A stale exception in the portal can put any code on an unknown id, and older portals
            # delete a workflow although they answer 400: so the workflow is searched for first.
            malformed = failure.code.upper() == "ERROR_WRONG_WORKFLOW_ID"
            return (Seen.REFUSED if malformed else Seen.UNKNOWN_ID), why
