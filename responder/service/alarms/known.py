"""Holds all that alarms are made of: rows of the database, and what this process alone sees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from responder.journal.approvals import Asking
from responder.journal.notices.alarm_records import AlarmRecord
from responder.model import Breaker
from responder.store.inbox.refusals import Refused
from responder.store.limits import Trip


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What one process sees that no row says.

    `away` has, for the portals that it drives, since when they do not answer, None where they do;
    `silent` whether their webhooks are silent, None where no sweep has looked yet.
    """

    rules_error: str | None = None
    free_bytes: int | None = None
    away: Mapping[str, datetime | None] = field(default_factory=dict)
    silent: Mapping[str, bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """All that alarms are made of, by portal where it is a portal's.

    `away` and `silent` have since when: a portal does not answer, and its webhook was not heard.
    `incomplete` goes by (portal, trigger). `failed` and `lapsed` count what was within a day, and
    `ended` are alarms that ended within a day; the three are empty where they were not asked for.
    `database_error` says why there are no rows at all.
    """

    now: datetime
    portals: Sequence[str]
    rules_error: str | None = None
    free_bytes: int | None = None
    database_error: str | None = None
    paused: tuple[datetime, str] | None = None
    trips: Sequence[Trip] = ()
    breakers: Sequence[Breaker] = ()
    asking: Mapping[str, Asking] = field(default_factory=dict)
    refused: Mapping[str, Sequence[Refused]] = field(default_factory=dict)
    withheld: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    incomplete: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    applications: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    away: Mapping[str, datetime] = field(default_factory=dict)
    silent: Mapping[str, datetime] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    lapsed: Mapping[str, int] = field(default_factory=dict)
    records: Sequence[AlarmRecord] = ()
    ended: Sequence[AlarmRecord] = ()
