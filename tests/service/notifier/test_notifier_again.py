"""Telling a receiver that fails: what is tried again, when, and what is given up."""

import asyncio
import json
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from structlog.testing import capture_logs

from responder.journal.notices.outbox import Notice
from responder.model import Outcome
from responder.service.notifier.notifier import AGAIN_AFTER, next_try
from responder.service.notifier.webhook_sink import AT_ONCE, SendResult
from responder.store.database.database import Database
from tests.support.evaluations import AT, LATER
from tests.support.listener import Answer, Listener
from tests.support.notified import DAY, World, conclude
from tests.support.sqlite_first import migrated_url as migrated_url

pytestmark = pytest.mark.portal

BUSY = Answer(status=503)


def test_a_message_is_tried_again_under_the_same_id_with_a_new_signature(
    database: Database,
) -> None:
    with Listener(Answer(status=500, body=b"no"), Answer(status=200, body=b"ok")) as listener:
        world = World(database, listener.url)
        conclude(database, Outcome.KILLED)
        lines = world.go()
        world.restart()
        world.go(after=timedelta(seconds=4))
        assert len(listener.heard) == 1
        world.go(after=timedelta(seconds=2))
        first, second = listener.heard
    assert first.message_id == second.message_id
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) == int(first.headers["webhook-timestamp"]) + 6
    assert second.is_signed()
    (line,) = [each for each in lines if each["event"] == "a notification was not accepted"]
    assert (line["why"], line["host"], line["tries"]) == ("answered 500", "127.0.0.1", 1)
    assert "path-secret" not in json.dumps(lines, default=str)
    assert (world.count("failed"), world.count("sent")) == (1, 1)


def test_one_that_is_refused_keeps_no_other_waiting(database: Database) -> None:
    with Listener(Answer(status=400)) as listener:
        world = World(database, listener.url)
        for number in range(20):
            conclude(database, Outcome.KILLED, workflow_id=str(number))
        world.go()
        assert len({heard.message_id for heard in listener.heard}) == 20
        assert world.waiting() == 1


def test_it_is_given_up_after_ten_tries_over_three_days(database: Database) -> None:
    with Listener(always=Answer(status=404)) as listener:
        world = World(database, listener.url)
        conclude(database, Outcome.KILLED)
        lines = world.go()
        for wait in AGAIN_AFTER:
            assert world.waiting() == 1
            lines = world.go(after=wait * 1.1)
        assert len(listener.heard) == 10
        assert world.waiting() == 0
    (line,) = [each for each in lines if each["event"] == "a notification was given up"]
    assert (line["log_level"], line["tries"]) == ("error", 10)
    assert (world.count("failed"), world.count("given_up")) == (10, 1)
    assert timedelta(days=3) < sum(AGAIN_AFTER, timedelta(0)) < timedelta(days=4)


def test_what_is_older_than_four_days_is_given_up_and_counted(database: Database) -> None:
    with Listener(always=BUSY) as listener:
        world = World(database, listener.url)
        conclude(database, Outcome.KILLED, workflow_id="tried")
        world.go()
        world.driven = {}
        conclude(database, Outcome.KILLED, workflow_id="never read")
        world.at += 4 * DAY + timedelta(seconds=1)
        assert world.go() == []  # another drives
        world.driven = {"main": world.write}
        lines = world.go()
        assert len(listener.heard) == 1
    told = [line for line in lines if "older than four days" in str(line["event"])]
    assert [line["count"] for line in told] == [1, 1]
    assert (world.count("given_up"), world.waiting()) == (2, 0)


def test_410_ends_it_until_the_program_is_started_again(database: Database) -> None:
    with Listener(Answer(status=410)) as listener:
        world = World(database, listener.url)
        conclude(database, Outcome.KILLED, workflow_id="a")
        lines = world.go()
        conclude(database, Outcome.KILLED, workflow_id="b")
        world.go(after=DAY)
        assert len(listener.heard) == 1
        assert world.waiting() == 2
        assert any("wants no more" in str(line["event"]) for line in lines)
        world.restart()
        world.go()
        assert len({heard.message_id for heard in listener.heard}) == 2
        assert world.waiting() == 0


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("dated", [False, True])
def test_it_waits_as_long_as_it_is_asked_to(
    database: Database, status: int, *, dated: bool
) -> None:
    until = (LATER + timedelta(seconds=120)).replace(microsecond=0)
    wait = format_datetime(until, usegmt=True) if dated else "120"
    with Listener(Answer(status=status, headers=(("Retry-After", wait),))) as listener:
        world = World(database, listener.url)
        conclude(database, Outcome.KILLED, workflow_id="a")
        world.go()
        conclude(database, Outcome.KILLED, workflow_id="b")
        world.go(after=timedelta(seconds=119))
        assert len(listener.heard) == 1
        world.go(after=timedelta(seconds=2))
        assert len(listener.heard) == 3


