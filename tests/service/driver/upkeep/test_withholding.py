"""A portal that answers a crucial question otherwise is observed, whatever sets a rule off."""

import shutil
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from responder.bitrix24.sandbox.slots import Slots
from responder.store import client_state
from responder.store.database.database import Database
from tests.support.rounds import INSTANCES, KILL, PORTAL, Driving, driving, play
from tests.support.stories import (
    a_deal,
    after,
    answer,
    ask,
    begin,
    call_of_a_robot,
    details,
    let_go,
    outcomes,
    pause,
    rule,
    rules,
)

pytestmark = pytest.mark.portal

QUESTION = "absent-type-is-not-listed"
EVENT = rule("[deal.updated, robot]")
Story = Callable[[Driving], Coroutine[object, object, None]]


@pytest.fixture
def migrated_url(migrated_file: Path, tmp_path: Path) -> str:
    """Give SQLite alone: what is stored is tested on both (`store/test_leases_withheld`)."""
    shutil.copy(migrated_file, tmp_path / "responder.db")
    return f"sqlite:///{tmp_path / 'responder.db'}"


@contextmanager
def asking(database: Database, place: Path, text: str = rules(EVENT)) -> Iterator[Driving]:
    with driving(database, place, text) as there:
        there.sandbox.slots = Slots(None)
        there.asks = True
        yield there


def differ(there: Driving) -> None:
    """Let the portal answer a crucial question otherwise; nothing else is changed by it."""
    there.sandbox.oddities.set("lists_absent_types")


def killed(there: Driving) -> list[str]:
    return list(there.sandbox.killed)


async def deliver(there: Driving, number: int = 1) -> None:
    there.deliver([number])
    await after(there, seconds=2)


async def a_call_of_a_robot(there: Driving) -> None:
    call_of_a_robot(there, 1, "a")
    await after(there, seconds=2)


async def a_quarter(there: Driving) -> None:
    await begin(there, 15)
    await after(there, minutes=16)
    await after(there, seconds=5)


async def a_request(there: Driving) -> None:
    request = ask(there, "overdue")
    await after(there, seconds=2)
    await after(there, seconds=5)
    assert answer(there, request).state == "done"


