"""Parses the values that a rule compares facts with, each according to the fact's type.

A literal becomes a `Comparand`: a reader of the portal's value, and the value to compare it with.
Where a literal does not fit, `MisfitError` names the node and the reason; `check` prints both.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

from responder.model import Unknown
from responder.rules.calendars import Calendar
from responder.rules.facts import moments, registry, values, working_time
from responder.rules.facts.fields import Type
from responder.rules.facts.moments import Moment
from responder.rules.facts.registry import Fact
from responder.rules.facts.values import Reader
from responder.rules.facts.working_time import WorkingDays
from responder.rules.load.suggestions.synonyms import truth_meant
from responder.rules.yaml_positions import Items, Node, Scalar, Table, nearest, truth

_NONE = "{exists: false}"
_DATES = "2026-09-24 or 2026-09-24T10:00:00+03:00"
_PART_OF_A_DAY = re.compile(r"[0-9]+[.,][0-9]+\s*wd")
_UNEVEN = re.compile(
    r"[0-9]+\s*(?:mos?|mons?|months?|monate?|мес|месяца?|месяцев|y|years?|jahre?|год|года|лет)\.?",
    re.IGNORECASE,
)
_FEW = 8  # so many names are told to who wrote another one
_DURATIONS = "45s, 10m, 12h, 30d or 2w"


class MisfitError(Exception):
    """An operand that does not fit its operator or its fact. `node` is its place in the file."""

    def __init__(self, node: Node, message: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.node, self.message, self.suggestion = node, message, suggestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What stands beside the tests of a fact, and says in what its operands are counted.

    `hours` is the calendar of working days (`in`), `currency` that of amounts in user fields.
    """

    hours: Calendar | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContext:
    """The parts of the rules file that operands refer to: its lists, calendars and time zone.

    `zone` is None where the file names none. `units` are those of the tests at hand. `misses_names`
    is true where the names of lists or calendars could not be read, because the key that they stand
    under is misspelt.
    """

    zone: tzinfo | None = None
    units: Units = Units()
    lists: Mapping[str, tuple[Node, ...]] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    misses_names: bool = False


class Comparand(NamedTuple):
    """A literal of a rule: the reader for the portal's value, and the value to compare with."""

    read: Reader
    value: Any


def comparand(node: Node, fact: Fact, context: FileContext) -> Comparand:
    """Parse a literal that a fact is tested for equality with."""
    scalar = scalar_of(node, fact)
    match fact.type:
        case Type.NUMBER | Type.REFERENCE:
            return Comparand(values.number, _number(scalar, fact))
        case Type.TRUTH:
            return Comparand(values.truth, _truth(scalar, fact))
        case Type.DATE | Type.DAY:
            return Comparand(moments.reader(fact.type, context.zone), moment(scalar, fact, context))
        case Type.ANY:
            return _comparand_of_any_type(scalar, context)
        case _:
            return Comparand(values.text, text(scalar, fact))


def _comparand_of_any_type(scalar: Scalar, context: FileContext) -> Comparand:
    """Parse a literal for a field whose type only the portal knows, by the literal's own form."""
    if scalar.kind == "truth":
        return Comparand(values.truth, truth(scalar))
    number = values.number(scalar.text)
    if not isinstance(number, Unknown):
        # The portal writes yes and no of user fields now as Y and N, now as 1 and 0.
        read = values.bit_or_words if number in (0, 1) else values.number_or_words
        return Comparand(read, number)
    money = values.money(scalar.text)
    if not isinstance(money, Unknown):
        return Comparand(values.money_or_words, money)
    date = moments.literal(scalar.text, context.zone)
    if date is not None:
        return Comparand(_dates_or_words(context.zone), date)
    return Comparand(values.reader_like(scalar.text), scalar.text)


@lru_cache(maxsize=16)
def _dates_or_words(zone: tzinfo | None) -> Reader:
    """Return a reader of dates to which a text without digits is no date, and not unknown."""
    dates = moments.reader(Type.ANY, zone)
    return lambda value: () if values.is_words(value) else dates(value)


def scalar_of(node: Node, fact: Fact) -> Scalar:
    """Return the one value at a node; raise MisfitError where it is empty or the name of a fact."""
    if isinstance(node, Items):
        raise MisfitError(node, "one value is expected here; several are written with `one_of`")
    if not isinstance(node, Scalar):
        raise MisfitError(node, "one value is expected here")
    if node.kind == "null" or not node.text:
        message = f"nothing equals an empty value; write `{fact.path}: {_NONE}`"
        raise MisfitError(node, message, _NONE if node.text else None)
    if node.kind == "text" and registry.spells_a_fact(node.text):
        message = f"this would be the text `{node.text}`; the fact is written"
        meant = f"{{is: {{fact: {node.text}}}}}"
        raise MisfitError(node, f"{message} `{meant}`", meant)
    return node


def measure(node: Node, fact: Fact) -> Comparand:
    """Parse a number or a duration, for the tests of order (`over`, `below`, `between` …)."""
    scalar = scalar_of(node, fact)
    if fact.type is Type.DURATION:
        length = values.duration(scalar.text)
        if length is None:
            meant = values.duration_meant(scalar.text) or working_time.meant(scalar.text)
            raise MisfitError(scalar, _no_duration(scalar.text), meant)
        return Comparand(values.as_it_is, length)
    read = values.number(scalar.text)
    if isinstance(read, Unknown):
        raise MisfitError(scalar, f"`{scalar.text}` is not a number")
    return Comparand(values.number, read)


