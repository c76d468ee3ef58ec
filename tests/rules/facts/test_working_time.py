"""Tests of working days: `workflow.age: {over: 3wd, in: office}`."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from responder.model import Unknown
from responder.rules.calendars import Calendar
from responder.rules.facts.working_time import WorkingDays, written
from tests.rules.make import a_rule, a_ruleset, a_workflow, in_a_file, judged, mistakes_of

HEAD = """
calendars:
  office:
    timezone: Europe/Moscow
    days: [mon, tue, wed, thu, fri]
    from: "09:00"
    to: "18:00"
    holidays: [2026-05-01, 2026-12-31..2027-01-08]
  never: {days: [mon], holidays: [0001-01-01..9999-12-31]}
"""


def age_holds(test: str, started: str, now: str) -> bool | None:
    """Say how a test of the age of a workflow comes out."""
    rule = a_rule(f"workflow.age: {{{test}}}", more="every_template: true")
    at = datetime.fromisoformat(now)
    judgement = judged(rule, {}, a_workflow(started=started), head=HEAD, now=at)
    made = [*judgement.conditions, *(c for v in judgement.verdicts for c in v.conditions)]
    return next(one.holds for one in made if one.path == "if.workflow.age")


def passed(name: str, started: str, count: int) -> str:
    """Return when so many days have passed, as Moscow's clocks show it."""
    (rule,) = a_ruleset(a_rule(more=f"during: {name}"), head=HEAD).rules
    assert rule.during is not None
    found = WorkingDays(count, rule.during).passed_at(datetime.fromisoformat(started))
    assert isinstance(found, datetime)
    return found.astimezone(ZoneInfo("Europe/Moscow")).strftime("%a %Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("started", "count", "expected"),
    [
        # within hours: the same time of day
        ("2026-09-21T10:30:00+03:00", 1, "Tue 2026-09-22 10:30"),
        ("2026-09-21T10:30:00+03:00", 3, "Thu 2026-09-24 10:30"),
        ("2026-09-21T07:30:00Z", 5, "Mon 2026-09-28 10:30"),
        # the weekend is skipped
        ("2026-09-25T17:59:00+03:00", 1, "Mon 2026-09-28 17:59"),
        ("2026-09-25T15:00:00+03:00", 3, "Wed 2026-09-30 15:00"),
        # outside hours it begins with the next opening
        ("2026-09-25T18:00:00+03:00", 1, "Tue 2026-09-29 09:00"),
        ("2026-09-26T12:00:00+03:00", 3, "Thu 2026-10-01 09:00"),
        ("2026-09-21T03:00:00+03:00", 1, "Tue 2026-09-22 09:00"),
        # holidays are skipped, and what began on one begins after it
        ("2026-04-30T12:00:00+03:00", 1, "Mon 2026-05-04 12:00"),
        ("2026-05-01T12:00:00+03:00", 1, "Tue 2026-05-05 09:00"),
        ("2026-12-30T12:00:00+03:00", 1, "Mon 2027-01-11 12:00"),
    ],
)
def test_working_days_pass_on_open_days_at_the_same_time_of_day(
    started: str, count: int, expected: str
) -> None:
    assert passed("office", started, count) == expected


@pytest.mark.parametrize(
    ("test", "before", "at", "after"),
    [
        ("over: 3wd, in: office", False, False, True),
        ("at_least: 3wd, in: office", False, True, True),
        ("below: 3wd, in: office", True, False, False),
        ("at_most: 3wd, in: office", True, True, False),
        ("in: office, between: [1wd, 3wd]", True, True, False),
        ("in: office, between: [3wd, 9wd]", False, True, True),
        ("over: 3wd, below: 30d, in: office", False, False, True),
    ],
)
def test_each_test_of_order_takes_working_days(
    test: str, before: bool, at: bool, after: bool
) -> None:
    started = "2026-09-25T15:00:00+03:00"
    found = [
        age_holds(test, started, f"2026-09-30T{clock}+03:00")
        for clock in ("14:59:59", "15:00:00", "15:00:01")
    ]
    assert found == [before, at, after]


@pytest.mark.parametrize("test", ["over: 1wd, in: never", "below: 1wd, in: never"])
def test_a_calendar_that_never_opens_leaves_it_unknown(test: str) -> None:
    assert age_holds(test, "2026-09-21T10:00:00Z", "2026-09-24T10:00:00Z") is None


@pytest.mark.parametrize("started", ["", "soon", "0001-01-01T00:00:00+03:00", "9999-12-31T23:00Z"])
def test_what_has_no_sensible_start_has_no_working_days(started: str) -> None:
    assert age_holds("over: 3wd, in: office", started, "2026-09-24T10:00:00Z") is not True


def test_the_log_says_which_calendar_was_counted_in() -> None:
    rule = a_rule("workflow.template_id: 61, workflow.idle: {over: 1wd, in: office}")
    (verdict,) = judged(rule, {}, head=HEAD, now=datetime(2026, 9, 24, 12, tzinfo=UTC)).verdicts
    made = next(one for one in verdict.conditions if one.path == "if.workflow.idle")
    assert (made.test, made.value) == ("over 1wd in office", "1d 3h")


