"""Parses the facts of a test case: of the document, of each workflow, and the unknown ones.

A fact that a rule reads and the case does not give is empty. Two are assumed, because they nearly
always hold: the portal lists the workflow's template, and the document exists. On the document runs
what the case lists, unless it gives `document.running`.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from responder.authoring.cases import impossible_values
from responder.model import Unknown, Workflow
from responder.rules.facts import links, registry, values
from responder.rules.facts.derived import OF_JUDGEMENT, RUNNING, SOURCES, STARTED_BY
from responder.rules.facts.fields import ALWAYS, Type
from responder.rules.facts.registry import Fact
from responder.rules.load import unknown_facts
from responder.rules.load.suggestions import written_values, yaml_text
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table, truth

WORKFLOWS = "workflows"
UNREADABLE = Unknown("the test says that it cannot be read")
# What a judgement knows of itself, without the portal.
_SELF_EVIDENT = (*OF_JUDGEMENT, "workflow.id", "template.id", "starter.id")

_STUCK = "; it is stuck where that is more than five minutes before `at`, and not where it is null"

_ID = re.compile(r"[a-z][a-z0-9]?")
_WITH_A_SIGN = re.compile(r"([\w]+(?:\.\w+)+)\s*=+\s*([\w.-]+)")
_NAME = "workflow.name"
Facts = dict[str, object]


@dataclass(frozen=True, slots=True)
class Given:
    """The facts that a case gives, those it calls unknown, and the paths that the rules read."""

    facts: Mapping[str, object]
    unknown: frozenset[str]
    read: frozenset[str]

    @property
    def paths(self) -> list[str]:
        """Return the paths of the given and the unknown facts."""
        return [*self.facts, *self.unknown]

    def of_document(self, *, running: int) -> Facts:
        """Return the document's facts: unknown where the case says so, else given, else empty.

        `running` is how many workflows the case has.
        """
        assumed: Facts = {"document.exists": True, RUNNING: running}
        return self._with_links(assumed | self._complete({}, about_workflow=False))

    def _with_links(self, found: Facts) -> Facts:
        """Return facts in which a linked one that is not given follows from the link itself."""
        for path in self.read - {*self.paths}:
            linked = links.parse(path)
            if linked is not None:
                link = found.get(f"{path.partition('.')[0]}.{linked.link.field}")
                if linked.name == "id" or isinstance(link, Unknown):
                    found[path] = link
        return found

    def of_workflow(self, own: Facts) -> Workflow:
        """Return a workflow with these facts of its own, and the facts shared by all."""
        found = {"template.known": True} | self._complete(own, about_workflow=True)
        started_by_someone = any(path.startswith("starter.") for path in {*self.facts, *own})
        if found.get(STARTED_BY) is None and started_by_someone:
            found[STARTED_BY] = found.get("starter.id", "1")
        return Workflow(id=str(own["workflow.id"]), facts=found)

    def _complete(self, own: Facts, *, about_workflow: bool) -> Facts:
        def concerned(path: str) -> bool:
            return (path.partition(".")[0] in registry.ABOUT_WORKFLOWS) is about_workflow

        usual = ("document.exists", RUNNING, "template.known", *_SELF_EVIDENT)
        found: Facts = {path: None for path in self.read if concerned(path) and path not in usual}
        found |= {path: value for path, value in self.facts.items() if concerned(path)}
        found |= own
        return found | {path: UNREADABLE for path in self.unknown if concerned(path)}


@dataclass(frozen=True, slots=True)
class FactsReader:
    """A parser of facts, which records a mistake for each fact that does not exist.

    `places_moments` is true where it is known in which zone a moment is that names none.
    """

    mistakes: Mistakes
    places_moments: bool = True

    def given(self, case: Table, read: frozenset[str]) -> Given:
        """Parse the facts of a case, for rules that read the paths `read`."""
        return Given(self._map(case.get("facts")), frozenset(self._unknown(case)), read)

    def workflows(self, case: Table, given: Given) -> Iterator[Workflow]:
        """Yield the workflows of a case."""
        node = case.get(WORKFLOWS)
        if node is None:
            return
        if not isinstance(node, Items):
            example = "[{id: a, template_id: 61}]"
            message = f"`workflows` is a list, such as {example}"
            self.mistakes.error(node, message, _workflow_meant(node))
            return
        if (whole := _without_braces(node)) is not None:
            self.mistakes.error(node, "each workflow stands in braces", whole)
            return
        ids: set[object] = set()
        for item in node.items:
            named = _named_by_key(item)
            if named is not None:
                message = "a workflow is a map with an `id`, such as {id: a}"
                self.mistakes.error(item, message, named[1])
            own: Facts = {"workflow.id": named[0]} if named else self._workflow(item)
            if own["workflow.id"] and own["workflow.id"] in ids:
                self.mistakes.error(item, f"there are two workflows `{own['workflow.id']}`")
            ids.add(own["workflow.id"])
            yield given.of_workflow(own)

    def _workflow(self, node: Node) -> Facts:
        found: Facts = {}
        for key, value in node.pairs if isinstance(node, Table) else ():
            if key.text == "template" and isinstance(value, Scalar) and value.text.isdigit():
                message = "`template` is a map of its facts, and its number is a fact by itself"
                self.mistakes.error(key, message, "template_id")
            elif key.text == "template" and isinstance(value, Scalar):
                message = "`template` is a map of its facts"
                self.mistakes.error(value, message, f"{{name: {value.text}}}")
            elif key.text in registry.ABOUT_WORKFLOWS:
                found |= self._map(value, key.text)
            else:
                path = key.text if "." in key.text else f"workflow.{key.text}"
                if path == _NAME and isinstance(value, Scalar):
                    self.mistakes.error(key, "a workflow goes by its `id`", "id")
                    found["workflow.id"] = value.text
                    continue
                if path.partition(".")[0] in (*registry.KINDS, "document", "event"):
                    message = f"`{path}` is no fact of a workflow: it stands in `facts`"
                    self.mistakes.error(key, message)
                    continue
                found |= self._one(key, path, value, _paths(node, "workflow"))
        if not found.get("workflow.id") and not _has_another_name(node):
            message = "a workflow is a map with an `id`, such as {id: a}"
            self.mistakes.error(node, message, _item_meant(node))
        found["workflow.id"] = str(found.get("workflow.id", ""))
        return found

    def _map(self, node: Node | None, owner: str | None = None) -> Facts:
        """Parse facts by owner, `deal: {stage_id: NEW}`, or by path, `deal.stage_id: NEW`.

        What a document is linked to has facts too: `deal: {company: {industry: IT}}`.
        """
        if node is None:
            return {}
        if not isinstance(node, Table):
            message = "facts are a map, such as {deal: {stage_id: NEW}}"
            if isinstance(node, Items):
                message = "facts stand below each other, without dashes or brackets"
            self.mistakes.error(node, message, _facts_meant(node))
            return {}
        found: Facts = {}
        for key, value in node.pairs:
            if owner is not None:
                found |= self._one(key, f"{owner}.{key.text}", value, _paths(node, owner))
            elif "." in key.text:
                found |= self._one(key, key.text, value, _paths(node, ""))
            else:
                found |= self._owned(key, value)
        return found

    def _owned(self, key: Scalar, value: Node) -> Facts:
        owners = {*ALWAYS, *registry.ABOUT_WORKFLOWS}
        if key.text in owners or registry.is_kind(key.text):
            return self._map(value, key.text)
        meant = registry.nearest_owner(key.text)
        kind = next((one for one in registry.KINDS if registry.find(f"{one}.{key.text}")), None)
        if kind is not None:
            meant = f"{kind}: {{{key.text}: {yaml_text.written(value)}}}"
        self.mistakes.error(key, f"nothing called `{key.text}` has facts", meant)
        return {}

    def _one(self, key: Scalar, path: str, value: Node, beside: Collection[str]) -> Facts:
        if isinstance(value, Table) and registry.is_link(path):
            return self._map(value, path)
        if not self._exists(key, path, beside, value):
            return {}
        fact = registry.find(path)
        if fact is not None:
            self._check(fact, value)
        return {path: _plain(value)}

    def _check(self, fact: Fact, value: Node) -> None:
        """Record what the portal would never send, and a moment that may be in any zone."""
        for wrong in impossible_values.in_facts(fact, value):
            self.mistakes.error(wrong.node, wrong.message, wrong.suggestion)
        if fact.type is not Type.DATE or self.places_moments or not isinstance(value, Scalar):
            return
        if written_values.is_without_zone(value.text) and not values.is_day(value.text):
            meant = written_values.placed(value.text)
            self.mistakes.warn(value, f"this names no time zone, so it is in UTC: write {meant}")

    def _exists(
        self, key: Scalar, path: str, beside: Collection[str] = (), value: Node | None = None
    ) -> bool:
        if path in SOURCES and SOURCES[path] in beside:
            message = f"`{path}` is computed from `{SOURCES[path]}` and `at`: leave it out"
            self.mistakes.error(key, message)
        elif path in SOURCES:
            message = f"`{path}` is computed from `{SOURCES[path]}` and `at`: give those"
            meant = SOURCES[path] if "." in key.text else SOURCES[path].partition(".")[2]
            message += _STUCK if path == "workflow.stuck" else ""
            self.mistakes.error(key, message, meant)
        elif registry.find(path) is None:
            unknown = unknown_facts.said(path, value)
            self.mistakes.error(
                key, unknown.message, _below_its_owner(key, path, unknown.suggestion)
            )
        else:
            return True
        return False

    def _unknown(self, case: Table) -> Iterator[str]:
        node = case.get("unknown")
        if node is None:
            return
        if not isinstance(node, Items):
            message = "`unknown` is a list of facts, such as [deal.opportunity]"
            is_fact = isinstance(node, Scalar) and (node.text == WORKFLOWS or "." in node.text)
            meant = f"[{node.text}]" if is_fact and isinstance(node, Scalar) else None
            self.mistakes.error(node, message, meant)
            return
        for item in node.items:
            if not isinstance(item, Scalar):
                self.mistakes.error(item, "the name of a fact is expected here")
            elif item.text == WORKFLOWS or self._exists(item, item.text):
                yield item.text


def _has_another_name(node: Node) -> bool:
    """Return whether an `id` is missing because it is called a name, which is reported."""
    return isinstance(node, Table) and node.get("name") is not None


def _workflow_meant(node: Node) -> str | None:
    """Return the list that is meant by `{id: a}`, by `{a: {template_id: 61}}` or `{a: 61}`."""
    pairs = node.pairs if isinstance(node, Table) else ()
    if isinstance(node, Scalar) and node.text:
        return f"[{{id: {node.text}}}]"
    if not pairs:
        return None
    if all(isinstance(value, Table) for _, value in pairs):
        return yaml_text.in_brackets(_named(key, value) for key, value in pairs)
    if any(key.text == "id" for key, _ in pairs):
        return f"[{yaml_text.written(node)}]"
    if all(isinstance(value, Scalar) and value.text.isdigit() for _, value in pairs):
        templates = ((key, yaml_text.written(value)) for key, value in pairs)
        return yaml_text.in_brackets(
            f"{{id: {key.text}, template_id: {template}}}" for key, template in templates
        )
    return None


def _below_its_owner(key: Scalar, path: str, meant: str | None) -> str | None:
    """Return a fact that is meant as it stands below its owner; None where that has another."""
    owner = f"{path.rpartition('.')[0]}."
    if meant is None or "." in key.text:
        return meant
    return meant.removeprefix(owner) if meant.startswith(owner) else None


def _facts_meant(node: Node) -> str | None:
    """Return the facts that are meant by a list of them, by `deal.stage_id = NEW`, or by an id."""
    if not isinstance(node, Scalar):
        return yaml_text.in_one_map(node)
    signed = _WITH_A_SIGN.fullmatch(node.text)
    if signed is not None:
        return f"{{{signed[1]}: {signed[2]}}}"
    return f"{{id: {node.text}}}" if node.text.isdigit() else None


def _without_braces(node: Items) -> str | None:
    """Return the list that is meant by `[id: a, template_id: 61]`; None for others."""
    pairs = [item.pairs for item in node.items if isinstance(item, Table)]
    names = [one[0][0].text for one in pairs if len(one) == 1]
    if len(names) < 2 or len(names) < len(node.items) or names.count("id") != 1:
        return None
    return f"[{yaml_text.in_one_map(node)}]"


def _item_meant(node: Node) -> str | None:
    """Return the workflow that is meant by its id alone, or by the number of its template."""
    if not isinstance(node, Scalar) or not node.text:
        return None
    return f"{{id: a, template_id: {node.text}}}" if node.text.isdigit() else f"{{id: {node.text}}}"


def _named_by_key(node: Node) -> tuple[str, str] | None:
    """Return the id, and the map that is meant by `{a: 61}` or `{a: {template_id: 61}}`."""
    if not isinstance(node, Table) or len(node.pairs) != 1:
        return None
    ((key, value),) = node.pairs
    if key.text in registry.ABOUT_WORKFLOWS or not _ID.fullmatch(key.text):
        return None
    if isinstance(value, Scalar) and value.text.isdigit():
        return key.text, f"{{id: {key.text}, template_id: {value.text}}}"
    return (key.text, _named(key, value)) if isinstance(value, Table) else None


def _named(key: Scalar, value: Node) -> str:
    """Return the workflow that is meant by its id with a map of its facts."""
    facts = yaml_text.written(value)[1:-1]
    return f"{{{', '.join(filter(None, (f'id: {key.text}', facts)))}}}"


def _paths(node: Node, owner: str) -> frozenset[str]:
    """Return the paths of the facts in a map; those without an owner are of this one."""
    names = [key.text for key, _ in node.pairs] if isinstance(node, Table) else []
    return frozenset(name if "." in name or not owner else f"{owner}.{name}" for name in names)


def _plain(node: Node) -> object:
    """Return a value as the portal would send it."""
    match node:
        case Items():
            return [_plain(item) for item in node.items]
        case Table():
            return {key.text: _plain(value) for key, value in node.pairs}
        case Scalar(kind="null"):
            return None
        case Scalar(kind="truth"):
            return truth(node)
        case Scalar(kind="number") if "." not in node.text:
            return int(node.text)
        case Scalar():
            return node.text
        case _:
            raise AssertionError(node)
