"""What the pictures show: the stops of a day by hour, and the week of each rule."""

from datetime import UTC, datetime, timedelta

from responder.journal.reading.by_hour import Tally
from responder.rules.ruleset import load
from responder.service.pages.front.charts import SERIES
from responder.service.pages.front.figures import by_hour, of_rules

NOW = datetime(2026, 9, 24, 12, 20, tzinfo=UTC)
NOON = NOW.replace(minute=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

RULES = load(
    b"""\
version: 1
rules:
  - {id: quiet, when: [deal.updated], if: {workflow.template_id: 1}, then: kill}
  - {id: busy, when: [deal.updated], if: {workflow.template_id: 2}, then: kill}
  - {id: vip, if: {workflow.template_id: 3}, then: leave}
""",
    file="rules.yaml",
).rules


def test_a_day_ends_with_the_present_hour_and_has_each_outcome_in_its_series() -> None:
    tallies = [
        Tally(NOON, "busy", "killed", 2),
        Tally(NOON, "vip", "left", 9),
        Tally(NOON - 23 * HOUR, "busy", "would_kill", 3),
        Tally(NOON - 24 * HOUR, "busy", "killed", 100),
    ]
    hours = by_hour(tallies, NOW)
    assert (hours.hours[0], hours.hours[-1]) == (NOON - 23 * HOUR, NOON)
    assert hours.columns[-1] == (2, 0, 0, 0, 0)
    assert hours.columns[0] == (0, 3, 0, 0, 0)
    assert (hours.total, hours.top) == (5, 4)
    assert [(one.name, total) for one, total in hours.totals if total] == [
        ("stopped", 2),
        ("would be stopped", 3),
    ]
    assert [one for one, path in hours.paths if path] == list(SERIES[:2])


def test_a_rule_has_its_counts_and_its_days_and_the_active_come_first() -> None:
    tallies = [
        Tally(NOON, "busy", "killed", 2),
        Tally(NOON - HOUR, "busy", "would_kill", 1),
        Tally(NOON - 3 * DAY, "busy", "terminated", 4),
        Tally(NOON - 8 * DAY, "busy", "killed", 100),
        Tally(NOON, "vip", "left", 9),
        Tally(NOON, "gone", "killed", 1),
    ]
    busy, vip, quiet = of_rules(RULES, tallies, {"busy": 5}, frozenset({"vip"}), NOW)
    assert (busy.rule.id, busy.stopped, busy.would, busy.held) == ("busy", 6, 1, 5)
    assert busy.by_day == [0, 0, 0, 4, 0, 0, 3]
    assert len(busy.bars) == 28
    assert (vip.left, vip.is_tripped) == (9, True)
    assert (quiet.rule.id, quiet.path) == ("quiet", "")
