"""Says where a key belongs that stands in another map than its own."""

from collections.abc import Collection, Mapping
from difflib import SequenceMatcher
from typing import NamedTuple

from responder.rules.load.suggestions import yaml_text
from responder.rules.load.syntax.key_words import KEYS
from responder.rules.yaml_positions import Node, nearest

_SLIP = 0.85  # so alike are a key and its misspelling
_AUDIENCES = ("timeline", "starter", "responsible", "waiting")
_KEPT = ("newest", "oldest")
_HOMES: Mapping[str, str] = {
    "file": "it begins a line of its own, without spaces before it",
    "defaults": "it stands in `defaults`, at the top of the file",
    "rule": "it is a key of a rule, below `- id`",
    "calendar": "it is a key of a calendar, below its name in `calendars`",
    "limit": "it stands in `limit`, of a rule or of `defaults`",
    "schedule": "it stands in `when`, in braces",
    "test": "it is a key of a test, below `- name` in `tests`",
}
_ORDER = ("limit", "rule", "test", "defaults", "schedule", "calendar", "file")


class Misplaced(NamedTuple):
    """Where a key belongs, in words, and what is to be written in its place."""

    where: str
    suggestion: str | None = None


def of_key(written: str, value: Node, names: Collection[str]) -> Misplaced | None:
    """Return where a key belongs that is none of `names`; None where that is not known."""
    key = _right(written, names)
    if key is None:
        return None
    if key in _KEPT:
        pair = f"keep: {{{key}: {yaml_text.written(value)}}}" if "keep" in names else None
        return Misplaced("it stands in `keep`", pair)
    if key in _AUDIENCES:
        pair = f"tell: [{key}]" if "tell" in names else None
        return Misplaced("it is one of those whom `tell` and `warn` know", pair)
    home = next(one for one in _ORDER if key in KEYS[one])
    pair = f"{key}: {yaml_text.written(value)}"
    if home == "limit" and "limit" in names:
        return Misplaced("it stands in `limit`", f"limit: {{{pair}}}")
    if home == "schedule" and "when" in names:
        return Misplaced(_HOMES[home], f"when: [{{{pair}}}]")
    return Misplaced(_HOMES[home])


def _right(written: str, names: Collection[str]) -> str | None:
    """Return the key that is meant, where it belongs elsewhere; None where it belongs here."""
    known = {*_AUDIENCES, *_KEPT}.union(*KEYS.values())
    plain = written.strip().lower().replace("-", "_").replace(" ", "_")
    plain = plain.removeprefix("max_") if plain.removeprefix("max_") in KEYS["limit"] else plain
    if plain in known:
        return None if plain in names else plain
    elsewhere = nearest(plain, known.difference(names), likeness=_SLIP)
    here = nearest(plain, names, likeness=_SLIP)
    if elsewhere is None or (here is not None and _ratio(here, plain) >= _ratio(elsewhere, plain)):
        return None
    return elsewhere


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()
