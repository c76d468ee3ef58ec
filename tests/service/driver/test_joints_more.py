"""More places where two capabilities meet: what is let go, looked at again, made again, said."""

import re
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import event as engine_event

from responder.judge.plans import Hold
from responder.rules.ruleset import Ruleset
from responder.stop import control
from responder.stop.gate import Gate
from responder.stop.limiter import RunSets
from responder.store import due_portals, limits, sweep_runs
from responder.store.database.database import Connection, Database
from responder.store.inbox import inbox
from tests.service.driver.test_joints import (
    GUARD,
    Tell,
    a_deal,
    after,
    answer,
    ask,
    begin,
    details,
    outcomes,
    rule,
    rules,
    tell,
)
from tests.support.rounds import A_SECOND, DEAL, PORTAL, Driving, driving, play

pytestmark = pytest.mark.portal

__all__ = ["tell"]


def change_rules(there: Driving, text: str) -> None:
    there.rules_path.write_text(text, encoding="utf-8")
    there.rules.reload(at_once=True)


def incomplete(there: Driving) -> Mapping[str, datetime]:
    return there.database.read(lambda conn: sweep_runs.incomplete(conn, PORTAL))


def pause(there: Driving) -> None:
    assert control.pause(there.database, [PORTAL], by="me", at=there.now())


def resume(there: Driving) -> None:
    control.resume(there.database, [PORTAL], by="me", at=there.now())


def rearm(there: Driving, name: str = "overdue") -> None:
    control.rearm(there.database, [PORTAL], name, known=[name], by="me", at=there.now())


def call_of_a_robot(there: Driving, number: int, workflow_id: str | None) -> None:
    row = inbox.row(PORTAL, there.now(), "robot", None, f"deal:{number}", workflow_id, b"form")
    there.database.write(lambda tx: inbox.add(tx, [row]))


# whom `keep` spares


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


# robots' calls


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


# looks


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


# what is let go


