"""Where two capabilities meet: nothing is killed that the rules protect, nothing passed over."""

import threading
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from responder.bitrix24.client.client import Client
from responder.bitrix24.sandbox.slots import Slots
from responder.stop import control
from responder.store import limits, sweep_runs
from responder.store.database.database import Connection, Database
from responder.store.database.tables import entries
from responder.store.inbox import inbox
from tests.support.rounds import A_SECOND, DEAL, PORTAL, Driving, driving, play

pytestmark = pytest.mark.portal

GUARD = """\
  - id: keep-vip
    when: {when}
    if: {{deal.company_id: 17}}
    then: leave
"""
KILL = """\
  - id: {name}
    mode: {mode}
    when: {when}
    if: {{workflow.template_id: 61{tests}}}
    then: kill
"""


def rule(
    when: str, *more: str, name: str = "overdue", mode: str = "enforce", tests: str = ""
) -> str:
    text = KILL.format(name=name, when=when, mode=mode, tests=tests)
    return text + "".join(f"    {line}\n" for line in more)


def rules(*parts: str) -> str:
    return "version: 1\ndefaults: {timezone: Europe/Moscow}\nrules:\n" + "".join(parts)


def a_deal(there: Driving, number: int = 1, *ids: str, **fields: object) -> list[str]:
    """Let workflows of template 61 run on a deal; return their ids."""
    there.sandbox.add_item(2, number, **{"companyId": 5, **fields})
    of = (*DEAL, f"DEAL_{number}")
    started = there.now() - timedelta(days=1)
    return [
        there.sandbox.start_workflow(of, 61, id=name, started=started + place * A_SECOND)
        for place, name in enumerate(ids)
    ]


def ask(there: Driving, name: str, *, observe: bool = False) -> int:
    """Ask for a sweep of one rule, as `responder sweep --rule` does."""
    at = there.now()
    return there.database.write(
        lambda tx: sweep_runs.add_request(
            tx, PORTAL, rule=name, observe=observe, by="somebody", at=at
        )
    )


def answer(there: Driving, request: int) -> sweep_runs.Request:
    found = there.database.read(lambda conn: sweep_runs.request(conn, request))
    assert found is not None
    return found


async def after(there: Driving, **time: float) -> None:
    there.later(**time)
    await there.until_idle()


async def begin(there: Driving, sweep_minutes: float = 0) -> None:
    """Begin a minute after some hour, with runs that count from then."""
    at = (there.now() + timedelta(hours=1)).replace(minute=1, second=0)
    there.offset += at - there.now()
    there.sweep_every = timedelta(minutes=sweep_minutes)
    await there.drive()
    await there.until_idle()


def outcomes(there: Driving, name: str = "overdue") -> list[object]:
    return [one["outcome"] for one in there.decisions() if one["rule"] == name]


def details(there: Driving, name: str = "overdue") -> list[str]:
    return [str(one["detail"]) for one in there.decisions() if one["rule"] == name]


Tell = Callable[[str, Callable[[Driving], Coroutine[object, object, None]]], None]


@pytest.fixture
def tell(tmp_path: Path, database: Database) -> Tell:
    """Give what plays a story by some rules."""

    def told(text: str, story: Callable[[Driving], Coroutine[object, object, None]]) -> None:
        with driving(database, tmp_path, text) as there:
            there.sandbox.slots = Slots(None)
            play(there, story)

    return told


# guards


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


# whom `keep` spares

KEEPS = ("keep: newest", "per: [template]")


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


def let_go(there: Driving, what: str) -> None:
    now = there.now()
    if what == "mode: approve":
        ids = [str(one["id"]) for one in there.decisions() if one["outcome"] == "held"]
        assert control.approve(there.database, ids, by="anna", at=now).approved
    elif what == "paused":
        control.resume(there.database, [PORTAL], by="me", at=now)
    elif what == "tripped":
        control.rearm(there.database, [PORTAL], "overdue", known=["overdue"], by="me", at=now)


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


# schedules


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


# looks


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


def test_a_call_that_named_a_workflow_has_no_other_one_judged_after_it(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "named", "another")
        row = inbox.row(PORTAL, there.now(), "robot", None, "deal:1", "named", b"form")
        there.database.write(lambda tx: inbox.add(tx, [row]))
        await there.come_to_rest()
        assert there.sandbox.killed == ["named"]

    tell(rules(rule("[robot]")), story)


# evidence


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


# sets


