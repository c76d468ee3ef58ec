"""Tests that no workflow is told to wait for nobody while it waits, whatever moves meanwhile."""

import asyncio
import random
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from responder.bitrix24.client.answers import Answer, Command
from responder.bitrix24.fetch import open_tasks
from responder.bitrix24.fetch.document_facts import Reading, gather
from responder.bitrix24.fetch.open_tasks import Evidence
from responder.bitrix24.fetch.people import all_tasks, task_key
from responder.bitrix24.fetch.survey import Survey
from responder.bitrix24.fetch.templates import Templates
from responder.bitrix24.lists.id_ranges import RangedList
from responder.bitrix24.lists.paged import Listing
from responder.bitrix24.lists.requests import SharedRequests
from responder.model import Unknown, Workflow
from tests.bitrix24.moving_portal import Moving

NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)
WAITING = frozenset({"waiting_for.id", "workflow.tasks"})

portals = st.builds(
    Moving,
    chance=st.integers(0, 10**9).map(random.Random),
    count=st.integers(1, 160),
    moves=st.integers(0, 12),
    drops=st.sampled_from([False, False, False, True]),
    loses=st.sampled_from([0, 5, 30]),
)


def told(readings: list[Reading]) -> dict[str, object]:
    """Return whom each workflow waits for, as far as that is known."""
    found = [r.workflows for r in readings if not isinstance(r.workflows, Unknown)]
    facts = {one.id: one.facts.get("waiting_for.id") for some in found for one in some}
    return {key: value for key, value in facts.items() if not isinstance(value, Unknown)}


def nobody(portal: Moving, waiting: dict[str, object]) -> list[str]:
    """Return the workflows that run, and so wait, and are told to wait for nobody."""
    return [one for one in portal.running if waiting.get(one, ["somebody"]) == []]


async def ranged(portal: Moving) -> RangedList:
    tasks, requests = all_tasks(), SharedRequests()
    requests.set_sources([tasks])
    while await requests.step(portal.send):
        pass
    return tasks


@given(portals)
@settings(max_examples=80)
def test_ranges_miss_no_task_that_waits_when_they_have_been_read(portal: Moving) -> None:
    there = set(portal.running)
    tasks = asyncio.run(ranged(portal))
    seen = {row["WORKFLOW_ID"] for row in tasks.rows.values()}
    if tasks.whole:
        assert there & set(portal.running) <= seen


def test_ranges_are_read_to_their_end_although_tasks_move() -> None:
    portal = Moving(random.Random(1), 160, moves=12)  # noqa: S311
    assert asyncio.run(ranged(portal)).whole


def test_pages_prove_nothing_where_a_row_changed_between_two_readings() -> None:
    rows = [{"ID": str(number), "STATUS": "0"} for number in range(130)]
    listing = Listing(Command("bizproc.task.list", {}), id_of=task_key, twice=True)

    def page(start: int) -> Answer:
        part = [dict(row) for row in rows[start : start + 50]]
        return Answer(value=part, total=len(rows), next=start + 50 if start < 100 else None)

    for reading in (1, 2):
        listing.next_commands()
        listing.accept([page(0)])
        listing.next_commands()
        last = page(100)
        if reading == 2:  # the page before was lost, and is asked for again after the last one
            rows[70]["STATUS"] = "1"
            rows.append({"ID": "130", "STATUS": "0"})
            del rows[120]
        listing.accept([page(50), last])
    assert not listing.whole


@given(portals)
@settings(max_examples=60)
def test_one_document_after_the_other(portal: Moving) -> None:
    asks = portal.asks[:40]
    assert nobody(portal, told(asyncio.run(gather(portal.send, asks, Templates(), NOW)))) == []


@given(portals, st.booleans())
@settings(max_examples=80)
def test_all_that_runs(portal: Moving, named: bool) -> None:
    if named:
        survey = Survey.of(portal.asks, Templates(), NOW)
    else:
        survey = Survey(Templates(), NOW, wanted=lambda _d, _w: frozenset(), workflow_paths=WAITING)

    async def read() -> None:
        while await survey.step(portal.send):
            pass

    asyncio.run(read())
    if survey.complete:
        assert nobody(portal, told([reading for _, reading in survey.readings()])) == []


@given(portals, st.booleans())
@settings(max_examples=60)
def test_evidence(portal: Moving, by_pages: bool) -> None:
    workflows = [Workflow(id=one, facts={}) for one in portal.running]
    if by_pages:
        found, _ = asyncio.run(open_tasks.gather_by_pages(portal.send, workflows, Templates(), NOW))
    else:
        found = asyncio.run(open_tasks.gather(portal.send, workflows[:30], Templates(), NOW))
    proved = {key: one for key, one in found.items() if isinstance(one, Evidence)}
    for workflow_id in portal.running.keys() & proved.keys():
        statuses = {task["STATUS"] for task in proved[workflow_id].tasks}
        assert "0" in statuses
