"""Parses `calendars`: the offices whose hours rules keep to."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time, tzinfo

from responder.rules import time_zones
from responder.rules.calendars import DAYS, EVERY_DAY, Calendar
from responder.rules.facts import values
from responder.rules.load.key_parser import Keys
from responder.rules.load.suggestions import impossible_days, russian, written_values, yaml_text
from responder.rules.yaml_positions import Items, Node, Scalar, Table, nearest

CALENDAR_KEYS = ("timezone", "days", "from", "to", "holidays")
HOLIDAY_KEYS = ("from", "to")
_NAME = re.compile(r"[a-z0-9_-]+")
_IN_A_WORD: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("weekdays", "workdays", "working_days", "business_days", "будни"), DAYS[:5]),
    **dict.fromkeys(("рабочие_дни", "werktags"), DAYS[:5]),
    **dict.fromkeys(("weekend", "weekends", "выходные"), DAYS[5:]),
    **dict.fromkeys(("all", "daily", "every_day", "everyday", "ежедневно"), DAYS),
}
_NUMBERED = ("1", "2", "3", "4", "5", "6", "7")
_OF_GERMANS = dict(zip(("mo", "di", "mi", "do", "fr", "sa", "so"), DAYS, strict=True))
_BETWEEN_DAYS = re.compile(r"[-\u2013\u2014]|\s+(?:to|bis|till|until|по|до)\s+")
_WITHOUT_YEAR = re.compile(r"\d{1,2}[-./]\d{1,2}\.?|\d{1,2}\.? [^\W\d]+|[^\W\d]+ \d{1,2}")
_HOLIDAYS = "2026-05-09, 2026-01-01..2026-01-08 or {from: 2026-01-01, to: 2026-01-08}"


def read(root: Table, keys: Keys, zone: tzinfo) -> Mapping[str, Calendar]:
    """Parse the calendars of a file, by name; a calendar that names no zone is in `zone`."""
    table = root.get("calendars")
    if table is None:
        return {}
    if not isinstance(table, Table):
        message = "`calendars` is a map: the name of each stands before it, without a dash"
        keys.mistakes.error(table, message, yaml_text.in_one_map(table))
        return {}
    reader = _Reader(keys, zone)
    (name, first), *rest = table.pairs or ((None, table),)
    if name is not None and rest and _is_above_its_keys(first, rest):
        message = f"the keys of `{name.text}` are indented further than its name"
        keys.mistakes.error(rest[0][0], message)
        inner = replace(table, pairs=tuple(rest), line=rest[0][0].line)
        return {name.text: reader.calendar(name, inner)}
    return {key.text: reader.calendar(key, node) for key, node in table.pairs}


def _is_above_its_keys(first: Node, rest: Sequence[tuple[Scalar, Node]]) -> bool:
    """Return whether a calendar's keys stand beside its name, which has nothing below it then."""
    is_empty = isinstance(first, Scalar) and first.kind == "null"
    return is_empty and all(key.text in CALENDAR_KEYS for key, _ in rest)


