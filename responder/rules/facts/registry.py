"""Lists the facts that exist with their types, and finds the nearest name for a wrong one.

A fact's path is its owner and its field: `deal.stage_id`, `workflow.age`. Owners are the kinds of
document, whose fields are Bitrix24's own in snake case, and the few that every situation has
(`event`, `document`, `workflow`, `template`, `starter`, `waiting_for`). The tables of fields are in
`fields`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from responder.rules.facts import fields
from responder.rules.facts.fields import Field, Type
from responder.rules.yaml_positions import nearest

KINDS: Mapping[str, str] = {
    "deal": "A deal of the CRM.",
    "lead": "A lead of the CRM.",
    "contact": "A contact of the CRM.",
    "company": "A company of the CRM.",
    "quote": "A quote (estimate) of the CRM.",
    "invoice": "A smart invoice; the old invoices have no workflow document.",
    "task": "A task.",
}
_OWNERS: Mapping[str, str] = {
    "event": "What set the rules off.",
    "document": "The document that the workflow runs on.",
    "workflow": "The running workflow itself.",
    "waiting_for": "The users whose tasks the workflow waits for.",
    "starter": "The user who started the workflow.",
    "template": "The template that the workflow was started from.",
}
# Facts that speak of one workflow; all others speak of the document or of what set us off.
ABOUT_WORKFLOWS = frozenset({"workflow", "template", "starter", "waiting_for"})

_ITEM = re.compile(r"item_([1-9][0-9]{2,9})")
_USER_FIELD = re.compile(r"uf_[a-z0-9_]+")
_PARENT = re.compile(r"parent_id_[1-9][0-9]*")
_PATH = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")
# Names that people use for a field until they have seen the portal's own name.
_CALLED = {
    "amount": "opportunity",
    "sum": "opportunity",
    "currency": "currency_id",
    "stage": "stage_id",
    "status": "stage_id",
    "status_id": "stage_id",
    "stage_type": "stage_semantic_id",
    "pipeline": "category_id",
    "funnel": "category_id",
    "owner": "assigned_by_id",
    "manager": "assigned_by_id",
    "user": "assigned_by_id",
    "price": "opportunity",
    "value": "opportunity",
    "semantics": "stage_semantic_id",
    "created": "created_time",
    "date_create": "created_time",
    "modified": "updated_time",
    "date_modify": "updated_time",
    "name": "title",
    "responsible": "assigned_by_id",
    "assigned_by": "assigned_by_id",
    "company": "company_id",
    "contact": "contact_id",
    "template": "template_id",
    "starter": "started_by",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One fact that rules may test. `kind` is its kind of document; None where it has none."""

    path: str
    type: Type
    kind: str | None
    about_workflow: bool
    description: str


@lru_cache(maxsize=4096)
def find(path: str) -> Fact | None:
    """Return the fact of this path, or None if there is none."""
    owner, dot, name = path.partition(".")
    if not dot:
        return None
    field = _fields(owner).get(name)
    if field is None and is_kind(owner):
        field = _open_field(owner, name)
    if field is None:
        return None
    return Fact(
        path=path,
        type=field.type,
        kind=owner if is_kind(owner) else None,
        about_workflow=owner in ABOUT_WORKFLOWS,
        description=field.description,
    )


def spells_a_fact(text: str) -> bool:
    """Return whether a plain text is the name of a fact, which its author then probably meant."""
    return _PATH.fullmatch(text) is not None and find(text) is not None


def is_kind(name: str) -> bool:
    """Return whether a kind of document has this name: `deal`, `item_147`."""
    if name in KINDS:
        return True
    item = _ITEM.fullmatch(name)
    return item is not None and int(item[1]) >= 128


def of_kind(kind: str) -> tuple[Field, ...]:
    """Return the standard fields of a kind, or of an owner such as `workflow`."""
    return tuple(_fields(kind).values())


def describe(owner: str) -> str:
    """Return a sentence that describes an owner of facts, for people who write rules."""
    number = owner.removeprefix("item_")
    return {**KINDS, **_OWNERS}.get(owner, f"An item of smart process {number} (entityTypeId).")


def nearest_owner(name: str) -> str | None:
    """Return the kind, or other owner of facts, that is nearest to a wrong name."""
    return nearest(name.lower(), [*KINDS, *fields.ALWAYS, "item_147"])


def nearest_kind(name: str) -> str | None:
    """Return the kind of document that is nearest to a wrong name of one."""
    plain = name.lower()
    return plain if is_kind(plain) else nearest(plain, KINDS)


def nearest_fact(path: str) -> str | None:
    """Return the path of the fact that is nearest to a wrong path, or None."""
    owner, _, name = path.partition(".")
    owner, name = _snake(owner), _snake(name)
    if not _fields(owner):
        owner = nearest(owner, [*KINDS, *fields.ALWAYS]) or owner
    if find(f"{owner}.{name}"):
        return f"{owner}.{name}"
    there = {called: right for called, right in _CALLED.items() if find(f"{owner}.{right}")}
    found = name if name in there else nearest(name, [*_fields(owner), *there])
    return f"{owner}.{there.get(found, found)}" if found else None


def _snake(name: str) -> str:
    if name.isupper():
        return name.lower()
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


@lru_cache(maxsize=256)
def _fields(owner: str) -> Mapping[str, Field]:
    if owner in fields.ALWAYS:
        return {field.name: field for field in fields.ALWAYS[owner]}
    if is_kind(owner):
        return {field.name: field for field in _of_kind(owner)}
    return {}


def _of_kind(kind: str) -> Iterator[Field]:
    if kind == "task":
        yield from fields.TASK
        return
    yield from fields.EVERY_ITEM
    yield from fields.BY_KIND.get(kind, fields.SMART_ITEM)


def _open_field(kind: str, name: str) -> Field | None:
    if _USER_FIELD.fullmatch(name):
        return Field(name, Type.ANY, "A field that this portal added.")
    if kind != "task" and _PARENT.fullmatch(name):
        return Field(name, Type.REFERENCE, "The item of another type that this one belongs to.")
    return None
