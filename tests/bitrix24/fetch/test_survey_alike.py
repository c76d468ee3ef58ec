"""Tests that what is read of many documents by pages is what is read of each by itself."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Answer, Command
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.fetch import open_tasks
from responder.bitrix24.fetch.document_facts import Ask, Reading, gather
from responder.bitrix24.fetch.open_tasks import Evidence
from responder.bitrix24.fetch.survey import Survey
from responder.bitrix24.fetch.templates import Templates
from responder.bitrix24.lists.requests import TRIES
from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.model import Document, Unknown, Workflow

NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)
REFS = (
    *(f"deal:{number}" for number in range(1, 9)),
    "lead:1",
    "item_147:1",
    "item_147:2",
    "invoice:1",
    "task:1",
    "task:2",
    "lists|BizprocDocument|7",
)
TYPES = {"deal": 2, "lead": 1, "item_147": 147, "invoice": 31}
PATHS = (
    "deal.stage_semantic_id",
    "deal.opportunity",
    "deal.uf_crm_1",
    "lead.title",
    "item_147.stage_semantic_id",
    "item_147.title",
    "invoice.stage_semantic_id",
    "task.title",
    "task.uf_task2_x",
    "task.accomplices",
    "deal.company.title",
    "deal.company.uf_crm_1",
    "deal.contact.post",
    "deal.contact.id",
    "deal.assigned_by.active",
    "lead.company.title",
    "item_147.created_by.department",
    "task.responsible.active",
    "document.exists",
    "document.running",
    "template.known",
    "template.name",
    "workflow.tasks",
    "waiting_for.id",
    "waiting_for.active",
    "starter.id",
    "starter.department",
    "workflow.template_id",
)


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxServer]:
    with SandboxServer(Sandbox(kind="on_premise")) as server:  # many run on one deal
        yield server


def document(ref: str) -> Document:
    found = documents.parse_ref(ref)
    assert found is not None
    return found


def emptied(sandbox: Sandbox) -> Sandbox:
    for contents in (sandbox.items, sandbox.tasks, sandbox.templates, sandbox.workflows):
        contents.clear()
    sandbox.bizproc_tasks.clear()
    sandbox.users.clear()
    sandbox.denied_items.clear()
    sandbox.faults.clear()
    sandbox.calls.clear()
    sandbox.drop_filters = False
    sandbox.http_requests = 0
    sandbox.scopes = ("bizproc", "crm", "user_brief", "task")
    return sandbox


def fill(sandbox: Sandbox, chance: random.Random) -> None:
    """Put something into a portal: documents there and gone, workflows of ours and of others."""
    for template in range(1, 4):
        sandbox.add_template(template, f"Template {template}", 8 * (template == 3))
    for user in range(1, 5):
        sandbox.add_user(user, active=user != 2, department=(user, 9))
    for number in range(1, 4):
        sandbox.add_item(4, number, title=f"Company {number}", UF_CRM_1="x")
        sandbox.add_item(3, number, post=chance.choice(("", "Buyer")))
    sandbox.denied_items.add((4, 3))
    for ref in REFS:
        _fill_item(sandbox, document(ref), chance)
        for _ in range(chance.choice((0, 1, 1, 3))):
            _start(sandbox, document(ref), chance)
    others = [document(f"deal:{number}") for number in range(500, 500 + chance.choice((0, 3, 130)))]
    for other in (*others, document("lists|BizprocDocument|8")):
        _start(sandbox, other, chance)
    sandbox.drop_filters = chance.random() < 0.2


def _fill_item(sandbox: Sandbox, item: Document, chance: random.Random) -> None:
    if item.kind == "task":
        if chance.random() < 0.8:
            several: dict[str, object] = {"UF_TASK2_X": "x", "accomplices": {"1": "5", "3": "7"}}
            several["responsibleId"] = chance.choice(("1", "2", "0", "77"))
            sandbox.add_task(item.item_id, title="A task", status="2", **several)
        return
    type_id = TYPES.get(item.kind)
    if type_id is None or chance.random() < 0.2:
        return
    fields: dict[str, object] = {
        "title": chance.choice(("", "A title")),
        "stageId": chance.choice(("NEW", "LOSE", "NOBODY KNOWS")),
        "categoryId": 0,
        "opportunity": chance.choice((1.5, "2000", None)),
        "companyId": chance.choice((0, 1, 2, 3, 9, None)),
        "contactId": chance.choice((0, 1, 9)),
        "assignedById": chance.choice((1, 2, 77)),
        "createdBy": chance.choice((1, 2, 77)),
        "ufCrm_1": chance.choice(([], ["a", "b"])),
    }
    if item.kind in ("deal", "lead"):
        fields["stageSemanticId"] = chance.choice(("F", "P"))
    for name in chance.sample(sorted(fields), chance.choice((0, 0, 2))):
        del fields[name]
    sandbox.add_item(type_id, item.item_id, **fields)
    if chance.random() < 0.2:
        sandbox.denied_items.add((type_id, int(item.item_id)))


def _start(sandbox: Sandbox, on: Document, chance: random.Random) -> None:
    started = sandbox.start_workflow(
        on.triple,
        chance.randint(1, 4),
        started=NOW - timedelta(days=chance.randint(0, 3)),
        started_by=chance.choice((0, 1, 2, 77)),
    )
    for _ in range(chance.choice((0, 0, 1, 2))):
        task = sandbox.add_bizproc_task(started, chance.randint(1, 5), "Approve")
        for _ in range(chance.choice((0, 0, 1, 2))):
            sandbox.add_task_user(task, chance.randint(6, 9), answer=chance.choice((0, 1)))
    if chance.random() < 0.3 and sandbox.bizproc_tasks:
        list(sandbox.bizproc_tasks.values())[-1]["STATUS"] = "1"


class Asking:
    """Reads a running sandbox in both ways."""

    def __init__(self, url: str) -> None:
        self._portal = Portal("main", url)

    async def send(self, commands: Sequence[Command]) -> list[Answer]:
        """Send fifty at a time."""
        answers: list[Answer] = []
        for start in range(0, len(commands), 50):
            answers += await self._portal.batch(commands[start : start + 50])
        return answers

    async def singly(self, asks: Sequence[Ask]) -> list[Reading]:
        """Read each document by itself."""
        return await gather(self.send, asks, Templates(), NOW)

    async def together(self, asks: Sequence[Ask]) -> Survey:
        """Read them by pages."""
        survey = Survey.of(asks, Templates(), NOW)
        while await survey.step(self.send):
            pass
        return survey

    async def both(self, asks: Sequence[Ask]) -> tuple[list[Reading], list[Reading]]:
        """Read them in both ways."""
        singly, survey = await self.singly(asks), await self.together(asks)
        assert (survey.complete, survey.failure) == (True, None)
        found = dict(survey.readings())
        return singly, [found[ask.document] for ask in asks]

    async def close(self) -> None:
        """Close the connections."""
        await self._portal.close()


def alike(reading: Reading) -> object:
    """Say what rules see of a reading: of what is unknown, that it is. The words differ."""
    failure = reading.failure and reading.failure.kind
    return _plain(reading.facts), _workflows(reading.workflows), failure


def _workflows(found: tuple[Workflow, ...] | Unknown) -> object:
    if isinstance(found, Unknown):
        return "unknown"
    return [(workflow.id, _plain(workflow.facts)) for workflow in found]


def _plain(facts: object) -> object:
    assert isinstance(facts, dict)
    return {path: "unknown" if isinstance(v, Unknown) else v for path, v in facts.items()}


@given(
    seed=st.integers(0, 10**9),
    wanted=st.dictionaries(
        st.sampled_from(REFS), st.frozensets(st.sampled_from(PATHS)), min_size=1
    ),
)
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_documents_read_by_pages_are_as_if_read_by_themselves(
    running: SandboxServer, seed: int, wanted: dict[str, frozenset[str]]
) -> None:
    fill(emptied(running.sandbox), random.Random(seed))  # noqa: S311
    asks = [Ask(document(ref), paths) for ref, paths in wanted.items()]

    async def read() -> tuple[list[Reading], list[Reading]]:
        asking = Asking(running.url)
        try:
            return await asking.both(asks)
        finally:
            await asking.close()

    singly, together = asyncio.run(read())
    for ask, one, other in zip(asks, singly, together, strict=True):
        assert alike(one) == alike(other), ask.document.ref


def survey_of(server: SandboxServer, refs: Sequence[str], *paths: str) -> Survey:
    async def read() -> Survey:
        asking = Asking(server.url)
        try:
            return await asking.together([Ask(document(r), frozenset(paths)) for r in refs])
        finally:
            await asking.close()

    return asyncio.run(read())


def test_a_page_that_fails_once_is_asked_for_again(running: SandboxServer) -> None:
    sandbox = emptied(running.sandbox)
    for number in range(1, 200):
        sandbox.start_workflow(document(f"deal:{number}").triple, 61)
    sandbox.fail_next("bizproc.workflow.instances", "500")
    found = dict(survey_of(running, ["deal:7", "deal:777"], "workflow.id").readings())
    running_on_it = found[document("deal:7")].workflows
    assert isinstance(running_on_it, tuple)
    (workflow,) = running_on_it
    assert workflow.facts["workflow.id"] == workflow.id
    assert found[document("deal:777")].workflows == ()


def test_a_list_of_which_a_page_keeps_failing_proves_nothing(running: SandboxServer) -> None:
    sandbox = emptied(running.sandbox)
    sandbox.start_workflow(document("deal:7").triple, 61)
    sandbox.fail_next("bizproc.workflow.instances", "500", times=100 * TRIES)
    survey = survey_of(running, ["deal:7"], "workflow.id")
    assert survey.failure is not None
    with pytest.raises(RuntimeError):
        list(survey.readings())


def test_a_row_whose_document_cannot_be_read_spoils_neither_way(running: SandboxServer) -> None:
    sandbox = emptied(running.sandbox)
    started = sandbox.start_workflow(document("deal:7").triple, 61)
    bad = sandbox.start_workflow(document("deal:8").triple, 61)
    del sandbox.workflows[bad]["DOCUMENT_ID"]

    async def read() -> tuple[list[Reading], list[Reading]]:
        asking = Asking(running.url)
        try:
            return await asking.both([Ask(document("deal:7"), frozenset({"workflow.id"}))])
        finally:
            await asking.close()

    for (reading,) in asyncio.run(read()):
        assert isinstance(reading.workflows, tuple)
        assert [workflow.id for workflow in reading.workflows] == [started]


def test_where_a_stop_may_run_on_it_nobody_knows_how_many_run_in_either_way(
    running: SandboxServer,
) -> None:
    sandbox = emptied(running.sandbox)
    sandbox.start_workflow(document("deal:7").triple, 61)
    back = sandbox.start_workflow(document("deal:7").triple, 61)
    sandbox.workflows[back].update(MODULE_ID=None, ENTITY=None, DOCUMENT_ID=None)
    how_many = frozenset({"document.running"})

    async def read() -> tuple[list[Reading], list[Reading]]:
        asking = Asking(running.url)
        try:
            return await asking.both([Ask(document("deal:7"), how_many, frozenset({back}))])
        finally:
            await asking.close()

    for (reading,) in asyncio.run(read()):
        assert isinstance(reading.facts["document.running"], Unknown)


def evidence_of(server: SandboxServer, ids: Sequence[str]) -> tuple[object, object, int | None]:
    workflows = [Workflow(id=one, facts={"workflow.template_id": "1"}) for one in ids]

    async def read() -> tuple[object, object, int | None]:
        asking = Asking(server.url)
        try:
            singly = await open_tasks.gather(asking.send, workflows, Templates(), NOW)
            paged, total = await open_tasks.gather_by_pages(
                asking.send, workflows, Templates(), NOW
            )
        finally:
            await asking.close()
        return singly, paged, total

    return asyncio.run(read())


def test_evidence_from_the_list_of_all_tasks_is_that_of_each_workflow(
    running: SandboxServer,
) -> None:
    sandbox = emptied(running.sandbox)
    sandbox.add_template(1, "Approval")
    ids = [sandbox.start_workflow(document(f"deal:{n}").triple, 1) for n in range(1, 40)]
    for place, one in enumerate(ids):
        for user in range(place % 4):
            task = sandbox.add_bizproc_task(one, 1 + user, "Approve")
            sandbox.add_task_user(task, 5, answer=user % 2)
    next(iter(sandbox.bizproc_tasks.values()))["STATUS"] = "1"
    singly, paged, total = evidence_of(running, ids[::2])
    assert singly == paged
    assert total == len(sandbox.bizproc_tasks)
    assert isinstance(paged, dict)
    assert all(isinstance(one, Evidence) for one in paged.values())


def test_a_list_of_tasks_longer_than_the_workflows_are_many_is_left_alone(
    running: SandboxServer,
) -> None:
    sandbox = emptied(running.sandbox)
    one = sandbox.start_workflow(document("deal:1").triple, 1)
    for _ in range(120):
        sandbox.add_bizproc_task(one, 1, "Approve")
    _, paged, total = evidence_of(running, [one])
    assert (paged, total) == ({}, 120)


def test_a_list_of_tasks_that_is_not_whole_is_no_evidence(running: SandboxServer) -> None:
    sandbox = emptied(running.sandbox)
    ids = [sandbox.start_workflow(document(f"deal:{n}").triple, 1) for n in range(1, 9)]
    bad = sandbox.add_bizproc_task(ids[1], 1, "Approve")
    del sandbox.bizproc_tasks[bad]["ID"]
    _, paged, _ = evidence_of(running, ids[2:])
    assert paged == {}
