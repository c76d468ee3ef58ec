"""What can be seen of the portal, the facts of a workflow, and what tests of them mean.

All of it is read from the contract and not from the code. A fact has a value, or is empty, or is
unknown: what is absent, denied or hidden. A test is true, false or unknown by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from tests.random.model_calendar import days_have_passed

VIP, VIP_USERS = "17", ("5", "7")
UNKNOWN: Final = object()
Kleene = bool | None

DEAL, OTHER = "deal", "other"
# Elements by their ids, with the kinds that they are of: ids are the portal's, not a list's.
ELEMENTS = {"7": "list_23", "8": "list_23", "9": "list_24"}
LIST_OF = {"71": 23, "72": 23, "73": 24}  # by the template that is for it

_FIELDS = {
    "deal.stage_semantic_id": "stageSemanticId",
    "deal.opportunity": "opportunity",
    "deal.company_id": "companyId",
    "deal.contact_id": "contactId",
    "deal.assigned_by_id": "assignedById",
    "deal.created_by": "createdBy",
    "deal.observers": "observers",
    "deal.title": "title",
    "deal.uf_crm_price": "UF_CRM_PRICE",
    "deal.uf_crm_client": "UF_CRM_CLIENT",
}
_LINKED = {
    "deal.company.industry": ("deal.company_id", "company", "industry"),
    "deal.contact.post": ("deal.contact_id", "contact", "post"),
    "deal.assigned_by.active": ("deal.assigned_by_id", "user", "active"),
    "deal.created_by.active": ("deal.created_by", "user", "active"),
    "list_23.created_by.active": ("list_23.created_by", "user", "active"),
    "starter.active": ("starter.id", "user", "active"),
    "starter.department": ("starter.id", "user", "department"),
}
_NOBODY = (None, "", 0, "0")  # empty, of what is the number of something else
_TEXTS = ("deal.title", "deal.company.industry", "deal.contact.post", "list_23.name")
_UNTYPED = ("deal.uf_crm_client", "list_23.property_1")  # of which only the portal knows the type


def kind_of(document: str) -> str:
    """Return the kind of a document by its id."""
    return DEAL if document.startswith("DEAL_") else ELEMENTS.get(document, OTHER)


class Row(NamedTuple):
    """What the portal's list of workflows tells of one."""

    document: str
    template: str
    started: str
    starter: str

    @property
    def kind(self) -> str:
        """Return the kind of its document."""
        return kind_of(self.document)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How the portal is, or may have looked to who asked for one thing after the other.

    `elements` are those that may be read, `linked` the companies, contacts and users that may, by
    kind and number; `listed` the templates that the portal lists; `clock` is our time.
    """

    deals: Mapping[int, Mapping[str, object]]
    denied: frozenset[int]
    workflows: Mapping[str, Row]
    tasks: Mapping[str, tuple[str, ...]]
    elements: Mapping[str, Mapping[str, object]]
    linked: Mapping[tuple[str, str], Mapping[str, object]]
    listed: frozenset[str]
    clock: float

    def facts(self, workflow_id: str) -> "Facts | None":
        """Return the facts of a workflow; None where it does not run."""
        row = self.workflows.get(workflow_id)
        return None if row is None else Facts(self, workflow_id, row)


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one workflow, by their paths. Those of another kind are unknown."""

    view: View
    workflow: str
    row: Row

    def __getitem__(self, path: str) -> object:
        match path:
            case "workflow.template_id":
                return self.row.template
            case "starter.id":
                return self.row.starter
            case "waiting_for.id":
                return self.view.tasks.get(self.workflow, ())
            case "document.running":
                rows = self.view.workflows.values()
                return sum(other.document == self.row.document for other in rows)
            case _:
                return self._linked(path) if path in _LINKED else self._own(path)

    @property
    def age_since(self) -> datetime:
        """Return when it started."""
        return datetime.fromisoformat(self.row.started)

    def _linked(self, path: str) -> object:
        """Return what a link leads to: nothing where it is empty, unknown where nobody knows."""
        link, kind, name = _LINKED[path]
        end = self[link]
        if end is UNKNOWN:
            return UNKNOWN
        if end in _NOBODY:
            return None
        return self.view.linked.get((kind, str(end)), {}).get(name, UNKNOWN)

    def _own(self, path: str) -> object:
        """Return a field of the document. What is empty is left out of an element alone."""
        kind, _, name = path.partition(".")
        if kind == DEAL:
            number = int(self.row.document.partition("_")[2] or 0)
            fields = {} if number in self.view.denied else self.view.deals.get(number, {})
            return fields.get(_FIELDS[path], UNKNOWN)
        element = self.view.elements.get(self.row.document)
        return UNKNOWN if element is None else element.get(name)


