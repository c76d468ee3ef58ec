"""Keeps the real program under load, kills it, and says what must hold of what it left behind.

Every event has a number, which stands in its body. An event of a lost deal comes with a workflow of
its own (unless many run already), whose id says the number, so that afterwards every stored
delivery can be held against what the portal saw, one by one.
"""

import http.client
import itertools
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from sqlalchemy import Connection, text

from responder.bitrix24 import payload
from responder.bitrix24.sandbox import Sandbox
from responder.bitrix24.sandbox.portal import SandboxCall
from responder.journal import open_stops
from responder.store.database.database import Database
from responder.store.inbox import inbox
from tests.support.processes import Running, event, eventually

DEAL = ("crm", "CCrmDocumentDeal")
KILL = "bizproc.workflow.kill"
LOST_DEALS = range(1, 41)
OPEN_DEALS = range(101, 111)
SENDERS = 8
SHARED_WITH_OPEN = 5  # of so many events one is of an open deal, and one of what no rule names
LONGEST_LIFE_SECONDS = 1.6
MOST_RUNNING = 120  # a backlog would say more of the portal's speed than of the program
RULES = """\
version: 1
rules:
  - id: lost-deal
    mode: enforce
    when: [deal.updated]
    if: {deal.stage_semantic_id: F, workflow.template_id: 61}
    then: kill
    limit: {per_hour: 1000000, per_document: 1000000}
"""
# What strikes now and then under load. Whether the kill was carried out is in doubt after each.
FAULTS = ("act_then_drop", "act_then_500", "act_then_hang", "drop_before", "hang", "503_limit")
QUICK = {
    "RESPONDER_PORTALS__MAIN__REQUESTS_PER_SECOND": "1000",
    "RESPONDER_PORTALS__MAIN__BURST": "10000",
}


class WatchedCalls(list[SandboxCall]):
    """The calls a portal saw, and those that asked it to kill what was already gone."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self._sandbox = sandbox
        self.too_late: list[str] = []

    def append(self, call: SandboxCall) -> None:
        """Note a call; the sandbox holds its lock meanwhile, and has not carried it out yet."""
        if call.method == KILL and str(call.params["ID"]) not in self._sandbox.workflows:
            self.too_late.append(str(call.params["ID"]))
        super().append(call)


def lost_deal(sandbox: Sandbox, item_id: int, workflow_id: str | None = None) -> str:
    """Lose a deal with a workflow on it that is condemned for it; return the workflow's id."""
    sandbox.add_item(2, item_id, stageSemanticId="F")
    return sandbox.start_workflow((*DEAL, f"DEAL_{item_id}"), 61, id=workflow_id)


def kills_asked_for(sandbox: Sandbox) -> list[object]:
    """Return the ids of the workflows whose kill was asked for, in order."""
    return [call.params["ID"] for call in sandbox.calls_of(KILL)]


def portal_with_deals() -> tuple[Sandbox, WatchedCalls]:
    """Make a portal with lost deals, and with open ones that each have an innocent workflow."""
    sandbox = Sandbox(kind="on_premise")  # where many run on one deal
    sandbox.answer_seconds = 0.0005  # so that a call is done some time before its answer arrives
    watched = WatchedCalls(sandbox)
    sandbox.calls = watched
    for item_id in LOST_DEALS:
        sandbox.add_item(2, item_id, stageSemanticId="F")
        sandbox.start_workflow((*DEAL, f"DEAL_{item_id}"), 7)
    for item_id in OPEN_DEALS:
        sandbox.add_item(2, item_id, stageSemanticId="P")
        sandbox.start_workflow((*DEAL, f"DEAL_{item_id}"), 61)
    return sandbox, watched


def workflow_id(number: int) -> str:
    """Name the workflow that an event's number condemns."""
    return f"65e5a449e8f135.{number:08d}"


class Receives(Protocol):
    """One program, or several behind a balancer."""

    def post(self, body: str | bytes, path: str = ...) -> int:
        """Send a delivery and return the status."""


class Load:
    """Senders that post events as long as they are told to, and what was answered."""

    def __init__(self, service: Receives, sandbox: Sandbox, *, pause_seconds: float) -> None:
        self.acknowledged: set[int] = set()
        self.unanswered: set[int] = set()
        self.condemned: set[int] = set()
        self._service = service
        self._sandbox = sandbox
        self._pause_seconds = pause_seconds
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Send within this block."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in self._threads:
                thread.join()

    def _send(self) -> None:
        while not self._ended.wait(self._pause_seconds):
            with self._lock:
                number = next(self._numbers)
            body = self._body(number)
            acknowledged = None
            while acknowledged is None and not self._ended.is_set():
                acknowledged = self._acknowledged(body)
            if acknowledged is not None:
                with self._lock:
                    (self.acknowledged if acknowledged else self.unanswered).add(number)

    def _acknowledged(self, body: str) -> bool | None:
        """Post; return whether the answer was 200, None where nobody listened."""
        try:
            return self._service.post(body) == 200
        except ConnectionRefusedError:
            time.sleep(0.02)
            return None
        except (OSError, http.client.HTTPException):
            return False

    def _body(self, number: int) -> str:
        if number % SHARED_WITH_OPEN == 0:
            return event("ONCRMDEALUPDATE", OPEN_DEALS[number % len(OPEN_DEALS)], ts=number)
        if number % SHARED_WITH_OPEN == 1:
            return event("ONCRMCONTACTADD", 1 + number % 9, ts=number)
        item_id = LOST_DEALS[number % len(LOST_DEALS)]
        if len(self._sandbox.workflows) < MOST_RUNNING:
            self._sandbox.start_workflow((*DEAL, f"DEAL_{item_id}"), 61, id=workflow_id(number))
            self.condemned.add(number)
        return event("ONCRMDEALUPDATE", item_id, ts=number)