def test_a_set_that_was_begun_is_finished_and_the_next_is_not_begun(tell: Tell) -> None:
    text = rules(rule("[deal.updated]", "limit: {per_hour: 40, per_document: 100}"))

    async def story(there: Driving) -> None:
        await begin(there)
        there.client.capacity = lambda method: 20  # type: ignore[method-assign]  # noqa: ARG005
        for number in (1, 2):
            a_deal(there, number, *(f"{number}-{place:02d}" for place in range(25)))
        there.deliver([1])
        there.deliver([2])
        await there.come_to_rest()
        killed = [one.partition("-")[0] for one in there.sandbox.killed]
        assert killed == ["1"] * 25
        assert outcomes(there).count("held") == 25

    tell(text, story)


def test_calls_that_the_portals_limit_refused_are_no_stops(tell: Tell) -> None:
    text = rules(rule("[deal.updated]", "limit: {per_document: 6}"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        there.sandbox.fail_next("bizproc.workflow.kill", "503_limit", times=5)
        there.deliver([1])
        await there.come_to_rest()
        assert there.sandbox.killed == ["a"]
        a_deal(there, 1, "b", "c", "d", "e", "f")
        there.deliver([1])
        await there.come_to_rest()
        assert len(there.sandbox.killed) == 6

    tell(text, story)


@pytest.mark.parametrize("cause", ["pause", "trip"])
def test_what_several_runs_condemned_meanwhile_is_one_set_when_it_is_let_go(
    tell: Tell, cause: str
) -> None:
    text = rules(rule("[{every: 5m}]", "limit: {per_run: 3}"))

    async def story(there: Driving) -> None:
        await begin(there)
        if cause == "pause":
            control.pause(there.database, [PORTAL], by="me", at=there.now())
        else:
            a_deal(there, 100, *(f"first-{place}" for place in range(4)))
        for number in range(5):
            a_deal(there, number + 1, *(f"{number}-{place}" for place in range(3)))
            await after(there, minutes=5)
        assert set(outcomes(there)) == {"held"}
        let_go(there, "paused" if cause == "pause" else "tripped")
        await after(there, seconds=2)
        await there.come_to_rest()
        assert there.sandbox.killed == []
        assert set(outcomes(there)) <= {"held", "cleared"}

    tell(text, story)


def test_a_set_that_was_paused_in_the_middle_is_finished_when_it_is_resumed(tell: Tell) -> None:
    text = rules(rule("[deal.updated]", "limit: {per_hour: 30, per_document: 30}"))

    async def story(there: Driving) -> None:
        await begin(there)
        there.client.capacity = lambda method: 10  # type: ignore[method-assign]  # noqa: ARG005
        a_deal(there, 1, *(f"a-{place:02d}" for place in range(25)))
        there.deliver([1])
        await there.round()
        assert len(there.sandbox.killed) == 10
        control.pause(there.database, [PORTAL], by="me", at=there.now())
        await there.come_to_rest()
        assert len(there.sandbox.killed) == 10
        control.resume(there.database, [PORTAL], by="me", at=there.now())
        await there.come_to_rest()
        assert len(there.sandbox.killed) == 25

    tell(text, story)


# runs that could not read everything


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


# the pause


def test_no_call_is_intended_after_the_entry_of_a_pause(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody pauses right after the gate has looked whether everything is paused."""
    database = Database(postgres_url)
    database.open()
    database.migrate()
    other = Database(postgres_url)
    other.open()
    pausing: list[threading.Thread] = []
    paused = limits.paused

    def paused_a_moment_later(conn: Connection) -> object:
        found = paused(conn)
        if not pausing:
            at = datetime.now(UTC)
            pause = partial(control.pause, other, [PORTAL], by="me", at=at)
            pausing.append(threading.Thread(target=pause))
            pausing[0].start()
            pausing[0].join(0.5)
        return found

    async def story(there: Driving) -> None:
        a_deal(there, 1, "a")
        there.deliver([1])
        monkeypatch.setattr(limits, "paused", paused_a_moment_later)
        await there.round()
        pausing[0].join()

    with driving(database, tmp_path, rules(rule("[deal.updated]"))) as there:
        play(there, story)
    written = database.read(
        lambda conn: list(conn.execute(select(entries.c.kind).order_by(entries.c.seq)).scalars())
    )
    assert written.index("intent") < written.index("control")
    for one in (database, other):
        one.close()


# clocks


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


# two slots


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
