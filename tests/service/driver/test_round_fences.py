"""Whatever a driver would write, it writes nothing once another holds the lease."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from responder.bitrix24.client.client import Unless
from responder.bitrix24.client.rest import Portal
from responder.store.database.database import Connection, Database
from responder.store.database.engines import StoreUnavailable
from responder.store.database.portal_tables import breakers
from responder.store.database.tables import decisions, entries, runs
from responder.store.leases import LeaseLost
from tests.support.rounds import KILL, PORTAL, RULES, Driving, driving, play
from tests.support.storms import driven as driven

pytestmark = pytest.mark.portal

Prepared = Callable[[Driving], Coroutine[object, object, None]]


def everything_written(conn: Connection) -> list[object]:
    counts = [conn.execute(select(func.count()).select_from(t)).scalar() for t in (entries, runs)]
    changed = conn.execute(select(decisions.c.portal, decisions.c.seq, decisions.c.changed)).all()
    return [*counts, changed, conn.execute(select(breakers)).all()]


async def a_condemned_workflow(there: Driving) -> None:
    there.lost_deals([1])
    there.deliver([1])


async def events_that_no_rule_names(there: Driving) -> None:
    there.deliver(range(1, 600), "ONCRMDEALADD")


async def a_kill_to_look_for(there: Driving) -> None:
    await a_condemned_workflow(there)
    await there.until_idle()
    there.later(seconds=3)


async def a_call_in_doubt(there: Driving) -> None:
    there.sandbox.fail_next(KILL, "act_then_drop")
    await a_condemned_workflow(there)
    await there.round()
    there.later(seconds=70)


async def a_sweep(there: Driving) -> None:
    await there.until_idle()
    there.later(minutes=16)


async def a_breaker_that_opened(there: Driving) -> None:
    there.client.breakers.open("profile", "ACCESS_DENIED", timedelta(minutes=1))


async def an_approval_that_lapses(there: Driving) -> None:
    await a_condemned_workflow(there)
    await there.until_idle()
    assert there.outcomes() == {"held": 1}
    there.later(days=1, seconds=1)


async def a_workflow_to_watch(there: Driving) -> None:
    await a_condemned_workflow(there)
    await there.until_idle()
    assert there.outcomes() == {"would_kill": 1}
    there.later(hours=1, seconds=1)


@pytest.mark.parametrize(
    ("prepare", "mode"),
    [
        (a_condemned_workflow, "enforce"),
        (events_that_no_rule_names, "enforce"),
        (a_kill_to_look_for, "enforce"),
        (a_call_in_doubt, "enforce"),
        (a_sweep, "enforce"),
        (a_breaker_that_opened, "enforce"),
        (an_approval_that_lapses, "approve"),
        (a_workflow_to_watch, "observe"),
    ],
)
def test_nothing_is_written_without_the_lease(
    tmp_path: Path, database: Database, prepare: Prepared, mode: str
) -> None:
    async def story(there: Driving) -> None:
        await prepare(there)
        there.take_lease("another")
        before = there.database.read(everything_written)
        with pytest.raises(LeaseLost):
            await there.until_idle()
        assert there.database.read(everything_written) == before

    with driving(database, tmp_path, RULES.replace("mode: enforce", f"mode: {mode}")) as there:
        there.sweep_every = timedelta(minutes=15 if prepare is a_sweep else 0)
        play(there, story)


def test_an_outcome_is_written_by_who_has_the_lease_alone(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        send = there.client.send

        async def taken_meanwhile(
            commands: list[object], *, unless: Unless | None = None
        ) -> list[object]:
            answers = await send(commands, unless=unless)  # type: ignore[arg-type]
            if there.sandbox.killed:
                there.take_lease("another")
            return answers  # type: ignore[return-value]

        there.client.send = taken_meanwhile  # type: ignore[method-assign,assignment]
        await a_condemned_workflow(there)
        with pytest.raises(LeaseLost):
            await there.round()
        assert there.outcomes() == {"in_doubt": 1}

    play(driven, story)


def test_an_outcome_whose_commit_got_no_answer_is_written_once(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        write, lost = there.commits.write, 0

        async def unanswered(work: Callable[[Connection], object]) -> object:
            nonlocal lost
            done = await write(work)
            if there.sandbox.killed and not lost:
                lost += 1
                raise StoreUnavailable("the connection was lost")
            return done

        there.commits.write = unanswered  # type: ignore[method-assign,assignment]
        await a_condemned_workflow(there)
        await there.until_idle()
        assert (lost, there.outcomes()) == (1, {"killed": 1})
        assert 'responder_decisions_total{action="kill",outcome="killed"} 1' in (
            there.metrics.render().decode()
        )

    play(driven, story)


def test_without_time_left_on_the_lease_nothing_is_called(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        await a_condemned_workflow(there)
        there.leased = False
        await there.round()
        assert (there.outcomes(), there.sandbox.killed) == ({"waiting": 1}, [])
        (one,) = there.decisions()
        assert one["detail"] == "not called: the lease had no time left"
        there.leased = True
        there.later(seconds=3)
        await there.until_idle()
        assert there.outcomes() == {"killed": 1}

    play(driven, story)


def test_a_call_that_may_be_under_way_is_not_followed_by_another_within_the_portals_time(
    driven: Driving,
) -> None:
    """The answer is lost, and the portal carries the call out as late as it may."""

    async def story(there: Driving) -> None:
        await a_condemned_workflow(there)
        there.sandbox.fail_next(KILL, "hang")
        there.portal = Portal(PORTAL, there.server.url, answer_seconds=0.2)
        there.client.portal = there.portal
        await there.until_idle()
        assert there.outcomes() == {"in_doubt": 1}
        assert len(there.sandbox.calls_of(KILL)) == 1
        for _ in range(7):
            there.later(seconds=10)
            await there.until_idle()
            assert len(there.sandbox.calls_of(KILL)) == 1
        there.later(seconds=10)
        await there.until_idle()
        assert there.outcomes() == {"killed": 1}

    play(driven, story)
