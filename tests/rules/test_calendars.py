"""Tests of calendars: hours, nights, holidays, clock changes, and how a file writes them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.rules.calendars import Calendar
from tests.rules.make import a_rule, a_ruleset, holds, in_a_file, mistakes_of

OFFICE = """
office:
  timezone: Europe/Moscow
  days: [mon, tue, wed, thu, fri]
  from: "09:00"
  to: "18:00"
  holidays: [2026-05-01, 2026-01-01..2026-01-08, {from: 2026-12-31, to: 2027-01-08}]
night: {timezone: Europe/Moscow, days: [fri], from: 22:00, to: 6:00, holidays: [2026-10-02]}
berlin: {timezone: Europe/Berlin, from: 2:30, to: 24:00}
late: {timezone: Europe/Berlin, to: "02:30"}
weekend: {days: [sat, sun]}
never: {days: [mon], holidays: [0001-01-01..9999-12-31]}
"""


def in_the_head(calendars: str) -> str:
    return "calendars:\n" + "".join(f"  {line}\n" for line in calendars.strip().splitlines())


def calendar(name: str) -> Calendar:
    rule = a_rule(more=f"during: {name}")
    found = a_ruleset(rule, head=in_the_head(OFFICE)).rules[0].during
    assert found is not None
    assert found.name == name
    return found


def at(written: str) -> datetime:
    return datetime.fromisoformat(written)


@pytest.mark.parametrize(
    ("name", "instant", "open_"),
    [
        ("office", "2026-09-24T08:59:59+03:00", False),
        ("office", "2026-09-24T09:00:00+03:00", True),
        ("office", "2026-09-24T14:59:59Z", True),
        ("office", "2026-09-24T15:00:00Z", False),
        ("office", "2026-09-26T12:00:00+03:00", False),
        ("office", "2026-05-01T12:00:00+03:00", False),
        ("office", "2026-01-01T12:00:00+03:00", False),
        ("office", "2026-01-08T12:00:00+03:00", False),
        ("office", "2026-01-09T12:00:00+03:00", True),
        ("office", "2026-12-31T12:00:00+03:00", False),
        ("office", "2027-01-08T12:00:00+03:00", False),
        ("office", "2026-12-30T12:00:00+03:00", True),
        # a night belongs to the day on which it begins
        ("night", "2026-09-25T21:59:00+03:00", False),
        ("night", "2026-09-25T22:00:00+03:00", True),
        ("night", "2026-09-26T05:59:59+03:00", True),
        ("night", "2026-09-26T06:00:00+03:00", False),
        ("night", "2026-09-25T05:00:00+03:00", False),
        ("night", "2026-10-02T23:00:00+03:00", False),
        ("night", "2026-10-03T05:00:00+03:00", False),
        # 02:30 does not exist on 2026-03-29 in Berlin, where 03:00 comes after 02:00
        ("berlin", "2026-03-29T01:59:59+01:00", False),
        ("berlin", "2026-03-29T03:00:00+02:00", True),
        ("berlin", "2026-03-29T23:59:59+02:00", True),
        ("late", "2026-03-29T01:59:59+01:00", True),
        ("late", "2026-03-29T03:00:00+02:00", False),
        # and is there twice on 2026-10-25
        ("berlin", "2026-10-25T02:29:59+02:00", False),
        ("berlin", "2026-10-25T02:30:00+02:00", True),
        ("berlin", "2026-10-25T02:15:00+01:00", True),
        ("late", "2026-10-25T02:15:00+02:00", True),
        ("late", "2026-10-25T02:15:00+01:00", False),
        ("weekend", "2026-09-26T00:00:00Z", True),
        ("weekend", "2026-09-27T23:59:59Z", True),
        ("weekend", "2026-09-28T00:00:00Z", False),
        ("never", "2026-09-28T12:00:00Z", False),
    ],
)
def test_an_office_is_open_in_its_hours(name: str, instant: str, open_: bool) -> None:
    assert calendar(name).is_open(at(instant)) is open_


@pytest.mark.parametrize(
    ("name", "instant", "opens"),
    [
        ("office", "2026-09-24T12:00:00+03:00", "2026-09-24T12:00:00+03:00"),
        ("office", "2026-09-24T03:00:00+03:00", "2026-09-24T09:00:00+03:00"),
        ("office", "2026-09-24T18:00:00+03:00", "2026-09-25T09:00:00+03:00"),
        ("office", "2026-09-25T18:00:00+03:00", "2026-09-28T09:00:00+03:00"),
        ("office", "2026-12-30T20:00:00+03:00", "2027-01-11T09:00:00+03:00"),
        ("night", "2026-09-26T06:00:00+03:00", "2026-10-09T22:00:00+03:00"),
        ("berlin", "2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"),
        ("weekend", "2026-09-24T12:00:00Z", "2026-09-26T00:00:00Z"),
    ],
)
def test_it_opens_next(name: str, instant: str, opens: str) -> None:
    assert calendar(name).opens_at(at(instant)) == at(opens)


def test_an_office_that_never_opens_is_looked_at_again_in_ten_years() -> None:
    now = at("2026-09-24T12:00:00Z")
    assert calendar("never").opens_at(now) == now + timedelta(days=3660)


INSTANTS = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001  # the strategy adds the zone
    max_value=datetime(2035, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(st.sampled_from(["office", "night", "berlin", "late", "weekend"]), INSTANTS)
def test_it_is_open_when_it_opens_and_not_before(name: str, now: datetime) -> None:
    office = calendar(name)
    opens = office.opens_at(now)
    assert opens >= now
    assert office.is_open(opens)
    if opens > now:
        assert not office.is_open(now)
        assert not office.is_open(max(now, opens - timedelta(seconds=1)))


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        ("within", "2026-09-24T12:00:00+03:00", True),
        ("outside", "2026-09-24T12:00:00+03:00", False),
        ("outside", "2026-09-26T12:00:00+03:00", True),
        ("within", "2026-09-24T12:00:00", False),
        ("within", None, None),
        ("outside", "", None),
        ("outside", "soon", None),
        ("outside", "0001-01-01T00:00:00+03:00", None),
        ("within", "9999-12-31T23:59:59-03:00", None),
        ("outside", "9998-12-31T23:59:59-03:00", True),
    ],
)
def test_a_date_is_within_a_calendar_or_outside(
    test: str, value: object, expected: bool | None
) -> None:
    # A date that names no zone is of the file's, which here is far from the office's.
    head = "defaults: {timezone: America/New_York}\n" + in_the_head(OFFICE)
    facts = {"deal.created_time": value}
    assert holds(f"deal.created_time: {{{test}: office}}", facts, head=head) is expected


def test_a_calendar_that_names_no_zone_is_of_the_files() -> None:
    head = "defaults: {timezone: Asia/Tokyo}\ncalendars: {office: {from: 9:00}}\n"
    office = a_ruleset(a_rule(more="during: office"), head=head).rules[0].during
    assert office is not None
    assert str(office.zone) == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("calendars", "place", "said", "suggestion"),
    [
        ("[office]", (2, 12), "`calendars` is a map", None),
        ("{office: }", (2, 13), "a calendar is a map", None),
        ("{office: {}}", (2, 21), "a calendar is a map", None),
        ("{Office: {days: [mon]}}", (2, 13), "the name of a calendar", "office"),
        ("{office: {day: [mon]}}", (2, 22), "no key `day`", "days"),
        ("{office: {days: []}}", (2, 28), "is a list", None),
        ("{office: {days: mon}}", (2, 28), "is a list", None),
        ("{office: {days: [monday]}}", (2, 29), "`monday` is none of", "mon"),
        ("{office: {timezone: Europe/Moskow}}", (2, 32), "no time zone", "Europe/Moscow"),
        ("{office: {from: 25:00}}", (2, 28), "no such time as `25:00`", None),
        ("{office: {from: 24:00}}", (2, 28), "no such time as `24:00`", '"00:00"'),
        ("{office: {to: 9}}", (2, 26), "`to` is a time of day", '"09:00"'),
        ("{office: {to: [9]}}", (2, 26), "`to` is a time of day", None),
        ("{office: {to: }}", (2, 22), "`to` is a time of day", None),
        ("{office: {from: 9:00, to: 9:00}}", (2, 38), "at the same time", None),
        ("{office: {holidays: 2026-05-01}}", (2, 22), "`holidays` is a list", "[2026-05-01]"),
        ("{office: {holidays: [May]}}", (2, 33), "a holiday is a day", None),
        ("{office: {holidays: [2026-02-30]}}", (2, 33), "there is no such day", "2026-02-28"),
        ("{office: {holidays: [2026-02-01..]}}", (2, 33), "a holiday is a day", None),
        ("{office: {holidays: [[2026-02-01]]}}", (2, 33), "a holiday is a day", None),
        ("{office: {holidays: [{from: 2026-02-01}]}}", (2, 33), "a holiday is a day", None),
        ("{office: {holidays: [2026-02-02..2026-02-01]}}", (2, 33), "before it begins", None),
    ],
)
def test_a_mistake_in_a_calendar_is_said_where_it_is(
    calendars: str, place: tuple[int, int], said: str, suggestion: str | None
) -> None:
    (mistake,) = mistakes_of(in_a_file(a_rule(), f"calendars: {calendars}\n"))
    assert said in mistake.message
    assert ((mistake.line, mistake.column), mistake.suggestion) == (place, suggestion)


def test_an_unknown_key_of_a_holiday_is_a_mistake() -> None:
    text = "calendars: {office: {holidays: [{from: 2026-02-01, to: 2026-02-02, til: x}]}}\n"
    (mistake,) = mistakes_of(in_a_file(a_rule(), text))
    assert "no key `til`" in mistake.message


@pytest.mark.parametrize(
    ("operand", "said", "suggestion"),
    [
        ("offize", "no calendar `offize`", "office"),
        ("[office]", "the name of one of `calendars`", None),
    ],
)
def test_only_a_calendar_of_the_file_can_be_tested(
    operand: str, said: str, suggestion: str | None
) -> None:
    tests = f"workflow.started: {{within: {operand}}}, workflow.id: a"
    (mistake,) = mistakes_of(in_a_file(a_rule(tests), in_the_head(OFFICE)))
    assert said in mistake.message
    assert mistake.suggestion == suggestion
