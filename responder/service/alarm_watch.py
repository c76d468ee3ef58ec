"""Watches for alarms every two seconds: logs when one begins and ends, and has it told once.

What concerns a portal is recorded by its driver, under its lease, and logged when the record
changes: so it is logged and told once, whatever restarts. What concerns this process (the rules
file, the disk, the database) is logged by each process.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

import structlog

from responder.journal.notices import alarm_records, asking_notices, outbox
from responder.journal.notices.asking_notices import Untold
from responder.service.alarms import reading, standing_alarms
from responder.service.alarms.alarm import Alarm, Kind
from responder.service.alarms.alarm_kinds import alarms
from responder.service.alarms.known import Here, Known
from responder.service.alarms.standing_alarms import Changes
from responder.service.housekeeping import Write
from responder.settings.settings import Settings
from responder.store.database.database import Connection, Database
from responder.store.database.engines import StoreUnavailable
from responder.store.leases import LeaseLost

EVERY_SECONDS = 2.0

log = structlog.get_logger()


class AlarmWatch:
    """The watch of one process. `driven` returns the portals that it drives, each with its write.

    `known` returns what alarms are made of, `here` what of that the process alone sees.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        driven: Callable[[], Mapping[str, Write]],
        known: Callable[[Connection], Known],
        here: Callable[[], Here],
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._database = database
        self._driven = driven
        self._known = known
        self._here = here
        self._now = now
        self._base = settings.page_at("") if settings.notify_url is not None else None
        self._of_this_process: dict[Kind, Alarm] = {}

    async def run(self) -> None:
        """Watch every two seconds, until cancelled."""
        while True:
            try:
                await self.once()
            except StoreUnavailable as error:
                log.warning("alarms were not recorded", why=str(error))
            except Exception:
                # A fault of ours must not end the service; the next look is soon.
                log.exception("watching for alarms failed")
            await asyncio.sleep(EVERY_SECONDS)

    async def once(self) -> None:
        """Look once: log, record and tell what changed."""
        writes, now = self._driven(), self._now()

        def read(conn: Connection) -> tuple[Known, list[Untold]]:
            tells = writes if self._base is not None else ()
            return (
                self._known(conn),
                asking_notices.untold(conn, list(tells), now) if tells else [],
            )

        try:
            known, untold = await self._database.reading(read)
        except StoreUnavailable as error:
            why = str(error)
            known, untold = reading.without_database(self._settings, self._here(), now, why), []
        found = alarms(known)
        self._log_of_this_process(found)
        if known.database_error is None:
            await self._record(writes, known, found, untold)

    async def _record(
        self,
        writes: Mapping[str, Write],
        known: Known,
        found: Sequence[Alarm],
        untold: Sequence[Untold],
    ) -> None:
        """Write what changed for each portal that this process drives."""
        for portal, write in writes.items():
            change = standing_alarms.changes(
                portal, found, known.records, known.now, base=self._base
            )
            asks = [one for one in untold if one.portal == portal]
            if not change and not asks:
                continue
            try:
                await write(partial(self._write, portal=portal, change=change, asks=asks))
            except LeaseLost:
                continue  # its next driver does it
            _log(change)

    def _write(
        self, tx: Connection, *, portal: str, change: Changes, asks: Sequence[Untold]
    ) -> None:
        now = self._now()
        alarm_records.write(tx, change.written)
        alarm_records.remove(tx, change.forgotten)
        outbox.add_messages(tx, portal, change.messages, now)
        if asks:
            asking_notices.tell(tx, asks, portal, now, self._base or "")

    def _log_of_this_process(self, found: Sequence[Alarm]) -> None:
        """Log what began and what ended of the alarms that concern no portal."""
        mine = {one.kind: one for one in found if one.portal is None and _is_logged(one)}
        for kind, alarm in mine.items():
            if kind not in self._of_this_process:
                _log_began(alarm)
        for kind, alarm in self._of_this_process.items():
            if kind not in mine:
                log.info("an alarm ended", kind=kind.value, sentence=alarm.sentence)
        self._of_this_process = mine


def _is_logged(alarm: Alarm) -> bool:
    """Return False for what strangers can bring about at will."""
    return alarm.kind is not Kind.DELIVERIES_REFUSED


def _log(change: Changes) -> None:
    for alarm in change.began:
        _log_began(alarm)
    for record in change.ended:
        log.info(
            "an alarm ended",
            kind=record.kind,
            portal=record.portal,
            about=record.about or None,
            sentence=record.sentence,
            since=record.since,
        )


def _log_began(alarm: Alarm) -> None:
    log.warning(
        "an alarm began",
        kind=alarm.kind.value,
        severity=alarm.severity.value,
        portal=alarm.portal,
        about=alarm.about or None,
        sentence=alarm.sentence,
        todo=alarm.todo,
    )
