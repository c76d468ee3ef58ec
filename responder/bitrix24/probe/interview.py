"""Puts questions to a portal, in few calls, and judges the answers.

Theory of operation. First the sample is asked, in one batch; from its answers the questions make
their commands, which go out in a second batch, each only once whoever else needs it. With them the
lists of the sample are asked again, because workflows and tasks end at any moment. Last come, one
by one, the commands whose HTTP status matters. A batch whose answer is too large is sent again in
halves. At most `MOST_CALLS` are made: each request counts, and each command of a batch besides.
"""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from responder.bitrix24.client.answers import Answer, Command, Failure, FailureKind
from responder.bitrix24.probe.question import (
    CannotAskError,
    Commands,
    Finding,
    Heard,
    Question,
    Reply,
    Result,
)
from responder.bitrix24.probe.questions.sample import AGAIN, SAMPLE

MOST_CALLS = 60
BATCH = 50
_TOO_BIG = "too_big"
_NO_CALL_LEFT = Answer(
    failure=Failure(FailureKind.BUSY, "", "it was not asked: no call was left for it")
)

Ask = Callable[[Sequence[Command]], Awaitable[list[Reply]]]
"""Sends commands and returns each one's answer in its place; one command goes without a batch."""

Batches = Callable[[], Sequence[tuple[int, Mapping[str, object]]]]
"""Returns the answers to whole batches so far, as they came, with their statuses."""


@dataclass(slots=True)
class _Course:
    """One interview: what was asked so far, and how many calls that took."""

    ask: Ask
    batches: Batches
    now: datetime
    calls: int = 0
    sample: dict[str, Reply] = field(default_factory=dict)
    again: dict[str, Reply] = field(default_factory=dict)
    replies: dict[str, Reply] = field(default_factory=dict)

    async def send(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands as far as the calls last; of the rest there is no answer."""
        room = max(0, min(BATCH, MOST_CALLS - self.calls - 1))
        some = commands[:room]
        if not some:
            return []
        self.calls += len(some) + (len(some) > 1)
        replies = await self.ask(some)
        if len(some) > 1 and all(map(_is_too_large, replies)):
            middle = len(some) // 2
            return [*await self._at_all(some[:middle]), *await self._at_all(some[middle:])]
        return replies

    async def _at_all(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands, and return a failure for those for which no call was left."""
        replies = await self.send(commands)
        return replies + [Reply(_NO_CALL_LEFT)] * (len(commands) - len(replies))

    def heard(self, own: Mapping[str, Reply]) -> Heard:
        return Heard(self.sample, own, self.again, self.batches(), self.now)

    async def begin(self, questions: Sequence[Question]) -> None:
        """Ask the sample, as far as the questions look at it."""
        names = [name for name in SAMPLE if any(name in one.sample for one in questions)]
        replies = await self.send([SAMPLE[name] for name in names])
        self.sample.update(zip(names, replies, strict=False))

    async def ask_together(self, asked: Sequence["_Asked"]) -> None:
        """Ask all commands of all questions at once, and the sample's lists again."""
        wanted = {_key(one): one for asking in asked for one in asking.commands.values()}
        names = [name for name in AGAIN if name in self.sample]
        room = MOST_CALLS - self.calls - 1 - len(names)
        commands = list(wanted.values())[: max(0, min(room, BATCH - len(names)))]
        replies = await self.send([*commands, *(SAMPLE[name] for name in names)])
        self.again.update(zip(names, replies[len(commands) :], strict=False))
        self.replies.update(zip(map(_key, commands), replies, strict=False))

    async def ask_alone(self, asking: "_Asked") -> None:
        """Ask the commands of one question one by one."""
        asking.plan(asking.question.alone, self.heard(asking.own(self.replies)))
        for command in asking.commands.values():
            key = _key(command)
            if key not in self.replies and (replies := await self.send([command])):
                self.replies[key] = replies[0]


@dataclass(slots=True)
class _Asked:
    """A question, its commands by name, and why it cannot be asked, if it cannot."""

    question: Question
    commands: dict[str, Command] = field(default_factory=dict)
    cannot: CannotAskError | None = None

    def plan(self, commands: Commands, heard: Heard) -> None:
        """Add the commands that what was heard leads to."""
        if self.cannot is not None:
            return
        try:
            self.commands |= commands(heard)
        except CannotAskError as error:
            self.cannot = error

    def own(self, replies: Mapping[str, Reply]) -> dict[str, Reply]:
        """Return the answers to its own commands, by name."""
        named = self.commands.items()
        return {name: replies[key] for name, one in named if (key := _key(one)) in replies}

    def finding(self, course: _Course) -> Finding:
        """Judge the answers."""
        own = self.own(course.replies)
        names = [name for name in self.question.sample if name in course.sample]
        shown = {name: course.sample[name] for name in names}
        try:
            if self.cannot is not None:
                raise self.cannot
            verdict = self.question.judge(course.heard(own))
        except CannotAskError as error:
            return Finding(
                question=self.question,
                result=Result.NOT_ASKED,
                came=error.why,
                failed=error.failed,
                replies=shown | own,
            )
        return Finding(
            question=self.question,
            result=verdict.result,
            came=verdict.came,
            sign=verdict.sign,
            replies=shown | own,
        )


@dataclass(frozen=True, slots=True)
class Interview:
    """The findings of one interview, in the order of the questions, and the calls it took."""

    findings: tuple[Finding, ...]
    calls: int

    def of(self, result: Result) -> Iterator[Finding]:
        """Yield the findings with this result."""
        return (one for one in self.findings if one.result is result)


async def interview(
    ask: Ask, questions: Sequence[Question], now: datetime, batches: Batches = lambda: ()
) -> Interview:
    """Put the questions to a portal at this moment, and return what was found."""
    course = _Course(ask, batches, now)
    await course.begin(questions)
    asked = [_Asked(question) for question in questions]
    for asking in asked:
        asking.plan(asking.question.commands, course.heard({}))
    await course.ask_together(asked)
    for asking in asked:
        await course.ask_alone(asking)
    return Interview(tuple(asking.finding(course) for asking in asked), course.calls)


def _is_too_large(reply: Reply) -> bool:
    return reply.answer.failure is not None and reply.answer.failure.code == _TOO_BIG


def _key(command: Command) -> str:
    return command.method + json.dumps(command.params, sort_keys=True)
