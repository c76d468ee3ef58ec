"""Parses the keys that hold a rule back once its tests hold: `wait`, `during` and `keep`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from responder.model import Action
from responder.rules.calendars import Calendar
from responder.rules.facts import literals, registry, values
from responder.rules.facts.literals import FileContext, MisfitError
from responder.rules.keep import GROUPING, GROUPS, Keep
from responder.rules.load.clause_parser import Use
from responder.rules.load.key_parser import Keys
from responder.rules.load.suggestions import synonyms, written_values
from responder.rules.yaml_positions import Node, Scalar, Table, nearest

RESTRAINT_KEYS = ("wait", "during", "keep", "per")
_LONGEST = timedelta(days=366)
WHICH = ("newest", "oldest")
_HOW = "`keep` is newest, oldest, or how many of them, such as {newest: 3}"
MOST_KEPT = 999
_NUMBERED = re.compile(r"(?:([a-z]+) )?([1-9][0-9]{0,2})")
# Facts that are never the same for two workflows, or always the same for all.
NO_GROUP = {
    "workflow.id": "every workflow has its own, so that nothing would ever be stopped",
    "document.id": "it is the number within a kind; write `document`",
    "event.name": "it is the same for all workflows",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Restraints:
    """The keys that hold a rule back: how long to wait, when to act, which workflows to spare.

    `uses` are the facts that make groups for `keep`.
    """

    wait: timedelta | None = None
    during: Calendar | None = None
    keep: Keep | None = None
    uses: tuple[Use, ...] = ()


def read(node: Table, keys: Keys, context: FileContext, action: Action | None) -> Restraints:
    """Parse the restraints of a rule; a `leave` rule has none."""
    if action is Action.LEAVE:
        for name in RESTRAINT_KEYS:
            key = node.key(name)
            if key is not None:
                message = f"a `leave` rule has no `{name}`: it protects at once and always"
                keys.mistakes.error(key, message)
        return Restraints()
    wait, during = _wait(node, keys), _during(node, keys, context)
    keep, uses = _keep(node, keys)
    return Restraints(wait=wait, during=during, keep=keep, uses=uses)


def _wait(node: Table, keys: Keys) -> timedelta | None:
    value = node.get("wait")
    if isinstance(value, Table) and len(value.pairs) == 1:
        ((unit, count),) = value.pairs
        said = f"{count.text} {unit.text}" if isinstance(count, Scalar) else ""
        message = "`wait` is a duration, such as 10m"
        keys.mistakes.error(value, message, written_values.duration(said))
        return None
    text = keys.text(node, "wait")
    if text is None:
        return None
    length = values.duration(text)
    if length is None or not timedelta() < length <= _LONGEST:
        value = node.get("wait")
        assert value is not None
        message, meant = "`wait` is a duration from 1s to 366d, such as 10m", None
        if written_values.is_of_working_days(text):
            message += "; working days stand in tests alone, such as workflow.age"
        else:
            if text == "0":
                message += ": leave it out to act at once"
            elif text.isascii() and text.isdigit():
                message += f": minutes are `{text}m`, and hours `{text}h`"
            meant = written_values.duration(text, unit="m")
        keys.mistakes.error(value, message, meant)
        return None
    return length


def _during(node: Table, keys: Keys, context: FileContext) -> Calendar | None:
    if keys.text(node, "during") is None:
        return None
    value = node.get("during")
    assert value is not None
    try:
        return literals.calendar(value, context)
    except MisfitError as misfit:
        message = misfit.message
        if any(map(str.isdigit, keys.text(node, "during") or "")):
            message += ": `during` names one, and the hours stand there"
        keys.mistakes.error(misfit.node, message, misfit.suggestion)
        return None


def _keep(node: Table, keys: Keys) -> tuple[Keep | None, tuple[Use, ...]]:
    chosen = _which(node, keys)
    per: set[str] = set()
    uses: list[Use] = []
    for name in keys.names(node, "per", _meant):
        if name.text in GROUPS:
            per.add(name.text)
        else:
            uses += _grouping(name, keys)
    key = node.key("per")
    if chosen is None:
        if key is not None and node.get("keep") is None:
            keys.mistakes.error(key, "`per` says what makes a group for `keep`, which is missing")
        return None, ()
    which, count = chosen
    per |= {use.fact.path for use in uses}
    groups = frozenset(per) if key else frozenset(GROUPS)
    return Keep(newest=which == "newest", per=groups, count=count), tuple(uses)


def _which(node: Table, keys: Keys) -> tuple[str, int] | None:
    """Read `keep`: which workflows of a group, and how many of them."""
    value = node.get("keep")
    if not isinstance(value, Table):
        found = _NUMBERED.fullmatch(value.text) if isinstance(value, Scalar) else None
        if found is not None and value is not None:
            meant = synonyms.meant(found[1] or "newest", WHICH, synonyms.VALUES) or "newest"
            keys.mistakes.error(value, _HOW, f"{{{meant}: {found[2]}}}")
            return None
        which = keys.choice(node, "keep", WHICH)
        return None if which is None else (which, 1)
    keys.known(value, WHICH, synonyms.VALUES)
    known = [(key, count) for key, count in value.pairs if key.text in WHICH]
    if len(known) != 1:
        if len(known) == len(value.pairs):
            keys.mistakes.error(value, _HOW)
        return None
    key, count = known[0]
    number = _count(count)
    if number is None:
        message = f"`{key.text}` is how many to keep: a whole number from 1 to {MOST_KEPT}"
        is_word = isinstance(count, Scalar) and count.text.isalpha()
        said = written_values.number(count.text) if is_word and isinstance(count, Scalar) else None
        keys.mistakes.error(count, message, said)
        return None
    return key.text, number


def _count(node: Node) -> int | None:
    """Return how many to keep; None where it is no number from 1 to 999."""
    if not isinstance(node, Scalar) or not node.text.isascii() or not node.text.isdigit():
        return None
    number = int(node.text) if len(node.text) <= len(str(MOST_KEPT)) else 0
    return number if 0 < number <= MOST_KEPT and str(number) == node.text else None


def _grouping(name: Scalar, keys: Keys) -> Iterator[Use]:
    """Yield the fact that makes a group, or record why it cannot."""
    fact = registry.find(name.text)
    if fact is None:
        message = f"`per` is a list of {', '.join(GROUPS)} and facts such as starter.id"
        keys.mistakes.error(name, message, _meant(name.text))
    elif fact.path in NO_GROUP:
        keys.mistakes.error(name, f"`{fact.path}` makes no groups: {NO_GROUP[fact.path]}")
    elif fact.type not in GROUPING:
        message = f"`{fact.path}` ({fact.type}) makes no groups: only references and texts do"
        keys.mistakes.error(name, message)
    else:
        yield Use(fact, name)


# The words for what groups are mostly made of.
_OF_DEALS = {
    "company": "deal.company_id",
    "contact": "deal.contact_id",
    "client": "deal.company_id",
    "responsible": "deal.assigned_by_id",
    "user": "starter.id",
    "started_by": "starter.id",
}


def _meant(name: str) -> str | None:
    """Return what was probably meant by a wrong name: `starter.id` by `starter`."""
    if name in GROUPS or registry.find(name) is not None:
        return name
    if synonyms.VALUES.get(name.lower()) in GROUPS:
        return synonyms.VALUES[name.lower()]
    if name in _OF_DEALS:
        return _OF_DEALS[name]
    by_id = registry.find(f"{name}.id")
    if by_id is not None and by_id.type in GROUPING and by_id.path not in NO_GROUP:
        return by_id.path
    return nearest(name, GROUPS) or registry.nearest_fact(name)
