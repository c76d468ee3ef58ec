"""Warns of `leave` rules that protect from nothing, for no rule below is read where they are."""

from collections.abc import Collection, Sequence

from responder.rules.rule import Rule
from responder.rules.yaml_positions import Items, Mistakes, Node, Table


def warn(rules: Sequence[Rule], root: Table, mistakes: Mistakes) -> None:
    """Warn of each `leave` rule of a file that no kill or terminate rule below it meets."""
    node = root.get("rules")
    if mistakes.fatal or not isinstance(node, Items):
        return
    # Rules that are set off alike and about one kind are one here, so that ten thousand rules need
    # not be compared in pairs.
    below: dict[tuple[frozenset[str], str | None], Rule] = {}
    for rule, item in reversed(list(zip(rules, node.items, strict=True))):
        if rule.acts:
            names = frozenset(trigger.name for trigger in rule.triggers or ())
            below.setdefault((names, rule.kind), rule)
        else:
            _warn_of(rule, item, below.values(), mistakes)


def _warn_of(guard: Rule, item: Node, below: Collection[Rule], mistakes: Mistakes) -> None:
    nothing = f"`{guard.id}` protects from nothing: no kill or terminate rule"
    if not below:
        mistakes.warn(item, f"{nothing} stands below it")
        return
    met = [rule for rule in below if guard.guards_against(rule)]
    of_kind = guard.kind is None or any(_is_about(rule, guard.kind) for rule in below)
    if not met and not of_kind:
        message = f"{nothing} below it is about a {guard.kind}, nor has one any of these triggers"
        mistakes.warn(_key(item, "if", guard.kind), message)
    elif not met:
        message = f"{nothing} below it has any of these triggers; without `when` it guards always"
        mistakes.warn(_key(item, "when"), message)
    elif guard.kind is not None and not any(_is_about(rule, guard.kind) for rule in met):
        mistakes.warn(_key(item, "if", guard.kind), f"{nothing} below it is about a {guard.kind}")


def _is_about(rule: Rule, kind: str) -> bool:
    """Return whether a rule may be read for a document of this kind."""
    brought = any(trigger.can_bring(kind) for trigger in rule.triggers or ())
    return rule.kind in (None, kind) and brought


def _key(item: Node, name: str, kind: str | None = None) -> Node:
    """Return a key of a rule; within it the first fact of a kind, where one stands there."""
    if not isinstance(item, Table):
        return item
    value, key = item.get(name), item.key(name)
    facts = [one for one, _ in value.pairs] if isinstance(value, Table) and kind else []
    fact = next((one for one in facts if one.text.startswith(f"{kind}.")), None)
    return fact or key or item
