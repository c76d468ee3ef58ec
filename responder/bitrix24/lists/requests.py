"""Sends what several sources want to know in portions that fit into one request each.

A reading of a whole portal takes many requests, and more urgent ones must come in between. So it
goes on by steps of at most fifty commands, which is one request, and each step is filled from
whatever sources have something to ask. Reading changes nothing: a command that was not carried out,
or of which nobody knows, is asked again in the next step, before anything new.
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
    """Something that has commands to send, as many as there is room for."""

    def wanted(self, room: int) -> list[tuple[int, Command]]:
        """Return at most so many commands, each with a number by which its answer comes back."""

    def take(self, number: int, answer: Answer) -> None:
        """Take the answer to one command. It failed only if it failed for good."""


class Whole:
    """A read that takes all its answers together, as a source."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._answers: list[Answer | None] = []
        self._open: list[tuple[int, Command]] = []

    def wanted(self, room: int) -> list[tuple[int, Command]]:
        """Return what is left of what the read asked for; the next when all that is answered."""
        if not self._answers:
            commands = self._read.wanted()
            self._answers = [None] * len(commands)
            self._open = list(enumerate(commands))
        portion, self._open = self._open[:room], self._open[room:]
        return portion

    def take(self, number: int, answer: Answer) -> None:
        """Keep an answer until the last one is there."""
        self._answers[number] = answer
        answers = [one for one in self._answers if one is not None]
        if len(answers) == len(self._answers):
            self._answers = []
            self._read.take(answers)


@dataclass(frozen=True, slots=True)
class _Errand:
    source: Source
    number: int
    command: Command
    tries: int = 1


class Errands:
    """The sources of one reading. `failure` is set once nothing of the portal works."""

    def __init__(self) -> None:
        self.failure: Failure | None = None
        self._sources: list[Source] = []
        self._again: list[_Errand] = []

    def set_out(self, sources: Iterable[Source]) -> None:
        """Go on with these sources, the ones with little to ask first: the last fills the rest."""
        self._sources = list(sources)

    async def step(self, send: Send) -> bool:
        """Send one portion. Return False, and send nothing, when there is nothing to ask."""
        portion = self._portion()
        if not portion or self.failure is not None:
            return False
        answers = await send([errand.command for errand in portion])
        for errand, answer in zip(portion, answers, strict=True):
            self._take(errand, answer)
        return True

    def _portion(self) -> list[_Errand]:
        portion, self._again = self._again[:PORTION], self._again[PORTION:]
        for source in self._sources:
            for number, command in source.wanted(PORTION - len(portion)):
                portion.append(_Errand(source, number, command))
        return portion

    def _take(self, errand: _Errand, answer: Answer) -> None:
        failure = answer.failure
        if failure is not None and failure.kind is FailureKind.PORTAL:
            self.failure = failure
        elif failure is not None and errand.tries < TRIES and _passes(failure):
            again = _Errand(errand.source, errand.number, errand.command, errand.tries + 1)
            self._again.append(again)
        else:
            errand.source.take(errand.number, answer)


def _passes(failure: Failure) -> bool:
    # What was too much for one answer will be so again.
    return failure.kind in _PASSING and failure.code != "too_big"
