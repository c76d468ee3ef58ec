"""Chooses which of several workflows that a rule condemns are spared, by the rule's `keep`.

Of each group the newest, or the oldest, is kept. The order is that of their starts, then of their
ids. Where one start cannot be read (or one template, where groups are by template), any workflow of
the group might be the one to keep, so all of them are spared.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import NamedTuple

from responder.model import ABSENT, Unknown, Workflow
from responder.rules.facts import values

DOCUMENT, TEMPLATE = "document", "template"
GROUPS = (DOCUMENT, TEMPLATE)
STARTED, TEMPLATE_ID = "workflow.started", "workflow.template_id"
_INCOMPLETE = "the list of workflows may lack some"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """The key `keep` of a rule: which workflow of each group to spare, and what makes a group."""

    newest: bool
    per: frozenset[str]

    @property
    def english(self) -> str:
        """Return the test that each condemned workflow passes, in words."""
        which = "newest" if self.newest else "oldest"
        groups = " and ".join(name for name in GROUPS if name in self.per)
        return f"is not the {which}" + (f" of its {groups}" if groups else "")

    @property
    def paths(self) -> set[str]:
        """Return the facts that the choice rests on."""
        return {STARTED, TEMPLATE_ID} if TEMPLATE in self.per else {STARTED}


class Candidate(NamedTuple):
    """A workflow whose tests all hold, and the name of its document."""

    document: str
    workflow: Workflow


@dataclass(frozen=True, slots=True)
class Choice:
    """The workflows that a rule with `keep` spares.

    `spared` maps their ids to None, or to the reason why nobody of the group is condemned. `beside`
    maps each condemned workflow to those kept of its group: it need not run because they do.
    """

    spared: Mapping[str, str | None]
    beside: Mapping[str, tuple[str, ...]]

    def kept_beside(self, workflow_id: str) -> tuple[str, ...]:
        """Return the ids of the workflows that are kept in the group of a condemned one."""
        return self.beside.get(workflow_id, ())


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
    workflows: one of those could be the one to keep, so all are spared.
    """
    found = list(candidates)
    if not complete:
        return spare_all((one.workflow.id for one in found), _INCOMPLETE)
    spared: dict[str, str | None] = {}
    beside: dict[str, tuple[str, ...]] = {}
    for scope in _by_document(found, keep):
        for group, kept in _of_scope(scope, keep, zone):
            spared |= kept
            ids = tuple(kept)
            beside |= {one.id: ids for one in group if one.id not in kept}
    return Choice(spared, beside)


_Group = tuple[Sequence[Workflow], dict[str, str | None]]


def _by_document(candidates: Iterable[Candidate], keep: Keep) -> Iterable[list[Workflow]]:
    scopes: dict[str, list[Workflow]] = {}
    for document, workflow in candidates:
        scopes.setdefault(document if DOCUMENT in keep.per else "", []).append(workflow)
    return scopes.values()


def _of_scope(scope: Sequence[Workflow], keep: Keep, zone: tzinfo) -> Iterator[_Group]:
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
    _, kept = max(order) if keep.newest else min(order)
    return {kept: None}


def _template(workflow: Workflow) -> str | Unknown:
    value = workflow.facts.get(TEMPLATE_ID, ABSENT)
    if isinstance(value, Unknown):
        return value
    return "" if value is None else values.text(value)


def _all(group: Iterable[Workflow], why: str) -> dict[str, str | None]:
    return dict.fromkeys((workflow.id for workflow in group), why)
