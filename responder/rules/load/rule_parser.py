"""Parses one rule of rules.yaml, and refuses one that could not act or would act on too much."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from responder.model import KILLING, Action, Mode
from responder.rules import triggers
from responder.rules.facts import registry, values
from responder.rules.facts.conditions import All, AnyOf, FactTest, Part
from responder.rules.facts.derived import NEEDS
from responder.rules.facts.literals import FileContext
from responder.rules.keep import Keep
from responder.rules.load import limit_parser, restraint_parser
from responder.rules.load.clause_parser import AMOUNTS_OF_ITEMS, ClauseReader, Use
from responder.rules.load.coherence import (
    contradictions,
    futile_tests,
    kinds_tested,
    templates_tested,
)
from responder.rules.load.key_parser import Keys
from responder.rules.load.limit_parser import Limit
from responder.rules.load.restraint_parser import RESTRAINT_KEYS
from responder.rules.load.suggestions import impossible_days, indentation, written_values
from responder.rules.load.when_parser import WhenReader
from responder.rules.rule import Rule
from responder.rules.telling.audiences import TELLING_KEYS
from responder.rules.telling.telling_parser import Subject, TellingReader
from responder.rules.triggers import Trigger
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table, nearest

RULE_KEYS = (
    *("id", "because", "mode", "when", "if", "unless", "then"),
    *("every_template", "limit", "sweep", "portals", "disabled", "expires"),
    *RESTRAINT_KEYS,
    *TELLING_KEYS,
)
_WITH_MAPS = ("if", "unless", "limit")
_DECIDING = ("if", "unless", "every_template")
_ACTIONS = (*KILLING, Action.LEAVE)
_ID = re.compile(r"[a-z0-9-]+")
_ALL = ("all", "any", "every", "все")
_NEVER = ("never", "none", "no", "никогда", "нет")
_PORTAL = re.compile(r"[a-z0-9_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """The values for keys that a rule does not give. `zone` is None where the file names none."""

    mode: Mode = Mode.OBSERVE
    portals: tuple[Scalar, ...] | None = None
    limit: Limit = field(default_factory=Limit)
    zone: tzinfo | None = None


class _Tests(NamedTuple):
    """What a rule tests; `are_read` is False where that has mistakes.

    `meant` are the facts that are named wrongly.
    """

    condition: All
    exception: AnyOf
    uses: list[Use]
    are_read: bool
    meant: set[str]

    @property
    def all(self) -> tuple[FactTest, ...]:
        """Return the single tests, of `if` and of `unless`."""
        return (*self.condition.tests(), *self.exception.tests())


@dataclass(slots=True, kw_only=True)
class RuleReader:
    """A parser of the rules of one file, one after the other."""

    mistakes: Mistakes
    defaults: Defaults
    context: FileContext
    lines: list[str]
    known_portals: Collection[str] | None
    _ids: dict[str, int] = field(default_factory=dict)

    def read(self, node: Node) -> Rule | None:
        """Parse the rule at a node; None where there is none that could be read."""
        if isinstance(node, Table):
            keys = Keys(self.mistakes)
            return self._rule(self._as_meant(node, keys), keys)
        self.mistakes.error(node, "a rule is a map that begins with `id:`")
        return None

    def _rule(self, node: Table, keys: Keys) -> Rule:
        action = self._action(node, keys)
        id_ = self._id(node, keys)
        tests = self._tests(node, id_)
        when, is_read = self._when(node, keys, action, tests)
        restraint = restraint_parser.read(node, keys, self.context, action)
        uses = [*tests.uses, *restraint.uses]
        kinds_tested.check(node, uses, when if is_read else None, self.context, self.mistakes)
        asked = tests.all if tests.are_read else None
        every_template = self._every_template(node, keys, action, asked)
        robots = templates_tested.spares_robots(id_, action, tests.condition, tests.all)
        self._amounts(tests)
        mode = self._mode(node, keys, action)
        kind = next((use.fact.kind for use in uses if use.fact.kind), None)
        paths = _paths(uses, robots, restraint.keep)
        subject = Subject(kind, when or (), paths, readable=tests.are_read and is_read)
        telling = TellingReader(keys, RULE_KEYS, action, mode, subject).read(node)
        return Rule(
            id=id_,
            because=keys.text(node, "because"),
            mode=mode,
            then=action or Action.LEAVE,
            text="\n".join(self.lines[node.line - 1 : node.last_line]),
            triggers=when,
            condition=tests.condition,
            exception=tests.exception,
            robots=robots,
            paths=paths | telling.paths(kind),
            kind=kind,
            every_template=every_template,
            portals=self._portals_of(node, keys, action),
            sweep=self._sweep(node, keys, when),
            limit=self._limit(node, keys, action),
            wait=restraint.wait,
            during=restraint.during,
            keep=restraint.keep,
            telling=telling,
            disabled=keys.text(node, "disabled"),
            expires_at=self._expires(node, keys),
        )

    def _when(
        self, node: Table, keys: Keys, action: Action | None, tests: _Tests
    ) -> tuple[tuple[Trigger, ...] | None, bool]:
        """Parse when a rule is asked; return also whether that, and its `if`, have no mistake."""
        before = len(self.mistakes.found)
        when = WhenReader(keys, self.context.zone).read(node, RULE_KEYS, required=action in KILLING)
        if action in KILLING and tests.are_read:
            self._requires_if(node, keys, tests.condition)
        return when, len(self.mistakes.found) == before

    def _as_meant(self, node: Table, keys: Keys) -> Table:
        """Return a rule's map with each key where, and as, it was meant; report what is not."""
        node = indentation.with_indented_tests(node, self.mistakes)
        (first, value), *rest = node.pairs or ((None, node),)
        is_alone = isinstance(value, Scalar) and value.kind == "null"
        if (
            first is not None
            and is_alone
            and node.get("id") is None
            and first.text not in RULE_KEYS
        ):
            # `- lost-deal:`, with the keys of the rule below it.
            self.mistakes.error(first, "a rule begins with `- id:`", f"id: {first.text}")
            pairs = ((replace(first, text="id"), first), *rest)
            node = replace(node, pairs=pairs)
        node = indentation.with_keys_beside(node, _WITH_MAPS, RULE_KEYS, self.mistakes)
        keys.known(node, RULE_KEYS)
        return keys.as_meant(node, RULE_KEYS)

    def portals(self, names: tuple[Scalar, ...] | None) -> frozenset[str] | None:
        """Check names of portals against the settings, where those are known, and return them."""
        for name in names or ():
            if not _PORTAL.fullmatch(name.text):
                message = f"`{name.text}` is no portal's name: they have only a-z, 0-9 and _"
                if set("./") & set(name.text):
                    message = "this is an address, and `portals` are names from the settings"
                    message += ": that of RESPONDER_PORTALS__MAIN__… is main"
                several = written_values.several(name.text, _portal_meant)
                meant = several.strip("[]") if several else _portal_meant(name.text)
                self.mistakes.error(name, message, meant)
            elif self.known_portals is not None and name.text not in self.known_portals:
                meant = nearest(name.text, self.known_portals)
                message = f"the settings have no portal `{name.text}`"
                self.mistakes.error(name, message, meant)
        return None if names is None else frozenset(name.text for name in names)

    def _id(self, node: Table, keys: Keys) -> str:
        value = node.get("id")
        if value is None:
            if keys.lacks(node, "id", RULE_KEYS):
                self.mistakes.error(node, "`id` is missing")
            return ""
        text = keys.text(node, "id") or ""
        if text and not _ID.fullmatch(text):
            meant = _as_an_id(text)
            self.mistakes.error(value, "an `id` has only a-z, 0-9 and -", meant)
            return meant or ""
        if text in self._ids:
            first = self._ids[text]
            self.mistakes.error(value, f"another rule has the id `{text}`, on line {first}")
            return ""
        if text:
            self._ids[text] = value.line
        return text

    def _mode(self, node: Table, keys: Keys, action: Action | None) -> Mode | None:
        mode = keys.choice(node, "mode", tuple(Mode))
        if action is not Action.LEAVE:
            return Mode(mode) if mode else self.defaults.mode
        if mode:
            key = node.key("mode")
            assert key is not None
            self.mistakes.error(key, "a `leave` rule has no `mode`: it always protects")
        return None

    def _action(self, node: Table, keys: Keys) -> Action | None:
        then = keys.choice(node, "then", _ACTIONS)
        if keys.lacks(node, "then", RULE_KEYS):
            self.mistakes.error(node, "`then` is missing: kill, terminate or leave")
        return Action(then) if then else None

    def _tests(self, node: Table, rule: str) -> _Tests:
        """Parse `if` and `unless`."""
        clauses = ClauseReader(rule, self.mistakes, self.context, _kind_at_hand(node))
        before = len(self.mistakes.found)
        condition = All(self._clause(node, "if", clauses))
        exception = AnyOf(self._clause(node, "unless", clauses))
        are_read = clauses.is_whole and len(self.mistakes.found) == before
        if are_read:
            self._clashes(node)
        if are_read and len(self.mistakes.found) == before:
            protects = _text_of(node, "then") == Action.LEAVE
            futile_tests.report(node, condition, exception, self.mistakes, protects=protects)
        return _Tests(condition, exception, clauses.uses, are_read, clauses.meant)

    def _clashes(self, node: Table) -> None:
        """Refuse tests of one fact in different groups that no value passes together."""
        for name in ("if", "unless"):
            clause = node.get(name)
            if clause is None:
                continue
            for first, second in contradictions.apart(clause, self.context, all_hold=name == "if"):
                other = "its other test" if first.line == second.line else f"line {first.line}"
                message = f"no value of `{second.text}` passes both this and {other}"
                self.mistakes.error(second, f"{message}, so this never holds", new=True)

    def _clause(self, node: Table, name: str, clauses: ClauseReader) -> tuple[Part, ...]:
        value, key = node.get(name), node.key(name)
        if value is None or key is None:
            return ()
        if isinstance(value, Scalar):
            clauses.no_map(value, key, name)
            return ()
        return clauses.read(value, name)

    def _requires_if(self, node: Table, keys: Keys, condition: All) -> None:
        """Refuse a rule that would kill or terminate whatever runs."""
        if not any(condition.tests()) and keys.lacks(node, "if", RULE_KEYS):
            message = f"`if` is missing: this would {_text_of(node, 'then')} whatever runs"
            self.mistakes.error(node, message, new=True)

    def _every_template(
        self, node: Table, keys: Keys, action: Action | None, tests: Sequence[FactTest] | None
    ) -> bool:
        """Read `every_template`, required where no template is tested. `tests`: None if unread."""
        every = keys.truth(node, "every_template")
        if action is Action.LEAVE:
            self._guard(node, keys, every=every)
        elif any(key.text in templates_tested.NAMING_FACTS for key, _ in node.pairs):
            return False  # a test of the template stands outside of `if`, which is said already
        elif (
            action
            and not every
            and tests is not None
            and not any(map(templates_tested.is_tested_by, tests))
        ):
            if keys.lacks(node, "if", RULE_KEYS):
                return False  # which is reported
            if not all(keys.lacks(node, name, RULE_KEYS) or node.get(name) for name in _DECIDING):
                return False  # what was meant is reported, and may be right
            message = "this would act on workflows of every template: test `workflow.template_id`"
            self.mistakes.error(node, f"{message}, or write `every_template: true`")
        return bool(every)

    def _guard(self, node: Table, keys: Keys, *, every: bool | None) -> None:
        key = node.key("every_template")
        if every is not None and key is not None:
            self.mistakes.error(key, "`every_template` is for rules that kill or terminate")
        if all(keys.lacks(node, name, RULE_KEYS) for name in ("if", "unless")):
            self.mistakes.error(node, "`if` is missing: this would leave every workflow")

    def _portals_of(self, node: Table, keys: Keys, action: Action | None) -> frozenset[str] | None:
        names = tuple(keys.names(node, "portals", _portal_meant))
        if names:
            return self.portals(names)
        if action not in KILLING:
            # A guard is never narrowed by `defaults`, only by its own `portals`.
            return None
        if self.defaults.portals is not None:
            return frozenset(name.text for name in self.defaults.portals)
        if node.get("portals") is None and len(self.known_portals or ()) > 1:
            message = "`portals` is missing: ids differ from portal to portal, and there are"
            self.mistakes.error(node, f"{message} {len(self.known_portals or ())}")
        return None

    def _limit(self, node: Table, keys: Keys, action: Action | None) -> Limit:
        key = node.key("limit")
        if key is not None and action is Action.LEAVE:
            self.mistakes.error(key, "a `leave` rule has no `limit`: it stops nothing")
        return limit_parser.read(node, keys, self.defaults.limit)

    def _sweep(self, node: Table, keys: Keys, when: tuple[Trigger, ...] | None) -> bool:
        sweep = keys.truth(node, "sweep")
        if sweep and when is not None and not any(trigger.events for trigger in when):
            key = node.key("sweep")
            assert key is not None
            self.mistakes.error(key, "`sweep` is for rules on events, and this has none")
        if sweep is not None:
            return sweep
        return when is None or any(trigger.is_update for trigger in when)

    def _expires(self, node: Table, keys: Keys) -> datetime | None:
        text = keys.text(node, "expires")
        if text is None:
            return None
        day = values.day(text)
        if day is None or day == date.max:
            value = node.get("expires")
            assert value is not None
            message = "`expires` is a day, such as 2026-12-31"
            message += ": leave it out" if text.lower() in _NEVER else ""
            moment = written_values.moment(text) or text
            meant = moment[:10] if values.day(moment[:10]) else None
            message, meant = impossible_days.of_moment(text) or (message, meant)
            self.mistakes.error(value, message, meant)
            return None
        return datetime.combine(day + timedelta(days=1), time.min, self.defaults.zone or UTC)

    def _amounts(self, tests: _Tests) -> None:
        """Warn of amounts that are compared without a test of their currency."""
        looked_at = {use.fact.path for use in tests.uses} | tests.meant
        for test in tests.all:
            path = test.fact.path
            owner = path.rpartition(".")[0]
            if not path.endswith(AMOUNTS_OF_ITEMS) or test.operator.name == "exists":
                continue
            currency = f"{owner}.currency_id"
            if currency not in looked_at:
                node = next(use.node for use in tests.uses if use.fact.path == path)
                message = f"an amount is compared in any currency: test `{currency}` too"
                self.mistakes.warn(node, message)
                return


