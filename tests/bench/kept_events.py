"""Measures what the events cost that a portal kept for its application: idle, and after a stop.

Run it as `python -m tests.bench.kept_events`. Idle, the application's portal is polled once a
second, so that a few seconds have as many polls as an hour has by the default. After a stop,
so many documents have changed, and the time counts from the start of the program until the last of
them is judged: once with a portal that can reserve rows, once with one that cannot.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.store.applications import installations
from responder.store.database.database import Database
from tests.bench.figures import Figure, show
from tests.bench.portals import lose_deals
from tests.support.installed import CHANGED, EXTENDED, SECRET_KEY, installation
from tests.support.processes import Running, eventually, write_rules
from tests.support.rounds import RULES

JUDGED_WITHIN_SECONDS = 10.0
CALLS_A_POLL = 1.05  # what is asked once an hour is asked in some of them
SETTLING_SECONDS = 3.0
WAYS = {"reserving": True, "without reserving": False}


@contextmanager
def portal(*, extended: bool) -> Iterator[SandboxServer]:
    """Serve a portal whose application has an event bound offline."""
    sandbox = Sandbox()
    sandbox.add_application().bindings.add(CHANGED)
    (sandbox.features.add if extended else sandbox.features.discard)(EXTENDED)
    with SandboxServer(sandbox) as server:
        yield server


def prepared(place: Path, server: SandboxServer) -> Running:
    """Give the program whose application is installed already."""
    application = server.sandbox.application
    if application is None:
        raise RuntimeError("the portal has no application")
    write_rules(place, RULES)
    environment = {
        "RESPONDER_MODE": "enforce",
        "RESPONDER_LOG_LEVEL": "warning",
        "RESPONDER_SWEEP_EVERY": "0",
        "RESPONDER_SECRET_KEY": SECRET_KEY,
        "RESPONDER_PORTALS__MAIN__DOMAIN": f"127.0.0.1:{server.port}",
        "RESPONDER_PORTALS__MAIN__CLIENT_ID": application.client_id,
        "RESPONDER_PORTALS__MAIN__CLIENT_SECRET": application.client_secret,
        "RESPONDER_PORTALS__MAIN__POLL_EVERY": "1s",
    }
    service = Running(place, environment, f"sqlite:///{place / 'responder.db'}")
    database = Database(service.database_url)
    database.open()
    database.migrate()
    found = installation(server, datetime.now(UTC) - timedelta(minutes=10))
    database.write(lambda tx: installations.pin(tx, found))
    database.close()
    return service


def _idle(polls: int) -> list[Figure]:
    """Measure how many requests a poll costs where nothing happens."""
    with tempfile.TemporaryDirectory() as folder, portal(extended=True) as server:
        service = prepared(Path(folder), server).start()
        try:
            time.sleep(SETTLING_SECONDS)  # what is asked once, at the start
            requests, began = server.sandbox.http_requests, time.monotonic()
            time.sleep(polls)
            spent = time.monotonic() - began
            requests = server.sandbox.http_requests - requests
        finally:
            service.end()
    return [
        Figure("idle application, polled each second: requests", requests, ""),
        Figure("  requests / poll", requests / spent, "x", at_most=CALLS_A_POLL),
    ]


def _after_a_stop(way: str, documents: int) -> list[Figure]:
    """Measure how soon all is judged that changed while the program was stopped."""
    with tempfile.TemporaryDirectory() as folder, portal(extended=WAYS[way]) as server:
        sandbox = server.sandbox
        service = prepared(Path(folder), server)
        lose_deals(sandbox, documents)
        for number in range(1, documents + 1):
            sandbox.happens(CHANGED, {"FIELDS": {"ID": number}}, user_id=7)
        service.start()
        began = time.monotonic()
        try:
            eventually(lambda: (not sandbox.workflows) or None, seconds=120)
            spent = time.monotonic() - began
        finally:
            service.end()
    return [
        Figure(
            f"{documents} changed while stopped, {way}: to the last kill",
            spent,
            "s",
            at_most=JUDGED_WITHIN_SECONDS,
        ),
        Figure("  requests", sandbox.http_requests, ""),
    ]


def measure(documents: int = 200, polls: int = 20) -> list[Figure]:
    """Measure both."""
    figures = _idle(polls)
    for way in WAYS:
        figures += _after_a_stop(way, documents)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--polls", type=int, default=20)
    given = parser.parse_args()
    show(measure(given.documents, given.polls))


if __name__ == "__main__":
    main()
