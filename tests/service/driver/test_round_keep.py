"""Whom `keep` spares: one of each group lives, whatever ends or begins meanwhile."""

from datetime import datetime, timedelta

import pytest

from responder.stop import control
from tests.support.rounds import A_SECOND, DEAL, PORTAL, Driving
from tests.support.stories import (
    KEEPS,
    Tell,
    a_deal,
    after,
    begin,
    details,
    let_go,
    outcomes,
    rule,
    rules,
)
from tests.support.stories_on_sqlite import tell as tell

pytestmark = pytest.mark.portal


def held_in(there: Driving) -> set[object]:
    return {one["outcome"] for one in there.decisions()}


@pytest.mark.parametrize("more", ["wait: 10m", "mode: approve", "paused", "tripped"])
def test_the_last_of_a_group_lives_although_the_one_that_was_kept_has_ended(
    tell: Tell, more: str
) -> None:
    extra = [more] if more == "wait: 10m" else []
    extra += ["limit: {per_run: 1}"] if more == "tripped" else []
    mode = "approve" if more == "mode: approve" else "enforce"
    text = rules(rule("[{every: 5m}]", *KEEPS, *extra, mode=mode))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        a_deal(there, 2, "b")
        if more == "tripped":
            a_deal(there, 3, "c")
            there.sandbox.workflows["a"]["STARTED"] = "2026-01-01T00:00:00+03:00"
            there.sandbox.workflows["b"]["STARTED"] = "2026-01-02T00:00:00+03:00"
        if more == "paused":
            control.pause(there.database, [PORTAL], by="me", at=there.now())
        await after(there, minutes=6)
        kept = "c" if more == "tripped" else "b"
        assert held_in(there) == {"waiting" if more == "wait: 10m" else "held"}
        assert there.sandbox.end_workflow(kept)
        if more == "tripped":
            there.sandbox.end_workflow("b")
        let_go(there, more)
        await after(there, seconds=2)
        await after(there, minutes=30)
        await there.come_to_rest()
        assert there.sandbox.killed == []

    tell(text, story)


def test_who_was_kept_and_runs_no_more_clears_the_stop_and_the_next_run_chooses_anew(
    tell: Tell,
) -> None:
    text = rules(rule("[{every: 5m}]", *KEEPS, "wait: 10m"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        a_deal(there, 2, "b")
        a_deal(there, 3, "c")
        for day, name in enumerate("abc", start=1):
            there.sandbox.workflows[name]["STARTED"] = f"2026-01-0{day}T00:00:00+03:00"
        await after(there, minutes=6)
        there.sandbox.end_workflow("c")
        await after(there, minutes=11)
        assert details(there)[:2] == ["c, which was kept in its stead, no longer runs"] * 2
        await there.come_to_rest()
        await after(there, minutes=6)
        await after(there, minutes=11)
        await there.come_to_rest()
        assert there.sandbox.killed == ["a"]
        assert list(there.sandbox.workflows) == ["b"]

    tell(text, story)


def test_a_rule_that_keeps_others_than_when_it_condemned_does_not_act(tell: Tell) -> None:
    text = rules(rule("[{every: 1h}]", *KEEPS, "wait: 10m"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        a_deal(there, 2, "b")
        await after(there, hours=1)
        there.rules_path.write_text(text.replace("newest", "oldest"), encoding="utf-8")
        there.rules.reload(at_once=True)
        await after(there, minutes=11)
        assert details(there) == ["rule overdue keeps others now than when it condemned this one"]
        assert there.sandbox.killed == []

    tell(text, story)


def test_a_run_judges_all_it_read_as_of_one_moment(tell: Tell) -> None:
    """Each workflow is alone of its template, and comes of age while the run is judged."""
    text = rules(
        rule("[{every: 5m}]", "keep: newest", "per: [template]", "every_template: true").replace(
            "{workflow.template_id: 61}", "{deal.company_id: 5, workflow.age: {over: 1d}}"
        )
    )

    async def story(there: Driving) -> None:
        real = there.now

        def slow() -> datetime:
            there.later(seconds=1)
            return real()

        await begin(there)
        started = there.now() - timedelta(hours=23, minutes=53)
        for number in range(1, 61):
            there.sandbox.add_item(2, number, companyId=5)
            there.sandbox.add_template(100 + number, "Approval")
            there.sandbox.start_workflow(
                (*DEAL, f"DEAL_{number}"),
                100 + number,
                id=f"w{number}",
                started=started + number * 10 * A_SECOND,
            )
        there.later(minutes=6)
        there.now = slow  # type: ignore[method-assign]
        await there.drive()
        await there.until_idle()
        there.now = real  # type: ignore[method-assign]
        await there.drive()
        await there.come_to_rest()
        assert there.sandbox.killed == []
        assert outcomes(there) == []

    tell(text, story)


def test_what_an_event_condemned_is_judged_anew_where_the_one_that_was_kept_has_ended(
    tell: Tell,
) -> None:
    """No run comes to a rule that events alone set off."""
    text = rules(rule("[deal.added]", "keep: newest", "wait: 10m"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a", "b", "c")
        there.deliver([1], "ONCRMDEALADD")
        await there.until_idle()
        assert outcomes(there) == ["waiting", "waiting"]
        there.sandbox.end_workflow("c")
        await after(there, minutes=11)
        assert outcomes(there)[:2] == ["cleared", "cleared"]
        assert there.sandbox.killed == []
        await there.come_to_rest()
        assert there.sandbox.killed == ["a"]
        assert list(there.sandbox.workflows) == ["b"]

    tell(text, story)
