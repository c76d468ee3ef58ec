"""Tests what a round must not get wrong by being too large, too slow or too late."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import select

from responder.bitrix24.client.answers import Answer, Command
from responder.judge import event_queue, jobs
from responder.store.database.database import Connection, Database
from responder.store.database.tables import evidence
from responder.store.inbox import inbox
from tests.support.rounds import DEAL, INSTANCES, PORTAL, RULES, Driving, driving, play
from tests.support.sqlite_first import migrated_url as migrated_url
from tests.support.storms import MANY, all_is_done, begin, spoil_the_list
from tests.support.storms import driven as driven

pytestmark = pytest.mark.portal

T = TypeVar("T")

EVERY_HOUR = """\
version: 1
rules:
  - id: stale
    mode: enforce
    when: [{every: 1h}]
    if: {workflow.template_id: 61}
    then: kill
    limit: {per_hour: 100000, per_run: 100000, percent_of_running: 100}
"""
WAITS = RULES.replace("limit: {per_hour: 100000, per_document: 100}", "wait: 10m")
WITHOUT_TASKS = RULES.replace(
    "workflow.template_id: 61", "template.name: Approval, workflow.tasks: 0"
)


@pytest.mark.parametrize(("deals", "workflows"), [(6, 199), (1, 1_004)])
def test_a_set_of_one_document_is_whole_however_much_is_due(
    tmp_path: Path, database: Database, deals: int, workflows: int
) -> None:
    async def story(there: Driving) -> None:
        for deal in range(1, deals + 1):
            there.sandbox.add_item(2, deal, stageSemanticId="F")
            for number in range(workflows):
                of = f"65e5a449e8f135.{deal:04d}{number:04d}"
                there.sandbox.start_workflow((*DEAL, f"DEAL_{deal}"), 61, id=of)
        await there.until_idle()
        there.later(hours=1, seconds=1)
        await there.until_idle()
        assert not there.sandbox.killed
        assert there.outcomes() == {"held": deals * workflows}

    with driving(database, tmp_path, EVERY_HOUR, "on_premise") as there:
        play(there, story)


def test_a_long_list_of_templates_hides_no_tasks(tmp_path: Path, sqlite_database: Database) -> None:
    async def story(there: Driving) -> None:
        for number in range(2_700):
            there.sandbox.add_template(1_000 + number, f"Template {number}")
        there.lost_deals(MANY)
        for workflow in list(there.sandbox.workflows):
            there.sandbox.add_bizproc_task(workflow, 1, "Approve")
        there.deliver(MANY)
        await there.until_idle()
        assert not there.sandbox.killed
        assert {one["reason"] for one in there.decisions()} == {"no_match"}

    with driving(sqlite_database, tmp_path, WITHOUT_TASKS) as there:
        play(there, story)


def slowed(there: Driving, *, reading: float, committing: float) -> Callable[[], None]:
    """Have items take so many seconds to read, and the commit after that; return what ends it."""
    batch, write = there.portal.batch, there.commits.write
    was_read = False

    async def read_slowly(commands: list[Command], within: float | None) -> list[Answer]:
        nonlocal was_read
        answers = await batch(commands, within)
        if any(one.method == "crm.item.get" for one in commands):
            was_read = True
            there.later(seconds=reading)
        return answers

    async def write_slowly(work: Callable[[Connection], T]) -> T:
        nonlocal was_read
        done = await write(work)
        if was_read:
            was_read = False
            there.later(seconds=committing)
        return done

    def end() -> None:
        there.portal.batch, there.commits.write = batch, write  # type: ignore[method-assign]

    there.portal.batch, there.commits.write = read_slowly, write_slowly  # type: ignore[method-assign,assignment]
    return end


def test_facts_that_grow_old_while_the_intent_is_committed_are_not_acted_on(
    driven: Driving,
) -> None:
    async def story(there: Driving) -> None:
        there.lost_deals([1])
        there.deliver([1])
        end = slowed(there, reading=21, committing=9)
        await there.round()
        assert (there.sandbox.killed, there.outcomes()) == ([], {"waiting": 1})
        (decision,) = there.decisions()
        assert "its facts were too old once its intent was committed" in str(decision["detail"])
        end()
        await there.come_to_rest()
        assert there.outcomes() == {"killed": 1}

    play(driven, story)


def test_a_portal_that_answers_late_again_and_again_is_given_up_at_last(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.lost_deals([1])
        there.deliver([1])
        slowed(there, reading=21, committing=4.5)
        await there.come_to_rest()
        assert (there.sandbox.killed, there.outcomes()) == ([], {"gave_up": 1})

    play(driven, story)


def test_what_falls_due_while_others_are_read_is_no_part_of_their_set(
    tmp_path: Path, database: Database
) -> None:
    async def story(there: Driving) -> None:
        there.lost_deals([1], workflows=3)
        there.deliver([1])
        await there.until_idle()
        there.later(seconds=5)
        first = set(there.sandbox.workflows)
        for number in range(3, 6):
            of = f"65e5a449e8f135.000001{number:02d}"
            there.sandbox.start_workflow((*DEAL, "DEAL_1"), 61, id=of)
        there.deliver([1])
        await there.until_idle()
        assert there.outcomes()["waiting"] == 6
        batch = there.portal.batch

        async def slowly(commands: list[Command], within: float | None) -> list[Answer]:
            answers = await batch(commands, within)
            there.later(seconds=8)
            return answers

        there.portal.batch = slowly  # type: ignore[method-assign,assignment]
        there.later(minutes=9, seconds=56)
        await there.round()
        assert set(there.sandbox.killed) == first

    with driving(database, tmp_path, WAITS, "on_premise") as there:
        play(there, story)


def test_what_comes_under_other_rules_is_not_concluded_by_those_before(
    driven: Driving, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(there: Driving) -> None:
        monkeypatch.setattr(event_queue, "UNNAMED", 300)
        there.lost_deals(MANY)
        there.deliver(range(1_000, 1_900), "ONCRMDEALADD")
        write = there.commits.write

        async def changed_after(work: Callable[[Connection], T]) -> T:
            done = await write(work)
            if there.waiting and "deal.added" not in there.rules.ruleset.text:
                there.rules_path.write_text(RULES.replace("deal.updated", "deal.added"))
                there.rules.reload(at_once=True)
                there.deliver(MANY, "ONCRMDEALADD")
            return done

        there.commits.write = changed_after  # type: ignore[method-assign,assignment]
        await there.come_to_rest()
        assert len(there.sandbox.killed) == len(MANY)

    play(driven, story)


def test_the_newest_event_of_many_is_the_last_of_their_names(database: Database) -> None:
    at = datetime.now(UTC)
    came = [("U", "item_147:1"), ("A", "deal:1"), ("U", "item_148:1")]
    rows = [inbox.row(PORTAL, at, "event", name, ref, None, b"form") for name, ref in came]
    database.write(lambda tx: inbox.add(tx, rows))
    front = database.read(lambda conn: inbox.front(conn, PORTAL, 10))
    assert jobs.of_unmatched(PORTAL, front).events == ("A", "U")


def test_one_failed_reading_of_many_documents_suspects_none_of_them(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        spoil_the_list(there)
        there.lost_deals(MANY)
        there.deliver(MANY)
        await there.round()
        there.sandbox.fail_next(INSTANCES, "500", times=len(MANY))
        await there.round()
        there.sandbox.faults.clear()
        assert not there.sandbox.killed
        before = there.sandbox.http_requests
        there.later(seconds=11)
        await there.until_idle()
        assert len(there.sandbox.killed) == len(MANY)
        assert there.sandbox.http_requests - before < len(MANY) / 2

    play(driven, story)


@pytest.mark.parametrize("new_tasks", [20, 60])
def test_evidence_goes_along_with_the_documents_where_there_were_few_tasks(
    driven: Driving, new_tasks: int
) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        await all_is_done(there)
        again = range(201, 301)
        there.lost_deals(again)
        some = [one for one in there.sandbox.workflows if "0002" in one]
        for number in range(new_tasks):
            there.sandbox.add_bizproc_task(some[number % len(some)], 1, f"Task {number}")
        there.sandbox.calls.clear()
        there.deliver(again)
        await there.round()
        asked = {
            method: {call.batch for call in there.sandbox.calls_of(method)}
            for method in ("crm.item.list", "bizproc.task.list")
        }
        assert asked["crm.item.list"]
        if new_tasks <= 50:
            assert asked["bizproc.task.list"] == asked["crm.item.list"]
        else:  # they are more than was thought
            assert asked["bizproc.task.list"] > asked["crm.item.list"]
        await all_is_done(there, range(len(MANY) + len(again)))
        rows = there.database.read(
            lambda conn: conn.execute(select(evidence.c.content)).scalars().all()
        )
        kept = [task["NAME"] for row in map(json.loads, rows) for task in row.get("tasks", ())]
        assert sorted(kept) == sorted(f"Task {number}" for number in range(new_tasks))

    play(driven, story)
