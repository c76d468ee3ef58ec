"""Groups that facts make, over all documents of a portal: one for each company, two a starter."""

import json

import pytest
from sqlalchemy import select

from responder.journal.audit.integrity import check_log
from responder.store.database.tables import entries
from tests.support.rounds import Driving
from tests.support.stories import (
    Tell,
    a_deal,
    after,
    begin,
    details,
    let_go,
    outcomes,
    pause,
    rule,
    rules,
)
from tests.support.stories_on_sqlite import tell as tell

pytestmark = pytest.mark.portal

BY_COMPANY = ("keep: newest", "per: [deal.company_id]")
HOURLY = "[{every: 5m}]"


def start(there: Driving, *ids: str, **columns: str) -> None:
    """Order workflows by their starts, and set other columns of their rows."""
    for day, name in enumerate(ids, start=1):
        row = there.sandbox.workflows[name]
        row["STARTED"] = f"2026-01-0{day}T00:00:00+03:00"
        row.update(columns)


@pytest.mark.parametrize("when", [HOURLY, "[deal.updated]"])
def test_of_each_company_one_lives_over_all_its_deals(tell: Tell, when: str) -> None:
    text = rules(rule(when, *BY_COMPANY))

    async def story(there: Driving) -> None:
        await begin(there, sweep_minutes=5)
        for number, name in enumerate("abc", start=1):
            a_deal(there, number, name)
        a_deal(there, 4, "other", companyId=6)
        a_deal(there, 5, "none", companyId=0)
        a_deal(there, 6, "nothing", companyId=0)
        start(there, "a", "b", "c")
        await after(there, minutes=6)
        await there.come_to_rest()
        assert sorted(there.sandbox.killed) == ["a", "b"]

    tell(text, story)


def test_an_event_sees_its_own_document_alone(tell: Tell) -> None:
    text = rules(rule("[deal.added]", *BY_COMPANY))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a", "b")
        a_deal(there, 2, "c")
        start(there, "a", "b", "c")
        there.deliver([1, 2], "ONCRMDEALADD")
        await there.until_idle()
        await there.come_to_rest()
        assert there.sandbox.killed == ["a"]

    tell(text, story)


def test_of_each_starter_two_live(tell: Tell) -> None:
    text = rules(rule(HOURLY, "keep: {newest: 2}", "per: [starter.id]"))

    async def story(there: Driving) -> None:
        await begin(there)
        for number, name in enumerate("abcdx", start=1):
            a_deal(there, number, name)
        start(there, *"abcd", STARTED_BY="7")
        start(there, "x", STARTED_BY="8")
        await after(there, minutes=6)
        await there.come_to_rest()
        assert sorted(there.sandbox.killed) == ["a", "b"]

    tell(text, story)


def test_where_one_company_cannot_be_read_nobody_is_condemned(tell: Tell) -> None:
    text = rules(rule(HOURLY, *BY_COMPANY))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        a_deal(there, 2, "b")
        there.sandbox.items[2, 2]["companyId"] = "n/a"
        await after(there, minutes=6)
        await there.come_to_rest()
        assert there.sandbox.killed == []
        there.sandbox.items[2, 2]["companyId"] = 5
        await after(there, minutes=6)
        await there.come_to_rest()
        assert there.sandbox.killed == ["a"]

    tell(text, story)


def by_company(more: str) -> str:
    """Return rules that keep one workflow of each company, and wait with the others for `more`."""
    extra = [more] if more == "wait: 10m" else []
    mode = "approve" if more == "mode: approve" else "enforce"
    return rules(rule("[{every: 1h}]", *BY_COMPANY, *extra, mode=mode))


async def condemned(there: Driving, more: str) -> None:
    """Have `a` condemned, in whose stead `b` is kept, and wait for `more`."""
    await begin(there)
    a_deal(there, 1, "a")
    a_deal(there, 2, "b")
    start(there, "a", "b")
    if more == "paused":
        pause(there)
    await after(there, minutes=61)
    assert outcomes(there) in (["waiting"], ["held"])


@pytest.mark.parametrize("more", ["wait: 10m", "mode: approve", "paused"])
def test_a_deal_that_went_to_another_company_meanwhile_keeps_its_workflow(
    tell: Tell, more: str
) -> None:
    async def story(there: Driving) -> None:
        await condemned(there, more)
        there.sandbox.items[2, 1]["companyId"] = 6
        let_go(there, more)
        await after(there, minutes=11)
        await there.come_to_rest()
        assert there.sandbox.killed == []
        why = "it belongs to another group now than when rule overdue condemned it"
        assert details(there)[0].endswith(why)

    tell(by_company(more), story)


