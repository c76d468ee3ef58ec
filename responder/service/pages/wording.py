"""Puts into words what a decision was, what came of it, and why: what an auditor reads first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from responder.journal.naming import names_in_words
from responder.model import OPEN_OUTCOMES, STOPPED, WOULD_OUTCOMES, Names, Outcome, Reason
from responder.rules.rule import Rule

Tone = Literal["done", "would", "spared", "open", "trouble", "quiet"]


@dataclass(frozen=True, slots=True)
class Wording:
    """The look of an outcome: a sign and a word, so that nothing depends on its colour."""

    word: str
    tone: Tone
    sign: str
    meaning: str


_OUTCOMES: Mapping[str | None, Wording] = {
    Outcome.KILLED: Wording("killed", "done", "✕", "the workflow was stopped and deleted"),
    Outcome.TERMINATED: Wording("terminated", "done", "■", "stopped; its data is kept"),
    Outcome.ALREADY_GONE: Wording("already gone", "quiet", "○", "it ended before the call"),
    Outcome.WOULD_KILL: Wording("would kill", "would", "◇", "condemned, only observed"),
    Outcome.WOULD_TERMINATE: Wording("would terminate", "would", "◇", "condemned, only observed"),
    Outcome.LEFT: Wording("left alone", "spared", "✓", "a rule protects it"),
    Outcome.CLEARED: Wording("cleared", "spared", "✓", "no longer condemned at a second look"),
    Outcome.CANCELLED: Wording("cancelled", "spared", "✓", "somebody stopped it in time"),
    Outcome.REFUSED: Wording("refused", "trouble", "!", "the portal refused the call"),
    Outcome.GAVE_UP: Wording("gave up", "trouble", "!", "several tries did not get through"),
    Outcome.WAITING: Wording("waiting", "open", "…", "for its turn, the portal or the clock"),
    Outcome.HELD: Wording("held", "open", "‖", "until somebody frees it"),
    Outcome.IN_DOUBT: Wording("in doubt", "open", "?", "called; the answer was not seen yet"),
    None: Wording("nothing stopped", "quiet", "-", "no workflow was condemned"),
}
_REASONS: Mapping[str, str] = {
    Reason.NO_RULE: "no rule looks at such an event",
    Reason.NO_DOCUMENT: "the event names no document",
    Reason.NO_WORKFLOW: "no workflow was running on it",
    Reason.NO_MATCH: "no rule's tests all held",
    Reason.UNREADABLE: "what was needed could not be read, and in doubt nothing is done",
    Reason.UNCHANGED: "all that was found stands in the log already",
}
_HOLDS: Mapping[str | None, str] = {
    "pause": "everything is paused; it is judged afresh on resume",
    "trip": "its rule tripped over a limit; it is judged afresh when the rule is rearmed",
    "document": "rules have stopped so much on this document that they seem to fight; "
    "it is judged afresh when the rule is rearmed",
    "run": "its rule tripped over a limit in one run; rearming has all of it looked for again",
    "approval": "its rule asks first: somebody must approve it",
}
_TRIGGERS: Mapping[str, str] = {
    "event": "an event of the portal",
    "robot": "a robot's call",
    "sweep": "the sweep, which looks for what no event told",
    "schedule": "the rule's schedule",
}
_DOES: Mapping[str, tuple[str, str]] = {
    "kill": ("was killed", "would have been killed"),
    "terminate": ("was terminated", "would have been terminated"),
}

_FATES: Mapping[str, str] = {
    Outcome.ALREADY_GONE: "had ended by itself before it could be stopped",
    Outcome.LEFT: "was left alone",
    Outcome.CLEARED: "was condemned, and cleared when it was looked at again",
    Outcome.CANCELLED: "was condemned, and somebody cancelled that",
    Outcome.REFUSED: "was condemned, and the portal refused to stop it",
    Outcome.GAVE_UP: "was condemned, and could not be stopped",
    Outcome.WAITING: "is condemned, and waits",
    Outcome.HELD: "is condemned, and held",
    Outcome.IN_DOUBT: "is being stopped",
}


def outcome(name: str | None) -> Wording:
    """Return how an outcome is shown."""
    return _OUTCOMES.get(name) or Wording(str(name), "quiet", "-", "")


def reason(name: object) -> str:
    """Return why nothing was condemned."""
    return _REASONS.get(str(name), str(name))


def trigger(name: object) -> str:
    """Return what set the judgement off."""
    return _TRIGGERS.get(str(name), str(name))


def hold(name: str | None) -> str | None:
    """Return what a held decision waits for, or None."""
    return _HOLDS.get(name)


def rule_state(rule: Rule, now: datetime) -> str:
    """Return a word for a rule: its mode, unless it does nothing at all."""
    if rule.disabled is not None:
        return "off"
    if rule.expired(now):
        return "ended"
    return "protects" if rule.mode is None else rule.mode.value


def due(
    outcome: str | None, hold: str | None, due_at: datetime | None, now: datetime
) -> str | None:
    """Return what is due of an open decision at its time, `looked at again`; None for nothing.

    The time follows it: it is still to come, or it has passed and its turn has not come yet.
    """
    if due_at is None or outcome not in OPEN_OUTCOMES:
        return None
    if outcome == Outcome.HELD:
        return "lapses" if hold == "approval" else None
    if due_at <= now:
        return "its turn comes, due"
    return "looked for again" if outcome == Outcome.IN_DOUBT else "looked at again"


def headline(decision: Mapping[str, Any], names: Names | None = None) -> str:
    """Return what became of a workflow: `Discount approval on deal 759 «Acme» was killed`.

    Where names were not recorded, the workflow is named by its id.
    """
    workflow, document = decision["workflow"], decision["document"]
    if workflow is None:
        words = names_in_words.document_in_words(document)
        return f"Nothing was stopped on {words}" if document else "Nothing was done"
    about = names_in_words.about(names, document)
    if names is None or not names.template:
        about = f"Workflow {workflow['id']} of {about}"
    return f"{about} {_fate(decision)}"


def _fate(decision: Mapping[str, Any]) -> str:
    outcome = decision["outcome"]
    if outcome in _FATES:
        return _FATES[outcome]
    done, would = _DOES.get(decision["action"], ("was stopped", "would have been stopped"))
    return done if outcome in STOPPED else would


def because(decision: Mapping[str, Any]) -> str:
    """Return why: `because all tests of rule lost-deal held`."""
    rule = decision["rule"]
    if rule is None:
        return f"because {reason(decision['reason'])}"
    if decision["outcome"] == Outcome.LEFT:
        return f"because rule {rule} protects it"
    return f"because all tests of rule {rule} held"


def proofs(decision: Mapping[str, Any]) -> Sequence[str]:
    """Return how sure it is that the workflow was stopped."""
    said = []
    if decision["outcome"] in STOPPED:
        said.append(
            "The portal confirmed it."
            if decision["receipt"]
            else "The portal's answer was lost; the workflow was looked for, and is gone."
        )
        if decision["verified_at"]:
            said.append("It was looked for again afterwards, and not found.")
    if decision["outcome"] in WOULD_OUTCOMES:
        said.append("Nothing was done: it was only observed.")
    return said
