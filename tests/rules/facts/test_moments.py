"""Tests of days and moments: a bare day has one meaning, whichever operator asks for it."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from responder.model import Unknown
from responder.rules.calendars import Calendar
from responder.rules.facts import moments, values
from responder.rules.facts.fields import Type
from tests.rules.make import a_rule, a_workflow, holds, judged

MOMENT, DAY, OPEN = "deal.created_time", "deal.closedate", "deal.uf_crm_1"
FIELDS = (MOMENT, DAY, OPEN)
ZONES = (None, "UTC", "Europe/Moscow", "America/New_York", "Pacific/Kiritimati", "Asia/Kolkata")
OFFSETS = ("+00:00", "Z", "+03:00", "+05:30", "-05:00", "+14:00", "-11:00", "+02:00", "-02:00")
IN_BERLIN = "defaults: {timezone: Europe/Berlin}\n"

days = st.dates(date(2026, 9, 20), date(2026, 9, 28))
times = st.sampled_from(
    ["00:00:00", "03:00:00", "02:00:00", "19:00:00", "20:00:00", "10:37:12", "23:59:59", "12:00:00"]
)
values_sent = st.one_of(
    st.builds("{}T{}{}".format, days, times, st.sampled_from(OFFSETS)),
    st.builds("{}T{}".format, days, times),
    days.map(date.isoformat),
    st.sampled_from(["24.09.2026", "09/24/2026 10:00:00", "soon", 20260924]),
)


def head(zone: str | None, day: date | None = None) -> str:
    listed = f"lists: {{the_day: [{day}]}}\n" if day else ""
    return listed + (f"defaults: {{timezone: {zone}}}\n" if zone else "")


def both(one: bool | None, two: bool | None) -> bool | None:
    if one is False or two is False:
        return False
    return True if one and two else None


def opposite(one: bool | None) -> bool | None:
    return None if one is None else not one


@example(MOMENT, "2026-09-24T00:00:00+03:00", date(2026, 9, 24), date(2026, 9, 24), None)
@example(OPEN, "2026-09-24T03:00:00+03:00", date(2026, 9, 24), date(2026, 9, 24), ZONES[3])
@example(DAY, "2026-09-23T19:00:00-05:00", date(2026, 9, 24), date(2026, 9, 24), ZONES[1])
@given(st.sampled_from(FIELDS), values_sent, days, days, st.sampled_from(ZONES))
def test_a_bare_day_has_one_meaning_for_every_operator(
    field: str, value: object, day: date, other: date, zone: str | None
) -> None:
    def asked(test: str) -> bool | None:
        return holds(f"{field}: {test}", {field: value}, head=head(zone, day))

    first, last = sorted([day, other])
    is_it = asked(str(day))
    assert [asked(f"{{{name}: [{day}]}}") for name in ("one_of", "none_of")] == [
        is_it,
        opposite(is_it),
    ]
    assert asked("{in_list: the_day}") is is_it
    assert asked("{not_in_list: the_day}") is asked(f"{{is_not: {day}}}") is opposite(is_it)
    if value == "soon" and field == OPEN:  # a text is no day, and neither before nor after one
        assert is_it is False
        assert asked(f"{{older_than: {day}}}") is None
        return
    before, after = asked(f"{{older_than: {first}}}"), asked(f"{{newer_than: {last}}}")
    among = asked(f"{{between: [{first}, {last}]}}")
    assert among is both(opposite(before), opposite(after))
    assert asked(f"{{between: [{day}, {day}]}}") is is_it


@given(days, times, st.sampled_from(OFFSETS), days, st.sampled_from(ZONES[1:]))
def test_a_day_is_that_of_the_zone_of_the_file(
    sent: date, at: str, offset: str, day: date, zone: str
) -> None:
    value = f"{sent}T{at}{offset}"
    there = datetime.fromisoformat(value).astimezone(ZoneInfo(zone)).date()
    found = holds(f"{MOMENT}: {day}", {MOMENT: value}, head=head(zone))
    assert found is (there == day)


@given(days, times, st.sampled_from(OFFSETS), days)
def test_a_day_is_that_of_the_offset_which_was_sent_where_the_file_names_no_zone(
    sent: date, at: str, offset: str, day: date
) -> None:
    value = f"{sent}T{at}{offset}"
    assert holds(f"{MOMENT}: {day}", {MOMENT: value}) is (sent == day)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("day", ["2026-09-01", "2026-09-30"])
@pytest.mark.parametrize("field", ["begindate", "closedate"])
def test_a_month_protects_from_its_first_day_to_its_last(
    field: str, day: str, zone: str | None
) -> None:
    rule = a_rule(more=f"unless: {{deal.{field}: {{between: [2026-09-01, 2026-09-30]}}}}")
    for at in ("00:00:00+03:00", "03:00:00+03:00", "00:00:00-05:00"):
        judgement = judged(rule, {f"deal.{field}": f"{day}T{at}"}, head=head(zone))
        assert judgement.verdicts == ()


@pytest.mark.parametrize(
    "path",
    [
        *("deal.begindate", "deal.closedate", "quote.begindate", "quote.closedate"),
        *("quote.actual_date", "invoice.closedate", "item_147.begindate"),
        *("contact.birthdate", "lead.birthdate"),
    ],
)
@pytest.mark.parametrize("zone", ZONES)
def test_a_field_that_is_a_day_is_the_day_that_the_portal_wrote(
    path: str, zone: str | None
) -> None:
    sent = [
        *("2026-09-24", "2026-09-24T00:00:00+03:00", "2026-09-24T00:00:00-05:00"),
        *("2026-09-24T03:00:00+03:00", "2026-09-24T02:00:00+01:00", "2026-09-24T01:00:00+02:00"),
        *("2026-09-24T23:59:59+03:00", "2026-09-24T23:59:59-03:00", "2026-09-24T23:00:00+00:00"),
        # West of Greenwich midnight of UTC is the evening before.
        *("2026-09-23T19:00:00-05:00", "2026-09-23T20:00:00-05:00", "2026-09-23T19:00:00-04:00"),
    ]
    kind = path.partition(".")[0]
    for value in sent:
        (read,) = moments.reader(Type.DAY, None if zone is None else ZoneInfo(zone))(value)
        assert (read.whole, read.local.date()) == (True, date(2026, 9, 24))
    assert kind in path


def test_what_may_be_a_day_or_a_moment_is_known_where_both_say_the_same() -> None:
    value = "2026-09-24T03:00:00+03:00"  # a day as the CRM writes it, or three in the morning

    def asked(test: str, zone: str | None) -> bool | None:
        return holds(f"{OPEN}: {test}", {OPEN: value}, head=head(zone))

    for zone in (None, "UTC", "Europe/Moscow"):
        assert asked("2026-09-24", zone) is True
        assert asked("{between: [2026-09-01, 2026-09-23]}", zone) is False
    assert asked("2026-09-24", "America/New_York") is None
    assert asked("2026-09-23", "America/New_York") is None
    assert asked("[2026-09-23, 2026-09-24]", "America/New_York") is True
    assert asked("{between: [2026-09-01, 2026-09-30]}", "America/New_York") is True
    assert asked("{older_than: 2026-09-25}", "America/New_York") is True
    assert asked("2026-09-26", "America/New_York") is False


@pytest.mark.parametrize("field", [MOMENT, OPEN])
def test_a_date_without_a_zone_is_at_no_instant_where_the_file_names_none_either(
    field: str,
) -> None:
    facts = {field: "2026-09-24 08:30:00"}  # it is 09:00 in Greenwich
    assert holds(f"{field}: {{newer_than: 1h}}", facts) is None
    assert holds(f"{field}: {{older_than: 1d}}", {field: "2026-09-20"}) is None
    assert holds(f"{field}: {{newer_than: 1h}}", facts, head=head("UTC")) is True
    assert holds(f"{field}: {{newer_than: 1h}}", facts, head=head("Europe/Moscow")) is False
    assert holds(f"{field}: {{older_than: '2026-09-24T08:00:00Z'}}", facts) is None
    assert holds(f"{field}: {{outside: all}}", facts, head=ALL) is None
    assert holds(f"{field}: '2026-09-24 08:30:00'", facts) is True
    assert holds(f"{field}: 2026-09-24", facts) is True


def test_a_moment_without_a_zone_in_a_rule_is_in_the_offset_that_was_sent() -> None:
    rule = "{between: ['2026-09-24T00:00:00', '2026-09-24T12:00:00']}"
    facts = {MOMENT: "2026-09-24T11:59:59+03:00"}
    assert holds(f"{MOMENT}: {rule}", facts) is True
    assert holds(f"{MOMENT}: {rule}", {MOMENT: "2026-09-24T00:00:00+03:00"}) is True
    assert holds(f"{MOMENT}: {rule}", {MOMENT: "2026-09-24T12:00:01+03:00"}) is False
    assert holds(f"{MOMENT}: {rule}", facts, head=head("Asia/Kolkata")) is False


@pytest.mark.parametrize("field", [MOMENT, OPEN])
@pytest.mark.parametrize(
    ("written", "sent"),
    [
        # 02:30 comes twice on that night; written without an offset it is the first one.
        ("2026-10-25T02:30:00", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00+00:00"),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00Z"),
        ("2026-10-25T01:30:00Z", "2026-10-25T04:30:00+03:00"),
    ],
)
def test_a_moment_of_the_hour_that_comes_twice_equals_itself_across_zones(
    field: str, written: str, sent: str
) -> None:
    assert holds(f"{field}: '{written}'", {field: sent}, head=IN_BERLIN) is True
    assert holds(f"{field}: ['{written}']", {field: sent}, head=IN_BERLIN) is True
    assert holds(f"{field}: {{is_not: '{written}'}}", {field: sent}, head=IN_BERLIN) is False
    pair = {field: sent, "deal.updated_time": written}
    test = f"{field}: {{is: {{fact: deal.updated_time}}}}"
    assert holds(test, pair, head=IN_BERLIN) is True


def test_the_two_halves_of_the_hour_that_comes_twice_are_in_order() -> None:
    first, second = "2026-10-25T02:45:00", "2026-10-25T02:15:00+01:00"
    facts = {MOMENT: first, "deal.updated_time": second}
    assert (
        holds(f"{MOMENT}: {{older_than: {{fact: deal.updated_time}}}}", facts, head=IN_BERLIN)
        is True
    )
    kept = judged(
        a_rule(more="keep: newest"),
        {},
        a_workflow("early", started=first),
        a_workflow("late", started=second),
        head=IN_BERLIN,
    )
    assert [verdict.workflow.id for verdict in kept.verdicts] == ["early"]


@given(
    st.integers(0, 2 * 24 * 60),
    st.sampled_from(["Europe/Berlin", "UTC", "America/New_York"]),
    st.integers(-12, 14),
)
def test_an_instant_is_itself_in_every_zone_and_offset(minutes: int, zone: str, hours: int) -> None:
    instant = datetime(2026, 10, 24, tzinfo=UTC) + timedelta(minutes=minutes)
    sent = instant.astimezone(timezone(timedelta(hours=hours))).isoformat()
    written = instant.astimezone(ZoneInfo(zone)).isoformat()
    assert holds(f"{MOMENT}: '{written}'", {MOMENT: sent}, head=head(zone)) is True
    read = values.instants(ZoneInfo(zone))(sent)
    assert (read, read.tzinfo) == (instant, UTC)


@pytest.mark.parametrize(
    ("test", "left", "right", "expected"),
    [
        ("is", "2026-09-24T00:00:00+03:00", "2026-09-24T03:00:00+03:00", True),
        ("is_not", "2026-09-24T00:00:00+03:00", "2026-09-24", False),
        ("older_than", "2026-09-24T00:00:00+03:00", "2026-09-24T00:00:00+02:00", False),
        ("older_than", "2026-09-23T00:00:00+03:00", "2026-09-24T00:00:00+03:00", True),
        ("newer_than", "2026-09-24T00:00:00+03:00", "2026-09-23T03:00:00+03:00", True),
    ],
)
def test_days_are_compared_with_days(test: str, left: str, right: str, expected: bool) -> None:
    facts = {"deal.begindate": left, "deal.closedate": right}
    found = holds(f"deal.begindate: {{{test}: {{fact: deal.closedate}}}}", facts)
    assert found is expected


def test_a_day_is_compared_with_the_day_of_a_moment() -> None:
    facts = {DAY: "2026-09-24T00:00:00+03:00", MOMENT: "2026-09-24T22:30:00+00:00"}
    test = f"{DAY}: {{is: {{fact: {MOMENT}}}}}"
    assert holds(test, facts) is True
    assert holds(test, facts, head=head("Europe/Moscow")) is False


@pytest.mark.parametrize(
    ("value", "test", "expected"),
    [
        # 2026-09-26 is a Saturday; the office opens from Monday to Friday, the week is all of it
        ("2026-09-24", "{within: office}", None),
        ("2026-09-24", "{outside: office}", None),
        ("2026-09-26", "{within: office}", False),
        ("2026-09-26T03:00:00+03:00", "{outside: office}", True),
        ("2026-09-24T00:00:00+03:00", "{within: week}", True),
        ("2026-09-26", "{within: week}", False),
        ("2026-10-05", "{outside: week}", True),
        ("2026-09-25", "{within: night}", None),
    ],
)
def test_a_day_is_within_hours_that_are_open_all_day(
    value: str, test: str, expected: bool | None
) -> None:
    calendars = (
        'calendars: {office: {days: [mon, tue, wed, thu, fri], from: "9:00", to: "18:00"},'
        " week: {days: [mon, tue, wed, thu, fri], timezone: Europe/Moscow,"
        ' holidays: [2026-10-05]}, night: {from: "22:00", to: "6:00"}}\n'
    )
    assert holds(f"{DAY}: {test}", {DAY: value}, head=calendars) is expected


@given(st.dates(date(2026, 3, 1), date(2026, 11, 30)))
def test_a_day_on_which_clocks_change_is_open_all_day_too(day: date) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert Calendar(name="always", zone=berlin).is_open_on(day) is True
    never = Calendar(name="never", zone=berlin, holidays=((date(2026, 1, 1), date(2026, 12, 31)),))
    assert never.is_open_on(day) is False


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    "value",
    [
        *("0001-01-01", "9999-12-31", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"),
        *("9999-12-31T19:00:00-05:00", "9999-12-31T00:00:00Z", "0001-01-01T00:00:00"),
    ],
)
def test_the_ends_of_the_calendar_are_dates_like_others(
    field: str, zone: str | None, value: str
) -> None:
    first = value.startswith("0001")
    for test in ("{older_than: 2026-09-24}", "{between: [0001-01-01, 2026-09-24]}"):
        assert holds(f"{field}: {test}", {field: value}, head=head(zone)) is first
    assert holds(f"{field}: {{within: all}}", {field: value}, head=head(zone) + ALL) in (True, None)


ALL = "calendars: {all: {days: [mon, tue, wed, thu, fri, sat, sun]}}\n"


@pytest.mark.parametrize("bound", ["2026-09-24", "'2026-09-24T10:00:00Z'"])
def test_between_takes_days_and_moments_in_user_fields_too(bound: str) -> None:
    test = f"{OPEN}: {{between: [2026-09-01, {bound}]}}"
    assert holds(test, {OPEN: "2026-09-24T09:00:00+00:00"}) is True
    assert holds(test, {OPEN: "2026-09-25T10:00:01+00:00"}) is False
    assert holds(test, {OPEN: "24.09.2026"}) is None
    assert isinstance(moments.reader(Type.ANY, None)("24.09.2026"), Unknown)
