"""Chooses which of several condemned workflows are spared, by `keep`.

Of each group the newest, or the oldest, lives. The order is that of their starts, then of their
ids; where the start of one cannot be read, or its template where groups are by template, any of its
group might be the one to keep, so that all of them are spared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import NamedTuple

from responder.model import Unknown, Workflow
from responder.rules import values
from responder.rules.derived import ABSENT

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
    """A workflow that a rule condemns, and the name of the document it runs on."""

    document: str
    workflow: Workflow


def spare(
    condemned: Iterable[Candidate], keep: Keep, zone: tzinfo, *, complete: bool = True
) -> dict[str, str | None]:
    """Return the ids of those that are spared, of all that one rule condemns.

    The value is None for the one to keep, else why nobody of its group can be condemned. `zone` is
    that of instants which name none. `complete` says that no workflow is missing from the lists.
    """
    candidates = list(condemned)
    if not complete:
        return dict.fromkeys((one.workflow.id for one in candidates), _INCOMPLETE)
    spared: dict[str, str | None] = {}
    for scope in _by_document(candidates, keep):
        spared |= _of_scope(scope, keep, zone)
    return spared


def _by_document(candidates: Iterable[Candidate], keep: Keep) -> Iterable[list[Workflow]]:
    scopes: dict[str, list[Workflow]] = {}
    for document, workflow in candidates:
        scopes.setdefault(document if DOCUMENT in keep.per else "", []).append(workflow)
    return scopes.values()


def _of_scope(scope: Sequence[Workflow], keep: Keep, zone: tzinfo) -> dict[str, str | None]:
    """Spare one of each template's, or nobody where it is unknown whose template is which."""
    if TEMPLATE not in keep.per:
        return _of_group(scope, keep, zone)
    groups: dict[str, list[Workflow]] = {}
    for workflow in scope:
        template = _template(workflow)
        if isinstance(template, Unknown):
            return _all(scope, f"the template of `{workflow.id}` is unknown: {template.why}")
        groups.setdefault(template, []).append(workflow)
    spared: dict[str, str | None] = {}
    for group in groups.values():
        spared |= _of_group(group, keep, zone)
    return spared


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
