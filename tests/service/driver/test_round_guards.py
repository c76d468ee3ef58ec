"""Guards, and which rules a run asks: nothing is stopped that a rule protects."""

import pytest

from responder.stop import control
from responder.store.inbox import inbox
from tests.support.rounds import PORTAL, Driving
from tests.support.stories import (
    GUARD,
    Tell,
    a_deal,
    after,
    ask,
    begin,
    call_of_a_robot,
    outcomes,
    rule,
    rules,
)
from tests.support.stories_on_sqlite import tell as tell

pytestmark = pytest.mark.portal


@pytest.mark.parametrize(
    ("when", "guards"),
    [
        ("[deal.added]", True),
        ("[deal.added, deal.deleted]", True),
        ("[robot]", False),
    ],
)
def test_a_guard_with_a_trigger_in_common_guards_in_every_run(
    tell: Tell, when: str, guards: bool
) -> None:
    both = rules(GUARD.format(when=when), rule("[deal.added, {every: 5m}]", "sweep: true"))

    async def story(there: Driving) -> None:
        await begin(there, sweep_minutes=15)
        a_deal(there, 1, "a", companyId=17)
        there.deliver([1], "ONCRMDEALADD")
        await there.until_idle()
        ask(there, "overdue")
        await after(there, seconds=2)
        await after(there, minutes=6)
        await after(there, minutes=12)
        assert there.sandbox.killed == ([] if guards else ["a"])

    tell(both, story)


def test_a_guard_with_a_trigger_in_common_guards_when_a_rule_is_rearmed(tell: Tell) -> None:
    limited = "limit: {per_run: 1}"
    both = rules(GUARD.format(when="[deal.added]"), rule("[deal.added, {every: 5m}]", limited))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        a_deal(there, 2, "b")
        await after(there, minutes=6)
        assert outcomes(there) == ["held", "held"]
        there.sandbox.add_item(2, 1, companyId=17)
        there.sandbox.end_workflow("b")
        control.rearm(
            there.database, [PORTAL], "overdue", known=["overdue"], by="me", at=there.now()
        )
        await after(there, seconds=2)
        await after(there, minutes=20)
        assert there.sandbox.killed == []

    tell(both, story)


def test_a_guard_that_is_read_for_one_rule_protects_from_every_rule_below(tell: Tell) -> None:
    three = rules(
        GUARD.format(when="[deal.deleted]"),
        rule("[deal.deleted, {every: 5m}]", name="one", tests=", deal.title: never"),
        rule("[{every: 5m}]", name="two"),
    )

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a", companyId=17)
        await after(there, minutes=6)
        assert there.sandbox.killed == []

    tell(three, story)


def test_a_scheduled_rule_acts_in_its_own_runs_alone(tell: Tell) -> None:
    two = rules(
        rule("[{every: 1h}]", name="hourly"),
        rule('[{daily_at: "03:00"}]', name="nightly"),
    )

    async def story(there: Driving) -> None:
        await begin(there)
        there.later(days=1, hours=10 - there.now().hour)
        await there.until_idle()
        a_deal(there, 1, "a")
        await after(there, hours=1)
        assert there.sandbox.killed == ["a"]
        a_deal(there, 1, "a")  # written back by what was executing
        await there.come_to_rest()
        await after(there, minutes=5)
        assert there.sandbox.killed == ["a"]
        assert outcomes(there, "nightly") == []
        await after(there, hours=1)
        await there.come_to_rest()
        assert there.sandbox.killed == ["a", "a"]
        assert outcomes(there, "nightly") == []

    tell(two, story)


def test_what_came_back_after_an_event_is_judged_afresh_by_what_the_event_asked(tell: Tell) -> None:
    two = rules(rule("[deal.updated]", "sweep: false"), rule("[{every: 1h}]", name="hourly"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        there.deliver([1])
        await there.until_idle()
        a_deal(there, 1, "a")
        await there.come_to_rest()
        assert outcomes(there) == ["killed", "killed"]
        assert outcomes(there, "hourly") == []

    tell(two, story)


def test_a_robots_call_stops_the_workflow_that_it_names_and_no_other(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a", "b")
        call_of_a_robot(there, 1, "a")
        await there.come_to_rest()
        assert there.sandbox.killed == ["a"]

    tell(rules(rule("[robot]")), story)


def test_what_begins_after_a_robots_call_that_named_none_is_judged(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        call_of_a_robot(there, 1, None)
        await there.until_idle()
        a_deal(there, 1, "b")
        await there.come_to_rest()
        assert there.sandbox.killed == ["a", "b"]

    tell(rules(rule("[robot]")), story)


def test_a_call_that_named_a_workflow_has_no_other_one_judged_after_it(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "named", "another")
        row = inbox.row(PORTAL, there.now(), "robot", None, "deal:1", "named", b"form")
        there.database.write(lambda tx: inbox.add(tx, [row]))
        await there.come_to_rest()
        assert there.sandbox.killed == ["named"]

    tell(rules(rule("[robot]")), story)