@pytest.mark.parametrize(
    ("test", "said", "suggestion"),
    [
        ("workflow.age: {over: 3wd}", "working days are those of a calendar", None),
        ("workflow.age: {over: 0wd, in: office}", "working days are from 1wd to 366wd", None),
        ("workflow.age: {over: 367wd, in: office}", "working days are from 1wd to 366wd", None),
        ("workflow.age: {over: 3wd, in: ofice}", "there is no calendar `ofice`", "office"),
        ("workflow.age: {over: 3d, in: office}", "here are none", None),
        ("workflow.age: {in: office}", "has no test", None),
        ("workflow.age: {between: [1wd, 3d], in: office}", "both are working days", None),
        ("workflow.age: {between: [3wd, 1wd], in: office}", "the first of the two is larger", None),
        ("workflow.age: {over: 1wd 2h, in: office}", "is not a duration", None),
        ("deal.opportunity: {over: 3wd, in: office}", "`in` is for durations", None),
        ("deal.title: {is: x, in: office}", "`in` is for durations", None),
    ],
)
def test_a_mistake_in_working_days_is_said(test: str, said: str, suggestion: str | None) -> None:
    text = in_a_file(a_rule(f"workflow.template_id: 61, {test}"), HEAD)
    found = [one for one in mistakes_of(text) if one.severity == "error"]
    (about_it,) = [one for one in found if said in one.message]
    assert about_it.suggestion == suggestion
    assert len(found) == (2 if "deal.opportunity" in test else 1)


def test_a_number_of_working_days_is_written_in_one_way() -> None:
    assert written("3wd") == 3
    assert [written(text) for text in ("3 wd", "wd", "3WD", "-3wd", "3.5wd", "3w")] == [None] * 6


ZONES = st.sampled_from(["Europe/Moscow", "Europe/Berlin", "America/New_York", "Asia/Tehran"])
MINUTE = timedelta(minutes=1)


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    first = draw(st.dates(date(2026, 3, 1), date(2026, 11, 30)))
    return Calendar(
        name="office",
        zone=ZoneInfo(draw(ZONES)),
        days=frozenset(draw(st.sets(st.integers(0, 6), min_size=1))),
        opens=time(draw(st.integers(0, 23)), draw(st.sampled_from([0, 30]))),
        closes=time(draw(st.integers(0, 23)), draw(st.sampled_from([0, 30]))),
        holidays=((first, first + timedelta(days=draw(st.integers(0, 9)))),),
    )


# Both changes of the clocks lie within these days.
STARTS = st.integers(0, 60 * 24 * 300).map(lambda n: datetime(2026, 2, 1, tzinfo=UTC) + n * MINUTE)


def first_instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """Find by counting when the clocks first show this time, or a later one.

    They are never put on by two hours, so until then there is nothing to count.
    """
    at = wall.replace(tzinfo=UTC) - timedelta(hours=15)
    while (left := wall - at.astimezone(zone).replace(tzinfo=None)) > timedelta(0):
        at += max(MINUTE, left - timedelta(hours=2))
    return at


def is_a_working_day(calendar: Calendar, day: date) -> bool:
    """Say whether the office opens on a day: it does not where the clocks skip all of its hours."""
    zone = calendar.zone
    assert isinstance(zone, ZoneInfo)
    last = day if calendar.closes > calendar.opens else day + timedelta(days=1)
    opens = first_instant_of(datetime.combine(day, calendar.opens), zone)
    closes = first_instant_of(datetime.combine(last, calendar.closes), zone)
    is_named = day.weekday() in calendar.days
    return is_named and opens < closes and not any(a <= day <= b for a, b in calendar.holidays)


@example(
    Calendar(
        name="office",
        zone=ZoneInfo("Europe/Berlin"),
        days=frozenset({0, 1, 6}),
        opens=time(2),
        closes=time(2, 30),
        holidays=((date(2026, 3, 1), date(2026, 3, 1)),),
    ),
    datetime(2026, 2, 1, tzinfo=UTC) + 31770 * MINUTE,
    12,
)
@given(calendars(), STARTS, st.integers(1, 12))
def test_it_agrees_with_counting_day_by_day(
    calendar: Calendar, start: datetime, count: int
) -> None:
    zone = calendar.zone
    assert isinstance(zone, ZoneInfo)
    begins = start
    while not calendar.is_open(begins):
        begins += MINUTE * (1 if begins.minute % 30 else 30)
    local = begins.astimezone(zone).replace(tzinfo=None)
    overnight = calendar.closes <= calendar.opens and local.time() < calendar.opens
    if (
        overnight
        and first_instant_of(datetime.combine(local.date(), calendar.opens), zone) > begins
    ):
        shift = local.date() - timedelta(days=1)
    else:
        shift = local.date()
    day, left = shift, count
    while left:
        day += timedelta(days=1)
        left -= is_a_working_day(calendar, day)
    expected = first_instant_of(datetime.combine(day, local.time()) + (local.date() - shift), zone)
    assert WorkingDays(count, calendar).passed_at(start) == expected


@given(calendars(), STARTS, st.integers(0, 60 * 24 * 14), st.integers(1, 12))
def test_what_began_later_is_over_no_sooner_and_more_days_take_longer(
    calendar: Calendar, start: datetime, later: int, count: int
) -> None:
    first, second = (
        WorkingDays(count, calendar).passed_at(at) for at in (start, start + later * MINUTE)
    )
    longer = WorkingDays(count + 1, calendar).passed_at(start)
    assert not isinstance(first, Unknown)
    assert not isinstance(second, Unknown)
    assert not isinstance(longer, Unknown)
    assert start < first <= second
    assert first < longer
