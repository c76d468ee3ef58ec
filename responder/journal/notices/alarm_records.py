"""Stores which alarms of a portal stand, and which ended lately.

The driver of a portal writes them, so that a restart, or another driver, neither begins an alarm
anew nor tells of it again; and other processes read here what only the driver can see.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from responder.store.database.clock import now_of
from responder.store.database.portal_tables import alarms, leases
from responder.store.database.tables import insert

_KEY = ("portal", "kind", "about")


class Key(NamedTuple):
    """The portal of an alarm, its kind, and what of the portal it is about (a rule, a reason)."""

    portal: str
    kind: str
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRecord:
    """An alarm that stands, or has `ended_at`; a notification of it was made at `told_at`."""

    portal: str
    kind: str
    about: str
    sentence: str
    since: datetime
    told_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def key(self) -> Key:
        """Return what identifies the alarm."""
        return Key(self.portal, self.kind, self.about)


def records(conn: Connection) -> list[AlarmRecord]:
    """Return the records of all portals."""
    query = select(alarms).order_by(*(alarms.c[name] for name in _KEY))
    return [AlarmRecord(**row._mapping) for row in conn.execute(query)]


def write(tx: Connection, some: Sequence[AlarmRecord]) -> None:
    """Write records, in place of those with the same keys."""
    for record in some:
        values = asdict(record)
        tx.execute(
            insert(tx, alarms)
            .values(**values)
            .on_conflict_do_update(
                index_elements=_KEY,
                set_={name: value for name, value in values.items() if name not in _KEY},
            )
        )


def remove(tx: Connection, keys: Sequence[Key]) -> None:
    """Delete records."""
    for key in keys:
        tx.execute(delete(alarms).where(_is(key)))


def forget_undriven(tx: Connection, now: datetime, ended_before: datetime) -> None:
    """End the alarms of portals that nobody drives; delete those that ended before an instant.

    A portal that was removed from the settings has no driver that would do it. One that is only
    handed over has another within seconds, with which the alarm goes on.
    """
    live = select(leases.c.portal).where(leases.c.expires_at > now_of(tx))
    undriven = alarms.c.portal.not_in(live)
    tx.execute(update(alarms).where(undriven, alarms.c.ended_at.is_(None)).values(ended_at=now))
    tx.execute(delete(alarms).where(undriven, alarms.c.ended_at < ended_before))


def _is(key: Key) -> ColumnElement[bool]:
    return and_(*(alarms.c[name] == value for name, value in key._asdict().items()))
