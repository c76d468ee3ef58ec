"""Carries out an operator's orders (pause, resume, rearm, cancel, approve); reads the status.

The stops that wait for approval are `approvals.pending(conn, portals, like=None)`; `approve` gets
the ids that a person was shown, and returns for each that could not be approved why. All of these
write rows, in a transaction of their own, so they work on a service that runs elsewhere, on every
replica, and through restarts. Each writes an entry in the chain of every portal concerned.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from responder.journal import approvals, chain, open_stops
from responder.journal import record as journal
from responder.journal.open_stops import Stop
from responder.journal.reading import counts
from responder.model import Outcome
from responder.rules.ruleset import Ruleset
from responder.settings.settings import Settings
from responder.store import client_state, leases, limits, sweep_runs
from responder.store.applications import report
from responder.store.canonical_json import instant_text
from responder.store.database.database import Connection, Database
from responder.store.decision_ids import place_of
from responder.store.inbox import inbox, refusals

HOUR = timedelta(hours=1)
MAY_BE_MADE = "its call may have been made already"

T = TypeVar("T")


class Writes(Protocol):
    """Anything that commits a transaction: a database, or the one writer of a running service."""

    def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in a write transaction, and return when it is durable."""


class UnknownRule(Exception):  # noqa: N818 - it says what is wrong with the question
    """A rule that does not exist and holds nothing."""


class UnderWay(Exception):  # noqa: N818 - it says a state, not a mistake
    """A decision whose call may have been made: it is too late to cancel it."""


def pause(database: Writes, portals: Sequence[str], *, by: str, at: datetime) -> bool:
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
        return [stop for portal in portals for stop in open_stops.in_doubt(conn, portal)]

    return database.read(read)


def resume(database: Writes, portals: Sequence[str], *, by: str, at: datetime) -> int | None:
    """Allow calls again. Return how many stops are judged afresh; None if nothing was paused."""

    def work(tx: Connection) -> int | None:
        _lock(tx, portals)
        freed = limits.resume(tx, at)
        if freed is not None:
            for portal in portals:
                journal.control(tx, portal, at, {"control": "resume", "by": by})
        return freed

    return database.write(work)


def rearm(
    database: Writes,
    portals: Sequence[str],
    rule: str,
    *,
    known: Sequence[str],
    by: str,
    at: datetime,
) -> int:
    """Reset a rule's counts and free the stops it held, to be judged afresh; return how many."""

    def work(tx: Connection) -> int:
        _lock(tx, portals)
        holding = {name for portal in portals for name in limits.holding(tx, portal)}
        if rule not in known and rule not in holding:
            raise UnknownRule(rule)
        freed = 0
        for portal in portals:
            freed += limits.rearm(tx, portal, rule, at) + _run_again(tx, portal, rule, by, at)
            journal.control(tx, portal, at, {"control": "rearm", "rule": rule, "by": by})
        return freed

    return database.write(work)


def _lock(tx: Connection, portals: Sequence[str]) -> None:
    """Lock all chains first, in one order.

    So a gate that holds a stop at this moment either has written it, and it is freed here, or sees
    what is written here. Otherwise a pause or trip that has ended could hold a stop for ever.
    """
    for portal in sorted(portals):
        chain.lock(tx, portal)


def _run_again(tx: Connection, portal: str, rule: str, by: str, at: datetime) -> int:
    """Request another run for what a run condemned and the rule held, because that is one set."""
    held = limits.clear_later(tx, portal, rule, at)
    if held:
        sweep_runs.add_request(tx, portal, rule=rule, observe=False, by=by, at=at)
    return held


