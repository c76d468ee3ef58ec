"""Builds the parts of a decision's page: its tests by rule, and its timeline."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from responder.journal.reading.detail import Detail, Step
from responder.model import Outcome
from responder.service.pages import wording
from responder.service.pages.log import restart_form

MOST_TESTS = 200

_ACTS: Mapping[str, str] = {
    "cancel": "cancelled it",
    "approve": "approved it",
    "erase": "erased the facts behind it",
}


@dataclass(frozen=True, slots=True)
class Test:
    """A test of a fact, and how it came out. With `erased` the value was seen, and erased since."""

    fact: str
    exception: bool
    test: str
    value: object
    holds: bool | None
    why: str | None
    erased: bool = False


@dataclass(slots=True)
class RuleTests:
    """The tests of one rule for one workflow."""

    rule: str
    workflow: str | None
    tests: list[Test] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """The result in words: that of the last test, for it decided."""
        last = self.tests[-1]
        if last.exception:
            return {True: "an exception holds", False: "holds", None: "unknown"}[last.holds]
        if any(test.holds is None for test in self.tests) and last.holds is not False:
            return "unknown"
        return {True: "holds", False: "does not hold", None: "unknown"}[last.holds]


@dataclass(frozen=True, slots=True)
class Moment:
    """A step in a decision's timeline; `seq` is its entry in the chain."""

    title: str
    at: datetime | None
    text: str = ""
    seq: int | None = None
    hash: str | None = None


def grouped(conditions: Sequence[Mapping[str, Any]], most: int = MOST_TESTS) -> list[RuleTests]:
    """Return the tests grouped by rule and workflow, in their order."""
    found: list[RuleTests] = []
    for condition in conditions[:most]:
        rule, workflow = condition["rule"], condition.get("workflow")
        if not found or (found[-1].rule, found[-1].workflow) != (rule, workflow):
            found.append(RuleTests(rule, workflow))
        found[-1].tests.append(_test(condition))
    return found


def _test(condition: Mapping[str, Any]) -> Test:
    where, _, fact = condition["path"].partition(".")
    return Test(
        fact=fact or where,
        exception=where == "unless",
        test=condition["test"],
        value=condition["value"],
        holds=condition["holds"],
        why=condition.get("why"),
        erased=bool(condition.get("erased")),
    )


def timeline(found: Detail) -> Iterator[Moment]:
    """Yield what happened, in the order in which it did."""
    decision = found.decision
    if found.received_at is not None:
        events = decision["events"]
        several = (
            "" if events == 1 else f", the oldest of {events} events that were judged together"
        )
        yield Moment("Received", found.received_at, f"{decision['event'] or 'a call'}{several}")
    for step in found.steps:
        yield _moment(step, decision)
    if decision["outcome"] in (Outcome.WAITING, Outcome.HELD, Outcome.IN_DOUBT):
        yield Moment("Now", None, _now(found))
    elif not _has_step(found.steps, "outcome") and decision["concluded_at"] != decision["at"]:
        yield Moment("Concluded", datetime.fromisoformat(decision["concluded_at"]))


def _has_step(steps: Iterable[Step], kind: str) -> bool:
    return any(step.kind == kind for step in steps)


def _moment(step: Step, decision: Mapping[str, Any]) -> Moment:
    title, text = _title_and_text(step, decision)
    return Moment(title, step.at, text, step.seq, step.hash)


def _title_and_text(step: Step, decision: Mapping[str, Any]) -> tuple[str, str]:
    body = step.body
    match step.kind:
        case "evaluation":
            return "Judged", _judged(decision)
        case "intent":
            text = (
                f"to {body['action']} it, call {body['call']}; committed before the call went out"
            )
            return "Intended", text
        case "outcome":
            return f"Outcome: {wording.outcome(body['outcome']).word}", _outcome(body)
        case "verified":
            return "Looked for again", "not found" if body["absent"] else "it had come back"
        case "control" if (told := restart_form.in_words(body)) is not None:
            return told
        case _:
            did = _ACTS.get(body.get("control", ""), str(body.get("control")))
            return "By a person", f"{body.get('by', 'somebody')} {did}"


def _judged(decision: Mapping[str, Any]) -> str:
    if decision["rule"] is None:
        return wording.reason(decision["reason"])
    verdict = "protects it" if decision["outcome"] == Outcome.LEFT else "condemned it"
    mode = f", in mode {decision['mode']}" if decision["mode"] else ""
    return f"rule {decision['rule']} {verdict}{mode}"


def _outcome(body: Mapping[str, Any]) -> str:
    receipt = {True: "the portal said so", False: "without the portal's word", None: ""}
    parts = (receipt[body["receipt"]], body["detail"] or "")
    return "; ".join(part for part in parts if part)


def _now(found: Detail) -> str:
    decision = found.decision
    state = wording.outcome(decision["outcome"])
    why = decision["detail"] or wording.hold(found.hold) or state.meaning
    return why if why.startswith(f"{state.word} ") else f"{state.word}: {why}"
