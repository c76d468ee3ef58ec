"""Defines a question to a portal: what is asked, how the answers are judged, and the result.

A question is one object in a table (`table`). Its commands only read. Its judge is a function of
the answers alone, and the text that it returns has no value of the portal in it: counts and words
of ours, so that it may be shown to anyone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from responder.bitrix24.client.answers import Answer, Command, FailureKind, explain

Switch = tuple[str, object]
"""A switch of the sandbox that makes it answer so, and its value."""

DIFFERS = "differs"


class Result(StrEnum):
    """The result of a question."""

    AS_EXPECTED = "as expected"
    DIFFERS = "differs"
    NOT_ASKED = "could not be asked"


class CannotAskError(Exception):
    """The reason why a question has no answer: nothing to look at, or the portal refused.

    `failed` is True where a call failed, so that it may be asked again soon.
    """

    def __init__(self, why: str, *, failed: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.failed = failed


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of the answers. `sign` names what came in one word, and is never translated."""

    result: Result
    came: str
    sign: str


def expected(came: str, sign: str = "") -> Verdict:
    """Return that the portal answers as responder relies on."""
    return Verdict(Result.AS_EXPECTED, came, sign)


def differs(came: str, sign: str = DIFFERS) -> Verdict:
    """Return that the portal answers otherwise."""
    return Verdict(Result.DIFFERS, came, sign)


def whether(holds: bool, right: str, wrong: str) -> Verdict:  # noqa: FBT001 - it is the question
    """Return `right` as expected if something holds, else `wrong` as a difference."""
    return expected(right) if holds else differs(wrong)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: as our client read it, and, where it was listened to, as it came.

    `status` is None for a command of a batch. `content` is the JSON object, for a command of a
    batch put together from the batch's parts; None where nobody listened.
    """

    answer: Answer
    status: int | None = None
    content: Mapping[str, object] | None = None

    @property
    def value(self) -> object:
        """Return the result; raise CannotAskError for a failure."""
        if self.answer.failure is not None:
            raise CannotAskError(f"the portal refused: {explain(self.answer.failure)}", failed=True)
        return self.answer.value

    @property
    def rows(self) -> list[Mapping[str, object]]:
        """Return the rows of a list, also of `{"items": [...]}`; raise for anything else."""
        value = self.value
        if isinstance(value, dict):
            value = next((value[name] for name in ("items", "tasks") if name in value), None)
        if not isinstance(value, list):
            raise CannotAskError("the answer is no list", failed=True)
        return [row for row in value if isinstance(row, dict)]

    @property
    def code(self) -> str | None:
        """Return the code with which this one request was refused, None where it was answered.

        Raise CannotAskError where no answer came, or where it is the method that is refused, or all
        of REST.
        """
        failure = self.answer.failure
        if failure is None:
            return None
        if failure.kind is not FailureKind.REJECTED:
            raise CannotAskError(f"the portal refused: {explain(failure)}", failed=True)
        return failure.code


@dataclass(frozen=True, slots=True)
class Heard:
    """The answers that a question may look at, by name.

    `sample` was asked first and shows what there is to look at; `again` is the same, asked last, so
    that what ended meanwhile is not taken for missing; `own` answers the question's own commands.
    `batches` are the answers to whole batches, with their statuses. `now` is our time at the start.
    """

    sample: Mapping[str, Reply] = field(default_factory=dict)
    own: Mapping[str, Reply] = field(default_factory=dict)
    again: Mapping[str, Reply] = field(default_factory=dict)
    batches: Sequence[tuple[int, Mapping[str, object]]] = ()
    now: datetime | None = None

    def __getitem__(self, name: str) -> Reply:
        """Return the answer of this name; raise CannotAskError where it was not asked."""
        for some in (self.own, self.sample):
            if name in some:
                return some[name]
        raise CannotAskError("it was not asked", failed=True)

    def some(self, name: str, why_none: str) -> list[Mapping[str, object]]:
        """Return the rows of a list, of which there must be one."""
        rows = self[name].rows
        if not rows:
            raise CannotAskError(why_none)
        return rows

    def lasting(self, name: str, key: str) -> set[str]:
        """Return the values of a key that were in the sample, and were there at the end."""
        first = {str(row.get(key)) for row in self.sample[name].rows}
        last = self.again.get(name)
        return first if last is None else first & {str(row.get(key)) for row in last.rows}


Commands = Callable[[Heard], Mapping[str, Command]]
"""Returns a question's commands by name, or raises CannotAskError."""


def nothing(_heard: Heard) -> dict[str, Command]:
    """Return no command: the sample answers the question."""
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One thing that responder relies on.

    `section` is that of BITRIX24.md. `sample` names the first answers that it looks at. `commands`
    go out with those of all others, `alone` one by one after them, for only then does an answer
    have a status of its own. `crucial`: a difference could lead to a wrong kill or a false entry
    of the log. `like` has, by the verdict's sign, the switch that makes the sandbox answer so.
    """

    id: str
    section: str
    asks: str
    expected: str
    leads_to: str
    judge: Callable[[Heard], Verdict]
    sample: Sequence[str] = ()
    commands: Commands = nothing
    alone: Commands = nothing
    crucial: bool = False
    kills: bool = False
    like: Mapping[str, Switch] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one question: what came, and the answers by name."""

    question: Question
    result: Result
    came: str
    sign: str = ""
    failed: bool = False
    replies: Mapping[str, Reply] = field(default_factory=dict)
