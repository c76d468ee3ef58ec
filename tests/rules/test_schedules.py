"""Tests of schedules: when they are due, also over clock changes, and how they are written."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.rules.schedules import DailyAt, Every, Schedule, last_due, next_after
from tests.rules.make import UPDATED, a_rule, a_ruleset, in_a_file, mistakes_of

BERLIN = ZoneInfo("Europe/Berlin")
NIGHTLY = DailyAt(time(2, 30), BERLIN)
QUARTERLY = Every(timedelta(minutes=15))
MINUTES_OF_2011 = st.integers(0, 365 * 1440).map(
    lambda minute: datetime(2011, 6, 1, tzinfo=UTC) + timedelta(minutes=minute, seconds=7)
)
SCHEDULES = st.sampled_from(
    [
        QUARTERLY,
        Every(timedelta(days=7)),
        NIGHTLY,
        DailyAt(time(0, 0), ZoneInfo("Pacific/Apia")),  # which left out 2011-12-30
        DailyAt(time(23, 59), ZoneInfo("America/New_York")),
        DailyAt(time(3, 0), UTC),
    ]
)


def at(written: str) -> datetime:
    return datetime.fromisoformat(written)


@pytest.mark.parametrize(
    ("schedule", "now", "due"),
    [
        (QUARTERLY, "2026-09-24T12:00:00Z", "2026-09-24T12:15:00Z"),
        (QUARTERLY, "2026-09-24T12:14:59.999999Z", "2026-09-24T12:15:00Z"),
        (QUARTERLY, "2026-09-24T15:14:00+03:00", "2026-09-24T12:15:00Z"),
        (NIGHTLY, "2026-09-24T12:00:00Z", "2026-09-25T02:30:00+02:00"),
        (NIGHTLY, "2026-09-24T02:29:59+02:00", "2026-09-24T02:30:00+02:00"),
        (NIGHTLY, "2026-09-24T02:30:00+02:00", "2026-09-25T02:30:00+02:00"),
        # the clocks go from 02:00 to 03:00
        (NIGHTLY, "2026-03-28T12:00:00Z", "2026-03-29T03:00:00+02:00"),
        (NIGHTLY, "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"),
        # and from 03:00 back to 02:00
        (NIGHTLY, "2026-10-24T12:00:00Z", "2026-10-25T02:30:00+02:00"),
        (NIGHTLY, "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"),
    ],
)
def test_what_is_due_next(schedule: Schedule, now: str, due: str) -> None:
    assert next_after(schedule, at(now)) == at(due)


@pytest.mark.parametrize(
    ("schedule", "since", "now", "due"),
    [
        (QUARTERLY, "2026-09-24T12:00:00Z", "2026-09-24T12:14:00Z", None),
        (QUARTERLY, "2026-09-24T12:00:00Z", "2026-09-24T12:15:00Z", "2026-09-24T12:15:00Z"),
        (QUARTERLY, "2026-09-20T12:00:00Z", "2026-09-24T12:16:00Z", "2026-09-24T12:15:00Z"),
        (NIGHTLY, "2026-09-24T02:30:00+02:00", "2026-09-25T02:29:00+02:00", None),
        (NIGHTLY, "2026-09-20T00:00:00Z", "2026-09-24T12:00:00Z", "2026-09-24T02:30:00+02:00"),
        (NIGHTLY, "2026-10-25T02:30:00+02:00", "2026-10-25T02:45:00+01:00", None),
    ],
)
def test_what_was_missed_is_caught_up_once(
    schedule: Schedule, since: str, now: str, due: str | None
) -> None:
    assert last_due(schedule, at(since), at(now)) == (at(due) if due else None)


@given(SCHEDULES, MINUTES_OF_2011)
def test_each_time_is_due_once(schedule: Schedule, now: datetime) -> None:
    due = next_after(schedule, now)
    assert due > now
    assert last_due(schedule, now, due) == due
    assert last_due(schedule, now, due - timedelta(microseconds=1)) is None
    assert last_due(schedule, due, next_after(schedule, due) - timedelta(seconds=1)) is None


@given(st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
       st.times(), st.integers(0, 12))  # fmt: skip
def test_a_daily_schedule_is_due_each_day_of_a_year(zone: str, of_day: time, month: int) -> None:
    schedule = DailyAt(of_day.replace(second=0, microsecond=0), ZoneInfo(zone))
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=30 * month)
    days = []
    for _ in range(35):
        now = next_after(schedule, now)
        days.append(now.astimezone(schedule.zone).date())
    assert [after - day for day, after in pairwise(days)] == [timedelta(days=1)] * 34


def test_a_file_writes_schedules_beside_events() -> None:
    when = "[deal.updated, {every: 15m}, {daily_at: 3:00}, {daily_at: '02:30', timezone: UTC}]"
    head = "defaults: {timezone: Europe/Berlin}\n"
    (rule,) = a_ruleset(a_rule(when=when), head=head).rules
    assert rule.schedules == (
        QUARTERLY,
        DailyAt(time(3), BERLIN),
        DailyAt(time(2, 30), ZoneInfo("UTC")),
    )
    assert rule.triggers is not None
    assert [trigger.name for trigger in rule.triggers] == [
        "deal.updated",
        "every 15m",
        "daily at 03:00 Europe/Berlin",
        "daily at 02:30 UTC",
    ]


@pytest.mark.parametrize(
    ("when", "place", "said", "suggestion"),
    [
        ("[{every: 15}]", (4, 20), "`every` is a duration", "15m"),
        ("[{every: 0s}]", (4, 20), "`every` is a duration", None),
        ("[{every: 367d}]", (4, 20), "`every` is a duration", None),
        ("[{every: [1m]}]", (4, 20), "`every` is a duration", "1m"),
        ("[{every: 1m, timezone: UTC}]", (4, 24), "no key `timezone`", None),
        ("[{daily_at: noon}]", (4, 23), "`daily_at` is a time of day", None),
        ("[{daily_at: }]", (4, 13), "`daily_at` is a time of day", None),
        ("[{daily_at: '24:00'}]", (4, 23), "no such time as `24:00`", '"00:00"'),
        ("[{daily_at: 3:00, timezone: Mars}]", (4, 39), "no time zone", None),
        ("[{daily_at: 3:00, timezon: UTC}]", (4, 29), "no key `timezon`", "timezone"),
        ("[{evry: 1m}]", (4, 13), "no trigger `evry`", "every"),
    ],
)
def test_a_mistake_in_a_schedule_is_said_where_it_is(
    when: str, place: tuple[int, int], said: str, suggestion: str | None
) -> None:
    text = in_a_file(a_rule(when=when))
    (mistake,) = mistakes_of(text)
    assert said in mistake.message
    assert ((mistake.line, mistake.column), mistake.suggestion) == (place, suggestion)


RULES = a_ruleset(
    a_rule("deal.company_id: 17", name="keep-vip", then="leave", when=None)
    + a_rule(name="keep-nightly", then="leave", when="[{daily_at: 3:00, timezone: UTC}]")
    + a_rule(name="keep-updated", then="leave", when="[deal.updated]")
    + a_rule(name="nightly", when="[{daily_at: 3:00, timezone: UTC}]")
    + a_rule("lead.title: a, workflow.id: a", name="leads", when="[{every: 1h}, lead.added]")
    + a_rule(name="elsewhere", when="[{every: 1h}]", more="portals: [other]")
    + a_rule(name="off", when="[{every: 1h}]", more="disabled: for now")
    + a_rule(name="updated")
    + a_rule("lead.title: a", name="keep-leads", then="leave", when=None)
)


def test_a_portal_runs_the_rules_that_have_schedules() -> None:
    assert [rule.id for rule in RULES.scheduled("main")] == ["nightly", "leads"]
    assert [rule.id for rule in RULES.scheduled("other")] == ["nightly", "leads", "elsewhere"]


def test_rules_that_are_due_come_with_what_guards_against_them() -> None:
    def guarded(kind: str, *due: str) -> list[str]:
        return [rule.id for rule in RULES.with_guards(due, kind, "main")]

    assert guarded("deal", "nightly") == ["keep-vip", "keep-nightly", "nightly"]
    assert guarded("deal", "nightly", "leads") == ["keep-vip", "keep-nightly", "nightly"]
    assert guarded("lead", "leads") == ["keep-nightly", "leads"]
    assert guarded("deal", "leads") == []


def test_a_sweep_by_some_rules_is_guarded_as_a_sweep_by_all() -> None:
    all_of_them = RULES.swept("deal", "main")
    assert [rule.id for rule in all_of_them] == ["keep-vip", "keep-updated", "updated"]
    some = [rule.id for rule in all_of_them if rule.acts]
    assert RULES.with_guards(some, "deal", "main") == all_of_them


def test_what_has_a_schedule_is_in_question_for_schedules_alone() -> None:
    asked = RULES.in_question("schedule", (), "deal", "main")
    assert [rule.id for rule in asked] == ["keep-vip", "keep-nightly", "nightly"]
    assert [rule.id for rule in RULES.in_question("event", UPDATED, "deal", "main")] == [
        "keep-vip",
        "keep-updated",
        "updated",
    ]
