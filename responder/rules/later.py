"""Lists what the language has and this version does not do yet, so that it is refused, not ignored.

A key that is read over widens a kill: a rule with `wait` that does not wait acts on what would
have passed. So each name in `NOT_YET` is refused with a sentence that says what would have
happened. A version that learns one of them takes it out of `NOT_YET`.
"""

from collections.abc import Mapping

KEYS: Mapping[str, Mapping[str, str]] = {
    "file": {},
    "defaults": {},
    "calendar": {},
    "holiday": {},
    "limit": {},
    "rule": {"approve": "a rule that used it would kill without being approved"},
    "trigger": {},
    "mode": {"approve": "a rule that used it would wait for an approval that nobody can give"},
    "fact": {},
}
NOT_YET = frozenset(name for names in KEYS.values() for name in names)


def refusal(place: str, name: str, allow: frozenset[str]) -> str | None:
    """Return why a name is not accepted yet, or None if it is accepted or not one of these.

    `allow` has names that are accepted all the same.
    """
    would = KEYS[place].get(name)
    if would is None or name not in NOT_YET or name in allow:
        return None
    return f"`{name}` is not supported by this version yet: {would}"


def fact_refusal(path: str, allow: frozenset[str]) -> str | None:
    """Return why a fact cannot be tested yet, or None if it can or is not one of these."""
    owner = path.partition(".")[0]
    name = path if path in KEYS["fact"] else owner
    would = refusal("fact", name, allow)
    return would and would.replace(f"`{name}`", f"`{path}`", 1)
