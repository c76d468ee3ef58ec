"""Telling a receiver: what is told, in which form, and how often."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from responder.adapters.package_texts import DOCS
from responder.journal import record as journal
from responder.journal.entries import NewDecision
from responder.journal.notices import outbox
from responder.journal.notices.outbox import Notice
from responder.journal.upkeep import erase
from responder.journal.upkeep.prune import prune
from responder.model import Action, Mode, Names, Outcome
from responder.service.notifier.webhook_sink import WebhookSink
from responder.settings.webhook_signature import keys_of
from responder.store import limits
from responder.store.database.database import Connection, Database
from responder.store.database.engines import StoreUnavailable
from responder.store.database.tables import notices
from responder.store.leases import LeaseLost
from tests.docs.texts import blocks
from tests.support.evaluations import AT, LATER, REVISION, kill, record, workflow
from tests.support.listener import SECRET, Answer, Listener
from tests.support.notified import DAY, World, conclude
from tests.support.processes import eventually

pytestmark = pytest.mark.portal


def trip(database: Database) -> None:
    def write(tx: Connection) -> None:
        limits.trip(tx, "main", "lost-deal", LATER, "8 condemned at once, per_hour is 5")
        why = {"control": "trip", "rule": "lost-deal", "why": "8 condemned at once, per_hour is 5"}
        journal.control(tx, "main", LATER, why)
        journal.control(tx, "main", LATER, {"control": "rearm", "rule": "lost-deal"})

    database.write(write)


def test_a_concluded_kill_is_told_once_and_signed(database: Database) -> None:
    with Listener() as listener:
        world = World(database, listener.url)
        name = conclude(database, Outcome.KILLED)
        world.go()
        world.go(after=DAY)
        (heard,) = listener.heard
    assert heard.is_signed()
    assert heard.path == "/hooks/path-secret-0001"
    assert heard.headers["content-type"] == "application/json"
    assert heard.headers["webhook-timestamp"] == str(int(LATER.timestamp()))
    assert heard.message == {
        "type": "workflow.killed",
        "timestamp": "2026-09-24T12:00:10.123Z",
        "data": {
            "decision": name,
            "portal": "main",
            "at": "2026-09-24T12:00:00.123Z",
            "document": ["crm", "CCrmDocumentDeal", "DEAL_759"],
            "about": "deal 759",
            "names": None,
            "workflow": {"id": "65e5a449e8f135.21284909", "template_id": "61"},
            "rule": "lost-deal",
            "because": "A lost deal needs no approval.",
            "action": "kill",
            "ruleset": REVISION,
            "outcome": "killed",
            "receipt": True,
            "link": f"/decisions/{name}",
        },
    }
    assert (world.count("sent"), world.waiting()) == (1, 0)


NAMED = replace(
    kill("named"),
    names=Names(
        title="Поставка", amount="52000", currency="RUB", template="Discount", starter="Анна П."
    ),
)


def test_a_message_says_by_names_what_it_is_about(database: Database) -> None:
    with Listener() as listener:
        world = World(database, listener.url)
        conclude(database, Outcome.KILLED, decision=NAMED)
        world.go()
        (heard,) = listener.heard
    data = heard.message["data"]
    assert heard.is_signed()
    assert data["about"] == "Discount on deal 759 «Поставка, 52,000 RUB», started by Анна П."
    assert data["names"] == {
        "title": "Поставка",
        "amount": "52000",
        "currency": "RUB",
        "template": "Discount",
        "starter": "Анна П.",
    }
    assert "erased" not in data


def test_what_is_erased_while_its_message_waits_is_not_sent(database: Database) -> None:
    with Listener(Answer(status=503)) as listener:
        world = World(database, listener.url)
        name = conclude(database, Outcome.KILLED, decision=NAMED)
        world.go()
        stored = database.read(lambda c: c.execute(select(notices.c.body)).scalar_one())
        facts = erase.find(database, name)
        database.write(lambda tx: erase.remove(tx, facts, by="me", at=LATER))
        world.go(after=DAY)
        first, second = listener.heard
    assert "Поставка" not in stored
    assert first.message["data"]["names"]["title"] == "Поставка"
    assert (first.message_id, second.is_signed()) == (second.message_id, True)
    data = second.message["data"]
    assert (data["about"], data["names"], data["erased"]) == ("deal 759", None, True)


def test_a_trip_is_told_and_a_rearm_is_not(database: Database) -> None:
    with Listener() as listener:
        world = World(database, listener.url)
        trip(database)
        world.go()
        (heard,) = listener.heard
    assert heard.message["type"] == "rule.tripped"
    assert heard.message["data"] == {
        "portal": "main",
        "rule": "lost-deal",
        "why": "8 condemned at once, per_hour is 5",
        "link": "/rules#lost-deal",
    }


OBSERVED = NewDecision(
    workflow=workflow("observed"),
    rule="lost-deal",
    action=Action.KILL,
    mode=Mode.OBSERVE,
    outcome=Outcome.WAITING,
    due_at=AT,
)


def test_what_ended_is_told_and_what_was_let_go_is_not(database: Database) -> None:
    with Listener() as listener:
        world = World(database, listener.url)
        for outcome in (Outcome.TERMINATED, Outcome.REFUSED, Outcome.GAVE_UP, Outcome.ALREADY_GONE):
            conclude(database, outcome, workflow_id=outcome)
        for outcome in (Outcome.CLEARED, Outcome.CANCELLED, Outcome.ALREADY_GONE):
            conclude(database, outcome, workflow_id=f"{outcome}, not called", calls=False)
        conclude(database, Outcome.GAVE_UP, decision=OBSERVED, calls=False)
        record(database, kill("would", Outcome.WOULD_KILL))
        world.go()
    assert sorted(listener.types()) == [
        "workflow.already_gone",
        "workflow.gave_up",
        "workflow.refused",
        "workflow.terminated",
    ]
    assert not any(b"secret" in heard.body or b"said" in heard.body for heard in listener.heard)


def test_what_happened_before_it_was_switched_on_is_not_told(database: Database) -> None:
    conclude(database, Outcome.KILLED, workflow_id="before")
    with Listener() as listener:
        world = World(database, listener.url)
        conclude(database, Outcome.KILLED, workflow_id="after")
        world.restart()  # and is told once, however often the program starts
        database.write(lambda tx: outbox.begin(tx, ["main"]))
        world.go()
        assert [heard.message["data"]["workflow"]["id"] for heard in listener.heard] == ["after"]


def test_what_another_process_has_told_is_not_told_again(database: Database) -> None:
    with Listener() as listener:
        first, second = World(database, listener.url), World(database, listener.url)
        record(database)  # an entry that is worth no message is read, and the position stays
        first.go()
        conclude(database, Outcome.KILLED, workflow_id="a")
        second.go()
        conclude(database, Outcome.KILLED, workflow_id="b")
        first.go()
        second.go()
        told = [heard.message["data"]["workflow"]["id"] for heard in listener.heard]
        assert told == ["a", "b"]


def test_entries_that_need_no_telling_are_read_once(database: Database) -> None:
    with Listener() as listener:
        world = World(database, listener.url)
        conclude(database, Outcome.CLEARED, calls=False)
        before = world.position()
        world.go()
        world.go()
        assert world.position() == before
        assert world.notifier._read_through["main"] == (before, before + 2)


def test_a_lost_lease_and_a_store_that_is_away_put_it_off(database: Database) -> None:
    async def lost(_work: Callable[[Connection], None]) -> None:
        raise LeaseLost("main")

    async def away(_work: Callable[[Connection], None]) -> None:
        raise StoreUnavailable("away")

    async def broken(_work: Callable[[Connection], None]) -> None:
        raise ZeroDivisionError

    with Listener() as listener:
        world = World(database, listener.url)
        conclude(database, Outcome.KILLED)
        with capture_logs() as lines:
            for write in (lost, away, broken):
                world.driven = {"main": write}
                assert asyncio.run(world.once()) is False
        assert listener.heard == []
        levels = [line["log_level"] for line in lines]
        assert levels == ["warning", "warning", "error"]
        world.driven = {"main": world.write}
        world.go()
        assert len(listener.heard) == 1


def test_a_portal_that_another_drives_by_now_holds_up_no_other(database: Database) -> None:
    async def lost(_work: Callable[[Connection], None]) -> None:
        raise LeaseLost("main")

    with Listener() as listener:
        world = World(database, listener.url)
        for portal in ("main", "other"):
            conclude(database, Outcome.KILLED, portal=portal, workflow_id="first")
        world.driven = {"main": lost, "other": world.write}
        world.go()
        assert [heard.message["data"]["portal"] for heard in listener.heard] == ["other"]
        assert world.count("sent") == 1


def test_a_lease_that_is_lost_while_telling_leaves_it_to_the_next_driver(
    database: Database,
) -> None:
    with Listener() as listener:
        world = World(database, listener.url)
        conclude(database, Outcome.KILLED)

        async def then_lost(work: Callable[[Connection], None]) -> None:
            if listener.heard:
                raise LeaseLost("main")
            await world.write(work)

        world.driven = {"main": then_lost}
        asyncio.run(world.once())
        world.restart()
        world.driven = {"main": world.write}
        world.go()
        assert len(listener.heard) == 2
        assert len({heard.message_id for heard in listener.heard}) == 1
        assert (world.count("sent"), world.waiting()) == (1, 0)


def test_it_runs_until_it_is_cancelled(database: Database) -> None:
    with Listener() as listener:
        world = World(database, listener.url)
        conclude(database, Outcome.KILLED)

        async def run() -> None:
            running = asyncio.create_task(world.notifier.run())
            await asyncio.to_thread(eventually, lambda: listener.heard or None)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

        asyncio.run(run())
        assert len(listener.heard) == 1


def test_what_was_pruned_before_it_was_sent_is_said(database: Database) -> None:
    with Listener() as listener:
        world = World(database, listener.url)
        first = conclude(database, Outcome.KILLED, workflow_id="a")
        conclude(database, Outcome.KILLED, workflow_id="b")
        database.write(lambda tx: prune(tx, "main", LATER + DAY, LATER + DAY, most=3))
        lines = world.go()
        assert len(listener.heard) == 1
    (line,) = [each for each in lines if "pruned" in str(each["event"])]
    assert (line["first"], line["last"]) == (1, 3)
    assert first == "main-1-1"


def test_an_outcome_whose_decision_was_pruned_is_told_with_what_is_left(
    database: Database,
) -> None:
    with Listener() as listener:
        world = World(database, listener.url)
        name = conclude(database, Outcome.KILLED)
        database.write(lambda tx: prune(tx, "main", LATER + DAY, LATER + DAY, most=2))
        world.go()
        (heard,) = listener.heard
    assert heard.message["data"]["decision"] == name
    assert heard.message["data"]["workflow"] is None
    assert (heard.message["data"]["about"], heard.message["data"]["names"]) == (None, None)
    assert heard.message["data"]["outcome"] == "killed"


def test_an_id_is_another_in_another_chain(database: Database) -> None:
    with Listener() as listener:
        world = World(database, listener.url)
        world.driven = {"main": world.write, "other": world.write}
        for portal in ("main", "other"):
            conclude(database, Outcome.KILLED, portal=portal)
        world.go()
        ids = {heard.message_id for heard in listener.heard}
    assert len(ids) == 2
    assert all(one.startswith("msg_") and "." not in one for one in ids)


def test_the_documented_code_accepts_what_is_sent_and_nothing_else() -> None:
    (code,) = blocks(DOCS.text("notifications"), "python")
    there: dict[str, Any] = {}
    exec(code, there)  # noqa: S102 -- it is our own, and people copy it
    notice = Notice(portal="main", seq=1, message_id="msg_1", body='{"type":"x"}', at=AT)
    with Listener() as listener:
        receiver = WebhookSink(listener.url, keys_of(SECRET))

        async def tell() -> None:
            for at in (datetime.now(UTC), datetime.now(UTC) - timedelta(minutes=6)):
                await receiver.send(notice, at)
            await receiver.close()

        asyncio.run(tell())
        fresh, stale = listener.heard
    assert there["verify"](SECRET, fresh.headers, fresh.body) == "msg_1"
    for headers, body in ((fresh.headers, fresh.body + b" "), (stale.headers, stale.body)):
        with pytest.raises(ValueError, match="not from responder"):
            there["verify"](SECRET, headers, body)


def test_a_long_chain_is_read_a_piece_at_a_time(database: Database) -> None:
    def write(tx: Connection) -> None:
        for _ in range(30):
            journal.control(tx, "main", LATER, {"control": "pause"})

    database.write(write)
    told, through = database.read(lambda c: outbox.read_notices(c, "main", 5, 30))
    assert (told, through) == ([], 30)
    name = conclude(database, Outcome.KILLED)
    (notice,), through = database.read(lambda c: outbox.read_notices(c, "main", through, 33))
    assert (notice.seq, through) == (33, 33)
    assert name in notice.body
    _, through = database.read(lambda c: outbox.read_notices(c, "main", 0, 2 * outbox.SPAN))
    assert through == outbox.SPAN