def cancel(database: Writes, decision_id: str, *, by: str, at: datetime) -> None:
    """Conclude a decision that waits or is held, so that it is not carried out.

    Raise NotOpen where it is concluded or does not exist, UnderWay where its call may have been
    made.
    """
    place = place_of(decision_id)

    def work(tx: Connection) -> None:
        if place is not None:
            chain.lock(tx, place[0])
        stop = journal.open_stop(tx, decision_id)
        if stop.outcome is Outcome.IN_DOUBT:
            raise UnderWay(decision_id)
        journal.conclude(tx, decision_id, Outcome.CANCELLED, at=at, detail=f"cancelled by {by}")
        body = {"control": "cancel", "decision": decision_id, "by": by}
        journal.control(tx, stop.portal, at, body)

    database.write(work)


def cancel_several(
    database: Writes, decision_ids: Sequence[str], *, by: str, at: datetime
) -> dict[str, str]:
    """Conclude decisions that wait or are held; return for each that could not be why."""
    refused: dict[str, str] = {}
    for name in dict.fromkeys(decision_ids):
        try:
            cancel(database, name, by=by, at=at)
        except journal.NotOpen:
            refused[name] = "it does not wait: there is none of that name, or it is concluded"
        except UnderWay:
            refused[name] = MAY_BE_MADE
    return refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """The result of `approve`: the decisions that are approved now, and why others are not."""

    approved: tuple[str, ...]
    refused: Mapping[str, str]


def approve(database: Writes, decision_ids: Sequence[str], *, by: str, at: datetime) -> Approved:
    """Approve exactly these decisions, if they wait for approval: each is judged afresh at once.

    Raise LookupError, and approve none, where one of the decisions does not exist.
    """
    by_portal: dict[str, list[str]] = {}
    for name in sorted(set(decision_ids)):  # one order of locks, so that there is no deadlock
        place = place_of(name)
        if place is None:
            raise LookupError(name)
        by_portal.setdefault(place[0], []).append(name)

    def work(tx: Connection) -> Approved:
        refused: dict[str, str] = {}
        approved: list[str] = []
        for portal, names in sorted(by_portal.items()):
            chain.lock(tx, portal)
            refused |= _refused(tx, names, at)
            some = [name for name in names if name not in refused]
            if some:
                approvals.approve(tx, portal, some, by, at)
            approved += some
        return Approved(approved=tuple(approved), refused=refused)

    return database.write(work)


def _refused(tx: Connection, decision_ids: Sequence[str], at: datetime) -> dict[str, str]:
    refused = {}
    for name in decision_ids:
        found = approvals.find(tx, name)
        if found is None:
            raise LookupError(name)
        why = _why_not(found, at)
        if why is not None:
            refused[name] = why
    return refused


def _why_not(found: approvals.ApprovalState, at: datetime) -> str | None:
    """Return why a decision cannot be approved; None if it can be."""
    if found.approved_at is not None and found.approved_by is not None:
        said = approvals.approved_text(found.approved_by, found.approved_at)
        return f"it was {said} already, and is {_outcome_text(found)}"
    if not found.is_pending or found.lapses_at is None:
        return f"it does not wait to be approved: it is {_outcome_text(found)}"
    if at >= found.lapses_at:
        return f"it lapsed at {instant_text(found.lapses_at)}: nobody had approved it within a day"
    return None


