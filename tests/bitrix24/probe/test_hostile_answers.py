"""A portal's answers with values that make no sense: each question still has a result."""

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from responder.adapters.metrics import Metrics
from responder.adapters.printable_text import to_json
from responder.bitrix24.client.answers import Command
from responder.bitrix24.client.client import Client
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.probe import kept_answers
from responder.bitrix24.probe.interview import interview
from responder.bitrix24.probe.listening import Listener
from responder.bitrix24.probe.question import Reply, Result
from responder.bitrix24.probe.questions.question_table import QUESTIONS
from responder.bitrix24.sandbox import SandboxServer
from responder.service.doctor import probing
from tests.support import probed_portal

pytestmark = pytest.mark.portal

Batches = Sequence[tuple[int, Mapping[str, object]]]


def deep(levels: int) -> object:
    value: object = "x"
    for _ in range(levels):
        value = [{"ID": value}]
    return value


HOSTILE: tuple[object, ...] = (
    [], {}, "", None, True, -1, 10**30, 1e308, [[]], [{}], [None], {"ID": []}, deep(200),
    "x" * 5000, "\x00\x1b[31m\u202e", "\ud800", "1" * 5000, {"items": 5}, {"item": []},
    "2026-01-01T00:00:00+99:99", "0001-01-01T00:00:00+14:00", "\\",
)  # fmt: skip


def changed(value: object, chance: random.Random, share: float) -> object:
    """Return a JSON value in which some values are replaced by hostile ones."""
    if chance.random() < share:
        return chance.choice(HOSTILE)
    if isinstance(value, dict):
        return {key: changed(one, chance, share) for key, one in value.items()}
    if isinstance(value, list):
        return [changed(one, chance, share) for one in value]
    return value


class Recorded:
    """The answers of a portal, asked once, by what was asked."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self.batches: Batches = ()

    async def record(self) -> None:
        """Interview a sandbox over HTTP, and keep what it answers."""
        with SandboxServer(probed_portal.full(deals=4)) as server:
            listener, portal = Listener(), Portal("main", server.url)
            portal.on_answer = listener.hear
            client = Client(
                portal, rate=1e4, burst=5000, metrics=Metrics(), now=lambda: datetime.now(UTC)
            )
            asks = listener.asking(client)

            async def ask(commands: Sequence[Command]) -> list[Reply]:
                replies = await asks(commands)
                self.replies |= zip(map(repr, commands), replies, strict=True)
                return replies

            await interview(ask, QUESTIONS, datetime.now(UTC))
            await portal.close()
        self.batches = listener.batches

    async def again(self, chance: random.Random, share: float, out: Path) -> None:
        """Interview it once more with hostile values among its answers, and show the results."""
        some = list(self.replies.values())

        async def ask(commands: Sequence[Command]) -> list[Reply]:
            replies = [self.replies.get(repr(one)) or chance.choice(some) for one in commands]
            return [with_hostile(one, chance, share) for one in replies]

        found = await interview(ask, QUESTIONS, datetime.now(UTC), lambda: self.batches)
        assert {one.result for one in found.findings} <= set(Result)
        assert all(line.isprintable() for line in probing.table("main", found))
        for one in found.findings:
            json.loads(to_json(probing.as_object("main", one)))
        kept_answers.write(out, found)


def with_hostile(reply: Reply, chance: random.Random, share: float) -> Reply:
    answer = replace(reply.answer, value=changed(reply.answer.value, chance, share))
    content = changed(reply.content, chance, share)
    return replace(reply, answer=answer, content=content if isinstance(content, dict) else None)


def test_whatever_values_come_each_question_has_a_result(tmp_path: Path) -> None:
    recorded = Recorded()
    asyncio.run(recorded.record())
    for seed in range(60):
        chance = random.Random(seed)  # noqa: S311 - the same at each run
        share = chance.choice((0.001, 0.01, 0.05, 0.3))
        asyncio.run(recorded.again(chance, share, tmp_path / "answers.json"))
