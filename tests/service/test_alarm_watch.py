"""Alarms on a real database: read, recorded, logged and told once, whatever restarts."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from responder.journal import approvals
from responder.journal.notices import outbox
from responder.model import Breaker, Mode
from responder.service.alarm_watch import AlarmWatch
from responder.service.alarms import reading
from responder.service.alarms.known import Here
from responder.service.housekeeping import Write
from responder.settings.settings import PortalSettings, Settings
from responder.stop import control
from responder.store import client_state
from responder.store.database.database import Connection, Database
from responder.store.inbox import refusals
from responder.store.leases import LeaseLost
from tests.support.evaluations import AT, deliver, kill, record
from tests.support.listener import SECRET, Listener
from tests.support.notified import World
from tests.support.processes import TOKEN, eventually

pytestmark = pytest.mark.portal

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BASE = "https://admin.example"


@dataclass
class Watching:
    """A watch with a clock, over a database that outlives it."""

    database: Database
    url: str | None = "http://127.0.0.1:1/hook"
    at: datetime = AT
    here: Here = field(default_factory=lambda: Here(away={"main": None}))

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        portal = PortalSettings(
            url=SecretStr("https://main.example/rest/1/hook-secret-0001/"),
            application_tokens=(SecretStr(TOKEN),),
        )
        settings = Settings(
            portals={"main": portal},
            rules=Path("rules.yaml"),
            admin_url=BASE,
            notify_url=SecretStr(self.url) if self.url else None,
            notify_secret=SecretStr(SECRET) if self.url else None,
        )
        self.write: Write = self._write
        self.watch = AlarmWatch(
            settings,
            database=self.database,
            driven=lambda: {"main": self.write},
            known=lambda conn: reading.known(conn, settings, self.here, self.at),
            here=lambda: self.here,
            now=lambda: self.at,
        )

    async def _write(self, work: Callable[[Connection], None]) -> None:
        await asyncio.to_thread(self.database.write, work)

    def look(self, *, after: timedelta = timedelta(0)) -> list[str]:
        """Look once, so much later; return what was logged."""
        return [str(line["event"]) for line in self.lines(after=after)]

    def lines(self, *, after: timedelta = timedelta(0)) -> list[Mapping[str, object]]:
        self.at += after
        with capture_logs() as lines:
            asyncio.run(self.watch.once())
        return list(lines)

    def waiting(self) -> int:
        return self.database.read(lambda conn: outbox.waiting(conn, ["main"]))


def shut(database: Database, *, at: datetime = AT) -> None:
    one = Breaker(portal="main", method="", code="NO_AUTH_FOUND", opened_at=at, probe_at=at)
    database.write(lambda tx: client_state.open_breaker(tx, one))


def asks(database: Database, lapses_at: datetime) -> str:
    (name,) = record(database, replace(kill(), mode=Mode.APPROVE)).decisions
    database.write(lambda tx: approvals.ask(tx, name, lapses_at, AT))
    return name


def test_it_is_logged_and_told_once_through_restarts(database: Database) -> None:
    watching = Watching(database)
    shut(database)
    (line,) = watching.lines()
    assert (line["event"], line["kind"]) == ("an alarm began", "portal_unreachable")
    assert watching.waiting() == 1
    watching.restart()
    assert watching.look(after=MINUTE) == []
    database.write(lambda tx: client_state.close_breaker(tx, "main", ""))
    assert watching.look(after=MINUTE) == ["an alarm ended"]
    assert watching.waiting() == 1


def test_a_receiver_hears_of_a_portal_and_of_refused_deliveries(database: Database) -> None:
    with Listener() as listener:
        world, watching = World(database, listener.url), Watching(database)
        wrong = {("main", "a wrong application token"): 3, ("", "a wrong application token"): 9}
        database.write(lambda tx: refusals.note(tx, wrong, AT))
        shut(database)
        watching.look()
        watching.look(after=MINUTE)
        world.go()
        world.go()
        told = {heard.message["type"]: heard.message["data"] for heard in listener.heard}
        assert len(listener.heard) == len(told) == 2
        assert all(heard.is_signed() for heard in listener.heard)
    assert told["portal.unreachable"]["link"] == f"{BASE}/status#portal-main"
    assert told["deliveries.refused"]["number"] == 3
    assert told["deliveries.refused"]["about"] == "a wrong application token"
    assert world.waiting() == 0


def test_a_decision_that_waits_is_told_and_once_more_before_it_lapses(database: Database) -> None:
    with Listener() as listener:
        world, watching = World(database, listener.url), Watching(database)
        name = asks(database, AT + 24 * HOUR)
        for after in (MINUTE, MINUTE, 20 * HOUR, 3 * HOUR, MINUTE):
            watching.look(after=after)
            watching.restart()
        world.go(after=24 * HOUR)
        told = [heard.message for heard in listener.heard]
    assert [one["type"] for one in told] == ["decision.held", "decision.held"]
    first, second = sorted((one["data"] for one in told), key=lambda data: data["again"])
    assert (first["again"], second["again"]) == (False, True)
    assert (first["decision"], first["rule"], first["action"]) == (name, "lost-deal", "kill")
    assert first["lapses_at"] == "2026-09-25T12:00:00.123Z"
    assert first["link"] == f"{BASE}/decisions/{name}"
    assert (first["about"], first["names"]) == ("deal 759", None)
    assert "facts" not in first


def test_one_that_lapses_soon_when_it_is_first_told_is_told_once(database: Database) -> None:
    watching = Watching(database)
    asks(database, AT + HOUR)
    watching.look()
    watching.look(after=MINUTE)
    assert watching.waiting() == 1


def test_what_is_approved_is_not_told_any_more(database: Database) -> None:
    watching = Watching(database)
    name = asks(database, AT + HOUR)
    database.write(lambda tx: approvals.approve(tx, "main", [name], "anna", AT))
    watching.look()
    assert watching.waiting() == 0


def test_what_is_answered_while_it_is_to_be_told_is_not_told(database: Database) -> None:
    watching = Watching(database)
    name = asks(database, AT + HOUR)

    async def cancelled_meanwhile(work: Callable[[Connection], None]) -> None:
        control.cancel(database, name, by="anna", at=AT)
        await watching._write(work)

    watching.write = cancelled_meanwhile
    watching.look()
    assert watching.waiting() == 0


def test_without_a_receiver_alarms_are_recorded_and_nothing_is_told(database: Database) -> None:
    watching = Watching(database, url=None)
    shut(database)
    asks(database, AT + HOUR)
    assert watching.look() == ["an alarm began"]
    assert watching.waiting() == 0


def test_a_silent_webhook_stays_one_until_a_sweep_or_an_event_says_otherwise(
    database: Database,
) -> None:
    database.write(deliver("deal:1"))
    watching = Watching(database, at=AT + 24 * HOUR)
    watching.here = Here(silent={"main": True})
    assert watching.look() == ["an alarm began"]
    watching.here = Here(silent={"main": None})  # it drives since a moment ago, and knows nothing
    assert watching.look(after=HOUR) == []
    database.write(deliver("deal:1", "deal:2"))  # the second is received a second later
    assert watching.look() == ["an alarm ended"]
    assert watching.waiting() == 1


def test_a_webhook_that_was_heard_last_a_week_ago_is_told(database: Database) -> None:
    with Listener() as listener:
        world, watching = World(database, listener.url), Watching(database)
        database.write(deliver("deal:1"))
        watching.here = Here(silent={"main": True})
        watching.look(after=7 * 24 * HOUR)
        world.go(after=7 * 24 * HOUR)
        (told,) = [heard.message for heard in listener.heard]
    assert told["type"] == "webhook.silent"
    assert (told["timestamp"][:10], told["data"]["since"][:10]) == ("2026-10-01", "2026-09-24")


def test_what_is_of_this_process_is_logged_by_it(database: Database) -> None:
    watching = Watching(database)
    watching.here = Here(rules_error="rules.yaml:1:1: no")
    assert watching.look() == ["an alarm began"]
    assert watching.look() == []
    watching.here = Here()
    assert watching.look() == ["an alarm ended"]


def test_a_database_that_is_away_is_an_alarm_and_ends_no_other(database: Database) -> None:
    watching = Watching(database)
    shut(database)
    watching.look()
    database.close()
    (line,) = watching.lines()
    assert line["kind"] == "database_away"
    database.open()
    assert watching.look() == ["an alarm ended"]


def test_with_a_lost_lease_nothing_is_logged_or_told(database: Database) -> None:
    async def lost(_work: Callable[[Connection], None]) -> None:
        raise LeaseLost("main")

    watching = Watching(database)
    shut(database)
    watching.write = lost
    assert watching.look() == []
    watching.write = watching._write
    assert watching.look() == ["an alarm began"]


def test_a_fault_of_ours_does_not_end_it(database: Database) -> None:
    watching = Watching(database)

    def driven() -> Mapping[str, Write]:
        raise ZeroDivisionError

    watching.watch._driven = driven

    async def run() -> None:
        running = asyncio.create_task(watching.watch.run())
        await asyncio.to_thread(eventually, lambda: lines or None)
        assert not running.done()
        running.cancel()

    with capture_logs() as lines:
        asyncio.run(run())
    assert lines[0]["event"] == "watching for alarms failed"
