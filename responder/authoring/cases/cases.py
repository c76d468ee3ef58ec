"""Parses test cases: an event, a clock, facts, running workflows, and what is expected of each.

A case is parsed like a rule: an unknown key, fact or rule is a mistake with its place.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, get_args

from responder.authoring import expectations
from responder.authoring.cases.given_facts import UNREADABLE, WORKFLOWS, FactsReader, Given
from responder.authoring.expectations import NOTHING, Expectation, Expected
from responder.bitrix24 import documents
from responder.model import Document, Situation, Trigger
from responder.rules import triggers
from responder.rules.facts import registry, values
from responder.rules.load.key_parser import Keys
from responder.rules.load.suggestions import (
    impossible_days,
    indentation,
    synonyms,
    written_values,
    yaml_text,
)
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset, paths
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table, nearest

CASE_KEYS: Mapping[str, str] = {
    "name": "A sentence that says what is tested.",
    "event": "What sets the rules off: the name of an event, or robot, sweep, schedule.",
    "at": "The moment of the judgement; the present one where it is not given.",
    "portal": "The portal it happens in; where it is not given, one that the rules name, or main.",
    "document": "The document, such as deal:759; where it is not given, number 1 of its kind.",
    "facts": "What is known, by kind and field: {deal: {stage_id: NEW}}. The rest is empty.",
    "unknown": "The facts that cannot be read; `workflows` is the list of workflows itself.",
    "workflows": "The workflows that run on the document, such as [{id: a, template_id: 61}].",
    "expect": "What happens to each workflow, by its id, such as {a: {kill: lost-deal}, b: none}.",
}
_MOMENT = "2026-09-24T12:00:00+03:00"
_PAGE = re.compile(
    r"(?:\b|CRM_)(deal|lead|contact|company|quote|task|(?:type/|DYNAMIC_)([0-9]+))"
    r"(?:/details/|/view/|_| )([1-9][0-9]*)",
    re.IGNORECASE,
)
_OTHERS_CALLED = {
    **dict.fromkeys(("daily", "daily_at", "every", "hourly", "cron", "timer", "time"), "schedule"),
    **dict.fromkeys(("every day", "every hour", "ежедневно", "по расписанию"), "schedule"),
    "робот": "robot",
}
_BESIDE_FACTS = ("name", "at", "portal", "unknown", "workflows", "expect")
_OTHERS = tuple(name for name in get_args(Trigger) if name != "event")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test case. `expected` is None where it has no `expect`; `at` is None for now."""

    name: str
    file: str
    line: int
    situation: Situation
    at: datetime | None
    expected: Expected | None

    def of(self, workflow: str) -> tuple[Expectation, ...]:
        """Return the expectations for a workflow; `NOTHING` where the case does not name it."""
        return (self.expected or {}).get(workflow, NOTHING)


def read(
    node: Node, ruleset: Ruleset, mistakes: Mistakes, *, expecting: bool = False
) -> tuple[Case, ...]:
    """Parse a list of cases; the result must not be used if any mistake is recorded.

    Where cases must be `expecting`, one without `expect` is a mistake: it could never fail.
    """
    if not isinstance(node, Items) or not node.items:
        mistakes.error(node, "`tests` is a list: each test begins with `- name:`")
        return ()
    return tuple(_cases(node.items, ruleset, mistakes, expecting=expecting))


def read_one(node: Table, ruleset: Ruleset, mistakes: Mistakes, *, expecting: bool = False) -> Case:
    """Parse the single case in a map."""
    Keys(mistakes).known(node, CASE_KEYS, synonyms.CASE_KEYS, of="in a test")
    node = Keys(mistakes).as_meant(node, CASE_KEYS, synonyms.CASE_KEYS)
    node = indentation.with_keys_beside(node, ("facts",), _BESIDE_FACTS, mistakes)
    reader = _CaseReader(ruleset, mistakes, node)
    if expecting:
        reader.require_expectations()
    return reader.case()


def _cases(
    items: Sequence[Node], ruleset: Ruleset, mistakes: Mistakes, *, expecting: bool
) -> Iterator[Case]:
    named: dict[str, int] = {}
    needed = ("event", "expect")
    for item in indentation.joined_items(items, "test", CASE_KEYS, needed, mistakes):
        if not isinstance(item, Table):
            mistakes.error(item, "a test is a map that begins with `name:`")
            continue
        case = read_one(item, ruleset, mistakes, expecting=expecting)
        if case.name in named:
            mistakes.error(item, f"another test has this name, on line {named[case.name]}")
        named[case.name] = item.line
        yield case


