"""Fills requests of fifty commands from several sources, and returns the answers to them.

A reading of a whole portal takes many requests, and more urgent ones must come in between. So it is
made in steps of at most fifty commands, which is one request, and each step is filled from all
sources that have commands to send. Reading changes nothing: a command that was not carried out, or
perhaps not, is sent again in the next step, before anything new.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from responder.bitrix24.client.answers import Answer, Command, Failure, FailureKind
from responder.bitrix24.lists.paged import Read, Send

PORTION = 50
TRIES = 3

_PASSING = (FailureKind.BUSY, FailureKind.UNCERTAIN)


class Source(Protocol):
    """A part of a reading that has commands to send, as many as there is room for."""

    def next_commands(self, room: int) -> list[tuple[int, Command]]:
        """Return at most `room` commands, each with a number by which its answer comes back."""

    def accept(self, number: int, answer: Answer) -> None:
        """Accept the answer to one command. A failure in it is final."""


class ReadSource:
    """A read, whose answers must come all at once, as a source."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._answers: list[Answer | None] = []
        self._open: list[tuple[int, Command]] = []

    def next_commands(self, room: int) -> list[tuple[int, Command]]:
        """Return the rest of the read's commands; its next ones when all those are answered."""
        if not self._answers:
            commands = self._read.next_commands()
            self._answers = [None] * len(commands)
            self._open = list(enumerate(commands))
        portion, self._open = self._open[:room], self._open[room:]
        return portion

    def accept(self, number: int, answer: Answer) -> None:
        """Keep an answer; pass all to the read when the last one is there."""
        self._answers[number] = answer
        answers = [one for one in self._answers if one is not None]
        if len(answers) == len(self._answers):
            self._answers = []
            self._read.accept(answers)


@dataclass(frozen=True, slots=True)
class _Pending:
    source: Source
    number: int
    command: Command
    tries: int = 1


class SharedRequests:
    """The requests that several sources share. `failure` is set once the whole portal fails."""

    def __init__(self) -> None:
        self.failure: Failure | None = None
        self._sources: list[Source] = []
        self._again: list[_Pending] = []

    def set_sources(self, sources: Iterable[Source]) -> None:
        """Replace the sources. They are asked in this order, so the last fills up each request."""
        self._sources = list(sources)

    async def step(self, send: Send) -> bool:
        """Send one request. Return False, and send nothing, when there is nothing to send."""
        portion = self._portion()
        if not portion or self.failure is not None:
            return False
        answers = await send([pending.command for pending in portion])
        for pending, answer in zip(portion, answers, strict=True):
            self._accept(pending, answer)
        return True

    def _portion(self) -> list[_Pending]:
        portion, self._again = self._again[:PORTION], self._again[PORTION:]
        for source in self._sources:
            for number, command in source.next_commands(PORTION - len(portion)):
                portion.append(_Pending(source, number, command))
        return portion

    def _accept(self, pending: _Pending, answer: Answer) -> None:
        failure = answer.failure
        if failure is not None and failure.kind is FailureKind.PORTAL:
            self.failure = failure
        elif failure is not None and pending.tries < TRIES and _passes(failure):
            again = _Pending(pending.source, pending.number, pending.command, pending.tries + 1)
            self._again.append(again)
        else:
            pending.source.accept(pending.number, answer)


def _passes(failure: Failure) -> bool:
    # An answer that was too big will be so again.
    return failure.kind in _PASSING and failure.code != "too_big"