def _outcome_text(found: approvals.ApprovalState) -> str:
    outcome = found.outcome or "none, which condemned nothing"
    return outcome if found.detail is None else f"{outcome} ({found.detail})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state of the installation. `rules` and `portals` are as `--json` prints them.

    `mode` is that of the settings here, `running_modes` are those of the processes that serve: a
    changed setting counts only once they are started again.

    `refused` counts, by reason, the deliveries of the last day that named no portal of ours.

    Where the rules file is broken, `ruleset` is None and `rules` has only the tripped ones: the
    service goes on by the last good ruleset, whose revision `/readyz` gives.
    """

    mode: str
    running_modes: Sequence[str]
    paused: Mapping[str, str] | None
    ruleset: str | None
    rules: Sequence[Mapping[str, object]]
    portals: Mapping[str, Mapping[str, object]]
    refused: Mapping[str, int]


def status(
    database: Database, settings: Settings, ruleset: Ruleset | None, now: datetime
) -> Status:
    """Read the state of the installation in one short transaction."""

    def read(conn: Connection) -> Status:
        paused = limits.paused(conn)
        return Status(
            mode=settings.mode.value,
            running_modes=sorted(
                {leases.mode_of(one) for one in leases.living(conn).alive.values() if one}
            ),
            paused=None if paused is None else {"since": instant_text(paused[0]), "by": paused[1]},
            ruleset=None if ruleset is None else ruleset.revision,
            rules=_tripped(conn) if ruleset is None else _rules(conn, settings, ruleset, now),
            portals=portals_now(conn, settings, now),
            refused=_counts(refusals.lately(conn, now).get(refusals.NOBODYS, ())),
        )

    return database.read(read)


def _tripped(conn: Connection) -> list[Mapping[str, object]]:
    return [
        {"portal": trip.portal, "rule": trip.rule, "tripped": trip.why}
        for trip in limits.tripped(conn)
    ]


def _rules(
    conn: Connection, settings: Settings, ruleset: Ruleset, now: datetime
) -> list[Mapping[str, object]]:
    tripped = {(trip.portal, trip.rule): trip for trip in limits.tripped(conn)}
    acted = counts.acted(conn, settings.portals, now - HOUR)
    would = counts.would_have(conn, now - HOUR)
    rows: list[Mapping[str, object]] = []
    for rule in ruleset.rules:
        for portal in sorted(settings.portals):
            if not rule.acts or (rule.portals is not None and portal not in rule.portals):
                continue
            trip = tripped.get((portal, rule.id))
            rows.append(
                {
                    "portal": portal,
                    "rule": rule.id,
                    "action": rule.then.value,
                    "mode": rule.mode.value if rule.mode else None,
                    "disabled": rule.disabled,
                    "tripped": None if trip is None else trip.why,
                    "stopped_last_hour": acted.get((portal, rule.id), 0),
                    "would_have_last_hour": would.get((portal, rule.id), 0),
                    "per_hour": rule.limit.per_hour,
                    "per_document": rule.limit.per_document,
                }
            )
    return rows


def _counts(refused: Iterable[refusals.Refused]) -> dict[str, int]:
    return {one.why: one.count for one in refused}


def portals_now(
    conn: Connection, settings: Settings, now: datetime
) -> dict[str, Mapping[str, object]]:
    """Return by portal how much waits, which process drives it, and which breakers are open."""
    depth, asking = inbox.depth(conn), approvals.count_pending(conn)
    stops = counts.open_stops(conn)
    refused = refusals.lately(conn, now)
    observed = client_state.withheld(conn)
    applications = report.every(conn, settings, now)
    rows: dict[str, Mapping[str, object]] = {}
    for name in sorted(settings.portals):
        count, oldest = depth.get(name, (0, now))
        breakers = {row.method: row.code for row in client_state.breakers(conn, name)}
        heard = inbox.last_received(conn, name)
        swept = sweep_runs.last(conn, name).get("sweep")
        rows[name] = {
            "driver": leases.driver(conn, name),
            "waiting": count,
            "oldest_age_seconds": max(0.0, (now - oldest).total_seconds()),
            "held": limits.held(conn, name),
            "open_stops": {one: n for (of, one), n in sorted(stops.items()) if of == name},
            "waiting_for_approval": asking.get(name, 0),
            "withheld": observed.get(name, {}),
            "breaker": breakers.pop("", None),
            "methods": breakers,
            "refused_lately": _counts(refused.get(name, ())),
            "last_event_at": None if heard is None else instant_text(heard),
            "last_sweep_at": None if swept is None else instant_text(swept),
            "incomplete_since": {
                trigger: instant_text(since)
                for trigger, since in sorted(sweep_runs.incomplete(conn, name).items())
            },
            **({"application": applications[name]} if name in applications else {}),
        }
    return rows