@pytest.mark.parametrize("more", ["wait: 10m", "mode: approve", "paused"])
@pytest.mark.parametrize(
    ("company", "why"),
    [
        (6, "b, which was kept in its stead, belongs to another group now"),
        (0, "b, which was kept in its stead, belongs to another group now"),
        (
            "n/a",
            "the group of b, which was kept in its stead, is unknown: `deal.company_id` is "
            "unknown: `n/a` is not a number",
        ),
    ],
)
def test_where_the_kept_one_went_to_another_company_its_group_is_not_stopped_as_a_whole(
    tell: Tell, more: str, company: object, why: str
) -> None:
    async def story(there: Driving) -> None:
        await condemned(there, more)
        there.sandbox.items[2, 2]["companyId"] = company
        let_go(there, more)
        await after(there, minutes=11)
        await there.come_to_rest()
        assert there.sandbox.killed == []
        assert details(there)[0].endswith(why)

    tell(by_company(more), story)


def test_where_another_rule_stops_the_kept_one_at_the_same_moment_one_of_the_group_lives(
    tell: Tell,
) -> None:
    text = rules(
        rule("[deal.updated]", name="lost", tests=", deal.stage_semantic_id: F"),
        rule("[{every: 1h}]", *BY_COMPANY, "wait: 10m"),
    )

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a", stageSemanticId="P")
        a_deal(there, 2, "b", stageSemanticId="P")
        start(there, "a", "b")
        await after(there, minutes=60)
        assert outcomes(there) == ["waiting"]
        there.later(minutes=11)
        there.sandbox.items[2, 2]["stageSemanticId"] = "F"
        there.deliver([2])
        await there.until_idle()
        assert there.sandbox.killed == ["b"]
        await after(there, seconds=11)
        await there.come_to_rest()
        assert there.sandbox.killed == ["b"]
        assert details(there) == ["b, which was kept in its stead, no longer runs"]

    tell(text, story)


def test_whether_the_kept_one_is_of_its_group_must_be_readable(tell: Tell) -> None:
    text = rules(rule("[{every: 1h}]", *BY_COMPANY, "wait: 10m"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        a_deal(there, 2, "b")
        start(there, "a", "b")
        await after(there, minutes=61)
        there.sandbox.fail_next("crm.item.list", "500", times=1)
        await after(there, minutes=11)
        assert there.sandbox.killed == []
        assert (
            "whether b, which was kept in its stead, still runs: its document" in details(there)[0]
        )
        await after(there, minutes=1)
        await there.come_to_rest()
        assert there.sandbox.killed == ["a"]

    tell(text, story)


def test_one_of_the_kept_that_ended_clears_the_stop_until_the_next_run(tell: Tell) -> None:
    text = rules(rule(HOURLY, "keep: {newest: 2}", "per: [deal.company_id]", "wait: 10m"))

    async def story(there: Driving) -> None:
        await begin(there)
        for number, name in enumerate("abcd", start=1):
            a_deal(there, number, name)
        start(there, *"abcd")
        await after(there, minutes=6)
        there.sandbox.end_workflow("c")
        await after(there, minutes=11)
        assert set(details(there)[:2]) == {"c, which was kept in its stead, no longer runs"}
        assert there.sandbox.killed == []
        await after(there, minutes=6)
        await after(there, minutes=11)
        await there.come_to_rest()
        assert there.sandbox.killed == ["a"]
        assert sorted(there.sandbox.workflows) == ["b", "d"]

    tell(text, story)


def test_the_group_of_a_waiting_stop_is_in_its_entry_and_shows_no_value(tell: Tell) -> None:
    text = rules(rule(HOURLY, *BY_COMPANY, "wait: 10m"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a", companyId=987654)
        a_deal(there, 2, "b", companyId=987654)
        start(there, "a", "b")
        await after(there, minutes=6)
        assert check_log(there.database)[1] == []
        bodies = there.database.read(lambda conn: conn.execute(select(entries.c.body)).scalars())
        marks = [json.loads(one) for one in bodies if b"with the same" in bytes(one, "utf-8")]
        (condemned,) = [one for one in marks[0]["decisions"] if one["action"] == "kill"]
        assert condemned["spared"]["ids"] == ["b"]
        assert len(condemned["spared"]["group"]) == 16
        assert "987654" not in json.dumps(marks)

    tell(text, story)