class _Event(NamedTuple):
    """The trigger and events of a case, and the kind of document that they bring, if it is one."""

    trigger: Trigger
    names: tuple[str, ...] = ()
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class _CaseReader:
    """A parser of one case, which records its mistakes."""

    ruleset: Ruleset
    mistakes: Mistakes
    node: Table

    def case(self) -> Case:
        """Parse the case."""
        event, at = self._event(), self._at()
        # Who gave no zone to `at` learns it there, and not of every moment in the facts again.
        placed = self.ruleset.names_zone or self._names_no_zone("at")
        reader = FactsReader(self.mistakes, places_moments=placed)
        given = reader.given(self.node, paths(self.ruleset.rules))
        node, ids = self.node.get("expect"), tuple(self._ids())
        expected = expectations.read(node, self.ruleset, self.mistakes, ids)
        rules = self._expected_first(expected)
        document = self._document(event, given, rules)
        self._check_kind(document)
        workflows = tuple(reader.workflows(self.node, given))
        self._check_workflows_exist(expected, [workflow.id for workflow in workflows])
        return Case(
            name=self._text("name") or f"the case on line {self.node.line}",
            file=self.mistakes.file,
            line=self.node.line,
            situation=Situation(
                portal=self._text("portal") or self._portal(rules),
                trigger=event.trigger,
                events=event.names,
                document=document,
                facts=given.of_document(running=len(workflows)),
                workflows=UNREADABLE if WORKFLOWS in given.unknown else workflows,
            ),
            at=at,
            expected=expected,
        )

    def require_expectations(self) -> None:
        """Record a mistake if the case expects nothing."""
        if Keys(self.mistakes).lacks(self.node, "expect", CASE_KEYS, synonyms.CASE_KEYS):
            message = "`expect` is missing: what happens to each workflow, such as"
            self.mistakes.error(self.node, f"{message} {{a: {{kill: lost-deal}}}}")

    def _text(self, name: str) -> str | None:
        value = self.node.get(name)
        if value is None:
            return None
        if isinstance(value, Scalar) and value.kind != "null" and value.text.strip():
            return value.text
        only = value.items[0] if isinstance(value, Items) and len(value.items) == 1 else None
        meant = only.text if isinstance(only, Scalar) else None
        self.mistakes.error(value, f"`{name}` is a text", meant)
        return None

    def _event(self) -> _Event:
        node = self.node.get("event")
        if node is None:
            if Keys(self.mistakes).lacks(self.node, "event", CASE_KEYS, synonyms.CASE_KEYS):
                self.mistakes.error(self.node, "`event` is missing: what sets the rules off?")
            return _Event("event")
        for trigger in get_args(Trigger):
            if isinstance(node, Scalar) and node.text == trigger != "event":
                return _Event(trigger)
        items = node.items if isinstance(node, Items) else (node,)
        found = [one for one in map(self._one_event, items) if one is not None]
        kinds = {one.brings for one in found if registry.is_kind(one.brings)}
        # Of the names an event goes by, the shortest is the usual one.
        names = tuple(min(one.events, key=len) for one in found)
        return _Event("event", names, kinds.pop() if len(kinds) == 1 else None)

    def _one_event(self, node: Node) -> triggers.Trigger | None:
        name = node.text if isinstance(node, Scalar) else yaml_text.written(node)
        found = triggers.find(name)
        if found is not None and found.events:
            return found
        plain = name.lower()
        message, why = f"there is no event `{name}`", triggers.never_sent(plain)
        dotted = ".".join(re.findall(r"[\w]+", plain))
        meant = _OTHERS_CALLED.get(plain) or nearest(plain, _OTHERS)
        if why is not None or plain.startswith(("every ", "daily ", "cron")):
            is_known = meant is not None or why is None
            message, meant = message if is_known else f"{message}: {why}", "schedule"
        meant = meant or triggers.nearest_trigger(name) or triggers.nearest_trigger(dotted)
        if meant is None:
            message += ": an event is deal.updated or the like, or robot, sweep, schedule"
        self.mistakes.error(node, message, meant)
        return None

    def _at(self) -> datetime | None:
        node, written = self.node.get("at"), self._text("at")
        if node is None or written is None:
            return None
        moment = values.instants(self.ruleset.zone)(written)
        if isinstance(moment, datetime):
            if not self.ruleset.names_zone and self._names_no_zone("at"):
                meant = written_values.placed(written)
                message = f"`at` names no time zone, so it is in UTC: write {meant}"
                self.mistakes.warn(node, f"{message}, or `timezone` in `defaults`")
            return moment
        wrong = impossible_days.of_moment(written)
        if wrong is not None:
            self.mistakes.error(node, wrong.message, wrong.suggestion)
            return None
        message = f"`at` is a moment, such as {_MOMENT}"
        if written.lower() in ("now", "today", "сейчас"):
            message += ": leave it out for the present one"
        self.mistakes.error(node, message, written_values.moment(written))
        return None

    def _names_no_zone(self, name: str) -> bool:
        node = self.node.get(name)
        return isinstance(node, Scalar) and written_values.is_without_zone(node.text)

    def _expected_first(self, expected: Expected | None) -> list[Rule]:
        """Return all rules, those first that are expected to give a verdict."""
        named = expectations.rules_of(expected)
        return sorted(self.ruleset.rules, key=lambda rule: rule.id not in named)

    def _document(self, event: _Event, given: Given, rules: list[Rule]) -> Document:
        node = self.node.get("document")
        if node is not None:
            document = documents.parse_ref(node.text) if isinstance(node, Scalar) else None
            if document is not None:
                return document
            message = "`document` is a kind and a number, such as deal:759"
            self.mistakes.error(node, message, _document_meant(node, event.kind or "deal"))
        spoken_of = (path.partition(".")[0] for path in given.paths)
        kinds = [event.kind, *spoken_of, *_kinds(rules), "deal"]
        kind = next(kind for kind in kinds if kind is not None and registry.is_kind(kind))
        document = documents.of_item(kind, "1")
        assert document is not None
        return document

    def _ids(self) -> Iterator[str]:
        """Yield the ids of the workflows, as far as they can be read."""
        listed = self.node.get("workflows")
        for item in listed.items if isinstance(listed, Items) else ():
            id_ = item.get("id") if isinstance(item, Table) else None
            if isinstance(id_, Scalar) and id_.text:
                yield id_.text

    def _by_template(self, number: str) -> str | None:
        """Return the id of the workflow of a template, which was written for it."""
        listed = self.node.get("workflows")
        for item in listed.items if isinstance(listed, Items) else ():
            template = item.get("template_id") if isinstance(item, Table) else None
            id_ = item.get("id") if isinstance(item, Table) else None
            if isinstance(template, Scalar) and template.text == number and isinstance(id_, Scalar):
                return id_.text
        return None

    def _portal(self, rules: list[Rule]) -> str:
        return next((min(rule.portals) for rule in rules if rule.portals), "main")

    def _check_kind(self, document: Document) -> None:
        """Record a mistake for each fact of another kind of document than the case's."""
        table = self.node.get("facts")
        for key, _ in table.pairs if isinstance(table, Table) else ():
            kind = key.text.partition(".")[0]
            if registry.is_kind(kind) and kind != document.kind:
                message = f"this test is about a {document.kind}, which has no facts of a {kind}"
                self.mistakes.error(key, message)

    def _check_workflows_exist(self, expected: Expected | None, ids: list[str]) -> None:
        node, listed = self.node.get("expect"), self.node.get("workflows")
        unread = listed is not None and not isinstance(listed, Items)
        unread = unread or (isinstance(listed, Items) and _cut(listed))
        if unread or "" in ids or len(set(ids)) < len(ids):
            return  # which is reported
        rules = [rule.id for rule in self.ruleset.rules]
        for key, value in node.pairs if expected and isinstance(node, Table) else ():
            if key.text in ids:
                continue
            if key.text in rules and isinstance(value, Scalar) and ids:
                message = f"`{key.text}` is a rule, and here stands the id of a workflow"
                self.mistakes.error(key, message, f"{ids[0]}: {{{value.text}: {key.text}}}")
            else:
                message = f"there is no workflow `{key.text}` in this test"
                meant = self._by_template(key.text) or nearest(key.text, ids)
                if meant is None and ids:
                    message += f", which has {', '.join(ids)}"
                self.mistakes.error(key, message, meant)


def _cut(listed: Items) -> bool:
    """Return whether the parts of one workflow are items by themselves: `[id: a, tasks: 1]`."""
    return len(listed.items) > 1 and any(
        isinstance(item, Table) and len(item.pairs) == 1 and item.get("id") is None
        for item in listed.items
    )


def _document_meant(node: Node, kind: str) -> str | None:
    """Return the document that an address of its page, the portal's own id, or a number names.

    A number alone is of a document of this kind.
    """
    if isinstance(node, Scalar) and node.text.isascii() and node.text.isdigit():
        return f"{kind}:{node.text}"
    text = node.text if isinstance(node, Scalar) else yaml_text.written(node).replace(": ", " ")
    found = _PAGE.search(text)
    if found is None:
        return None
    named = f"item_{found[2]}" if found[2] else found[1].lower()
    return f"{named}:{found[3]}" if registry.is_kind(named) else None


def _kinds(rules: Iterable[Rule]) -> Iterator[str | None]:
    for rule in rules:
        yield rule.kind
        yield from (trigger.brings for trigger in rule.triggers or ())
