"""Loads rules.yaml as a whole, and selects the rules in question for an event.

Loading is all or nothing: a `Ruleset` is made from a file without mistakes; otherwise `RulesError`
has every mistake of the file.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, tzinfo
from functools import lru_cache

from responder.model import Trigger
from responder.rules import yaml_positions
from responder.rules.facts.registry import is_of_a_list
from responder.rules.load import loader
from responder.rules.load.syntax import yaml_reader
from responder.rules.revision import revision_of
from responder.rules.rule import Rule
from responder.rules.yaml_positions import Items, Mistake, Mistakes, Node, Table


class RulesError(Exception):
    """A rules file that cannot be loaded, with all its mistakes: errors first, then warnings.

    `readable` are the rules so far as they could be read; they are good for reading the tests in
    the same file, and never for judging. None where nothing could be read.
    """

    def __init__(self, mistakes: tuple[Mistake, ...], readable: "Ruleset | None" = None) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes
        self.readable = readable

    @property
    def was_none(self) -> bool:
        """Return whether an older version of the program loaded this very file."""
        return all(one.is_new for one in self.mistakes if one.severity == "error")


class Ruleset:
    """The rules of one file, immutable. `revision` identifies the bytes that it was made from.

    `guards_lists` is true where a `leave` rule tests elements of a list. `doubtful` are the ids of
    rules with mistakes (empty text: of a rule without a readable id), where the file is broken.
    `telling` has, by id, the rules that tell people something in the portal. `zone` is UTC where
    the file names none (`names_zone`).
    """

    def __init__(
        self,
        *,
        data: bytes,
        rules: tuple[Rule, ...],
        zone: tzinfo | None,
        warnings: tuple[Mistake, ...],
        doubtful: frozenset[str] = frozenset(),
    ) -> None:
        self.revision = revision_of(data)
        self.text = data.decode()
        self.rules = rules
        self.zone = zone or UTC
        self.names_zone = zone is not None
        self.warnings = warnings
        self.doubtful = doubtful
        self.telling = {rule.id: rule for rule in rules if rule.telling}
        self._reading = tuple(rule for rule in rules if rule.disabled is None)
        self.guards_lists = any(
            rule.kind is not None and is_of_a_list(rule.kind)
            for rule in self._reading
            if not rule.acts
        )
        self._named = frozenset(
            event
            for rule in self._reading
            if rule.acts
            for trigger in rule.triggers or ()
            for event in trigger.events
        )
        self._select = lru_cache(maxsize=1024)(self._selected)
        self._guard = lru_cache(maxsize=1024)(self._guarded)

    def in_question(
        self, trigger: Trigger, events: tuple[str, ...], kind: str, portal: str
    ) -> tuple[Rule, ...]:
        """Return the rules to read, in their order, for a trigger and a document.

        Empty unless a kill or terminate rule is among them; the `leave` rules that guard against
        such a rule are included. For a schedule these are all rules that have one; `with_guards`
        selects those that are due. Expired rules are included, because there is no clock here.
        """
        if trigger != "event":
            return self._select(trigger, frozenset(), kind, portal)
        named = self._named.intersection(map(str.upper, events))
        if not named:
            return ()
        return self._select(trigger, named, kind, portal)

    def may_concern(self, trigger: str, event: str | None) -> bool:
        """Return whether some rule may be in question for some document; a false one is certain."""
        return trigger != "event" or (event is not None and event.upper() in self._named)

    def events_to_register(self, portal: str) -> frozenset[str]:
        """Return the portal's names of the events that set off rules in a portal."""
        return frozenset(
            event
            for rule in self._reading
            if rule.acts and rule.may_act_in(portal)
            for trigger in rule.triggers or ()
            for event in trigger.to_register
        )

    def scheduled(self, portal: str) -> tuple[Rule, ...]:
        """Return the kill and terminate rules that have schedules in a portal, in their order."""
        return tuple(
            rule
            for rule in self._reading
            if rule.acts and rule.schedules and rule.may_act_in(portal)
        )

    def swept(self, kind: str, portal: str) -> tuple[Rule, ...]:
        """Return the rules that a sweep reads for such a document, guards among them."""
        return self.in_question("sweep", (), kind, portal)

    def with_guards(self, rules: Collection[str], kind: str, portal: str) -> tuple[Rule, ...]:
        """Return those of these rules, by id, that test such a document, and their guards.

        A `leave` rule guards against a rule if it has no `when`, or a trigger in common with it,
        whatever set the rule off this time. Empty if no kill or terminate rule is left.
        """
        return self._guard(frozenset(rules), kind, portal)

    def _guarded(self, ids: frozenset[str], kind: str, portal: str) -> tuple[Rule, ...]:
        seen = [rule for rule in self._reading if rule.may_see(kind, portal)]
        acting = [rule for rule in seen if rule.acts and rule.id in ids]
        return without_idle_guards(
            rule
            for rule in seen
            if (rule.id in ids if rule.acts else any(map(rule.guards_against, acting)))
        )

    def _selected(
        self, trigger: Trigger, events: frozenset[str], kind: str, portal: str
    ) -> tuple[Rule, ...]:
        set_off = (
            rule.id
            for rule in self._reading
            if rule.acts and _is_set_off(rule, trigger, events, kind)
        )
        return self.with_guards(frozenset(set_off), kind, portal)


