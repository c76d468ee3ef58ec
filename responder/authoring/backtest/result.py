"""Prints the result of a backtest, as lines for people and as one JSON object a line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from responder.adapters.printable_text import printable, to_json
from responder.authoring.explain import condition_line
from responder.model import Condition
from responder.rules.revision import shown

Kind = Literal["added", "removed", "changed", "undecidable"]
MINUS = "\N{MINUS SIGN}"
_MARKS: Mapping[Kind, str] = {"added": "+", "removed": MINUS, "changed": "~", "undecidable": "?"}
_NOTE = (
    "Every kill that the rules condemn counts, whatever the mode; limits and pauses are not"
    " applied.",
    "Sweeps and schedules are on record only where they condemned something.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One workflow with another result than before, and the test that made the difference.

    `why` gives the reason in words, `facts` are those that were never recorded, `waits` is what the
    rule waits for before it acts.
    """

    kind: Kind
    portal: str
    workflow_id: str
    template_id: str | None
    document: str
    rule: str
    action: str | None
    evaluation: str
    at: datetime
    why: str
    test: Condition | None = None
    facts: tuple[str, ...] = ()
    waits: str | None = None


@dataclass(frozen=True, slots=True)
class Unjudged:
    """Events that cannot be judged, counted under one name: an event, or a reason."""

    what: str
    why: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of a backtest.

    `rules` has, by rule, how many workflows it condemned then and now; `tripped` has a line for
    each rule that would have exceeded its limit; `untried` are those that nothing recorded sets
    off.
    """

    differences: tuple[Difference, ...]
    unjudged: tuple[Unjudged, ...]
    evaluations: int
    since: datetime
    revision: str
    against: str | None
    rules: Mapping[str, tuple[int, int]]
    tripped: tuple[str, ...]
    untried: tuple[str, ...]

    def count(self, kind: Kind) -> int:
        """Return the number of workflows of one kind. What cannot be judged is undecidable too."""
        of_kind = sum(one.kind == kind for one in self.differences)
        if kind != "undecidable":
            return of_kind
        return of_kind + sum(one.number for one in self.unjudged)

    @property
    def headline(self) -> str:
        """Return one line: the numbers of kills added, kills removed, and undecidable ones."""
        added, removed = self.count("added"), self.count("removed")
        return f"+{added} kills, {MINUS}{removed}, {self.count('undecidable')} undecidable"


def render(result: Result) -> Iterator[str]:
    """Yield the result as lines for people; the headline is the last."""
    for one in result.differences:
        yield from _lines(one)
    for bulk in result.unjudged:
        yield f"? {bulk.number} x {printable(bulk.what)}: {bulk.why}"
    for rule, (then, now) in sorted(result.rules.items()):
        yield f"  {rule}: {then} then, {now} now"
    yield from (f"  {line}" for line in result.tripped)
    yield from (
        f"  {rule}: not tried, for nothing that was read sets it off" for rule in result.untried
    )
    yield result.headline


def notes(result: Result) -> Iterator[str]:
    """Yield what people should know of these numbers."""
    other = (
        "what was decided then" if result.against is None else f"revision {shown(result.against)}"
    )
    since = result.since.isoformat(sep=" ", timespec="minutes")
    yield (
        f"Rules {shown(result.revision)} against {other},"
        f" on {result.evaluations:,} evaluations since {since}."
    )
    yield from _NOTE


def to_lines(result: Result) -> Iterator[str]:
    """Yield one JSON object a line: each difference, what cannot be judged, then a summary."""
    for one in result.differences:
        yield to_json(_as_row(one))
    for bulk in result.unjudged:
        row = {"difference": "undecidable", "what": bulk.what, "number": bulk.number}
        yield to_json(row | {"why": bulk.why})
    counts: dict[str, object] = {kind: result.count(kind) for kind in _MARKS}
    yield to_json(
        {
            "summary": result.headline,
            **counts,
            "evaluations": result.evaluations,
            "since": result.since.isoformat(),
            "revision": result.revision,
            "against": result.against,
            "rules": {
                rule: {"then": then, "now": now} for rule, (then, now) in result.rules.items()
            },
            "tripped": list(result.tripped),
            "untried": list(result.untried),
        }
    )


def _lines(one: Difference) -> Iterator[str]:
    names = (one.workflow_id, one.document, one.rule, one.evaluation)
    yield f"{_MARKS[one.kind]} {'  '.join(map(printable, names))}"
    yield f"    {printable(one.why)}"
    if one.test is not None:
        yield f"    {condition_line(one.test)}"
    if one.waits is not None:
        yield f"    {one.waits}"


def _as_row(one: Difference) -> dict[str, object]:
    test = one.test
    return {
        "difference": one.kind,
        "portal": one.portal,
        "workflow": one.workflow_id,
        "template_id": one.template_id,
        "document": one.document,
        "rule": one.rule,
        "action": one.action,
        "evaluation": one.evaluation,
        "at": one.at.isoformat(),
        "why": one.why,
        "test": None
        if test is None
        else {
            "rule": test.rule,
            "path": test.path,
            "test": test.test,
            "value": test.value,
            "holds": test.holds,
        },
        "facts": list(one.facts),
        "waits": one.waits,
    }
