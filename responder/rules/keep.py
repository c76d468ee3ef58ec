"""Chooses which of several workflows that a rule matches are spared, by `keep`.

Of each group the newest, or the oldest, lives. The order is that of their starts, then of their
ids; where the start of one cannot be read, or its template where groups are by template, any of its
group might be the one to keep, so that all of them are spared.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import NamedTuple

from responder.model import Unknown, Workflow
from responder.rules.facts import values
from responder.rules.facts.derived import ABSENT

DOCUMENT, TEMPLATE = "document", "template"
GROUPS = (DOCUMENT, TEMPLATE)
STARTED, TEMPLATE_ID = "workflow.started", "workflow.template_id"
_INCOMPLETE = "the list of workflows may lack some"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Which one of each group to spare, and what makes a group."""

    newest: bool
    per: frozenset[str]

    @property
    def english(self) -> str:
        """Say the test that each condemned workflow must pass."""
        which = "newest" if self.newest else "oldest"
        groups = " and ".join(name for name in GROUPS if name in self.per)
        return f"is not the {which}" + (f" of its {groups}" if groups else "")

    @property
    def paths(self) -> set[str]:
        """Return the facts that the choice rests on."""
        return {STARTED, TEMPLATE_ID} if TEMPLATE in self.per else {STARTED}


class Candidate(NamedTuple):
    """A workflow whose tests all hold, and the name of the document it runs on."""

    document: str
    workflow: Workflow


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom a rule with `keep` spares: ids, each with None, or why nobody of its group is condemned.

    `beside` has for each workflow that it condemns those that are kept of its group: that they run
    is the reason why it need not.
    """

    spared: Mapping[str, str | None]
    beside: Mapping[str, tuple[str, ...]]

    def kept_beside(self, workflow_id: str) -> tuple[str, ...]:
        """Return the ids of those that are kept in the group of a condemned workflow."""
        return self.beside.get(workflow_id, ())


def as_before(kept: Iterable[str], workflow_id: str) -> Choice:
    """Return the choice by which a workflow was condemned, to judge it once more."""
    ids = tuple(kept)
    return Choice(dict.fromkeys(ids), {workflow_id: ids})


def nobody_of(ids: Iterable[str], why: str) -> Choice:
    """Return the choice that condemns none of these workflows."""
    return Choice(dict.fromkeys(ids, why), {})


def choose(
    candidates: Iterable[Candidate], keep: Keep, zone: tzinfo, *, complete: bool = True
) -> Choice:
    """Choose whom a rule spares of all that its tests match.

    `zone` is that of instants which name none. `complete` says that no workflow is missing from the
    lists; else any of those that are could be the one to keep, and nobody is condemned.
    """
    found = list(candidates)
    if not complete:
        return nobody_of((one.workflow.id for one in found), _INCOMPLETE)
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
    """Spare one of each template's, or everybody where it is unknown whose template is which."""
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