def test_what_a_run_found_is_not_held_by_a_pause_that_has_ended_meanwhile(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_run = Gate.begin_run

    async def resumed(gate: Gate, sets: RunSets, ruleset: Ruleset) -> dict[str, Hold | str]:
        """Let somebody resume right after a run was told that everything is paused."""
        found = await begin_run(gate, sets, ruleset)
        resume(here[0])
        return found

    here: list[Driving] = []

    async def story(there: Driving) -> None:
        here.append(there)
        await begin(there)
        pause(there)
        a_deal(there, 1, "a")
        monkeypatch.setattr(Gate, "begin_run", resumed)
        await after(there, minutes=6)
        await after(there, seconds=2)
        await there.come_to_rest()
        assert outcomes(there) == ["killed"]

    tell(rules(rule("[{every: 5m}]")), story)


def test_what_a_run_found_is_not_held_by_a_rule_that_was_rearmed_meanwhile(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_run = Gate.begin_run

    async def rearmed(gate: Gate, sets: RunSets, ruleset: Ruleset) -> dict[str, Hold | str]:
        """Let too many end, and somebody rearm the rule, right after it has tripped."""
        found = await begin_run(gate, sets, ruleset)
        if "b" in here[0].sandbox.workflows:
            here[0].sandbox.end_workflow("b")
            rearm(here[0])
        return found

    here: list[Driving] = []

    async def story(there: Driving) -> None:
        here.append(there)
        await begin(there)
        a_deal(there, 1, "a", "b")
        monkeypatch.setattr(Gate, "begin_run", rearmed)
        await after(there, minutes=6)
        await after(there, seconds=2)
        await there.come_to_rest()
        assert outcomes(there) == ["killed"]

    tell(rules(rule("[{every: 5m}]", "limit: {per_run: 1}")), story)


@pytest.mark.parametrize("cause", ["pause", "trip"])
def test_nothing_is_held_by_what_ends_while_it_is_written(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    """Somebody resumes, or rearms, right after the gate has looked."""
    database = Database(postgres_url)
    database.open()
    database.migrate()
    other = Database(postgres_url)
    other.open()
    name = "paused" if cause == "pause" else "tripped"
    looked = getattr(limits, name)
    letting_go: list[threading.Thread] = []

    def a_moment_later(conn: Connection, *of: str) -> object:
        found = looked(conn, *of)
        if not letting_go:
            at = here[0].now()
            let_go = (
                partial(control.resume, other, [PORTAL], by="me", at=at)
                if cause == "pause"
                else partial(
                    control.rearm, other, [PORTAL], "overdue", known=["overdue"], by="me", at=at
                )
            )
            letting_go.append(threading.Thread(target=let_go))
            letting_go[0].start()
            letting_go[0].join(0.5)
        return found

    here: list[Driving] = []

    async def story(there: Driving) -> None:
        here.append(there)
        if cause == "pause":
            pause(there)
        else:
            at = there.now()
            there.database.write(lambda tx: limits.trip(tx, PORTAL, "overdue", at, "too much"))
        a_deal(there, 1, "a")
        there.deliver([1])
        monkeypatch.setattr(limits, name, a_moment_later)
        await there.round()
        letting_go[0].join()
        await there.come_to_rest()
        assert outcomes(there) == ["killed"]

    with driving(database, tmp_path, rules(rule("[deal.updated]"))) as there:
        play(there, story)
    for one in (database, other):
        one.close()


def test_a_pause_tears_no_set_of_which_a_part_was_looked_at_early(tell: Tell) -> None:
    text = rules(rule("[{every: 5m}]", "wait: 10m", "limit: {per_hour: 5}"))

    async def story(there: Driving) -> None:
        await begin(there)
        for number in (1, 2):
            a_deal(there, number, f"first-{number}")
        await after(there, minutes=4, seconds=30)
        for number in range(3, 7):
            a_deal(there, number, f"second-{number}")
        await after(there, minutes=5)
        assert outcomes(there) == ["waiting"] * 6
        pause(there)
        there.deliver([3])  # one more look at what waits on that deal
        await there.until_idle()
        resume(there)
        await after(there, seconds=2)
        await after(there, minutes=5)
        await after(there, minutes=10)
        assert sorted(there.sandbox.killed) == ["first-1", "first-2"]
        assert outcomes(there)[2:] == ["held"] * 4

    tell(text, story)


def test_two_parts_of_sets_on_one_document_do_not_hold_each_other_for_ever(tell: Tell) -> None:
    text = rules(rule("[{every: 5m}]", "limit: {per_document: 3}"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "k1", "k2")
        await after(there, minutes=5)
        await after(there, seconds=3)
        a_deal(there, 1, "a1", "a2")
        a_deal(there, 2, "x")
        await after(there, minutes=5)
        await after(there, seconds=3)
        a_deal(there, 1, "b1", "b2")
        a_deal(there, 3, "y")
        await after(there, minutes=5)
        assert sorted(there.sandbox.killed) == ["k1", "k2", "x", "y"]
        rearm(there)
        await after(there, seconds=2)
        assert len(there.sandbox.killed) == 6
        rearm(there)
        await after(there, seconds=2)
        assert len(there.sandbox.killed) == 8

    tell(text, story)


# limits


def test_what_is_condemned_no_longer_is_not_counted_to_its_set(tell: Tell) -> None:
    text = rules(rule("[deal.updated]", "wait: 10m", "sweep: false", "limit: {per_hour: 3}"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 2, "first")
        there.deliver([2])
        await there.until_idle()
        there.later(minutes=5)
        a_deal(there, 1, "a", "b", "c")
        there.deliver([1])
        await there.until_idle()
        await after(there, minutes=6)
        assert there.sandbox.killed == ["first"]
        there.sandbox.end_workflow("b")
        there.sandbox.end_workflow("c")
        await after(there, minutes=6)
        assert there.sandbox.killed == ["first", "a"]
        assert outcomes(there) == ["killed", "killed", "already_gone", "already_gone"]

    tell(text, story)


def test_a_set_is_not_asked_of_the_store_once_for_each_of_its_documents(tell: Tell) -> None:
    text = rules(rule("[{every: 5m}]", "limit: {per_hour: 1000}"))

    async def story(there: Driving) -> None:
        await begin(there)
        there.client.capacity = lambda method: 10  # type: ignore[method-assign]  # noqa: ARG005
        for number in range(1, 41):
            a_deal(there, number, f"w{number}")
        asked: list[str] = []

        def count(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
            if re.match(r"SELECT .* decisions\.set_name = [?%]", statement, re.DOTALL):
                asked.append(statement)

        engine_event.listen(there.database.writer, "before_cursor_execute", count)
        await after(there, minutes=6)
        await there.come_to_rest()
        assert len(there.sandbox.killed) == 40
        assert len(asked) < 20

    tell(text, story)


# what is said


# runs


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
    text = rules(rule("[{every: 1h}]", "limit: {per_run: 3}", tests=", starter.active: true"))

    async def story(there: Driving) -> None:
        await begin(there)
        for number, user in enumerate((5, 5, 6, 6), start=1):
            there.sandbox.add_user(user)
            there.sandbox.add_item(2, number)
            of = (*DEAL, f"DEAL_{number}")
            there.sandbox.start_workflow(of, 61, id=f"w{number}", started_by=user)
        there.sandbox.fail_next("user.get", "500", times=5)
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


def test_what_is_only_observed_is_no_reason_why_another_rule_no_longer_holds(tell: Tell) -> None:
    two = rules(
        rule("[deal.updated]", name="tried", mode="observe"),
        rule("[deal.updated]", "wait: 10m", tests=", deal.company_id: 5"),
    )

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        there.deliver([1])
        await there.until_idle()
        there.sandbox.add_item(2, 1, companyId=6)
        await after(there, minutes=11)
        assert outcomes(there) == ["cleared"]
        assert details(there) == ["if.deal.company_id is 5 no longer holds"]

    tell(two, story)


def test_what_became_true_is_no_reason_why_a_rule_no_longer_holds(tell: Tell) -> None:
    text = rules(
        rule("[deal.updated]", "wait: 10m").replace(
            "{workflow.template_id: 61}",
            "{any: [{deal.title: A}, {deal.company_id: 5}], deal.category_id: 2}",
        ),
    ).replace("    then: kill", "    every_template: true\n    then: kill")

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a", title="B", categoryId=2)
        there.deliver([1])
        await there.until_idle()
        assert outcomes(there) == ["waiting"]
        there.sandbox.add_item(2, 1, companyId=5, title="A", categoryId=3)
        await after(there, minutes=11)
        assert outcomes(there) == ["cleared"]
        assert details(there) == ["if.deal.category_id is 2 no longer holds"]

    tell(text, story)


def test_what_a_schedule_condemned_is_cleared_where_its_rule_has_none_any_more(tell: Tell) -> None:
    text = rules(rule("[{every: 1h}]", "wait: 10m"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        await after(there, hours=1)
        assert outcomes(there) == ["waiting"]
        change_rules(there, text.replace("[{every: 1h}]", "[deal.deleted]"))
        await after(there, minutes=11)
        assert outcomes(there) == ["cleared"]
        assert there.sandbox.killed == []

    tell(text, story)


# rules that change


def test_what_is_left_of_a_set_is_begun_anew_by_rules_that_have_changed(tell: Tell) -> None:
    """A set that was begun is finished though its rule trips: by the rules that began it."""
    text = rules(rule("[deal.updated]", "sweep: false", "limit: {per_hour: 30}"))

    async def story(there: Driving) -> None:
        await begin(there)
        for number, names in ((1, ("a",)), (2, ("b", "c"))):
            a_deal(there, number, *names)
        there.sandbox.fail_next("bizproc.workflow.kill", "drop_before")
        there.deliver([1])
        await there.until_idle()
        assert outcomes(there) == ["in_doubt"]
        change_rules(there, text.replace("per_hour: 30", "per_hour: 1"))
        there.deliver([2])
        await there.come_to_rest()
        assert there.sandbox.killed == []
        assert outcomes(there) == ["held"] * 3
        rearm(there)
        await there.come_to_rest()
        assert there.sandbox.killed == ["a"]

    tell(text, story)


def test_a_comment_in_the_rules_keeps_nothing_of_a_set_that_was_begun(tell: Tell) -> None:
    text = rules(rule("[deal.updated]", "sweep: false", "limit: {per_hour: 30, per_document: 30}"))

    async def story(there: Driving) -> None:
        await begin(there)
        names = [f"{number:02d}" for number in range(30)]
        a_deal(there, 1, *names)
        there.client.capacity = lambda method: 10  # type: ignore[method-assign]  # noqa: ARG005
        there.deliver([1])
        await there.round()
        assert 0 < len(there.sandbox.killed) < 30
        change_rules(there, text + "# said more clearly")
        await there.come_to_rest()
        assert sorted(there.sandbox.killed) == names

    tell(text, story)


def test_rules_that_are_put_back_do_not_take_up_what_other_rules_began(tell: Tell) -> None:
    """What is left of a set counts for everybody as long as it may be let go unasked."""
    text = rules(rule("[deal.updated]", "sweep: false", "limit: {per_hour: 30, per_document: 30}"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, *(f"one{number:02d}" for number in range(30)))
        a_deal(there, 2, *(f"two{number:02d}" for number in range(10)))
        size = 10
        there.client.capacity = lambda method: size  # type: ignore[method-assign]  # noqa: ARG005
        there.deliver([1])
        await there.round()
        change_rules(there, text + "# said more clearly")
        await there.round()
        assert len(there.sandbox.killed) == 20
        change_rules(there, text)
        size = 50
        there.deliver([2])
        await there.come_to_rest()
        assert len(there.sandbox.killed) <= 30

    tell(text, story)


def test_what_was_held_and_let_go_amid_a_reading_is_judged_afresh(tell: Tell) -> None:
    text = rules(
        GUARD.format(when="[deal.updated]"),
        rule("[deal.updated]", "sweep: false", "limit: {per_hour: 100, per_document: 100}"),
    )

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, *(f"{number:02d}" for number in range(40)))
        there.client.capacity = lambda method: 10  # type: ignore[method-assign]  # noqa: ARG005
        there.deliver([1])
        await there.round()
        await there.round()
        killed = len(there.sandbox.killed)
        assert killed == 20
        pause(there)
        await there.round()
        there.sandbox.add_item(2, 1, companyId=17)  # it is protected meanwhile
        resume(there)
        await there.come_to_rest()
        assert len(there.sandbox.killed) == killed
        assert outcomes(there).count("cleared") == 40 - killed

    tell(text, story)


# clocks


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


# storms


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
