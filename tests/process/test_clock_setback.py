"""A machine whose clock is set back while the real service runs in this process."""

import asyncio
import http.client
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from responder.bitrix24.sandbox import SandboxServer
from responder.journal.audit.integrity import check_log
from responder.journal.reading import decisions
from responder.service.app import Service, serving
from responder.settings import settings
from responder.store.database.database import Database
from tests.support.processes import (
    FORM,
    LOST_DEAL,
    TOKEN,
    Decision,
    event,
    eventually,
)
from tests.support.under_load import kills_asked_for, lost_deal


class Clock:
    """Our time, which somebody may set back."""

    def __init__(self) -> None:
        self.behind = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) - self.behind


def test_a_clock_that_steps_back_an_hour_stops_nothing(
    portal: SandboxServer, tmp_path: Path
) -> None:
    """Not even for the document that was judged this second, and rests."""
    (tmp_path / "rules.yaml").write_text(LOST_DEAL, encoding="utf-8")
    environment = {
        "RESPONDER_MODE": "enforce",
        "RESPONDER_PORTALS__MAIN__URL": portal.url,
        "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        "RESPONDER_RULES": str(tmp_path / "rules.yaml"),
        "RESPONDER_DATABASE_URL": f"sqlite:///{tmp_path / 'responder.db'}",
        "RESPONDER_PORT": "0",
        "RESPONDER_SWEEP_EVERY": "0",  # it may come before the event, which then finds nothing
    }
    clock = Clock()
    first = lost_deal(portal.sandbox, 759)

    async def play() -> list[Decision]:
        service = Service(settings.load(environment, env_file=None), now=clock)
        async with serving(service) as port:
            await ends(service, port, event("ONCRMDEALUPDATE", 759), first)
            clock.behind = timedelta(hours=1)
            for item_id in (759, 760):
                workflow_id = lost_deal(portal.sandbox, item_id)
                await ends(service, port, event("ONCRMDEALUPDATE", item_id), workflow_id)
            return await service.database.reading(lambda _: stops(service.database))

    async def ends(service: Service, port: int, body: str, workflow_id: str) -> None:
        assert await asyncio.to_thread(post, port, body) == 200
        await asyncio.to_thread(
            eventually, lambda: workflow_id in portal.sandbox.killed or None, seconds=5
        )
        await asyncio.to_thread(
            eventually,
            lambda: all(d["outcome"] == "killed" for d in stops(service.database)) or None,
        )

    # an event is too late where the look that verifies the stop before it found the workflow first
    def stops(database: Database) -> list[Decision]:
        return [decision for decision in made(database) if decision["action"] != "none"]

    assert len(asyncio.run(play())) == 3
    assert max(Counter(kills_asked_for(portal.sandbox)).values()) == 1
    database = Database(environment["RESPONDER_DATABASE_URL"])
    database.open()
    assert check_log(database)[1] == []
    database.close()


def made(database: Database) -> list[Decision]:
    return list(decisions.decisions(database))


def post(port: int, body: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/events", body, FORM)
        return connection.getresponse().status
    finally:
        connection.close()
