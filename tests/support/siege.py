"""Kills the program again and again under load, lets it finish, and reads what it left behind."""

import json
import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, select

from responder.bitrix24 import payload
from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.journal import open_stops
from responder.journal.audit.integrity import check_log
from responder.journal.reading import decisions as log
from responder.model import Outcome
from responder.store.database.database import Database
from responder.store.database.tables import entries
from responder.store.inbox import inbox
from tests.support import under_load
from tests.support.processes import Decision, running
from tests.support.under_load import KILL, QUICK, Crashes, Load, WatchedCalls


@dataclass(frozen=True, slots=True)
class Left:
    """What stands in the database in the end: deliveries by their number, decisions, intents."""

    evaluations: dict[int, str | None]
    stored: int
    decisions: list[Decision]
    intents: dict[str, list[datetime]]


@dataclass(frozen=True, slots=True)
class Siege:
    """What was sent, seen and left; `wrong` is what the log says against itself."""

    load: Load
    sandbox: Sandbox
    calls: WatchedCalls
    left: Left
    wrong: list[str]

    @property
    def lost(self) -> set[int]:
        """Return the events that were acknowledged and are not stored, by their numbers."""
        return self.load.acknowledged - set(self.left.evaluations)

    @property
    def killed_again(self) -> list[str]:
        """Return what was killed twice, or was gone when it was asked for once more."""
        twice = [one for one, count in Counter(self.sandbox.killed).items() if count > 1]
        return twice + self.calls.too_late

    def __str__(self) -> str:
        """Say how much was under way, and how often a crash left a call in doubt."""
        unseen = sum(one["receipt"] is False for one in self.left.decisions)
        again = sum(len(times) - 1 for times in self.left.intents.values())
        return (
            f"{len(self.load.acknowledged)} acknowledged, {len(self.load.unanswered)} cut off, "
            f"{len(self.sandbox.killed)} killed: {unseen} without a receipt, "
            f"{again} intended again"
        )


def besiege(
    place: Path, database_url: str, *, kills: int, seed: int, per_hour: int | None = None
) -> Siege:
    """Kill the program so often at random moments; with `per_hour`, its rule has that limit."""
    sandbox, calls = under_load.portal_with_deals()
    rules, done = under_load.RULES, under_load.is_done
    if per_hour is not None:
        rules, done = rules.replace("per_hour: 1000000", f"per_hour: {per_hour}"), _rests
    with (
        SandboxServer(sandbox) as server,
        running(place, server.url, rules=rules, database_url=database_url, **QUICK) as service,
    ):
        load = Load(service, sandbox, pause_seconds=0.002)
        with load.under_way():
            chance = random.Random(seed)  # noqa: S311
            crashes = Crashes(service)
            under_load.kill_again_and_again(crashes, service, sandbox, kills=kills, chance=chance)
        under_load.settle(service, seconds=60, done=done)
        crashes.put_back()
        with under_load.opened(service) as database:
            return Siege(load, sandbox, calls, what_is_left(database), check_log(database)[1])


def _rests(conn: Connection) -> bool:
    """Tell whether nothing waits, and every open stop is held by the limit."""
    stops = open_stops.open_stops(conn, "main")
    return not inbox.depth(conn) and all(one.outcome is Outcome.HELD for one in stops)


def what_is_left(database: Database) -> Left:
    """Read everything."""
    evaluations: dict[int, str | None] = {}
    stored = 0
    for delivery in inbox.received(database):
        number = payload.event(delivery.form)["ts"]
        assert isinstance(number, str)
        evaluations[int(number)] = delivery.evaluation
        stored += 1
    intents: dict[str, list[datetime]] = {}
    query = select(entries.c.body, entries.c.at).where(entries.c.kind == "intent")
    for body, at in database.read(lambda conn: conn.execute(query.order_by(entries.c.seq)).all()):
        intents.setdefault(json.loads(body)["workflow_id"], []).append(at)
    return Left(evaluations, stored, list(log.decisions(database)), intents)


def not_intended(left: Left, sandbox: Sandbox) -> list[str]:
    """Return what was called before an intent of that call's own was committed."""
    calls: dict[str, list[datetime]] = {}
    for call in sandbox.calls_of(KILL):
        at = datetime.fromtimestamp(call.at, UTC)
        calls.setdefault(str(call.params["ID"]), []).append(at)
    assert set(sandbox.killed) <= set(calls)
    return [
        called
        for called, times in calls.items()
        for count, at in enumerate(times, start=1)  # a crash can leave an intent without a call
        if sum(intent <= at for intent in left.intents.get(called, [])) < count
    ]
