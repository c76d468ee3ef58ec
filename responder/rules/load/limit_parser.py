"""Parses `limit`: how much a rule may do before it stops by itself.

The keys of a rule's `limit` and of `defaults.limit` merge. 0 means none at all, and never "no
limit", so that a guard rail cannot be disabled by mistake.
"""

import re
from dataclasses import dataclass, fields, replace

from responder.rules.load.key_parser import Keys
from responder.rules.load.suggestions import written_values
from responder.rules.yaml_positions import Items, Node, Scalar, Table

_OF_WHAT = re.compile(
    r"([1-9][0-9]*)\s*(?:kills?|stops?|workflows?)?\s*(?:per|an?|/|в|for each)\s*"
    r"(hour|run|sweep|document|deal|час)",
    re.IGNORECASE,
)
_WHAT = {
    **dict.fromkeys(("hour", "час"), "per_hour"),
    **dict.fromkeys(("run", "sweep"), "per_run"),
    **dict.fromkeys(("document", "deal"), "per_document"),
}
_WITHOUT_END = frozenset(("unlimited", "none", "no", "infinite", "off", "false", "any", "∞"))
# A part of one, where percents are meant.
_SHARE = re.compile(r"0[.][0-9]{1,2}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The limits of a rule: stops that may begin in an hour, and on one document in a day.

    `per_document` counts the stops of all rules. `per_run` and `percent_of_running` are for sweeps
    and schedules: how many one run may begin, as a number and as a part of all that run. None is no
    such limit.
    """

    per_hour: int = 30
    per_document: int = 5
    per_run: int | None = None
    percent_of_running: int | None = None


NAMES = tuple(field.name for field in fields(Limit))


def read(table: Table, keys: Keys, otherwise: Limit) -> Limit:
    """Parse the `limit` of a rule or of the defaults; keys that it lacks come from `otherwise`."""
    node = table.get("limit")
    if node is None:
        return otherwise
    if not isinstance(node, Table) or not node.pairs:
        message = "`limit` is a map, such as {per_hour: 30, per_document: 5}"
        if isinstance(node, Scalar) and node.text.lower() in _WITHOUT_END:
            message += ", and there always is one: leave it out"
        key = table.key("limit")
        shown = node if isinstance(node, Table) or key is None else key
        keys.mistakes.error(shown, message, _map_meant(node))
        return otherwise
    keys.known(node, NAMES)
    given = {name: number for name in NAMES if (number := _number(node, name, keys)) is not None}
    return replace(otherwise, **given)


def _map_meant(node: Node) -> str | None:
    """Return the map that is meant by `5` or `25 per run`."""
    if isinstance(node, Items):
        pairs = [pair for item in node.items if isinstance(item, Table) for pair in item.pairs]
        said = [f"{key.text}: {one.text}" for key, one in pairs if isinstance(one, Scalar)]
        return f"{{{', '.join(said)}}}" if said else None
    found = _OF_WHAT.fullmatch(node.text) if isinstance(node, Scalar) else None
    if found is not None:
        return f"{{{_WHAT[found[2].lower()]}: {found[1]}}}"
    meant = _meant(node)
    if meant is not None and isinstance(node, Scalar) and "%" in node.text:
        return f"{{percent_of_running: {meant}}}"
    return meant and f"{{per_hour: {meant}}}"


def _number(table: Table, name: str, keys: Keys) -> int | None:
    node, key = table.get(name), table.key(name)
    if node is None or key is None:
        return None
    if isinstance(node, Scalar) and node.kind == "number" and _NUMBER.fullmatch(node.text):
        number = int(node.text)
        if name != "percent_of_running" or number <= 100:
            return number
        keys.mistakes.error(node, f"`{name}` is at most 100")
        return None
    shown = node if isinstance(node, Scalar) and node.text else key
    message = f"`{name}` is a whole number; 0 means that nothing is stopped"
    if isinstance(node, Scalar) and node.text.lower() in _WITHOUT_END:
        is_optional = getattr(Limit(), name) is None
        message += ": leave it out" if is_optional else ", and there always is a limit"
    keys.mistakes.error(shown, message, _meant(node))
    return None


def _meant(node: Node) -> str | None:
    """Return the whole number in `20%`."""
    if isinstance(node, Scalar) and _SHARE.fullmatch(node.text):
        return node.text.partition(".")[2].ljust(2, "0").lstrip("0")
    found = written_values.number(node.text) if isinstance(node, Scalar) else None
    return found if found is not None and _NUMBER.fullmatch(found) else None
