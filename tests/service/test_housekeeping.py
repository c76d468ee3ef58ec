"""What the service does from time to time: checkpoints in the log stream, and pruning."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from responder.journal import record as journal
from responder.journal.audit import checkpoints
from responder.journal.audit.verify import verify
from responder.journal.notices import alarm_records
from responder.journal.notices.alarm_records import AlarmRecord
from responder.journal.telling import tellings
from responder.journal.telling.tellings import Kind, NewTelling
from responder.model import Audience, Outcome
from responder.service.housekeeping import Housekeeping, Write, fenced
from responder.store import leases
from responder.store.applications import held_messages
from responder.store.database.database import Connection, Database
from responder.store.database.portal_tables import held_installations
from responder.store.group_commit import SharedCommit
from responder.store.inbox import inbox
from responder.store.leases import LeaseLost
from tests.support.evaluations import AT, NONE, evaluation, kill, record
from tests.support.whole_log import fill

KEEP_DAYS = 30
LONG_AFTER = AT + timedelta(days=31)


def direct(database: Database) -> Write:
    async def write(work: Callable[[Connection], None]) -> None:
        await asyncio.to_thread(database.write, work)

    return write


class Clock:
    """An instant that a test moves."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


def keeping(
    database: Database, clock: Clock, driven: Mapping[str, Write] | None = None
) -> Housekeeping:
    writes = {"main": direct(database)} if driven is None else driven
    return Housekeeping(database=database, driven=lambda: writes, keep_days=KEEP_DAYS, now=clock)


def pruned(database: Database) -> int:
    return verify(database, "main").pruned


def test_the_head_of_what_we_drive_goes_to_the_log_stream(database: Database) -> None:
    fill(database)
    with capture_logs() as lines:
        asyncio.run(keeping(database, Clock(AT)).once())
    (line,) = [each for each in lines if each["event"] == "checkpoint"]
    head = database.read(lambda c: checkpoints.checkpoint(c, AT))["portals"]
    assert line["portals"] == {"main": head["main"]}  # type: ignore[index]
    assert set(checkpoints.marks([json.dumps(line)])) == {"main"}


def test_nothing_is_said_of_portals_that_others_drive(database: Database) -> None:
    fill(database)
    with capture_logs() as lines:
        asyncio.run(keeping(database, Clock(LONG_AFTER), {}).once())
    assert lines == []
    assert pruned(database) == 0


def test_what_is_old_enough_is_pruned_once_an_hour(database: Database) -> None:
    for minutes in (0, 0, 30):  # the last that is old enough stays
        new = replace(evaluation(NONE), at=AT + timedelta(minutes=minutes))
        database.write(partial(journal.record, evaluation=new))
    clock = Clock(AT + timedelta(days=29))
    keeper = keeping(database, clock)
    for minutes, through in ((0, 0), (24 * 60 + 1, 1), (59, 1), (1, 2)):
        clock.at += timedelta(minutes=minutes)
        asyncio.run(keeper.once())
        assert pruned(database) == through
    assert verify(database, "main").bad is None


def test_the_form_of_a_concluded_delivery_goes_within_a_day(database: Database) -> None:
    row = inbox.row("main", AT, "event", "ONCRMDEALUPDATE", "deal:1", None, b"event=X")
    database.write(lambda tx: inbox.add(tx, [row]))
    (before,) = inbox.received(database)
    database.write(lambda tx: inbox.conclude(tx, [before.id], "main-1"))
    clock = Clock(AT)
    keeper = keeping(database, clock)
    for hours, form in ((0, b"event=X"), (11, b"event=X"), (13, b"")):
        clock.at = AT + timedelta(hours=hours)
        asyncio.run(keeper.once())
        (after,) = inbox.received(database)
        assert (after.form, after.document) == (form, "deal:1")


def test_an_installation_message_goes_after_an_hour(database: Database) -> None:
    database.write(
        lambda tx: held_messages.hold(
            tx, "main", "digest", "sealed", AT, held_messages.Sender.ANYBODY
        )
    )
    clock = Clock(AT + timedelta(minutes=59))
    keeper = keeping(database, clock)

    def kept() -> int:
        return len(database.read(lambda conn: conn.execute(select(held_installations)).all()))

    asyncio.run(keeper.once())
    assert kept() == 1
    clock.at += timedelta(minutes=2)
    asyncio.run(keeper.once())
    assert kept() == 0


