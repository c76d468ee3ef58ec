"""Builds what the pictures of the front page show: stops by hour, and what each rule did."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from responder.journal.reading.by_hour import Tally
from responder.model import STOPPED, WOULD_OUTCOMES, Outcome
from responder.rules.rule import Rule
from responder.service.pages import wording
from responder.service.pages.front import charts
from responder.service.pages.front.charts import SERIES, Series

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOURS = 24
DAYS = 7
_BIN_HOURS = 6  # of a sparkline's bar
MOST_RULES = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """The stops of the last 24 hours: a column for each, with a number for each of SERIES."""

    hours: Sequence[datetime]
    columns: Sequence[Sequence[int]]

    @property
    def top(self) -> int:
        """The end of the axis."""
        return charts.top_of(max(map(sum, self.columns)))

    @property
    def paths(self) -> list[tuple[Series, str]]:
        """Each series with its path."""
        return list(zip(SERIES, charts.stacked(self.columns, self.top), strict=True))

    @property
    def totals(self) -> list[tuple[Series, int]]:
        """Each series with its number of stops."""
        return [(one, sum(column[n] for column in self.columns)) for n, one in enumerate(SERIES)]

    @property
    def total(self) -> int:
        """The number of all."""
        return sum(map(sum, self.columns))


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFigures:
    """What a rule did in seven days: its counts, and how they spread over the days."""

    rule: Rule
    state: str
    stopped: int
    would: int
    left: int
    held: int
    bars: Sequence[int]
    is_tripped: bool

    @property
    def path(self) -> str:
        """The path of the sparkline."""
        return charts.sparkline(self.bars)

    @property
    def by_day(self) -> list[int]:
        """The sums of each day, the oldest first."""
        each = 24 // _BIN_HOURS
        return [sum(self.bars[n : n + each]) for n in range(0, len(self.bars), each)]


def by_hour(tallies: Iterable[Tally], now: datetime) -> Hours:
    """Return what was condemned in each of the last 24 hours, the present one included."""
    last = _hour_of(now)
    hours = [last - HOUR * back for back in range(HOURS - 1, -1, -1)]
    counts: Counter[tuple[datetime, int]] = Counter()
    for one in tallies:
        for place, series in enumerate(SERIES):
            if one.outcome in series.outcomes:
                counts[one.at, place] += one.decisions
    columns = [tuple(counts[hour, place] for place in range(len(SERIES))) for hour in hours]
    return Hours(hours=hours, columns=columns)


def of_rules(
    rules: Sequence[Rule],
    tallies: Iterable[Tally],
    held: Mapping[str, int],
    tripped: frozenset[str],
    now: datetime,
) -> list[RuleFigures]:
    """Return what each rule did in seven days; those that did something, or hold it, first."""
    first = _hour_of(now) + HOUR - DAYS * DAY
    bars: dict[str, Counter[int]] = {}
    outcomes: dict[str, Counter[str]] = {}
    for one in tallies:
        if one.rule is not None and one.at >= first:
            place = (one.at - first) // (_BIN_HOURS * HOUR)
            bars.setdefault(one.rule, Counter())[place] += one.decisions
            outcomes.setdefault(one.rule, Counter())[one.outcome or ""] += one.decisions
    active = {*outcomes, *(rule for rule, count in held.items() if count), *tripped}
    ordered = sorted(rules, key=lambda rule: rule.id not in active)[:MOST_RULES]
    return [
        RuleFigures(
            rule=rule,
            state=wording.rule_state(rule, now),
            stopped=_sum(outcomes.get(rule.id), STOPPED),
            would=_sum(outcomes.get(rule.id), WOULD_OUTCOMES),
            left=_sum(outcomes.get(rule.id), (Outcome.LEFT,)),
            held=held.get(rule.id, 0),
            bars=[bars.get(rule.id, Counter())[n] for n in range(DAYS * 24 // _BIN_HOURS)],
            is_tripped=rule.id in tripped,
        )
        for rule in ordered
    ]


def _sum(counts: Counter[str] | None, outcomes: Iterable[str]) -> int:
    return sum(counts[outcome] for outcome in outcomes) if counts else 0


def _hour_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