def without_idle_guards(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return the rules, less the `leave` rules below the last rule that they could protect from."""
    kept = list(rules)
    while kept and not kept[-1].acts:
        kept.pop()
    return tuple(kept)


def _is_set_off(rule: Rule, trigger: Trigger, events: frozenset[str], kind: str) -> bool:
    triggers = rule.triggers or ()
    match trigger:
        case "robot":
            return any(one.is_robot for one in triggers)
        case "event":
            return any(one.events & events and one.can_bring(kind) for one in triggers)
        case "sweep":
            return rule.sweep and any(one.events and one.can_bring(kind) for one in triggers)
        case "schedule":
            return any(one.schedule is not None for one in triggers)


# Returns whether a revision was in force once: whether the log holds it.
IsKnown = Callable[[str], bool]


def was_in_force(_revision: str) -> bool:
    """Return true: the answer for a text that comes from the log itself."""
    return True


def load(
    data: bytes,
    *,
    file: str,
    portals: Collection[str] | None = None,
    is_known: IsKnown | None = None,
) -> Ruleset:
    """Return the rules in a file, or raise `RulesError` with every mistake.

    `portals` are the portals of the settings; None where they are not known. A text that was in
    force once (`is_known` is asked by its revision) is still loaded if it has no other mistakes
    than those that have become errors since; they are warnings then.
    """
    try:
        return _load(data, Mistakes(file), portals)
    except RulesError as error:
        if is_known is None or not error.was_none or not is_known(revision_of(data)):
            raise
    return _load(data, Mistakes(file, forgives_new=True), portals)


def _load(data: bytes, mistakes: Mistakes, portals: Collection[str] | None) -> Ruleset:
    root = yaml_reader.read(data, mistakes)
    if root is None:
        raise RulesError(mistakes.in_order())
    loaded = loader.read(root, yaml_positions.lines(data.decode()), mistakes, portals)
    found = mistakes.in_order()
    doubtful = frozenset(_doubtful(loaded.rules, root, found))
    ruleset = Ruleset(
        data=data, rules=loaded.rules, zone=loaded.zone, warnings=found, doubtful=doubtful
    )
    if mistakes.fatal:
        raise RulesError(found, ruleset if loaded.rules else None)
    return ruleset


def _doubtful(rules: tuple[Rule, ...], root: Node, mistakes: tuple[Mistake, ...]) -> Iterator[str]:
    """Yield the ids of the rules in whose lines there is an error."""
    node = root.get("rules") if isinstance(root, Table) else None
    items = node.items if isinstance(node, Items) else ()
    wrong = {one.line for one in mistakes if one.severity == "error"}
    if len(items) != len(rules):
        yield from ("", *(rule.id for rule in rules))
        return
    for rule, item in zip(rules, items, strict=True):
        if any(item.line <= line <= item.last_line for line in wrong):
            yield rule.id


def paths(rules: Iterable[Rule]) -> frozenset[str]:
    """Return every fact that these rules read."""
    return frozenset().union(*(rule.paths for rule in rules))
