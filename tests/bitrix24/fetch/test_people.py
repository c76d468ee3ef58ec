"""Facts of tasks and people, read from a portal over a socket."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Answer, Command
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.fetch.document_facts import Ask, Reading, gather
from responder.bitrix24.fetch.people import People, Users
from responder.bitrix24.fetch.survey import Survey
from responder.bitrix24.fetch.templates import Templates
from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.model import Unknown

NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)
DEAL = ("crm", "CCrmDocumentDeal", "DEAL_759")
ALL = frozenset(
    {
        "workflow.tasks",
        "waiting_for.id",
        "waiting_for.active",
        "waiting_for.department",
        "starter.id",
        "starter.active",
        "starter.department",
    }
)


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(Sandbox()) as running:
        running.sandbox.add_user(7, active=True, department=(2, 3))
        running.sandbox.add_user(12, active=False, department=(5,))
        yield running


def read(server: SandboxServer, paths: frozenset[str] = ALL) -> Reading:
    async def run() -> Reading:
        portal = Portal("main", server.url)

        async def send(commands: Sequence[Command]) -> list[Answer]:
            return (
                await portal.batch(commands)
                if len(commands) > 1
                else [await portal.call(commands[0])]
            )

        document = documents.of_item("deal", "759")
        assert document is not None
        try:
            (reading,) = await gather(send, [Ask(document, paths)], Templates(), NOW)
        finally:
            await portal.close()
        return reading

    return asyncio.run(run())


def facts(reading: Reading) -> dict[str, object]:
    assert not isinstance(reading.workflows, Unknown)
    (workflow,) = reading.workflows
    return dict(workflow.facts)


def test_tasks_are_counted_and_their_users_told(server: SandboxServer) -> None:
    workflow = server.sandbox.start_workflow(DEAL, 61, started_by=7)
    other = server.sandbox.start_workflow(("crm", "CCrmDocumentDeal", "DEAL_1"), 61)
    server.sandbox.add_bizproc_task(workflow, 7, "Approve")
    server.sandbox.add_bizproc_task(workflow, 12, "Approve")
    server.sandbox.add_bizproc_task(other, 12, "Approve")
    found = facts(read(server))
    assert found["workflow.tasks"] == 2
    assert found["waiting_for.id"] == ["7", "12"]
    assert found["waiting_for.active"] == [True, False]
    assert [str(one) for one in found["waiting_for.department"]] == ["2", "3", "5"]  # type: ignore[attr-defined]
    assert found["starter.id"] == "7"
    assert found["starter.active"] is True


def test_departments_with_holes_between_their_places_are_a_list(server: SandboxServer) -> None:
    server.sandbox.users["7"]["UF_DEPARTMENT"] = {"1": 5, "3": 7}
    workflow = server.sandbox.start_workflow(DEAL, 61, started_by=7)
    server.sandbox.add_bizproc_task(workflow, 7, "Approve")
    found = facts(read(server))
    assert found["waiting_for.department"] == found["starter.department"] == [5, 7]


def test_a_task_of_several_users_waits_for_those_who_have_not_answered(
    server: SandboxServer,
) -> None:
    workflow = server.sandbox.start_workflow(DEAL, 61, started_by=7)
    task = server.sandbox.add_bizproc_task(workflow, 12, "Approve")
    server.sandbox.add_user(8, active=False)
    server.sandbox.add_task_user(task, 7)
    server.sandbox.add_task_user(task, 8, answer=1)
    found = facts(read(server))
    assert found["workflow.tasks"] == 1
    assert found["waiting_for.id"] == ["7", "12"]
    assert found["waiting_for.active"] == [True, False]


def test_a_portal_that_drops_filters_gives_no_others_tasks(server: SandboxServer) -> None:
    workflow = server.sandbox.start_workflow(DEAL, 61, started_by=7)
    other = server.sandbox.start_workflow(("crm", "CCrmDocumentDeal", "DEAL_1"), 61)
    server.sandbox.add_bizproc_task(workflow, 7, "Approve")
    for _ in range(60):
        server.sandbox.add_bizproc_task(other, 12, "Approve")
    server.sandbox.drop_filters = True
    found = facts(read(server))
    assert found["waiting_for.id"] == ["7"]
    assert found["waiting_for.active"] == [True]


def test_a_workflow_started_by_nobody_has_no_starter(server: SandboxServer) -> None:
    server.sandbox.start_workflow(DEAL, 61, started_by=0)
    found = facts(read(server))
    assert found["starter.id"] is None
    assert found["starter.active"] is None


def test_a_user_that_the_portal_hides_is_unknown(server: SandboxServer) -> None:
    workflow = server.sandbox.start_workflow(DEAL, 61, started_by=99)
    server.sandbox.add_bizproc_task(workflow, 7, "Approve")
    server.sandbox.add_bizproc_task(workflow, 99, "Approve")
    found = facts(read(server))
    assert isinstance(found["starter.active"], Unknown)
    assert isinstance(found["waiting_for.active"], Unknown)
    assert found["waiting_for.id"] == ["7", "99"]


def test_nobody_is_waited_for_where_there_is_no_task(server: SandboxServer) -> None:
    server.sandbox.start_workflow(DEAL, 61, started_by=7)
    found = facts(read(server))
    assert found["workflow.tasks"] == 0
    assert found["waiting_for.active"] == []


def test_tasks_that_cannot_be_read_are_unknown_and_the_failure_is_told(
    server: SandboxServer,
) -> None:
    server.sandbox.start_workflow(DEAL, 61, started_by=7)
    server.sandbox.fail_next("bizproc.task.list", "500")
    reading = read(server)
    assert isinstance(facts(reading)["workflow.tasks"], Unknown)
    assert reading.failure is not None


@pytest.mark.parametrize("method", ["bizproc.task.list", "user.get"])
@pytest.mark.parametrize("by_pages", [False, True])
def test_what_could_not_be_read_for_one_document_keeps_no_other_from_being_judged(
    server: SandboxServer, method: str, by_pages: bool
) -> None:
    other = ("crm", "CCrmDocumentDeal", "DEAL_1")
    for triple in (DEAL, other):
        workflow = server.sandbox.start_workflow(triple, 61, started_by=7)
        server.sandbox.add_bizproc_task(workflow, 12, "Approve")
    server.sandbox.fail_next(method, "500", times=99)
    asks = {"DEAL_759": ALL, "DEAL_1": frozenset({"workflow.id", "starter.id"})}
    needing, plain = read_both(server, asks, by_pages=by_pages)
    assert needing.failure is not None
    assert plain.failure is None
    found = facts(plain)
    assert found["starter.id"] == "7"
    assert not any(isinstance(value, Unknown) for value in found.values())


def read_both(
    server: SandboxServer, paths: dict[str, frozenset[str]], *, by_pages: bool
) -> list[Reading]:
    async def run() -> list[Reading]:
        portal = Portal("main", server.url)

        async def send(commands: Sequence[Command]) -> list[Answer]:
            return await portal.batch(commands)

        found = [documents.from_triple(*DEAL[:2], one) for one in paths]
        asks = [Ask(one, asked) for one, asked in zip(found, paths.values(), strict=True)]
        try:
            if not by_pages:
                return await gather(send, asks, Templates(), NOW)
            survey = Survey.of(asks, Templates(), NOW)
            while await survey.step(send):
                pass
            readings = dict(survey.readings())
        finally:
            await portal.close()
        return [readings[one] for one in found]

    return asyncio.run(run())


def test_nothing_of_people_is_read_unless_it_is_asked_for(server: SandboxServer) -> None:
    server.sandbox.start_workflow(DEAL, 61, started_by=7)
    read(server, frozenset({"workflow.template_id"}))
    assert not server.sandbox.calls_of("bizproc.task.list")
    assert not server.sandbox.calls_of("user.get")
    read(server, frozenset({"starter.id"}))
    assert not server.sandbox.calls_of("user.get")


def test_a_user_is_asked_for_again_after_five_seconds() -> None:
    users = Users()
    for seconds, asked in ((0, 1), (4, 0), (6, 1)):
        assert len(begun(users, NOW + timedelta(seconds=seconds))[1]) == asked


def test_what_one_gathering_found_is_not_forgotten_by_another() -> None:
    users = Users()
    long, _ = begun(users, NOW)
    begun(users, NOW + timedelta(minutes=1))
    assert long.facts(ROW, ACTIVE)[0]["starter.active"] is True


def test_a_portal_that_takes_no_list_of_users_is_asked_for_each() -> None:
    rows: list[dict[str, object]] = [
        {"ID": user, "ACTIVE": user == "7", "UF_DEPARTMENT": []} for user in ("7", "8")
    ]
    people = People(Users(), NOW)
    (read,) = people.user_reads((), ["7", "8", "9"])
    asked = []
    while commands := read.next_commands():
        ids = [command.params["FILTER"] for command in commands]
        asked.append(ids)
        read.accept(
            [Answer(value=[row for row in rows if {"ID": row["ID"]} == one]) for one in ids]
        )
    people.keep()
    assert asked == [[{"ID": ["7", "8", "9"]}], [{"ID": "7"}, {"ID": "8"}, {"ID": "9"}]]
    active = [people.person(user, "active")[0] for user in ("7", "8", "9")]
    assert active[:2] == [True, False]
    assert isinstance(active[2], Unknown)


ROW = {"ID": "a", "STARTED_BY": "7"}
ACTIVE = frozenset({"starter.active"})


def begun(users: Users, now: datetime) -> tuple[People, list[Command]]:
    """Begin a gathering that asks whether user 7, who is active, started a workflow."""
    people = People(users, now)
    asked = []
    for read in people.user_reads([(ROW, ACTIVE)]):
        asked += read.next_commands()
        read.accept([Answer(value=[{"ID": "7", "ACTIVE": True, "UF_DEPARTMENT": [2]}])])
    people.keep()
    return people, asked
