"""Parses the keys that hold a rule back once its tests hold: `wait`, `during` and `keep`."""

from dataclasses import dataclass
from datetime import timedelta

from responder.model import Action
from responder.rules.calendars import Calendar
from responder.rules.facts import literals, values
from responder.rules.facts.literals import FileContext, MisfitError
from responder.rules.keep import GROUPS, Keep
from responder.rules.load.key_parser import Keys
from responder.rules.yaml_positions import Table, nearest

RESTRAINT_KEYS = ("wait", "during", "keep", "per")
_LONGEST = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restraints:
    """The keys that hold a rule back: how long to wait, when to act, which workflows to spare."""

    wait: timedelta | None = None
    during: Calendar | None = None
    keep: Keep | None = None


def read(node: Table, keys: Keys, context: FileContext, action: Action | None) -> Restraints:
    """Parse the restraints of a rule; a `leave` rule has none."""
    if action is Action.LEAVE:
        for name in RESTRAINT_KEYS:
            key = node.key(name)
            if key is not None:
                message = f"a `leave` rule has no `{name}`: it protects at once and always"
                keys.mistakes.error(key, message)
        return Restraints()
    return Restraints(
        wait=_wait(node, keys), during=_during(node, keys, context), keep=_keep(node, keys)
    )


def _wait(node: Table, keys: Keys) -> timedelta | None:
    text = keys.text(node, "wait")
    if text is None:
        return None
    length = values.duration(text)
    if length is None or not timedelta() < length <= _LONGEST:
        value = node.get("wait")
        assert value is not None
        message = "`wait` is a duration from 1s to 366d, such as 10m"
        keys.mistakes.error(value, message, values.duration_meant(text))
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
        keys.mistakes.error(misfit.node, misfit.message, misfit.suggestion)
        return None


def _keep(node: Table, keys: Keys) -> Keep | None:
    which = keys.choice(node, "keep", ("newest", "oldest"))
    per = set()
    for name in keys.names(node, "per"):
        if name.text in GROUPS:
            per.add(name.text)
        else:
            message = f"`per` is a list of {', '.join(GROUPS)}"
            keys.mistakes.error(name, message, nearest(name.text, GROUPS))
    key = node.key("per")
    if which is None:
        if key is not None and node.get("keep") is None:
            keys.mistakes.error(key, "`per` says what makes a group for `keep`, which is missing")
        return None
    return Keep(newest=which == "newest", per=frozenset(per) if key else frozenset(GROUPS))
