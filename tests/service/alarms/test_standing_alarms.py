"""When an alarm begins, goes on and ends, and when it is told."""

from datetime import UTC, datetime, timedelta

from responder.journal.notices.alarm_records import AlarmRecord
from responder.service.alarms.alarm import Alarm, Kind, Severity
from responder.service.alarms.standing_alarms import Changes, changes, with_since

NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def alarm(kind: Kind = Kind.PORTAL_UNREACHABLE, severity: Severity = Severity.NEEDS_YOU) -> Alarm:
    return Alarm(
        kind=kind,
        severity=severity,
        sentence="Portal main cannot be called.",
        todo="Mend it.",
        link="/status",
        portal="main",
    )


class Portal:
    """The records of one portal, kept from one look to the next as the database keeps them."""

    def __init__(self, *, base: str | None = "https://admin.example") -> None:
        self.base = base
        self.at = NOW
        self.records: dict[object, AlarmRecord] = {}

    def look(self, *alarms: Alarm, after: timedelta = timedelta(0)) -> Changes:
        self.at += after
        found = changes("main", alarms, self.records.values(), self.at, base=self.base)
        self.records |= {one.key: one for one in found.written}
        for key in found.forgotten:
            del self.records[key]
        return found


def test_an_alarm_begins_once_is_told_once_and_ends_once() -> None:
    portal = Portal()
    first = portal.look(alarm())
    assert (len(first.began), len(first.messages)) == (1, 1)
    assert not portal.look(alarm(), after=MINUTE)
    over = portal.look(after=MINUTE)
    assert [one.since for one in over.ended] == [NOW]
    assert not portal.look(after=MINUTE)


def test_its_message_says_what_it_is_since_when_and_where_to_look() -> None:
    (message,) = Portal().look(alarm()).messages
    assert message.type == "portal.unreachable"
    assert message.data == {
        "portal": "main",
        "sentence": "Portal main cannot be called.",
        "about": None,
        "number": None,
        "since": "2026-09-24T12:00:00.000Z",
        "todo": "Mend it.",
        "link": "https://admin.example/status",
    }


def test_what_is_back_within_ten_minutes_goes_on_and_is_not_told_again() -> None:
    portal = Portal()
    (told,) = portal.look(alarm()).messages
    portal.look(after=MINUTE)
    assert portal.look(alarm(), after=9 * MINUTE).messages == []
    assert next(iter(portal.records.values())).since == NOW
    portal.look(after=MINUTE)
    (again,) = portal.look(alarm(), after=11 * MINUTE).messages
    assert again.identity != told.identity


def test_what_stands_when_notifications_are_switched_on_is_told_then() -> None:
    portal = Portal(base=None)
    assert portal.look(alarm()).messages == []
    portal.base = ""
    found = portal.look(alarm(), after=DAY)
    assert ([one.data["link"] for one in found.messages], found.began) == (["/status"], [])


def test_what_is_over_already_or_has_no_notice_is_not_told() -> None:
    assert Portal().look(alarm(Kind.RULE_TRIPPED)).messages == []
    over = alarm(Kind.DELIVERIES_REFUSED, Severity.WAS_WRONG)
    assert Portal().look(over).messages == []


def test_what_ended_a_day_ago_is_forgotten() -> None:
    portal = Portal()
    portal.look(alarm())
    portal.look(after=MINUTE)
    assert not portal.look(after=DAY - MINUTE)
    assert len(portal.look(after=2 * MINUTE).forgotten) == 1
    assert portal.records == {}


def test_what_other_rows_record_already_is_not_recorded_again() -> None:
    assert not Portal().look(alarm(Kind.APPROVAL), alarm(Kind.STOPS_FAILED))


def test_an_alarm_that_does_not_know_since_when_has_it_from_its_record() -> None:
    portal = Portal()
    portal.look(alarm())
    (found,) = with_since([alarm()], portal.records.values())
    assert found.since == NOW
    (other,) = with_since([alarm(Kind.WEBHOOK_SILENT)], portal.records.values())
    assert other.since is None
