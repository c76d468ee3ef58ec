"""What a pause or a trip holds, and what is let go amid a round."""

import threading
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from responder.judge.plans import Hold, RunSets
from responder.rules.ruleset import Ruleset
from responder.stop import control
from responder.stop.gate import Gate
from responder.store import limits
from responder.store.database.database import Connection, Database
from responder.store.database.tables import entries
from tests.support.rounds import PORTAL, Driving, driving, play
from tests.support.sqlite_first import migrated_url as migrated_url
from tests.support.stories import (
    GUARD,
    Tell,
    a_deal,
    after,
    begin,
    outcomes,
    pause,
    rearm,
    resume,
    rule,
    rules,
)
from tests.support.stories import tell as tell

pytestmark = pytest.mark.portal


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


def test_no_call_is_intended_after_the_entry_of_a_pause(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody pauses right after the gate has looked whether everything is paused."""
    database = Database(postgres_url)
    database.open()
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
