"""What is known, and the alarms it makes."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.journal.approvals import Asking
from responder.journal.notices.alarm_records import AlarmRecord
from responder.model import Breaker
from responder.service.alarms.alarm import Kind, Severity
from responder.service.alarms.alarm_kinds import KINDS, alarms
from responder.service.alarms.known import Known
from responder.store.inbox.refusals import Refused
from responder.store.limits import Trip

NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=20)
NOTHING = Known(now=NOW, portals=["main", "side"])


def breaker(method: str, code: str, portal: str = "main") -> Breaker:
    return Breaker(portal=portal, method=method, code=code, opened_at=SINCE, probe_at=NOW)


def refused(portal: str, last_at: datetime) -> Mapping[str, list[Refused]]:
    why = "a wrong application token"
    one = Refused(portal=portal, why=why, count=3, last_at=last_at, since=SINCE)
    return {portal: [one]}


APPLICATION = {"called_by": "none", "why": "invalid_grant", "advice": "press Reinstall"}
FINE = {"called_by": "application", "refresh_overdue": False, "missing": []}

# what is known, the alarm's kind and severity, and what its sentence or advice says
CASES: list[tuple[dict[str, Any], Kind, Severity, str]] = [
    ({"paused": (SINCE, "anna")}, Kind.PAUSED, Severity.NEEDS_YOU, "paused by anna"),
    (
        {"breakers": [breaker("", "NO_AUTH_FOUND")]},
        Kind.PORTAL_UNREACHABLE,
        Severity.NEEDS_YOU,
        "Portal main cannot be called: `NO_AUTH_FOUND`. Its events wait.",
    ),
    (
        {"away": {"side": SINCE}},
        Kind.PORTAL_UNREACHABLE,
        Severity.NEEDS_YOU,
        "Portal side cannot be called: it does not answer.",
    ),
    (
        {"breakers": [breaker("crm.item.list", "insufficient_scope")]},
        Kind.METHOD_WITHHELD,
        Severity.NEEDS_YOU,
        "`crm.item.list`: `insufficient_scope`",
    ),
    (
        {"breakers": [breaker("crm.item.list", "OPERATION_TIME_LIMIT")]},
        Kind.METHOD_WITHHELD,
        Severity.IS_WRONG,
        "Sweep less often",
    ),
    (
        {"withheld": {"main": {"clock-agrees": "two hours ahead"}}},
        Kind.PORTAL_OBSERVED,
        Severity.IS_WRONG,
        "clock-agrees",
    ),
    (
        {"applications": {"main": FINE | APPLICATION}},
        Kind.APPLICATION,
        Severity.NEEDS_YOU,
        "Do this: press Reinstall.",
    ),
    (
        {"applications": {"main": FINE | {"refresh_overdue": True}}},
        Kind.APPLICATION,
        Severity.NEEDS_YOU,
        "not renewed for 14 days",
    ),
    (
        {"applications": {"main": FINE | {"missing": [{"event": "ONTASKADD"}]}}},
        Kind.EVENTS_UNREGISTERED,
        Severity.IS_WRONG,
        "1 event of the rules",
    ),
    (
        {"trips": [Trip(portal="main", rule="lost-deal", at=SINCE, why="8 at once")]},
        Kind.RULE_TRIPPED,
        Severity.NEEDS_YOU,
        "`responder rearm lost-deal`",
    ),
    (
        {"asking": {"main": Asking(2, SINCE, NOW)}},
        Kind.APPROVAL,
        Severity.NEEDS_YOU,
        "2 decisions of main wait for somebody's approval; the first lapses at 2026-09-24T12:00",
    ),
    (
        {"refused": refused("main", SINCE)},
        Kind.DELIVERIES_REFUSED,
        Severity.NEEDS_YOU,
        "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS",
    ),
    (
        {"refused": refused("main", SINCE)},
        Kind.DELIVERIES_REFUSED,
        Severity.NEEDS_YOU,
        "somebody else is trying. This alarm ends an hour after the last.",
    ),
    (
        {"refused": refused("main", NOW - timedelta(hours=2))},
        Kind.DELIVERIES_REFUSED,
        Severity.WAS_WRONG,
        "3 deliveries that named portal main were refused",
    ),
    (
        {"refused": refused("", NOW)},
        Kind.DELIVERIES_REFUSED,
        Severity.WAS_WRONG,
        "named no portal of ours",
    ),
    ({"silent": {"main": SINCE}}, Kind.WEBHOOK_SILENT, Severity.NEEDS_YOU, "says nothing"),
    (
        {"incomplete": {("main", "sweep"): SINCE}},
        Kind.RUN_INCOMPLETE,
        Severity.IS_WRONG,
        "A run of main (sweep) cannot read everything",
    ),
    (
        {"rules_error": "rules.yaml:6:5: no"},
        Kind.RULES_BROKEN,
        Severity.NEEDS_YOU,
        "rules.yaml:6:5",
    ),
    ({"free_bytes": 5 * 1024**2}, Kind.DISK_LOW, Severity.NEEDS_YOU, "Only 5 MiB are free"),
    (
        {"database_error": "x.db is gone"},
        Kind.DATABASE_AWAY,
        Severity.NEEDS_YOU,
        "they are lost: x.db is gone.",
    ),
    (
        {"failed": {"main": 1}},
        Kind.STOPS_FAILED,
        Severity.WAS_WRONG,
        "1 workflow of main was to be stopped within a day, and was not.",
    ),
    ({"lapsed": {"main": 3}}, Kind.APPROVAL_LAPSED, Severity.WAS_WRONG, "3 decisions of main"),
]


@pytest.mark.parametrize(("known", "kind", "severity", "words"), CASES)
def test_what_is_known_makes_one_alarm_that_says_what_to_do(
    known: dict[str, Any], kind: Kind, severity: Severity, words: str
) -> None:
    (alarm,) = alarms(replace(NOTHING, **known))
    assert (alarm.kind, alarm.severity) == (kind, severity)
    assert words in f"{alarm.sentence} {alarm.todo}"
    assert not alarm.sentence[0].islower()
    assert alarm.todo.endswith(".")
    assert alarm.link.startswith("/")


def test_every_kind_has_a_case_and_a_place_in_the_table() -> None:
    assert {kind for _, kind, _, _ in CASES} == set(KINDS) == set(Kind)


def test_where_all_is_well_there_is_no_alarm() -> None:
    room = replace(NOTHING, free_bytes=10**12, applications={"main": FINE})
    assert alarms(room) == []


def test_what_needs_somebody_comes_first_and_what_is_over_last() -> None:
    ended = AlarmRecord(
        portal="main",
        kind="webhook_silent",
        about="",
        sentence="Documents change in portal main, and its webhook says nothing.",
        since=SINCE,
        ended_at=NOW,
    )
    found = alarms(
        replace(
            NOTHING,
            ended=[ended],
            incomplete={("main", "sweep"): SINCE},
            trips=[Trip(portal="main", rule="lost-deal", at=SINCE, why="8 at once")],
            paused=(SINCE, "anna"),
        )
    )
    assert [one.kind for one in found] == [
        Kind.PAUSED,
        Kind.RULE_TRIPPED,
        Kind.RUN_INCOMPLETE,
        Kind.WEBHOOK_SILENT,
    ]
    over = found[-1]
    assert (over.severity, over.since, over.until) == (Severity.WAS_WRONG, SINCE, NOW)
    assert over.sentence == "Webhook silent (main); it is over."


def test_a_portal_that_is_in_no_settings_is_no_alarm() -> None:
    assert alarms(replace(NOTHING, breakers=[breaker("", "NO_AUTH_FOUND", portal="gone")])) == []
