"""Chooses which of several workflows that a rule condemns are spared, by the rule's `keep`.

Of each group the newest, or the oldest, are kept: one of them, or as many as the rule says. The
order is that of their starts, then of their ids. A group has the same document, the same template,
or the same value of a fact. Where one start cannot be read (or one template, where groups are by
template), any workflow of the group might be one to keep, so all of them are spared.

Groups by facts (`per: [starter.id]`): a workflow whose fact is empty, or has several values, is in
no group, and is spared. Where the fact of one workflow is unknown, it might belong to any group,
and nobody is condemned.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from hashlib import sha256
from typing import NamedTuple

from responder.model import ABSENT, Group, Unknown, Workflow
from responder.rules.facts import registry, values
from responder.rules.facts.fields import Type

DOCUMENT, TEMPLATE = "document", "template"
GROUPS = (DOCUMENT, TEMPLATE)
GROUPING = frozenset({Type.REFERENCE, Type.TEXT, Type.ID, Type.ANY})
STARTED, TEMPLATE_ID = "workflow.started", "workflow.template_id"
_INCOMPLETE = "the list of workflows may lack some"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """The key `keep` of a rule: which workflows of each group to spare, and what makes a group.

    `per` has `document`, `template` and paths of facts.
    """

    newest: bool
    per: frozenset[str]
    count: int = 1

    @property
    def facts(self) -> tuple[str, ...]:
        """Return the paths of the facts whose values make a group, in the order of their names."""
        return tuple(sorted(self.per.difference(GROUPS)))

    @property
    def english(self) -> str:
        """Return the test that each condemned workflow passes, in words.

        No two different choices have the same words: those of a stop are compared with its rule's.
        """
        which = "newest" if self.newest else "oldest"
        said = (
            f"is not the {which}" if self.count == 1 else f"is not among the {self.count} {which}"
        )
        groups = " and ".join(name for name in GROUPS if name in self.per)
        same = " and ".join(self.facts)
        of = f" of its {groups}" if groups else ""
        return f"{said}{of}" + (f" with the same {same}" if same else "")

    @property
    def paths(self) -> set[str]:
        """Return the facts that the choice rests on."""
        return {STARTED, *self.facts, *([TEMPLATE_ID] if TEMPLATE in self.per else [])}

    def group(self, facts: Mapping[str, object]) -> Group:
        """Return the values of the facts that make a group of one workflow.

        None is no group, because one of them is empty or has several values.
        """
        found: list[str] = []
        alone = False
        for path in self.facts:
            value = _one_value(path, facts.get(path, ABSENT))
            if isinstance(value, Unknown):
                return Unknown(f"`{path}` is unknown: {value.why}")
            if value is None:
                alone = True
            else:
                found.append(value)
        return None if alone else tuple(found)

    def why_in_no_group(self, facts: Mapping[str, object]) -> str:
        """Return why a workflow is in no group."""
        paths = (one for one in self.facts if _one_value(one, facts.get(one, ABSENT)) is None)
        return f"it is in no group: `{next(paths)}` is empty or has several values"


def _one_value(path: str, value: object) -> str | Unknown | None:
    """Return the one value of a fact as a text; None where it is empty or there are several."""
    fact = registry.find(path)
    assert fact is not None
    if isinstance(value, Unknown):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    several = value if isinstance(value, list | tuple) else [value]
    found = {_as_text(one, fact.type) for one in several if not values.is_empty(one, fact.type)}
    unknown = next((one for one in found if isinstance(one, Unknown)), None)
    if unknown is not None:
        return unknown
    return found.pop() if len(found) == 1 else None


def _as_text(value: object, type_: Type) -> str | Unknown:
    if values.may_be_empty(value, type_):
        return Unknown("this may mean that there is none")
    if type_ is Type.REFERENCE:
        number = values.number(value)
        return number if isinstance(number, Unknown) else str(number)
    return values.text(value)


def group_mark(group: Group, workflow_id: str) -> str | None:
    """Return the mark by which a stop remembers its group; None where no facts make the groups.

    The log keeps the mark for good, so it does not show the values, which may be personal.
    """
    if isinstance(group, Unknown) or not group:
        return None
    return sha256("\0".join([workflow_id, *group]).encode("utf-8", "replace")).hexdigest()[:16]


class Candidate(NamedTuple):
    """A workflow whose tests all hold, the name of its document, and its group (`Keep.group`)."""

    document: str
    workflow: Workflow
    group: Group = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """The workflows that a rule with `keep` spares.

    `spared` maps their ids to None, or to the reason why nobody of the group is condemned. `beside`
    maps each condemned workflow to those kept of its group: it need not run because they do.
    `is_open` is true while it is asked whom a rule matches, whatever their groups are.
    """

    spared: Mapping[str, str | None]
    beside: Mapping[str, tuple[str, ...]]
    is_open: bool = False

    def kept_beside(self, workflow_id: str) -> tuple[str, ...]:
        """Return the ids of the workflows that are kept in the group of a condemned one."""
        return self.beside.get(workflow_id, ())


ALL_MATCHED = Choice({}, {}, is_open=True)


def repeat_choice(kept: Iterable[str], workflow_id: str) -> Choice:
    """Return the choice by which a workflow was condemned, to judge it once more."""
    ids = tuple(kept)
    return Choice(dict.fromkeys(ids), {workflow_id: ids})


def spare_all(ids: Iterable[str], why: str) -> Choice:
    """Return the choice that condemns none of these workflows, for the reason given."""
    return Choice(dict.fromkeys(ids, why), {})


def choose(
    candidates: Iterable[Candidate], keep: Keep, zone: tzinfo, *, complete: bool = True
) -> Choice:
    """Choose the workflows that a rule spares among all that its tests match.

    `zone` is the zone of instants that name none. `complete` is false where the lists may lack
    workflows: one of those could be one to keep, so all are spared.
    """
    found = list(candidates)
    why = None if complete else _INCOMPLETE
    why = why or next((_of_unknown_group(one) for one in found if _is_unknown(one.group)), None)
    if why is not None:
        return spare_all((one.workflow.id for one in found), why)
    spared: dict[str, str | None] = {one.workflow.id: None for one in found if one.group is None}
    beside: dict[str, tuple[str, ...]] = {}
    for scope in _scopes(found, keep):
        for group, kept in _of_scope(scope, keep, zone):
            spared |= kept
            ids = tuple(kept)
            beside |= {one.id: ids for one in group if one.id not in kept}
    return Choice(spared, beside)


def _is_unknown(group: Group) -> bool:
    return isinstance(group, Unknown)


def _of_unknown_group(one: Candidate) -> str:
    assert isinstance(one.group, Unknown)
    return f"the group of `{one.workflow.id}` is unknown: {one.group.why}"


_Members = tuple[Sequence[Workflow], dict[str, str | None]]


def _scopes(candidates: Iterable[Candidate], keep: Keep) -> Iterable[list[Workflow]]:
    """Return the workflows by document and by facts, without those that are in no group."""
    scopes: dict[object, list[Workflow]] = {}
    for document, workflow, group in candidates:
        if group is not None:
            name = (document if DOCUMENT in keep.per else "", group)
            scopes.setdefault(name, []).append(workflow)
    return scopes.values()


def _of_scope(scope: Sequence[Workflow], keep: Keep, zone: tzinfo) -> Iterator[_Members]:
    """Yield each group of workflows with those it keeps; one group where a template is unknown."""
    if TEMPLATE not in keep.per:
        yield scope, _of_group(scope, keep, zone)
        return
    groups: dict[str, list[Workflow]] = {}
    for workflow in scope:
        template = _template(workflow)
        if isinstance(template, Unknown):
            why = f"the template of `{workflow.id}` is unknown: {template.why}"
            yield scope, _all(scope, why)
            return
        groups.setdefault(template, []).append(workflow)
    for group in groups.values():
        yield group, _of_group(group, keep, zone)


def _of_group(group: Sequence[Workflow], keep: Keep, zone: tzinfo) -> dict[str, str | None]:
    read = values.instants(zone)
    order: list[tuple[datetime, str]] = []
    for workflow in group:
        value = workflow.facts.get(STARTED, ABSENT)
        started = value if isinstance(value, Unknown) else read(value)
        if isinstance(started, Unknown):
            return _all(group, f"the start of `{workflow.id}` is unknown: {started.why}")
        order.append((started, workflow.id))
    order.sort(reverse=keep.newest)
    return dict.fromkeys((kept for _, kept in order[: keep.count]), None)


def _template(workflow: Workflow) -> str | Unknown:
    value = workflow.facts.get(TEMPLATE_ID, ABSENT)
    if isinstance(value, Unknown):
        return value
    return "" if value is None else values.text(value)


def _all(group: Iterable[Workflow], why: str) -> dict[str, str | None]:
    return dict.fromkeys((workflow.id for workflow in group), why)
