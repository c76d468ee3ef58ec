"""Looks at what came back, at what a stop let begin, and at what is only observed."""

from collections.abc import Sequence

import pytest

from responder.bitrix24.client.client import Client
from responder.bitrix24.sandbox.slots import Slots
from tests.support.rounds import DEAL, Driving
from tests.support.stories import (
    Tell,
    a_deal,
    after,
    begin,
    call_of_a_robot,
    details,
    outcomes,
    rule,
    rules,
)
from tests.support.stories_on_sqlite import tell as tell

pytestmark = pytest.mark.portal


def test_what_is_only_observed_is_no_reason_not_to_look_again(tell: Tell) -> None:
    two = rules(
        rule("[deal.updated]", name="tried", mode="observe").replace("_id: 61", "_id: 7"),
        rule("[deal.updated]", "sweep: false", tests=", deal.company_id: 5"),
    )

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there)
        there.sandbox.start_workflow((*DEAL, "DEAL_1"), 7, id="other")
        there.deliver([1])
        await there.until_idle()
        assert outcomes(there, "tried") == ["would_kill"]
        a_deal(there, 1, "late")  # listed a moment after the event
        await after(there, seconds=11)
        assert there.sandbox.killed == ["late"]

    tell(two, story)


@pytest.mark.parametrize("when", ["[robot]", "[deal.added]"])
def test_what_condemns_a_workflow_whose_stop_waits_is_not_lost_if_that_is_cleared(
    tell: Tell, when: str
) -> None:
    text = rules(
        rule("[deal.updated]", "wait: 10m", name="patient", tests=", deal.company_id: 5"),
        rule(when),
    )

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        there.deliver([1])
        await there.until_idle()
        if when == "[robot]":
            call_of_a_robot(there, 1, "a")
        else:
            there.deliver([1], "ONCRMDEALADD")
        await after(there, minutes=1)
        assert (outcomes(there, "patient"), outcomes(there)) == (["waiting"], [])
        there.sandbox.items[2, 1]["companyId"] = 6
        await after(there, minutes=9)
        assert outcomes(there, "patient") == ["cleared"]
        await after(there, seconds=11)
        assert outcomes(there) == ["killed"]

    tell(text, story)


@pytest.mark.parametrize("when", ["[deal.updated]", "[{every: 1h}]"])
def test_what_a_stop_lets_begin_is_judged_until_nothing_is_condemned(tell: Tell, when: str) -> None:
    text = rules(rule(when, "limit: {per_document: 6}"))

    async def story(there: Driving) -> None:
        await begin(there)
        waiting = [f"w{number}" for number in range(3, 8)]
        a_deal(there, 1, "w1", "w2")
        there.sandbox.start_workflow((*DEAL, "DEAL_1"), 7, id="innocent")
        there.deliver([1])
        there.later(hours=1)
        for _ in range(60):
            await there.until_idle()
            running = [one for one in there.sandbox.workflows if one != "innocent"]
            for name in waiting[: 2 - len(running)]:
                a_deal(there, 1, name)
                waiting.remove(name)
            there.later(seconds=1)
        # the last pair would be more than `per_document` allows, and a set is begun whole or not
        assert sorted(there.sandbox.killed) == ["w1", "w2", "w3", "w4", "w5", "w6"]
        assert outcomes(there).count("held") == 1

    tell(text, story)


def test_evidence_that_contradicts_the_facts_is_a_reason_to_judge_afresh(tell: Tell) -> None:
    text = rules(rule("[deal.updated]", "unless: {waiting_for.id: [5, 7]}"))

    async def story(there: Driving) -> None:
        a_deal(there, 1, "a")
        task = there.sandbox.add_bizproc_task("a", 9, "Approve")
        send = Client.send.__get__(there.client)
        moved: list[str] = []

        async def moving(commands: Sequence[object], **given: object) -> list[object]:
            """Let the task move on right before its evidence is read."""
            if not moved and "NAME" in str(commands[0]) and "task.list" in str(commands[0]):
                del there.sandbox.bizproc_tasks[task]
                moved.append(there.sandbox.add_bizproc_task("a", 7, "Approve"))
            return list(await send(commands, **given))

        there.client.send = moving  # type: ignore[method-assign,assignment]
        there.deliver([1])
        await there.come_to_rest()
        assert moved
        assert there.sandbox.killed == []
        assert outcomes(there) == ["cleared"]
        assert details(there) == ["unless.waiting_for.id one of 5, 7 holds now"]

    tell(text, story)


