"""What the one who runs it does: pause, resume, rearm; and the state of everything at a glance.

These act on rows, in a transaction of their own, so they work on a service that runs elsewhere, on
every replica, and through restarts. Each leaves an entry in the chain of every portal concerned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.model import Outcome
from responder.rules.ruleset import Ruleset
from responder.settings import Settings
from responder.store import inbox, journal, lanes, limits, runs
from responder.store.database import Connection, Database
from responder.store.journal import Stop

HOUR = timedelta(hours=1)


class UnknownRule(Exception):  # noqa: N818 - it says what is wrong with the question
    """There is no such rule, nor anything that it holds."""


def _run_again(tx: Connection, portal: str, rule: str, by: str, at: datetime) -> int:
    """Have what a run condemned looked for by another run, for it is one set."""
    held = limits.held_by_run(tx, portal, rule)
    for decision_id in held:
        detail = "rearmed: looked for afresh by another run"
        journal.conclude(tx, decision_id, Outcome.CLEARED, at=at, detail=detail)
    if held:
        runs.ask(tx, portal, rule=rule, observe=False, by=by, at=at)
    return len(held)


class UnderWay(Exception):  # noqa: N818 - it says a state, not a mistake
    """The call of a decision may have been made: it is too late to cancel it."""


def pause(database: Database, portals: Sequence[str], *, by: str, at: datetime) -> bool:
    """Stop all new calls. Return False where everything was paused already."""

    def work(tx: Connection) -> bool:
        if not limits.pause(tx, at, by):
            return False
        for portal in portals:
            journal.control(tx, portal, at, {"control": "pause", "by": by})
        return True

    return database.write(work)


def under_way(database: Database, portals: Sequence[str]) -> list[Stop]:
    """Return the calls whose intent is committed and whose outcome is not known yet."""

    def read(conn: Connection) -> list[Stop]:
        return [stop for portal in portals for stop in journal.in_doubt(conn, portal)]

    return database.read(read)


def resume(database: Database, portals: Sequence[str], *, by: str, at: datetime) -> int | None:
    """Allow calls again; return how many stops are judged afresh, None where nothing was paused."""

    def work(tx: Connection) -> int | None:
        freed = limits.resume(tx, at)
        if freed is not None:
            for portal in portals:
                journal.control(tx, portal, at, {"control": "resume", "by": by})
        return freed

    return database.write(work)


def rearm(
    database: Database,
    portals: Sequence[str],
    rule: str,
    *,
    known: Sequence[str],
    by: str,
    at: datetime,
) -> int:
    """Forgive a rule what it did and have what it held judged afresh; return how much that is."""

    def work(tx: Connection) -> int:
        holding = {name for portal in portals for name in limits.holding(tx, portal)}
        if rule not in known and rule not in holding:
            raise UnknownRule(rule)
        freed = 0
        for portal in portals:
            freed += limits.rearm(tx, portal, rule, at) + _run_again(tx, portal, rule, by, at)
            journal.control(tx, portal, at, {"control": "rearm", "rule": rule, "by": by})
        return freed

    return database.write(work)


def cancel(database: Database, decision_id: str, *, by: str, at: datetime) -> None:
    """Conclude a decision that waits or is held, so that nothing comes of it.

    Raise NotOpen where it is settled or there is none, UnderWay where its call may have been made.
    """

    def work(tx: Connection) -> None:
        stop = journal.open_stop(tx, decision_id)
        if stop.outcome is Outcome.IN_DOUBT:
            raise UnderWay(decision_id)
        journal.conclude(tx, decision_id, Outcome.CANCELLED, at=at, detail=f"cancelled by {by}")
        body = {"control": "cancel", "decision": decision_id, "by": by}
        journal.control(tx, stop.portal, at, body)

    database.write(work)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state of everything. `rules` and `portals` are as `--json` prints them."""

    mode: str
    paused: Mapping[str, str] | None
    ruleset: str
    rules: Sequence[Mapping[str, object]]
    portals: Mapping[str, Mapping[str, object]]


def status(database: Database, settings: Settings, ruleset: Ruleset, now: datetime) -> Status:
    """Read the state of everything in one short transaction."""

    def read(conn: Connection) -> Status:
        paused = limits.paused(conn)
        return Status(
            mode=settings.mode.value,
            paused=None if paused is None else {"since": instant(paused[0]), "by": paused[1]},
            ruleset=ruleset.revision,
            rules=_rules(conn, settings, ruleset, now),
            portals=_portals(conn, settings, now),
        )

    return database.read(read)


def _rules(
    conn: Connection, settings: Settings, ruleset: Ruleset, now: datetime
) -> list[Mapping[str, object]]:
    tripped = {(trip.portal, trip.rule): trip for trip in limits.tripped(conn)}
    told: list[Mapping[str, object]] = []
    for rule in ruleset.rules:
        for portal in sorted(settings.portals):
            if not rule.acts or (rule.portals is not None and portal not in rule.portals):
                continue
            trip = tripped.get((portal, rule.id))
            told.append(
                {
                    "portal": portal,
                    "rule": rule.id,
                    "action": rule.then.value,
                    "mode": rule.mode.value if rule.mode else None,
                    "disabled": rule.disabled,
                    "tripped": None if trip is None else trip.why,
                    "stopped_last_hour": limits.acted(conn, portal, rule.id, now - HOUR),
                    "would_have_last_hour": limits.would_have(conn, portal, rule.id, now - HOUR),
                    "per_hour": rule.limit.per_hour,
                    "per_document": rule.limit.per_document,
                }
            )
    return told


def _portals(
    conn: Connection, settings: Settings, now: datetime
) -> dict[str, Mapping[str, object]]:
    depth = inbox.depth(conn)
    told: dict[str, Mapping[str, object]] = {}
    for name in sorted(settings.portals):
        count, oldest = depth.get(name, (0, now))
        breakers = {row.method: row.code for row in lanes.breakers(conn, name)}
        heard = inbox.last_received(conn, name)
        swept = runs.last(conn, name).get("sweep")
        told[name] = {
            "driver": lanes.driver(conn, name),
            "waiting": count,
            "oldest_age_seconds": max(0.0, (now - oldest).total_seconds()),
            "held": limits.held(conn, name),
            "breaker": breakers.pop("", None),
            "methods": breakers,
            "last_event_at": None if heard is None else instant(heard),
            "last_sweep_at": None if swept is None else instant(swept),
        }
    return told


def instant(at: datetime) -> str:
    """Write an instant as everything printed has it: UTC, milliseconds, `Z`."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
