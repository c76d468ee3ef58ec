"""Writes what a test says of its fact, beginning with a verb: `is below 1000`."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from responder.rules.english.fact_names import LINKS, MEANINGS, NAMES, OF_USERS
from responder.rules.facts import links, values, working_time
from responder.rules.facts.conditions import FactTest
from responder.rules.facts.fields import Type
from responder.rules.facts.links import Linked
from responder.rules.facts.registry import Fact

OtherInWords = Callable[[Fact], str]

ORDER: Mapping[str, str] = {
    "over": "more than {}",
    "at_least": "at least {}",
    "below": "less than {}",
    "at_most": "at most {}",
    "between": "between {}",
}
_CODE = re.compile(r"[A-Z0-9_:.-]+")
_PLAIN = re.compile(r"[A-Za-z0-9_:.-]+")
_TEXTUAL = frozenset({"contains", "starts_with", "ends_with", "matches"})
_TIMES = frozenset({"older_than", "newer_than", "within", "outside"})
_BEFORE: Mapping[str, str] = {"older_than": "before", "newer_than": "after"}
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def length_in_words(length: timedelta) -> str:
    """Return a duration as people say it: `30 days`, `1 hour 30 minutes`."""
    seconds = int(length.total_seconds())
    parts = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(_counted(count, unit))
    return " ".join(parts) or "0 seconds"


def joined(words: Sequence[str], last: str) -> str:
    """Return words with commas between them, and `last` before the last of them."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def noun(fact: Fact) -> str:
    """Return the noun for a fact: `amount`, `company's industry`, `field uf_crm_1`."""
    linked = links.parse(fact.path)
    return _noun(fact.path) if linked is None else _noun_of_linked(linked)


def _noun_of_linked(linked: Linked) -> str:
    there, name = LINKS[linked.link.name], linked.name
    if linked.link.target != links.USER:
        return f"{there}'s {_noun(f'{linked.link.target}.{name}')}"
    return f"{there}'s {OF_USERS[name]}" if name in OF_USERS else there


def _noun(path: str) -> str:
    name = path.partition(".")[2]
    if path in NAMES or name in NAMES:
        return NAMES.get(path) or NAMES[name]
    if name.startswith(("uf_", "property_")):
        return f"field {name}"
    return name.removesuffix("_id").removesuffix("_ids").replace("_", " ")


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def neither(words: list[str]) -> str:
    """Return that something is none of these: `is neither won nor lost`."""
    return f"is neither {joined(words, 'nor')}"


def when(test: FactTest) -> str | None:
    """Return when something was that happened: `more than 30 days ago`, `on 2026-09-24`."""
    words, name = test.operand.words, test.operator.name
    if test.operand.other is not None:
        return None
    if test.fact.type is Type.DURATION:
        return _long_ago(name, words)
    return _at_what_time(name, words)


def _long_ago(name: str, words: str) -> str | None:
    pattern = ORDER.get(name)
    if pattern is None:
        return None
    lengths, _, calendar = words.partition(" in ")
    said = [_one_length(one) for one in lengths.split(" and ")]
    if len({one.split(" ", 1)[1].rstrip("s") for one in said}) == 1:
        said = [*(one.split(" ", 1)[0] for one in said[:-1]), said[-1]]
    by = f" (calendar {calendar})" if calendar else ""
    return f"{pattern.format(joined(said, 'and'))} ago{by}"


def _one_length(written: str) -> str:
    days = working_time.written(written)
    if days is not None:
        return _counted(days, "working day")
    length = values.duration(written)
    return written if length is None else length_in_words(length)


def _at_what_time(name: str, words: str) -> str | None:
    length = values.duration(words)
    if length is not None and name in ("older_than", "newer_than"):
        pattern = ORDER["over" if name == "older_than" else "below"]
        return f"{pattern.format(length_in_words(length))} ago"
    patterns = {
        "older_than": "before {}",
        "newer_than": "after {}",
        "between": "between {}",
        "within": "in the hours of {}",
        "outside": "outside the hours of {}",
        "is": "at {}" if "T" in words else "on {}",
    }
    return patterns[name].format(words) if name in patterns else None


def predicate(test: FactTest, other: OtherInWords, *, negate: bool = True) -> str:
    """Return what a test says of its fact, beginning with a verb."""
    name, words = test.operator.name, test.operand.words
    if test.operand.other is not None:
        return _against_another(test, other(test.operand.other))
    if name in ("one_of", "none_of"):
        return _choice(test, negate=negate)
    if name in _TIMES:
        return _of_a_date(name, words)
    if name in ("in_list", "not_in_list"):
        return f"is {'not ' if test.negated and negate else ''}in the list {words}"
    if name in ("is", "is_not"):
        return f"is {'not ' if test.negated and negate else ''}{_value(test.fact, words)}"
    return test.operator.english.format(f"“{words}”") if name in _TEXTUAL else f"is {test.wording}"


def _against_another(test: FactTest, words: str) -> str:
    name = test.operator.name
    if name in _BEFORE:
        return f"is {_BEFORE[name]} {words}"
    said = test.operator.english.format(words)
    return said if name in ("is", "is_not") else f"is {said}"


def _of_a_date(name: str, words: str) -> str:
    if name == "newer_than" and values.duration(words) is not None:
        return f"is {_at_what_time(name, words)} or still to come"
    verb = "was" if name == "older_than" and values.duration(words) is not None else "is"
    return f"{verb} {_at_what_time(name, words) or words}"


def _choice(test: FactTest, *, negate: bool) -> str:
    """Return `is 0 or 2`, unless a value could be mistaken for two."""
    some = test.operand.words.split(", ")
    if not all(map(_CODE.fullmatch, some)):
        none = test.operator.name == "none_of" and negate
        return f"is {'none' if none else 'one'} of {test.operand.words}"
    words = [_value(test.fact, value) for value in some]
    if test.operator.name == "one_of" or not negate:
        return f"is {joined(words, 'or')}"
    return neither(words) if len(words) > 1 else f"is not {words[0]}"


def _value(fact: Fact, value: str) -> str:
    name = fact.path.partition(".")[2]
    meaning = MEANINGS.get((fact.path, value)) or MEANINGS.get((name, value))
    if meaning is not None:
        return f"{value} ({meaning})"
    return value if _PLAIN.fullmatch(value) else f"“{value}”"