def launch(service: Running) -> None:
    """Start the program without waiting until it receives."""
    service.launch(*service.program)


class Crashes:
    """Kills the program, and lets time pass while it is down.

    A lease that ends after four seconds, and a call that the portal cuts off after sixty, would
    cost a test that time. So the instants that the dead program left are set back instead. The log
    vouches for one of them, when a call was made: `put_back` gives it its own value again.
    """

    def __init__(self, service: Running) -> None:
        self._service = service
        self._called: dict[tuple[int, int], tuple[int, int]] = {}

    def crash(self, *, seconds: int = 5) -> None:
        """Kill the program; it stays away for so long."""
        self._service.end(signal.SIGKILL)
        with opened(self._service) as database:
            if database.read(_has_tables):
                database.write(partial(self._move, micros=seconds * 1_000_000))

    def _move(self, tx: Connection, micros: int) -> None:
        doubted = "SELECT seq, n, called_at FROM decisions WHERE outcome = 'in_doubt'"
        for seq, n, called_at in tx.execute(text(doubted)).all():
            moved, true = self._called.get((seq, n), (called_at, called_at))
            is_new = moved != called_at  # it was called again since
            self._called[seq, n] = (called_at - micros, called_at if is_new else true)
        for statement in (
            "UPDATE leases SET expires_at = expires_at - :micros",
            "UPDATE looks SET due_at = due_at - :micros",
            "UPDATE decisions SET due_at = due_at - :micros, verify_at = verify_at - :micros",
            "UPDATE decisions SET called_at = called_at - :micros WHERE outcome = 'in_doubt'",
        ):
            tx.execute(text(statement), {"micros": micros})

    def put_back(self) -> None:
        """Give the calls that were set back, and are still the newest, their own instants."""
        statement = text(
            "UPDATE decisions SET called_at = :true"
            " WHERE seq = :seq AND n = :n AND called_at = :moved"
        )
        with opened(self._service) as database:
            for (seq, n), (moved, true) in self._called.items():
                values = {"true": true, "seq": seq, "n": n, "moved": moved}
                database.write(lambda tx, values=values: tx.execute(statement, values))  # type: ignore[misc]


def kill_again_and_again(
    crashes: Crashes, service: Running, sandbox: Sandbox, *, kills: int, chance: random.Random
) -> None:
    """Kill the program, which runs, at random moments, and start it between them.

    In the end it is down, and the time of a call has passed.
    """
    for _ in range(kills - 1):
        time.sleep(chance.uniform(0.0, LONGEST_LIFE_SECONDS))
        crashes.crash()
        if chance.random() < 0.25:
            launch(service)
            time.sleep(chance.uniform(0.0, 0.5))  # it is killed while it starts
        else:
            service.start()
        if chance.random() < 0.5:
            sandbox.fail_next(KILL, chance.choice(FAULTS))
    crashes.crash(seconds=76)
    with sandbox.lock:
        sandbox.faults.clear()


def _has_tables(conn: Connection) -> bool:
    """Tell whether the program lived long enough to make its tables."""
    return conn.dialect.has_table(conn, "looks")


def is_done(conn: Connection) -> bool:
    """Tell whether nothing waits and no stop is open."""
    return not inbox.depth(conn) and not open_stops.open_stops(conn, "main")


def settle(
    service: Running, *, seconds: float, done: Callable[[Connection], bool] = is_done
) -> None:
    """Start the program once more, and wait until nothing is left to do."""
    service.start()
    with opened(service) as database:
        eventually(lambda: database.read(done) or None, seconds=seconds, why=lambda: tail(service))


def tail(service: Running) -> str:
    """Return the end of what the program said."""
    return service.log.read_text()[-3000:]


def numbers_of(url: str) -> set[int]:
    """Return the numbers of the events that a database holds."""
    database = Database(url)
    database.open()
    found = set()
    for delivery in inbox.received(database):
        number = payload.event(delivery.form)["ts"]
        assert isinstance(number, str)
        found.add(int(number))
    database.close()
    return found


@contextmanager
def opened(service: Running) -> Iterator[Database]:
    """Open the program's database beside it."""
    database = Database(service.database_url)
    database.open()
    try:
        yield database
    finally:
        database.close()