def _portal_meant(written: str) -> str | None:
    """Return a portal's name in small letters; None for what is none."""
    is_a_name = _PORTAL.fullmatch(written.lower()) is not None and written.lower() not in _ALL
    return written.lower() if is_a_name else None


def _as_an_id(written: str) -> str | None:
    """Return a rule's id in small letters, with - between its words; None where others remain."""
    plain = re.sub(r"[\s_.]+", "-", written.strip().rstrip(",;.").lower())
    return plain if _ID.fullmatch(plain) else None


def _text_of(table: Table, name: str) -> str:
    """Return the text under a key of a map; empty where there is none."""
    value = table.get(name)
    return value.text if isinstance(value, Scalar) else ""


def _kind_at_hand(node: Table) -> str | None:
    """Return the kind of document that the first event of a rule brings, if it is clear."""
    when = node.get("when")
    for item in when.items if isinstance(when, Items) else ():
        found = triggers.find(item.text) if isinstance(item, Scalar) else None
        if found is not None and registry.is_kind(found.brings):
            return found.brings
    return None


def _paths(uses: list[Use], robots: FactTest | None, keep: Keep | None) -> frozenset[str]:
    paths = {use.fact.path for use in uses}
    paths |= {NEEDS[path] for path in paths if path in NEEDS}
    paths |= {templates_tested.KNOWN} if robots else set()
    return frozenset(paths | (keep.paths if keep else set()))