@dataclass(frozen=True, slots=True)
class _Reader:
    """A parser of single calendars."""

    keys: Keys
    zone: tzinfo

    def calendar(self, key: Scalar, node: Node) -> Calendar:
        if key.text in CALENDAR_KEYS and not isinstance(node, Table):
            message = f"`{key.text}` is a key of a calendar: it stands below the calendar's name"
            self._error(key, f"{message}, and further in")
            return Calendar(name=key.text)
        if not _NAME.fullmatch(key.text):
            plain = re.sub(r"\s+", "_", key.text.strip().lower())
            meant = plain if _NAME.fullmatch(plain) else None
            self._error(key, "the name of a calendar has only a-z, 0-9, - and _", meant)
        if not isinstance(node, Table) or not node.pairs:
            shown = node if isinstance(node, Table) else key
            self._error(shown, 'a calendar is a map, such as {days: [mon, fri], from: "09:00"}')
            return Calendar(name=key.text)
        node = self._with_hours(node)
        self.keys.known(node, CALENDAR_KEYS)
        opens, closes = self._hours(node)
        return Calendar(
            name=key.text,
            zone=time_zones.read(node, self.keys, self.zone),
            days=self._days(node),
            opens=opens,
            closes=closes,
            holidays=tuple(self._holidays(node)),
        )

    def _with_hours(self, table: Table) -> Table:
        """Return a calendar without the one key of its hours, which is said to be two."""
        for key, value in table.pairs:
            ends = value.text.split("-") if isinstance(value, Scalar) else []
            meant = [written_values.time_of_day(end.strip()) for end in ends]
            has_hours = table.get("from") is not None
            if key.text not in CALENDAR_KEYS and len(meant) == 2 and all(meant) and not has_hours:
                message = f"there is no key `{key.text}` here: hours are `from` and `to`"
                self._error(key, message, f"from: {meant[0]}, to: {meant[1]}")
                return replace(table, pairs=tuple(pair for pair in table.pairs if pair[0] != key))
        return table

    def _days(self, table: Table) -> frozenset[int]:
        node = table.get("days")
        if node is None:
            return EVERY_DAY
        if isinstance(node, Scalar) and node.text:
            self._error(node, "`days` is a list, such as [mon, tue]", _days_meant(node.text))
            return EVERY_DAY
        found = set()
        for name in self.keys.names(table, "days"):
            if name.text in DAYS:
                found.add(DAYS.index(name.text))
            else:
                message = f"`{name.text}` is none of {', '.join(DAYS)}"
                days = _days_meant(name.text)
                self._error(name, message, days.strip("[]") if days else _day_meant(name.text))
        return frozenset(found)

    def _hours(self, table: Table) -> tuple[time, time]:
        opens, closes = self._time(table, "from"), self._time(table, "to")
        start, end = table.get("from"), table.get("to")
        if isinstance(start, Scalar) and isinstance(end, Scalar) and start.text == end.text:
            self._error(end, "this opens and closes at the same time; for all day leave out both")
        return opens, closes

    def _time(self, table: Table, name: str) -> time:
        node, key = table.get(name), table.key(name)
        if node is None or key is None:
            return time.min
        text = node.text if isinstance(node, Scalar) else ""
        if name == "to" and text == "24:00":
            return time.min
        found = time_zones.time_of_day(text)
        if found is None:
            shown = node if text or not isinstance(node, Scalar) else key
            message = f'`{name}` is a time of day, such as "09:00"'
            meant = '"24:00"' if name == "to" and text == "24" else None
            meant = meant or written_values.time_of_day(text)
            message, meant = impossible_days.of_time(text) or (message, meant)
            self._error(shown, message, meant)
        return found or time.min

    def _holidays(self, table: Table) -> Iterator[tuple[date, date]]:
        node, key = table.get("holidays"), table.key("holidays")
        if node is None or key is None:
            return
        if not isinstance(node, Items):
            day = written_values.days(node.text) if isinstance(node, Scalar) else None
            if day is None and isinstance(node, Scalar) and values.day(node.text):
                day = node.text
            wrong = impossible_days.of_days(node.text) if isinstance(node, Scalar) else None
            day = wrong.suggestion if wrong else day
            message = wrong.message if wrong else f"`holidays` is a list of days: {_HOLIDAYS}"
            self._error(key, message, day and f"[{day}]")
            return
        for item in node.items:
            ends = self._ends(item)
            first, last = (values.day(end) for end in ends) if ends else (None, None)
            if first is None or last is None:
                text = item.text if isinstance(item, Scalar) else ""
                wrong = impossible_days.of_days(text)
                meant = wrong.suggestion if wrong else written_values.days(text)
                self._error(item, wrong.message if wrong else _no_holiday(text), meant)
            elif first > last:
                self._error(item, "this holiday ends before it begins")
            else:
                yield first, last

    def _ends(self, item: Node) -> tuple[str, str] | None:
        """Return the first and the last day of a holiday as they are written, or None."""
        if isinstance(item, Scalar):
            first, dots, last = item.text.partition("..")
            return first.strip(), last.strip() if dots else first.strip()
        if not isinstance(item, Table):
            return None
        self.keys.known(item, HOLIDAY_KEYS)
        first_node, last_node = item.get("from"), item.get("to")
        if isinstance(first_node, Scalar) and isinstance(last_node, Scalar):
            return first_node.text, last_node.text
        return None

    def _error(self, node: Node, message: str, suggestion: str | None = None) -> None:
        self.keys.mistakes.error(node, message, suggestion)


def _no_holiday(written: str) -> str:
    """Return what is wrong with a text that is no holiday."""
    if _WITHOUT_YEAR.fullmatch(written):
        return f"`{written}` names no year, and a holiday is a day of one: 2026-05-09"
    return f"a holiday is a day or a range of days: {_HOLIDAYS}"


def _day_meant(written: str) -> str | None:
    plain = written.lower().rstrip(".")
    if plain in _OF_GERMANS or (plain[:2] in _OF_GERMANS and plain.endswith(("tag", "woch"))):
        return _OF_GERMANS[plain[:2]]
    if plain in _NUMBERED:
        return DAYS[_NUMBERED.index(plain)]
    return russian.english(written, DAYS) or nearest(written.lower()[:3], DAYS)


def _days_meant(written: str) -> str | None:
    """Return the list of days in `mon-fri` or `mon, tue`."""
    if (whole := _IN_A_WORD.get(written.strip().lower().replace(" ", "_"))) is not None:
        return f"[{', '.join(whole)}]"
    first, *rest = (_day_meant(part.strip()) for part in _BETWEEN_DAYS.split(written))
    if first and len(rest) == 1 and rest[0] is not None:
        start, end = DAYS.index(first), DAYS.index(rest[0])
        return f"[{', '.join(DAYS[start : end + 1])}]" if start < end else None
    return written_values.several(written, _day_meant)
