"""Runs: what could not be read is read again, and nothing starves a schedule."""

import asyncio

import pytest

from responder.store import due_portals, sweep_runs
from tests.support.rounds import DEAL, PORTAL, Driving
from tests.support.sqlite_first import migrated_url as migrated_url
from tests.support.stories import (
    KEEPS,
    Tell,
    a_deal,
    after,
    answer,
    ask,
    begin,
    change_rules,
    incomplete,
    outcomes,
    rule,
    rules,
)
from tests.support.stories import tell as tell

pytestmark = pytest.mark.portal


@pytest.mark.parametrize(("fault", "times"), [("500", 3), ("429_operating", 1)])
def test_a_run_that_could_not_read_everything_acts_on_what_it_read_and_is_made_again(
    tell: Tell, fault: str, times: int
) -> None:
    text = rules(
        rule('[{daily_at: "03:00"}]', tests=", deal.company_id: 5"),
        rule('[{daily_at: "03:00"}]', name="simple", mode="enforce").replace("61", "62"),
    )

    async def story(there: Driving) -> None:
        await begin(there)
        there.later(days=1, hours=23 - there.now().hour)
        await there.until_idle()
        a_deal(there, 1, "a")
        there.sandbox.start_workflow((*DEAL, "DEAL_9"), 62, id="other")
        there.sandbox.fail_next("crm.item.list", fault, times=times)
        await after(there, hours=1)
        assert there.sandbox.killed == ["other"]
        state = there.database.read(lambda conn: sweep_runs.incomplete(conn, PORTAL))
        assert set(state) == {"schedule"}
        said = there.metrics.render().decode()
        assert 'responder_runs_total{result="incomplete",trigger="schedule"} 1' in said
        await after(there, minutes=11)
        await there.come_to_rest()
        assert sorted(there.sandbox.killed) == ["a", "other"]
        assert there.database.read(lambda conn: sweep_runs.incomplete(conn, PORTAL)) == {}
        before = len(there.decisions())
        await after(there, minutes=5)
        assert len(there.decisions()) == before

    tell(text, story)


def test_where_something_could_not_be_read_nobody_is_chosen_among_all(tell: Tell) -> None:
    text = rules(rule("[{every: 5m}]", *KEEPS, tests=", deal.company_id: 5"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        a_deal(there, 2, "b")
        a_deal(there, 3, "c")
        there.sandbox.fail_next("crm.item.list", "500", times=3)
        await after(there, minutes=6)
        assert there.sandbox.killed == []
        await after(there, seconds=61)
        await there.come_to_rest()
        assert len(there.sandbox.killed) == 2

    tell(text, story)


def test_a_request_that_could_not_read_everything_says_so_and_is_made_again(tell: Tell) -> None:
    text = rules(rule("[deal.added]", tests=", deal.company_id: 5"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        there.sandbox.fail_next("crm.item.list", "500", times=3)
        asked = ask(there, "overdue")
        await after(there, seconds=2)
        told = answer(there, asked)
        assert told.state == "running"
        assert told.result is not None
        assert told.result["unread"] == 1
        await after(there, seconds=61)
        await there.come_to_rest()
        assert answer(there, asked).state == "done"
        assert there.sandbox.killed == ["a"]

    tell(text, story)


def test_a_request_that_cannot_be_read_starves_no_schedule(tell: Tell) -> None:
    two = rules(
        rule("[deal.added]", tests=", deal.company_id: 5"),
        rule("[{every: 1m}]", name="simple").replace("_id: 61", "_id: 62"),
    )

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        there.sandbox.start_workflow((*DEAL, "DEAL_9"), 62, id="other")
        there.sandbox.fail_next("crm.item.list", "500", times=1000)
        ask(there, "overdue")
        ask(there, "overdue")
        for _ in range(10):
            await after(there, seconds=30)
        assert there.sandbox.killed == ["other"]

    tell(two, story)


def test_a_run_that_is_made_again_has_one_limit_for_all_its_tries(tell: Tell) -> None:
    text = rules(rule("[{every: 1h}]", "limit: {per_run: 3}", tests=", document.exists: true"))

    async def story(there: Driving) -> None:
        await begin(there)
        for number in (1, 2):
            there.sandbox.add_item(2, number)
            there.sandbox.start_workflow((*DEAL, f"DEAL_{number}"), 61, id=f"d{number}")
            there.sandbox.add_item(1, number)
            there.sandbox.start_workflow(
                ("crm", "CCrmDocumentLead", f"LEAD_{number}"), 61, id=f"l{number}"
            )
        # Deals and leads are two lists, one of which is read at the third try.
        there.sandbox.fail_next("crm.item.list", "500", times=5)
        await after(there, hours=1)
        assert len(there.sandbox.killed) == 2
        assert set(incomplete(there)) == {"schedule"}
        await after(there, seconds=61)
        await there.come_to_rest()
        assert len(there.sandbox.killed) == 2
        assert outcomes(there).count("held") == 2

    tell(text, story)


def test_a_request_that_was_given_up_wakes_nobody_any_more(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        there.sandbox.fail_next("crm.item.list", "500", times=3)
        ask(there, "overdue")
        await after(there, seconds=2)
        assert there.database.read(lambda conn: due_portals.portals(conn, there.now())) == {PORTAL}
        there.later(days=1, minutes=1)
        assert there.database.read(lambda conn: due_portals.portals(conn, there.now())) == set()

    tell(rules(rule("[deal.added]", tests=", deal.company_id: 5")), story)


def test_a_run_that_read_everything_says_nothing_of_one_that_could_not(tell: Tell) -> None:
    two = rules(
        rule("[deal.added]", tests=", deal.company_id: 5"),
        rule("[deal.added]", name="simple").replace("_id: 61", "_id: 62"),
    )

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        there.sandbox.fail_next("crm.item.list", "500", times=3)
        ask(there, "overdue")
        await after(there, seconds=2)
        since = incomplete(there)
        assert set(since) == {"sweep"}
        other = ask(there, "simple")
        await after(there, seconds=2)
        assert answer(there, other).state == "done"
        assert incomplete(there) == since
        await after(there, seconds=61)
        assert incomplete(there) == {}
        await there.come_to_rest()
        assert there.sandbox.killed == ["a"]

    tell(two, story)


def test_events_that_never_cease_starve_no_schedule(tell: Tell) -> None:
    """Each round judges more than it can write in one go."""
    two = rules(
        rule("[deal.updated]", "sweep: false", tests=", deal.company_id: 5"),
        rule("[{every: 1m}]", name="simple").replace("_id: 61", "_id: 62"),
    )

    async def story(there: Driving) -> None:
        await begin(there)
        there.sandbox.start_workflow((*DEAL, "DEAL_9"), 62, id="other")
        for batch in range(1, 25):
            there.later(seconds=5)
            there.deliver(range(1000 * batch, 1000 * batch + 120))
            await there.round()
        assert there.sandbox.killed == ["other"]

    tell(two, story)


def test_a_schedule_that_goes_while_it_is_found_due_sets_nothing_off(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        there.later(minutes=6)
        assert there.agenda is not None
        step = asyncio.create_task(there.agenda.sweeper.step())
        await asyncio.sleep(0)  # it has asked the database which runs are due
        change_rules(there, rules(rule("[deal.added]")))
        assert await step
        await there.come_to_rest()
        assert there.sandbox.killed == []
        assert there.decisions() == []

    tell(rules(rule("[{every: 5m}]")), story)
