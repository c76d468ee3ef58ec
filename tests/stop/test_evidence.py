"""Evidence that is read along with documents: when it is, and what of it is believed."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

from responder.bitrix24.client.answers import Answer, Command, Failure, FailureKind
from responder.bitrix24.fetch.open_tasks import Evidence
from responder.bitrix24.fetch.templates import Templates
from responder.bitrix24.lists.requests import SharedRequests
from responder.judge.context import Context
from responder.stop.evidence import EvidenceReader
from tests.judge.make import NOW
from tests.stop.make import a_plan

PLAN = a_plan(1)
(WORKFLOW,) = [one.id for one in PLAN.condemned]
LOST = Failure(FailureKind.UNCERTAIN, "timeout", "no answer")


class Asked:
    """A portal of one workflow, whose task is one user's; and a reader of its evidence."""

    def __init__(self, *, templates: int = 1, tasks: int = 1) -> None:
        self.now = NOW
        self.user = "1"
        self.failure: Failure | None = None
        self.commands: list[Command] = []
        self._tasks = tasks
        names = {str(number): "Approval" for number in range(1, templates + 1)}
        context = SimpleNamespace(
            now=lambda: self.now,
            templates=Templates(names=names, read_at=self.now),
            few=5,
            client=SimpleNamespace(send=self.send, turn=self._turn),
        )
        self.reader = EvidenceReader(cast(Context, context))

    async def send(self, commands: Sequence[Command]) -> list[Answer]:
        self.commands += commands
        return [self._answer(command) for command in commands]

    def _answer(self, command: Command) -> Answer:
        if command.method != "bizproc.task.list":
            return Answer(value=[{"ID": "61", "NAME": "Approval"}], total=1)
        if self.failure is not None:
            return Answer(failure=self.failure)
        row = {"ID": self.user, "WORKFLOW_ID": WORKFLOW, "USER_ID": self.user, "STATUS": "0"}
        is_of_one = "WORKFLOW_ID" in str(command.params.get("FILTER"))
        return Answer(value=[row], total=1 if is_of_one else self._tasks)

    async def _turn(self) -> None:
        pass

    def along(self) -> bool:
        """Read what goes along with documents; return whether anything did."""

        async def read() -> int:
            requests = SharedRequests()
            requests.set_sources(self.reader.along())
            before = len(self.commands)
            while await requests.step(self.send):
                pass
            return len(self.commands) - before

        return asyncio.run(read()) > 0

    def users(self) -> list[str]:
        """Return whose tasks would be stored with the intent now."""
        plans = [PLAN]

        async def read() -> list[str]:
            await self.reader.gather(plans, [], self.send)
            _, _, proofs = await self.reader.prove(plans, [])
            proof = proofs[WORKFLOW]
            assert isinstance(proof, Evidence)
            return [str(task["USER_ID"]) for task in proof.tasks]

        return asyncio.run(read())

    def later(self, **by: float) -> None:
        """Let time pass."""
        self.now += timedelta(**by)


def test_what_was_read_along_is_stored_and_nothing_more_is_asked() -> None:
    there = Asked()
    assert there.along()
    asked = len(there.commands)
    assert there.users() == ["1"]
    assert len(there.commands) == asked


def test_what_was_read_along_takes_the_place_of_what_was_kept() -> None:
    there = Asked()
    there.along()
    assert there.users() == ["1"]
    there.later(seconds=110)
    there.user = "2"
    there.along()
    assert there.users() == ["2"]


def test_a_list_that_failed_is_not_asked_for_along_with_documents_for_ten_minutes() -> None:
    there = Asked()
    there.failure = LOST
    assert there.along()
    there.failure = None
    assert there.users() == ["1"]
    there.later(minutes=9)
    assert not there.along()
    there.later(minutes=2)
    assert there.along()


def test_a_list_that_is_long_is_not_asked_for_along_with_documents_again() -> None:
    there = Asked(tasks=1_000)
    assert there.along()
    assert len(there.commands) <= 4
    assert there.users() == ["1"]
    assert not there.along()


def test_where_there_are_more_templates_than_a_page_nothing_goes_along() -> None:
    assert not Asked(templates=51).along()
    assert Asked(templates=50).along()