PATHS: dict[str, tuple[str, Story]] = {
    "an event": (EVENT, deliver),
    "a robot": (EVENT, a_call_of_a_robot),
    "a sweep": (EVENT, a_quarter),
    "a schedule": (rule("[{every: 15m}]"), a_quarter),
    "a request": (EVENT, a_request),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("otherwise", [False, True])
def test_whatever_sets_a_rule_off_it_kills_only_where_the_portal_answers_as_expected(
    tmp_path: Path, database: Database, path: str, otherwise: bool
) -> None:
    text, sets_off = PATHS[path]
    with asking(database, tmp_path, rules(text)) as there:

        async def story(there: Driving) -> None:
            a_deal(there, 1, "a")
            if otherwise:
                differ(there)
            await sets_off(there)

        play(there, story)
        assert killed(there) == ([] if otherwise else ["a"])
        assert set(outcomes(there)) == {"would_kill" if otherwise else "killed"}
        if otherwise:
            assert all(
                QUESTION in one and "observed, not acted upon" in one for one in details(there)
            )


HELD: dict[str, tuple[str, bool]] = {
    "mode: approve": (rule("[deal.updated]", mode="approve"), False),
    "paused": (EVENT, True),
    "tripped": (rule("[deal.updated]", "limit: {per_hour: 0}"), False),
}


@pytest.mark.parametrize("what", HELD)
def test_what_was_held_before_is_not_killed_when_it_is_let_go(
    tmp_path: Path, database: Database, what: str
) -> None:
    text, paused = HELD[what]
    with asking(database, tmp_path, rules(text)) as there:

        async def story(there: Driving) -> None:
            a_deal(there, 1, "a")
            if paused:
                pause(there)
            await deliver(there)
            assert outcomes(there) == ["held"]
            differ(there)
            await after(there, minutes=61)
            let_go(there, what)
            await after(there, seconds=2)
            await after(there, seconds=2)

        play(there, story)
        assert killed(there) == []
        assert outcomes(there) == ["cleared", "would_kill"]
        assert QUESTION in details(there)[0]


def test_what_waits_for_its_time_is_cleared_when_that_comes(
    tmp_path: Path, database: Database
) -> None:
    with asking(database, tmp_path, rules(rule("[deal.updated]", "wait: 2h"))) as there:

        async def story(there: Driving) -> None:
            a_deal(there, 1, "a")
            await deliver(there)
            differ(there)
            await after(there, minutes=61)
            await after(there, minutes=61)

        play(there, story)
        assert killed(there) == []
        assert outcomes(there)[0] == "cleared"


def test_a_run_that_began_before_is_made_again_without_acting(
    tmp_path: Path, database: Database
) -> None:
    with asking(database, tmp_path, rules(rule("[{every: 15m}]"))) as there:

        async def story(there: Driving) -> None:
            await begin(there)  # a minute after the hour
            await after(there, minutes=45)
            a_deal(there, 1, "a")
            there.later(minutes=14, seconds=30)
            read = len(there.sandbox.calls_of(INSTANCES))
            assert await there.round()
            assert len(there.sandbox.calls_of(INSTANCES)) > read
            assert outcomes(there) == []  # the run has begun, and is not finished
            differ(there)
            await after(there, minutes=1)

        play(there, story)
        assert killed(there) == []
        assert outcomes(there) == ["would_kill"]


def test_a_stop_in_doubt_is_settled_once_the_portal_answers_as_expected(
    tmp_path: Path, database: Database
) -> None:
    with asking(database, tmp_path) as there:

        async def story(there: Driving) -> None:
            a_deal(there, 1, "a")
            await there.until_idle()
            there.sandbox.fail_next(KILL, "act_then_drop")
            there.deliver([1])
            there.later(seconds=2)
            await there.round()
            there.sandbox.fail_next(INSTANCES, "500", times=1000)
            differ(there)
            await after(there, minutes=61)
            there.sandbox.faults.clear()
            await after(there, minutes=2)
            assert outcomes(there) == ["in_doubt"]
            assert QUESTION in details(there)[0]
            there.sandbox.oddities.clear()
            await after(there, minutes=61)

        play(there, story)
        assert outcomes(there) == ["killed"]


def test_what_is_not_listed_is_not_called_gone_while_the_portal_answers_otherwise(
    tmp_path: Path, database: Database
) -> None:
    with asking(database, tmp_path, rules(rule("[deal.updated]", "wait: 2h"))) as there:

        async def story(there: Driving) -> None:
            a_deal(there, 1, "a")
            await deliver(there)
            differ(there)
            there.sandbox.oddities.set("blind_filters", frozenset({"DOCUMENT_ID"}))
            await after(there, minutes=61)
            await after(there, minutes=61)

        play(there, story)
        assert outcomes(there) == ["cleared"]


def test_it_acts_again_once_the_portal_answers_as_expected(
    tmp_path: Path, database: Database
) -> None:
    with asking(database, tmp_path) as there:

        async def story(there: Driving) -> None:
            a_deal(there, 1, "a")
            differ(there)
            await deliver(there)
            there.sandbox.oddities.clear()
            await after(there, minutes=59)
            await deliver(there)
            assert killed(there) == []
            await after(there, minutes=2)
            await deliver(there)

        play(there, story)
        assert killed(there) == ["a"]
        assert outcomes(there) == ["would_kill", "killed"]
        assert database.read(client_state.withheld) == {}


def test_the_next_driver_goes_on_withholding_where_it_cannot_ask(
    tmp_path: Path, database: Database
) -> None:
    with asking(database, tmp_path) as there:

        async def story(there: Driving) -> None:
            a_deal(there, 1, "a")
            differ(there)
            await there.until_idle()
            there.sandbox.absent_methods.add("crm.item.list")
            there.client.withheld = {}
            await there.drive()
            await deliver(there)

        play(there, story)
        assert killed(there) == []
        assert set(database.read(client_state.withheld)[PORTAL]) == {QUESTION}


def test_what_another_portal_of_this_name_answered_does_not_count(
    tmp_path: Path, database: Database
) -> None:
    found, now = {QUESTION: "an empty list"}, datetime.now(UTC)
    database.write(lambda tx: client_state.save_withheld(tx, PORTAL, found, "another", now))
    with asking(database, tmp_path) as there:

        async def story(there: Driving) -> None:
            there.sandbox.absent_methods.add("crm.item.list")
            a_deal(there, 1, "a")
            await deliver(there)

        play(there, story)
        assert killed(there) == ["a"]
        assert database.read(client_state.withheld) == {}


def test_what_an_older_version_asked_does_not_count(tmp_path: Path, database: Database) -> None:
    found, now = {"no-longer-asked": "something"}, datetime.now(UTC)
    database.write(lambda tx: client_state.save_withheld(tx, PORTAL, found, None, now))
    with asking(database, tmp_path) as there:

        async def story(there: Driving) -> None:
            a_deal(there, 1, "a")
            await deliver(there)

        play(there, story)
        assert killed(there) == ["a"]
        assert database.read(client_state.withheld) == {}


def test_what_cannot_be_asked_withholds_nothing(tmp_path: Path, database: Database) -> None:
    with asking(database, tmp_path) as there:

        async def story(there: Driving) -> None:
            a_deal(there, 1, "a")
            for method in ("crm.item.list", "bizproc.task.list", "method.get", "server.time"):
                there.sandbox.fail_next(method, "500", times=20)
            await there.until_idle()
            there.sandbox.faults.clear()
            await deliver(there)

        play(there, story)
        assert killed(there) == ["a"]


def test_questions_that_the_webhooks_scopes_refuse_keep_no_method_from_being_called(
    tmp_path: Path, database: Database
) -> None:
    text = rule("[deal.updated]").replace("deal.stage_semantic_id: F, ", "")
    with asking(database, tmp_path, rules(text)) as there:
        there.sandbox.scopes = ("bizproc", "user_brief")

        async def story(there: Driving) -> None:
            await there.until_idle()
            assert there.sandbox.calls_of("crm.item.list")
            assert there.client.breakers.opened == {}
            await after(there, minutes=11)  # they are asked again
            assert there.client.breakers.opened == {}

        play(there, story)


def test_a_difference_that_is_not_crucial_withholds_nothing(
    tmp_path: Path, database: Database
) -> None:
    with asking(database, tmp_path) as there:

        async def story(there: Driving) -> None:
            there.sandbox.exact_filters = True
            there.sandbox.oddities.set("active_as_text")
            a_deal(there, 1, "a")
            await deliver(there)

        play(there, story)
        assert killed(there) == ["a"]


def test_it_is_asked_once_an_hour_and_only_read(tmp_path: Path, database: Database) -> None:
    with asking(database, tmp_path) as there:

        async def story(there: Driving) -> None:
            a_deal(there, 1, "a")
            await there.until_idle()
            first = there.sandbox.http_requests
            assert 1 <= first <= 3
            await after(there, minutes=59)
            assert there.sandbox.http_requests == first
            await after(there, minutes=2)
            assert there.sandbox.http_requests == 2 * first

        play(there, story)
        assert there.sandbox.calls_of(KILL) == []
        assert killed(there) == []
