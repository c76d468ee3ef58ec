"""Reads from the database what alarms are made of."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from responder.journal import approvals
from responder.journal.notices import alarm_records
from responder.journal.notices.alarm_records import AlarmRecord
from responder.journal.reading import counts
from responder.service.alarms.alarm import Kind
from responder.service.alarms.known import Here, Known
from responder.settings.settings import Settings
from responder.store import client_state, limits, sweep_runs
from responder.store.applications import report
from responder.store.database.database import Connection
from responder.store.inbox import inbox, refusals

DAY = timedelta(days=1)


def known(
    conn: Connection, settings: Settings, here: Here, now: datetime, *, past: bool = False
) -> Known:
    """Read what alarms are made of; with `past`, also what was wrong within a day and is over."""
    portals = sorted(settings.portals)
    records = [one for one in alarm_records.records(conn) if one.portal in portals]
    has_application = any(given.domain for given in settings.portals.values())
    return Known(
        now=now,
        portals=portals,
        rules_error=here.rules_error,
        free_bytes=here.free_bytes,
        paused=limits.paused(conn),
        trips=limits.tripped(conn),
        breakers=client_state.breakers(conn),
        asking=approvals.asking(conn),
        refused=refusals.lately(conn, now),
        withheld=client_state.withheld(conn),
        incomplete=sweep_runs.incomplete_of_all(conn),
        applications=report.every(conn, settings, now) if has_application else {},
        away=dict(_away(records, here)),
        silent=dict(_silent(conn, records, here, portals)),
        failed=counts.failed(conn, now - DAY) if past else {},
        lapsed=approvals.lapsed(conn, now - DAY) if past else {},
        records=records,
        ended=[one for one in records if past and _ended_lately(one, now)],
    )


def without_database(settings: Settings, here: Here, now: datetime, why: str) -> Known:
    """Return what is known while the database cannot be read."""
    return Known(
        now=now,
        portals=sorted(settings.portals),
        rules_error=here.rules_error,
        free_bytes=here.free_bytes,
        database_error=why,
    )


def _away(records: Sequence[AlarmRecord], here: Here) -> Iterator[tuple[str, datetime]]:
    """Yield the portals that do not answer: as this process sees them, or as their driver wrote."""
    for portal, since in here.away.items():
        if since is not None:
            yield portal, since
    for record in _standing(records, Kind.PORTAL_UNREACHABLE):
        if record.portal not in here.away:
            yield record.portal, record.since


def _silent(
    conn: Connection, records: Sequence[AlarmRecord], here: Here, portals: Sequence[str]
) -> Iterator[tuple[str, datetime]]:
    """Yield the portals whose webhooks are silent, with when each was heard last."""
    recorded = {one.portal: one.since for one in _standing(records, Kind.WEBHOOK_SILENT)}
    for portal in portals:
        is_silent = here.silent.get(portal)
        if is_silent is False or (is_silent is None and portal not in recorded):
            continue
        heard = inbox.last_received(conn, portal)
        # What was recorded ends with the next event, whether a sweep has looked since or not.
        if heard is not None and (is_silent or heard <= recorded[portal]):
            yield portal, heard


def _standing(records: Sequence[AlarmRecord], kind: Kind) -> Iterator[AlarmRecord]:
    return (one for one in records if one.kind == kind and one.ended_at is None)


def _ended_lately(record: AlarmRecord, now: datetime) -> bool:
    # A newer replica may write other kinds; what was refused says by itself for a day that it was.
    is_shown = record.kind in list(Kind) and record.kind != Kind.DELIVERIES_REFUSED
    return is_shown and record.ended_at is not None and now - record.ended_at <= DAY
