"""Tells keys from other words by their looks, and which keys stand with which.

A broken line must be understood before there is a tree, so the keys stand here once more, by the
map that they belong to; a test holds them against the readers of those maps.
"""

import re
from collections.abc import Collection, Mapping

KEYS: Mapping[str, frozenset[str]] = {
    map_: frozenset(words.split())
    for map_, words in {
        "file": "version defaults lists calendars rules tests",
        "defaults": "mode limit portals timezone",
        "rule": "id because mode when if unless then every_template limit sweep portals disabled "
        "expires wait during keep per tell warn",
        "calendar": "timezone days from to holidays",
        "limit": "per_hour per_document per_run percent_of_running",
        "schedule": "every daily_at timezone",
        "test": "name event at portal document facts unknown workflows expect",
    }.items()
}
GROUPS = frozenset({"any", "all", "not"})
_WORDS = frozenset().union(*KEYS.values(), GROUPS)
_FACT = re.compile(r"[a-z_][a-z_0-9]*\.[a-z_0-9]+(?:\.[a-z_0-9]+)?", re.IGNORECASE)
_NAME = re.compile(r"[^\W\d][\w.]*")
_DONE = (".added", ".updated", ".deleted")
_LINE_OF_A_KEY = re.compile(r"\s*(?:- +)*[^\W\d][\w.-]*:(?:\s|$)|\s*-(?:\s|$)")


def is_a_key(word: str) -> bool:
    """Return whether a word is a key of the language or the path of a fact, by its looks."""
    return word in _WORDS or (_FACT.fullmatch(word) is not None and not word.endswith(_DONE))


def is_a_name(word: str) -> bool:
    """Return whether a word may be a key, though perhaps one that does not exist."""
    return _NAME.fullmatch(word) is not None


def begins_like_a_key(line: str) -> bool:
    """Return whether a line begins with a key and its colon, or with a dash."""
    return _LINE_OF_A_KEY.match(line) is not None


def stand_together(key: str, keys: Collection[str]) -> bool:
    """Return whether a key belongs into the map that has these keys."""
    if is_a_test(key):
        return any(map(is_a_test, keys))
    return any(key in words and not words.isdisjoint(keys) for words in KEYS.values())


def is_a_test(word: str) -> bool:
    """Return whether a word is the path of a fact or the name of a group, by its looks."""
    return word in GROUPS or _FACT.fullmatch(word) is not None