def group_by(path: str, facts: Facts) -> object:
    """Return by which value a fact groups a workflow: None is no group, for it has none, or some.

    What may mean that there is none is unknown: a 0 where only the portal knows the type.
    """
    value = facts[path]
    if value is UNKNOWN:
        return UNKNOWN
    some = _several(value)
    if path in _UNTYPED and any(one in (0, "0") for one in some):
        return UNKNOWN
    if path not in (*_TEXTS, *_UNTYPED):
        some = tuple(one for one in some if one not in _NOBODY)
    return str(some[0]) if len(some) == 1 else None


@dataclass(frozen=True, slots=True)
class Is:
    """A test that a fact is one of these."""

    fact: str
    values: tuple[str, ...]

    @property
    def text(self) -> str:
        """Write it as a line of a map."""
        only = self.values[0] if len(self.values) == 1 else f"[{', '.join(self.values)}]"
        return f"{self.fact}: {only}"

    def holds(self, facts: Facts) -> Kleene:
        """Make the test."""
        value = facts[self.fact]
        if value is UNKNOWN:
            return None
        return any(str(one) in self.values for one in _several(value))


@dataclass(frozen=True, slots=True)
class Below:
    """A test that a fact is a number, and below this one."""

    fact: str
    number: int

    @property
    def text(self) -> str:
        """Write it as a line of a map."""
        return f"{self.fact}: {{below: {self.number}}}"

    def holds(self, facts: Facts) -> Kleene:
        """Make the test."""
        value = str(facts[self.fact])
        return int(value) < self.number if value.isdigit() else None


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A test that a fact is this number or more."""

    fact: str
    number: int

    @property
    def text(self) -> str:
        """Write it as a line of a map."""
        return f"{self.fact}: {{at_least: {self.number}}}"

    def holds(self, facts: Facts) -> Kleene:
        """Make the test."""
        value = str(facts[self.fact])
        return int(value) >= self.number if value.isdigit() else None


@dataclass(frozen=True, slots=True)
class Costs:
    """A test that an amount in roubles is over this; one in another currency is unknown."""

    fact: str
    number: int

    @property
    def text(self) -> str:
        """Write it as a line of a map."""
        return f"{self.fact}: {{over: {self.number}, currency: RUB}}"

    def holds(self, facts: Facts) -> Kleene:
        """Make the test."""
        amount, _, currency = str(facts[self.fact]).partition("|")
        return int(amount) > self.number if currency == "RUB" else None


@dataclass(frozen=True, slots=True)
class Worked:
    """A test that a workflow is older than so many working days of the office."""

    days: int
    fact: str = "workflow.age"

    @property
    def text(self) -> str:
        """Write it as a line of a map."""
        return f"{self.fact}: {{over: {self.days}wd, in: office}}"

    def holds(self, facts: Facts) -> Kleene:
        """Make the test."""
        passed_at = days_have_passed(facts.age_since, self.days)
        return datetime.fromtimestamp(facts.view.clock, UTC) > passed_at


Asked = Is | Below | AtLeast | Costs | Worked


def _several(value: object) -> tuple[object, ...]:
    if isinstance(value, tuple | list):
        return tuple(value)
    return () if value in (None, "") else (value,)