def test_alarms_of_a_portal_that_was_removed_go_a_day_after(database: Database) -> None:
    def alarm(portal: str) -> AlarmRecord:
        return AlarmRecord(portal=portal, kind="paused", about="", sentence="x", since=AT)

    def write(tx: Connection) -> None:
        alarm_records.write(tx, [alarm("main"), alarm("removed")])
        assert leases.claim(tx, "main", "this", 1e6)
        assert leases.claim(tx, "removed", "this", -1.0)

    def standing() -> dict[str, bool]:
        return {one.portal: one.ended_at is None for one in database.read(alarm_records.records)}

    database.write(write)
    clock = Clock(AT)
    keeper = keeping(database, clock)
    for hours, left in ((0, [True, False]), (23, [True, False]), (25, [True])):
        clock.at = AT + timedelta(hours=hours)
        asyncio.run(keeper.once())
        assert list(standing().values()) == left


def test_what_an_older_version_left_undone_is_finished_and_said(database: Database) -> None:
    (name,) = record(database, kill()).decisions
    new = [NewTelling(audience=Audience.TIMELINE, message="Stopped.")]

    def write(tx: Connection) -> None:
        journal.intend(tx, "main", name, AT, {})
        journal.conclude(tx, name, Outcome.KILLED, at=AT)
        tellings.write(tx, name, Kind.TELL, new, AT)  # as the older version left it: planned

    database.write(write)
    keeper = keeping(database, Clock(AT))
    with capture_logs() as lines:
        asyncio.run(keeper.once())
        asyncio.run(keeper.once())
    said = [line for line in lines if "an older version" in line["event"]]
    assert [(one["erased"], one["concluded"]) for one in said] == [(0, 1)]
    due = partial(tellings.due, portal="main", now=AT, most=10)
    assert [one.decision_id for one in database.read(due)] == [name]


def test_a_clock_that_steps_back_puts_nothing_off(database: Database) -> None:
    clock = Clock(LONG_AFTER + timedelta(days=1))
    keeper = keeping(database, clock)
    asyncio.run(keeper.once())
    record(database, NONE)
    record(database, NONE)
    clock.at = LONG_AFTER
    asyncio.run(keeper.once())
    assert pruned(database) == 1


def test_a_long_log_is_pruned_in_several_commits(database: Database) -> None:
    def write(tx: Connection) -> None:
        for n in range(1_200):
            journal.control(tx, "main", AT, {"n": n})

    database.write(write)
    with capture_logs() as lines:
        asyncio.run(keeping(database, Clock(LONG_AFTER)).once())
    (line,) = [each for each in lines if each["event"] == "the log was pruned"]
    assert (line["entries"], line["through"]) == (1_199, 1_199)
    assert verify(database, "main").entries == 3


def test_it_writes_nothing_under_a_lease_that_was_lost(database: Database) -> None:
    record(database, NONE)
    record(database, NONE)

    async def play() -> None:
        commits = SharedCommit(database)
        commits.start()
        lease = await commits.write(lambda tx: leases.claim(tx, "main", "one", 60.0))
        assert lease is not None
        write = fenced(commits, lease)
        await commits.write(lambda tx: leases.claim(tx, "main", "two", 60.0, force=True))
        with pytest.raises(LeaseLost):
            await write(lambda _tx: None)
        with capture_logs() as lines:
            await keeping(database, Clock(LONG_AFTER), {"main": write}).once()
        assert lines[-1]["event"] == "housekeeping was put off"
        await commits.close()

    asyncio.run(play())
    assert pruned(database) == 0


def test_it_prunes_under_a_lease_that_holds(database: Database) -> None:
    record(database, NONE)
    record(database, NONE)

    async def play() -> None:
        commits = SharedCommit(database)
        commits.start()
        lease = await commits.write(lambda tx: leases.claim(tx, "main", "one", 60.0))
        assert lease is not None
        driven = {"main": fenced(commits, lease)}
        await keeping(database, Clock(LONG_AFTER), driven).once()
        await commits.close()

    asyncio.run(play())
    assert pruned(database) == 1


def test_a_fault_of_ours_ends_nothing(database: Database) -> None:
    fill(database)

    async def broken(_work: Callable[[Connection], None]) -> None:
        raise RuntimeError("no")

    with capture_logs() as lines:
        asyncio.run(keeping(database, Clock(LONG_AFTER), {"main": broken}).once())
    assert [line["event"] for line in lines] == ["checkpoint", "housekeeping failed"]


def test_it_runs_until_it_is_cancelled(database: Database) -> None:
    async def play() -> None:
        running = asyncio.create_task(keeping(database, Clock(AT)).run())
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(play())
