"""Warns of rules that load but probably do not do what their author meant."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from responder.model import ACTING_MODES, Mode
from responder.rules.load.limit_parser import NAMES as LIMITS
from responder.rules.logic import doubts
from responder.rules.reach import shadowed
from responder.rules.rule import Rule
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table

_EXISTS = "document.exists"
_ACTIVITY = (".updated_time", ".updated_by", ".last_activity_time", ".last_activity_by")


def advise(
    root: Table,
    rules: Sequence[Rule],
    tested: Collection[str],
    mistakes: Mistakes,
    now: datetime | None = None,
) -> None:
    """Record warnings on the rules. `tested` are the rules that some test expects.

    Without `now` nobody is warned of rules that are over.
    """
    items = root.get("rules")
    assert isinstance(items, Items)
    nodes = {rule.id: node for rule, node in zip(rules, items.items, strict=True)}
    for node, message in (
        *_without_zone(root),
        *_remarks(rules, nodes, tested),
        *_changed_by_comments(rules, nodes),
        *_unused_lists(root),
        *((_place(nodes[one.rule.id], one.key), one.message) for one in doubts.doubts(rules)),
    ):
        mistakes.warn(node, message)
    for rule, by in shadowed(rules):
        mistakes.warn(nodes[rule.id], f"`{rule.id}` is never reached: {_in_words(rule, by)}")
    for node, why in _idle(rules, nodes, now):
        mistakes.warn(node, why)
    key = root.key("rules")
    if key is not None and rules and all(rule.disabled is not None for rule in rules):
        mistakes.warn(key, "every rule is switched off, so nothing is ever stopped")


def _place(node: Node, key: str) -> Node:
    """Return the node of a key of a rule, or of one of its facts; the rule's where it is not."""
    for name, value in _pairs_within(node):
        if name.text == key or (isinstance(value, Scalar) and value.text == key):
            return name
    return node


def _pairs_within(node: Node) -> Iterator[tuple[Scalar, Node]]:
    for name, value in node.pairs if isinstance(node, Table) else ():
        yield name, value
        yield from _pairs_within(value)
    for item in node.items if isinstance(node, Items) else ():
        yield from _pairs_within(item)


def _unused_lists(root: Table) -> Iterator[tuple[Node, str]]:
    """Yield the lists that no rule compares anything with, and so protect nobody."""
    lists, rules = root.get("lists"), root.get("rules")
    assert rules is not None
    used = {
        value.text
        for name, value in _pairs_within(rules)
        if name.text in ("in_list", "not_in_list") and isinstance(value, Scalar)
    }
    for key, _ in lists.pairs if isinstance(lists, Table) else ():
        if key.text not in used:
            yield key, f"no rule looks at the list `{key.text}`"


def _in_words(rule: Rule, above: Rule) -> str:
    """Return why a rule is not reached below another one."""
    if above.acts or above.kind is None or _EXISTS not in rule.paths - above.paths:
        return f"`{above.id}` above ends the reading wherever it holds"
    return (
        f"of a document that does not exist nothing can be read, so `{above.id}` above may hold and"
        " protects; it needs a `when`, or `document.exists: true`"
    )


def _without_zone(root: Table) -> Iterator[tuple[Node, str]]:
    """Yield the calendars whose hours nobody has said where they are, which are then those of UTC.

    Some hours off, `outside` holds for what began in the office, and `during` acts at night.
    """
    calendars, defaults = root.get("calendars"), root.get("defaults")
    if isinstance(defaults, Table) and defaults.get("timezone") is not None:
        return
    for key, calendar in calendars.pairs if isinstance(calendars, Table) else ():
        if isinstance(calendar, Table) and calendar.get("timezone") is None:
            message = f"`{key.text}` names no `timezone`, and neither does `defaults`"
            yield key, f"{message}: its days and hours are those of UTC"


def _idle(
    rules: Sequence[Rule], nodes: dict[str, Node], now: datetime | None
) -> Iterator[tuple[Node, str]]:
    """Yield the rules that never do anything, and why, each with the node that makes it so."""
    for rule in rules:
        table, does = nodes[rule.id], "acts" if rule.acts else "protects"
        assert isinstance(table, Table)
        never = f"`{rule.id}` never {does}: "
        expires = table.get("expires")
        if rule.disabled is not None:
            if any(one.disabled is None for one in rules):
                yield table.key("disabled") or table, f"{never}it is switched off"
        elif now is not None and rule.expired(now) and isinstance(expires, Scalar):
            yield expires, f"{never}its last day, {expires.text}, is over"
        else:
            name = next((name for name in LIMITS if getattr(rule.limit, name) == 0), None)
            if name is not None and rule.acts:
                yield _limit(table, name), f"{never}its `{name}` is 0, which means none"


def _limit(rule: Table, name: str) -> Node:
    """Return the value of a limit of a rule; the rule itself where the defaults give it."""
    limit = rule.get("limit")
    return (limit.get(name) if isinstance(limit, Table) else None) or rule


def _changed_by_comments(
    rules: Sequence[Rule], nodes: dict[str, Node]
) -> Iterator[tuple[Node, str]]:
    """Yield the rules that test what their own comments in a timeline change.

    A comment by another than whoever is responsible counts as activity (module crm, LastActivity).
    """
    for rule in rules:
        changed = [path for path in sorted(rule.paths) if path.endswith(_ACTIVITY)]
        if changed and rule.telling.timeline and rule.disabled is None:
            message = f"`{rule.id}` tests `{changed[0]}`, which its comment in the timeline changes"
            yield nodes[rule.id], message


def _remarks(
    rules: Sequence[Rule], nodes: dict[str, Node], tested: Collection[str]
) -> Iterator[tuple[Node, str]]:
    for place, rule in enumerate(rules):
        if rule.disabled is not None:
            continue
        if rule.acts and rule.because is None:
            unsaid = "the log cannot tell people why"
            if rule.telling:
                unsaid = "those whom it tells do not learn why"
            message = f"`{rule.id}` has no `because`: {unsaid}"
            yield nodes[rule.id], message
        if rule.mode in ACTING_MODES and rule.id not in tested:
            state = "is enforced" if rule.mode is Mode.ENFORCE else "acts where it is approved"
            yield nodes[rule.id], f"`{rule.id}` {state}, and no test expects it to act"
        if rule.acts or not any(one.acts for one in rules[place:]):
            continue
        above = next((one for one in rules[:place] if _is_unshielded(one, rule)), None)
        if above is not None:
            message = f"`{rule.id}` does not protect from `{above.id}`, which stands above it"
            yield nodes[rule.id], message


def _is_unshielded(upper: Rule, guard: Rule) -> bool:
    """Return whether a rule acts on workflows that a guard below it is there to protect."""
    if not upper.acts or upper.disabled is not None:
        return False
    alike = guard.kind is None or upper.kind is None or guard.kind == upper.kind
    if not alike or not (
        guard.portals is None or upper.portals is None or guard.portals & upper.portals
    ):
        return False
    return guard.guards_against(upper)