def test_in_the_cloud_what_takes_a_free_slot_is_judged_too(tell: Tell) -> None:
    """A deal runs two workflows with waiting steps; five more wait for a slot and start in it."""

    async def story(there: Driving) -> None:
        there.sandbox.slots = Slots(2)
        await begin(there)
        a_deal(there, 1, *(f"w{number}" for number in range(7)))
        assert len(there.sandbox.queued) == 5
        there.deliver([1])
        await there.come_to_rest()
        assert len(there.sandbox.killed) == 7
        assert len({one["evaluation"] for one in there.decisions()}) == 4

    tell(rules(rule("[deal.updated]", "limit: {per_document: 10}")), story)


def test_a_look_after_a_stop_takes_the_place_of_no_later_one(tell: Tell) -> None:
    two = rules(
        rule("[deal.updated]", "sweep: false", name="one"),
        rule("[deal.updated]", "sweep: false", name="two").replace("_id: 61", "_id: 62"),
    )

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        there.sandbox.start_workflow((*DEAL, "DEAL_1"), 7, id="innocent")
        there.deliver([1])
        await there.until_idle()
        await after(there, seconds=3)
        there.sandbox.start_workflow((*DEAL, "DEAL_1"), 62, id="late")
        await after(there, seconds=9)
        await there.come_to_rest()
        assert there.sandbox.killed == ["a", "late"]

    tell(two, story)


def test_a_stop_that_cannot_be_looked_for_asks_for_no_look_each_time(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        there.sandbox.start_workflow((*DEAL, "DEAL_1"), 7, id="innocent")
        there.deliver([1])
        await there.until_idle()
        assert there.sandbox.killed == ["a"]
        there.sandbox.fail_next("bizproc.workflow.instances", "500")
        read = len(there.sandbox.calls_of("crm.item.get"))
        await after(there, seconds=3)
        await after(there, seconds=3)
        assert len(there.sandbox.calls_of("crm.item.get")) == read
        await there.come_to_rest()
        assert len(there.sandbox.calls_of("crm.item.get")) == read + 1

    tell(rules(rule("[deal.updated]", "sweep: false", tests=", deal.company_id: 5")), story)


def test_a_clock_that_was_a_day_ahead_lengthens_no_wait(tell: Tell) -> None:
    text = rules(rule("[deal.updated]", "wait: 10m"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        there.later(days=1)
        there.deliver([1])
        await there.until_idle()
        assert outcomes(there) == ["waiting"]
        there.later(days=-1, minutes=1)
        await there.until_idle()
        assert there.sandbox.killed == []
        await after(there, minutes=5)
        assert there.sandbox.killed == []
        await after(there, minutes=6)
        assert there.sandbox.killed == ["a"]

    tell(text, story)


def test_a_call_that_was_lost_while_the_clock_was_ahead_is_in_doubt_no_longer(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        there.later(days=1)
        there.sandbox.fail_next("bizproc.workflow.kill", "drop_before")
        there.deliver([1])
        await there.until_idle()
        assert outcomes(there) == ["in_doubt"]
        there.later(days=-1, seconds=5)
        await there.until_idle()
        await after(there, seconds=30)
        assert there.sandbox.killed == []  # the portal may yet be at it
        await after(there, seconds=50)
        await after(there, seconds=80)
        assert there.sandbox.killed == ["a"]

    tell(rules(rule("[deal.updated]", "sweep: false")), story)
