"""Parses `when`: the events, robot calls and schedules that set a rule off."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta, tzinfo

from responder.rules import time_zones, triggers
from responder.rules.facts import values
from responder.rules.load.key_parser import Keys
from responder.rules.load.suggestions import impossible_days, synonyms, written_values, yaml_text
from responder.rules.schedules import DailyAt, Every, Schedule
from responder.rules.triggers import Trigger
from responder.rules.yaml_positions import Items, Node, Scalar, Table

SCHEDULE_KEYS = ("every", "daily_at")
_SCHEDULES = 'a schedule is {every: 15m} or {daily_at: "03:00"}'
_IS_A_TIME = '`daily_at` is a time of day, such as "03:00"'
_SCHEDULE = re.compile(r"(every|daily_at)[ :]+([0-9]\S*)")
_BETWEEN_NAMES = re.compile(r"\s*[,;|]\s*|\s+(?:and|or|und|oder|и|или)\s+")
_CRON = re.compile(r"(?:[0-9*/,-]+ ){4}[0-9*/,-]+")
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(days=366)


@dataclass(frozen=True, slots=True)
class WhenReader:
    """A parser of the `when` of one rule. `zone` is that of the defaults, if any."""

    keys: Keys
    zone: tzinfo | None

    def read(
        self, node: Table, rule_keys: Collection[str], *, required: bool
    ) -> tuple[Trigger, ...] | None:
        """Parse the triggers of a rule that may have `rule_keys`; None where it has no `when`."""
        value, key = node.get("when"), node.key("when")
        if value is None or key is None:
            if required and self.keys.lacks(node, "when", rule_keys):
                self._error(node, "`when` is missing: what sets the rule off?")
            return None
        if not isinstance(value, Items) or not value.items:
            self._error(key, "`when` is a list, such as [deal.updated]", _as_a_list(value))
            return ()
        return tuple(self._triggers(value))

    def _triggers(self, items: Items) -> Iterator[Trigger]:
        for item in items.items:
            if isinstance(item, Table) and item.pairs:
                found = self._scheduled(item)
            elif not isinstance(item, Scalar):
                self._error(item, "the name of an event or `robot` is expected here")
                continue
            else:
                found = triggers.find(item.text)
                if found is None:
                    self._no_trigger(item)
            if found is not None:
                yield found

    def _no_trigger(self, item: Scalar) -> None:
        message, meant = f"there is no event `{item.text}`", triggers.nearest_trigger(item.text)
        if triggers.is_a_portals_name(item.text):
            message = f"`{item.text}` is no event that brings a document with workflows"
        elif _SCHEDULE.fullmatch(item.text):
            message, meant = "a schedule stands in braces", _schedule_said(item.text)
        elif _CRON.fullmatch(item.text):
            message, meant = f"{message}: {_SCHEDULES}", None
        elif (several := written_values.several(item.text, _event)) is not None:
            meant = several.strip("[]")
        elif (why := triggers.never_sent(item.text)) is not None:
            message, meant = f"{message}: {why}", "{every: 1h}"
        self._error(item, message, meant)

    def _scheduled(self, item: Table) -> Trigger | None:
        names = [key.text for key, _ in item.pairs]
        first = next((key for key, _ in item.pairs if key.text in SCHEDULE_KEYS), item.pairs[0][0])
        named = item.pairs[0][1]
        if isinstance(named, Scalar) and triggers.find(named.text) is not None:
            self._error(item, "the name of an event stands without braces", named.text)
            return None
        if first.text not in SCHEDULE_KEYS:
            meant = synonyms.meant(first.text, SCHEDULE_KEYS, synonyms.KEYS)
            message = f"there is no trigger `{first.text}`"
            hint = ", and knows no days of the week" if first.text in ("weekly", "monthly") else ""
            self._error(first, message if meant else f"{message}: {_SCHEDULES}{hint}", meant)
            return None
        if "every" in names and (at := _time_of_day_beside(item)) is not None:
            message = "a time of day goes with `daily_at`, and not with `every`"
            self._error(first, message, at)
            return None
        if "every" in names:
            self.keys.known(item, ("every",))
            schedule = self._every(item, first)
        else:
            self.keys.known(item, ("daily_at", "timezone"))
            schedule = self._daily_at(item, first)
        return None if schedule is None else triggers.scheduled(schedule)

    def _every(self, item: Table, key: Scalar) -> Schedule | None:
        text = self.keys.text(item, "every")
        length = values.duration(text) if text else None
        if length is not None and _SHORTEST <= length <= _LONGEST:
            return Every(length)
        if text:
            message = "`every` is a duration from 1s to 366d, such as 15m or 12h"
            self._error(item.get("every") or key, message, written_values.duration(text, unit="m"))
        return None

    def _daily_at(self, item: Table, key: Scalar) -> Schedule | None:
        written = item.get("daily_at")
        parts = written.items if isinstance(written, Items) else ()
        times = [written_values.time_of_day(one.text) for one in parts if isinstance(one, Scalar)]
        if len(times) > 1 and all(times):
            two = ", ".join(f"{{daily_at: {one}}}" for one in times)
            said = "`daily_at` is a time of day; for two of them, write two schedules"
            self._error(written or key, said, two)
            return None
        text = self.keys.text(item, "daily_at")
        at = time_zones.time_of_day(text) if text else None
        zone = time_zones.read(item, self.keys, self.zone)
        if at is not None:
            if zone is None and self.keys.lacks(item, "timezone", ("daily_at", "timezone")):
                message = f"`timezone` is missing: {text} where? write it here, or in `defaults`"
                self.keys.mistakes.error(key, message, new=True)
            return DailyAt(at, zone or UTC)
        if text:
            message, meant = _IS_A_TIME, written_values.time_of_day(text)
            message, meant = impossible_days.of_time(text) or (message, meant)
            self._error(item.get("daily_at") or key, message, meant)
        return None

    def _error(self, node: Node, message: str, suggestion: str | None = None) -> None:
        self.keys.mistakes.error(node, message, suggestion)


def _time_of_day_beside(item: Table) -> str | None:
    """Return the schedule that is meant by `{every: day, at: "03:00"}`."""
    for key, value in item.pairs:
        text = value.text if isinstance(value, Scalar) else ""
        if synonyms.meant(key.text, ("daily_at",), synonyms.KEYS) and ":" in text:
            return f"{{daily_at: {written_values.time_of_day(text) or text}}}"
    return None


def _as_a_list(node: Node) -> str | None:
    """Return the list that is meant by names of events, or a schedule, without brackets."""
    if isinstance(node, Table) and len(node.pairs) == 1:
        ((key, value),) = node.pairs
        if not isinstance(value, Scalar):
            return None
        if triggers.find(value.text) is not None:
            return f"[{value.text}]"
        length = written_values.duration(value.text, unit="m") if key.text == "every" else None
        return f"[{{{key.text}: {length or yaml_text.written(value)}}}]"
    if isinstance(node, Scalar) and (said := _schedule_said(node.text)) is not None:
        return f"[{said}]"
    names = (
        [name.strip() for name in _BETWEEN_NAMES.split(node.text)]
        if isinstance(node, Scalar)
        else []
    )
    meant = [_event(name) for name in names]
    return f"[{', '.join(filter(None, meant))}]" if meant and all(meant) else None


def _schedule_said(written: str) -> str | None:
    """Return the schedule in `every 1h` or `daily_at 03:00`."""
    found = _SCHEDULE.fullmatch(written.strip())
    if found is None:
        return None
    operand = f'"{found[2]}"' if ":" in found[2] else found[2]
    return f"{{{found[1]}: {operand}}}"


def _event(name: str) -> str | None:
    """Return the name of an event, also where it is written with a space for its dot."""
    dotted = ".".join(name.split())
    return dotted if triggers.find(dotted) else triggers.nearest_trigger(dotted)