@pytest.mark.parametrize(
    "header",
    [
        "soon",
        "-5",
        "Thu, 99 Foo",
        "Mon, 01 Jan 99999999999 00:00:00 GMT",
        "Mon, 01 Jan 2026 00:00:00 +99999999999999",
    ],
)
def test_a_wait_that_cannot_be_read_is_none(database: Database, header: str) -> None:
    with Listener(Answer(status=500, headers=(("Retry-After", header),))) as listener:
        world = World(database, listener.url)
        conclude(database, Outcome.KILLED)
        world.go()
        world.go(after=timedelta(seconds=6))
        assert len(listener.heard) == 2


def test_a_receiver_that_ails_is_asked_for_one_message_at_a_time(database: Database) -> None:
    with Listener(always=BUSY) as listener:
        world = World(database, listener.url)
        for number in range(30):
            conclude(database, Outcome.KILLED, workflow_id=str(number))
        world.go()
        assert len(listener.heard) == AT_ONCE
        world.go(after=timedelta(seconds=3))
        assert len(listener.heard) == AT_ONCE + 1
        world.go(after=timedelta(seconds=3))  # its rest grows
        assert len(listener.heard) == AT_ONCE + 1
        listener.always = Answer()
        world.go(after=timedelta(seconds=60))
        world.go(after=timedelta(minutes=6))
        assert world.waiting() == 0


def test_a_clock_that_is_set_back_does_not_lengthen_the_rest(database: Database) -> None:
    with Listener(BUSY) as listener:
        world = World(database, listener.url)
        conclude(database, Outcome.KILLED, workflow_id="a")
        world.go()
        world.at -= timedelta(hours=1)
        conclude(database, Outcome.KILLED, workflow_id="b", at=world.at)
        world.go()
        assert len(listener.heard) == 2


def test_a_huge_answer_is_not_read(database: Database) -> None:
    with Listener(always=Answer(status=200, body=b"x" * (1 << 22))) as listener:
        world = World(database, listener.url)
        for number in range(3):
            conclude(database, Outcome.KILLED, workflow_id=str(number))
        world.go()
        assert world.count("sent") == 3


def test_a_slow_receiver_is_not_one_that_fails(database: Database) -> None:
    with Listener(always=Answer(hangs=2)) as listener:
        world = World(database, listener.url)
        for number in range(AT_ONCE):
            conclude(database, Outcome.KILLED, workflow_id=str(number))
        world.go()
        assert (world.count("sent"), world.count("failed")) == (AT_ONCE, 0)


def test_a_redirect_is_not_followed(database: Database) -> None:
    with (
        Listener() as elsewhere,
        Listener(Answer(status=307, headers=(("Location", elsewhere.url),))) as listener,
    ):
        world = World(database, listener.url)
        conclude(database, Outcome.KILLED)
        world.go()
        assert (len(listener.heard), elsewhere.heard) == (1, [])
        assert world.count("failed") == 1


def test_one_that_hangs_and_one_that_is_not_there_have_failed(database: Database) -> None:
    with Listener(Answer(hangs=5)) as listener:
        world = World(database, listener.url, answer_seconds=0.2)
        conclude(database, Outcome.KILLED)
        (line,) = [each for each in world.go() if "not accepted" in str(each["event"])]
        assert line["why"] == "no answer in time"
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    world.url = f"http://127.0.0.1:{port}/hooks/path-secret-0001"
    world.restart()
    (line,) = [each for each in world.go(after=DAY) if "not accepted" in str(each["event"])]
    assert str(line["why"]).startswith("no connection: ")


def test_a_connection_that_breaks_has_failed_and_says_no_secret(database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def breaks() -> None:
            connection, _ = server.accept()
            connection.recv(1 << 16)
            connection.close()

        world = World(database, f"http://127.0.0.1:{port}/hooks/path-secret-0001")
        conclude(database, Outcome.KILLED)

        async def both() -> None:
            await asyncio.gather(asyncio.to_thread(breaks), world.once())

        with capture_logs() as lines:
            asyncio.run(both())
    (line,) = lines
    assert str(line["why"]).startswith("the connection broke")
    assert "path-secret" not in repr(world.notifier._receiver)


def test_messages_do_not_come_back_all_at_once() -> None:
    def notice(tries: int, ends: str) -> Notice:
        return Notice(portal="main", seq=1, message_id=f"msg_{ends}", body="", at=AT, tries=tries)

    now = datetime(2026, 9, 24, tzinfo=UTC)
    assert next_try(notice(0, "00"), SendResult(), now) == now + timedelta(seconds=5)
    assert next_try(notice(0, "ff"), SendResult(), now) == now + timedelta(seconds=5.5)
    assert next_try(notice(0, "ff"), SendResult(wait=DAY), now) == now + DAY
    assert next_try(notice(len(AGAIN_AFTER), "00"), SendResult(), now) is None


@pytest.mark.parametrize("host", ["xn--", "a" * 70 + ".example"])
def test_an_address_that_cannot_be_asked_has_failed(database: Database, host: str) -> None:
    world = World(database, f"https://{host}/hook")
    conclude(database, Outcome.KILLED)
    world.go()
    assert world.waiting() == 1
