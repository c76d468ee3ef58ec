"""Compares the alarms of a portal with its records: which begin, which end, which to tell of.

Pure. An alarm that is back within ten minutes of its end goes on: a portal that answers now and
then is one alarm, and so is one whose driver was started again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from responder.journal.notices.alarm_records import AlarmRecord, Key
from responder.journal.notices.outbox import Message
from responder.service.alarms.alarm import Alarm, Severity
from responder.service.alarms.alarm_kinds import KINDS
from responder.store.canonical_json import instant_text
from responder.store.database.columns import micros

GOES_ON_WITHIN = timedelta(minutes=10)
KEPT = timedelta(days=1)


@dataclass(slots=True, kw_only=True)
class Changes:
    """What is to be written for one portal, logged and told.

    `written` are records as they are from now on; `forgotten` the keys of those that ended long
    ago.
    """

    written: list[AlarmRecord] = field(default_factory=list)
    forgotten: list[Key] = field(default_factory=list)
    began: list[Alarm] = field(default_factory=list)
    ended: list[AlarmRecord] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Return whether anything is to be written."""
        return bool(self.written or self.forgotten)


def changes(
    portal: str,
    alarms: Iterable[Alarm],
    records: Iterable[AlarmRecord],
    now: datetime,
    *,
    base: str | None,
) -> Changes:
    """Return what changes in the records of a portal.

    `base` is where people reach the pages, for the links of messages; None: nothing is told.
    """
    found = Changes()
    known = {record.key: record for record in records if record.portal == portal}
    lasting = [one for one in alarms if one.portal == portal and KINDS[one.kind].lasts]
    for alarm in lasting:
        key = Key(portal, alarm.kind.value, alarm.about)
        _stands(found, alarm, known.pop(key, None), key, now, base)
    for record in known.values():
        if record.ended_at is None:
            over = replace(record, ended_at=now)
            found.written.append(over)
            found.ended.append(over)
        elif not now - KEPT <= record.ended_at <= now:  # a clock set back must not keep it either
            found.forgotten.append(record.key)
    return found


def _stands(
    found: Changes,
    alarm: Alarm,
    record: AlarmRecord | None,
    key: Key,
    now: datetime,
    base: str | None,
) -> None:
    """Add what changes because an alarm stands: it may begin, go on after a pause, or be told."""
    if record is None or _ended_long_ago(record, now):
        new = AlarmRecord(**key._asdict(), sentence=alarm.sentence, since=alarm.since or now)
    else:
        new = replace(record, ended_at=None)
    if record is None or record.ended_at is not None:
        found.began.append(alarm)
    notice = None if alarm.severity is Severity.WAS_WRONG else KINDS[alarm.kind].notice
    if base is not None and notice is not None and new.told_at is None:
        found.messages.append(_message(notice, alarm, new, now, base))
        new = replace(new, told_at=now)
    if new != record:
        found.written.append(new)


def _ended_long_ago(record: AlarmRecord, now: datetime) -> bool:
    return record.ended_at is not None and abs(now - record.ended_at) > GOES_ON_WITHIN


def _message(kind: str, alarm: Alarm, record: AlarmRecord, now: datetime, base: str) -> Message:
    """Return the message of an alarm; its time is now, for one of long ago would be given up."""
    data = {
        "portal": alarm.portal,
        "sentence": alarm.sentence,
        "about": alarm.about or None,
        "number": alarm.number,
        "since": instant_text(record.since),
        "todo": alarm.todo,
        "link": f"{base}{alarm.link}",
    }
    identity = " ".join((*record.key, str(micros(record.since))))
    return Message(type=kind, data=data, at=now, identity=identity)


def with_since(alarms: Sequence[Alarm], records: Iterable[AlarmRecord]) -> list[Alarm]:
    """Return the alarms, those that do not know since when with what is recorded."""
    since = {one.key: one.since for one in records if one.ended_at is None}
    return [
        replace(one, since=since.get(Key(one.portal or "", one.kind.value, one.about)))
        if one.since is None
        else one
        for one in alarms
    ]