def _no_duration(written: str) -> str:
    """Return what is wrong with a text that is no duration."""
    if _PART_OF_A_DAY.fullmatch(written):
        return f"`{written}` is no number of working days: they are whole, as in 1wd"
    if _UNEVEN.fullmatch(written):
        return f"`{written}` is not a duration: months and years differ, so count days, such as 30d"
    return f"`{written}` is not a duration, such as {_DURATIONS}; or 3wd `in` a calendar"


def working_days(node: Node, fact: Fact, context: FileContext) -> WorkingDays | None:
    """Parse a number of working days (`3wd`); None where the operand is none."""
    count = working_time.written(node.text) if isinstance(node, Scalar) else None
    if count is None or fact.type is not Type.DURATION:
        return None
    assert isinstance(node, Scalar)
    if context.units.hours is None:
        message = f"working days are those of a calendar: {{over: {node.text}, in: CALENDAR}}"
        raise MisfitError(node, message)
    if not 0 < count <= working_time.MOST:
        raise MisfitError(node, f"working days are from 1wd to {working_time.MOST}wd")
    return WorkingDays(count, context.units.hours)


def moment(node: Node, fact: Fact, context: FileContext) -> Moment:
    """Parse a date and time, or a day."""
    scalar = scalar_of(node, fact)
    read = moments.literal(scalar.text, context.zone)
    if read is None:
        raise MisfitError(scalar, f"`{scalar.text}` is not a date, such as {_DATES}")
    return read


def age(node: Node, fact: Fact, context: FileContext) -> timedelta | Moment:
    """Parse the operand of `older_than` and `newer_than`: a duration, or a date."""
    scalar = scalar_of(node, fact)
    length = values.duration(scalar.text)
    if length is not None:
        return length
    read = moments.literal(scalar.text, context.zone)
    if read is None:
        message = f"`{scalar.text}` is neither a duration, such as {_DURATIONS}, nor a date"
        message = _no_duration(scalar.text) if _UNEVEN.fullmatch(scalar.text) else message
        raise MisfitError(scalar, message, values.duration_meant(scalar.text))
    return read


def calendar(node: Node, context: FileContext) -> Calendar:
    """Return the calendar that a node names."""
    name = _named(node, context.calendars, "calendar", context)
    return context.calendars.get(name) or Calendar(name=name)


def list_named(node: Node, context: FileContext) -> tuple[Node, ...]:
    """Return the items of the list that a node names."""
    return context.lists.get(_named(node, context.lists, "list", context), ())


def _named(node: Node, known: Collection[str], what: str, context: FileContext) -> str:
    """Return the name at a node if there is such a list or calendar; `what` is which of the two."""
    if not isinstance(node, Scalar):
        raise MisfitError(node, f"the name of one of `{what}s` is expected here")
    if node.text not in known and not context.misses_names:
        meant = nearest(node.text.lower(), known) or _among_words(node.text, known)
        message = f"there is no {what} `{node.text}` in `{what}s`"
        if meant is None and 0 < len(known) <= _FEW:
            message += f", which has {', '.join(known)}"
        raise MisfitError(node, message, meant)
    return node.text


def _among_words(written: str, known: Collection[str]) -> str | None:
    words = re.split(r"[\s.]+", written.lower())
    return next((name for name in known if name in words), None)


def _number(scalar: Scalar, fact: Fact) -> object:
    read = values.number(scalar.text)
    if isinstance(read, Unknown):
        if fact.type is Type.REFERENCE and re.fullmatch(r"\d+(\s+\d+)+", scalar.text):
            several = ", ".join(scalar.text.split())
            raise MisfitError(scalar, "commas are missing between these numbers", several)
        message = f"`{scalar.text}` is not a number, and `{fact.path}` is one"
        if fact.type is Type.REFERENCE:
            message += ", which the address of its page ends with"
        elif fact.path.endswith(".category_id"):
            message += ": that of the pipeline, which the address of its deals has (category/2)"
        raise MisfitError(scalar, message)
    if values.is_empty(read, fact.type):
        message = f"0 in `{fact.path}` means that there is none; write `{fact.path}: {_NONE}`"
        raise MisfitError(scalar, message)
    return read


def _truth(scalar: Scalar, fact: Fact) -> bool:
    read = values.truth(scalar.text)
    if isinstance(read, Unknown):
        message = f"`{fact.path}` is yes or no: write `true` or `false`"
        raise MisfitError(scalar, message, truth_meant(scalar.text))
    return read


def text(scalar: Scalar, fact: Fact) -> str:
    """Parse a text. A bare `true` or `false` is refused: its author probably meant yes or no."""
    if scalar.kind == "truth":
        raise MisfitError(scalar, f'`{fact.path}` is a text: write "{scalar.text}" in quotes')
    return scalar.text


def other_fact(node: Node, fact: Fact) -> Fact | None:
    """Return the fact that an operand names (`{fact: PATH}`), or None where it is a literal."""
    if not isinstance(node, Table) or not node.pairs:
        return None
    key, value = node.pairs[0]
    if key.text != "fact" or len(node.pairs) > 1:
        raise MisfitError(key, "only `{fact: …}` is expected here", nearest(key.text, ["fact"]))
    if not isinstance(value, Scalar):
        raise MisfitError(value, "the name of a fact is expected here")
    other = registry.find(value.text)
    if other is None:
        raise MisfitError(
            value, f"there is no fact `{value.text}`", registry.nearest_fact(value.text)
        )
    if _family(fact) != _family(other) and Type.ANY not in (fact.type, other.type):
        message = f"`{fact.path}` ({fact.type}) and `{other.path}` ({other.type})"
        raise MisfitError(value, f"{message} cannot be compared")
    return other


def _family(fact: Fact) -> Type:
    alike = {Type.REFERENCE: Type.NUMBER, Type.ID: Type.TEXT, Type.DAY: Type.DATE}
    return alike.get(fact.type, fact.type)
