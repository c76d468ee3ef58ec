"""Lists the facts that exist with their types, and finds the nearest name for a wrong one.

A fact's path is its owner and its field: `deal.stage_id`, `workflow.age`; of what a document is
linked to it has three parts (`links`): `deal.company.industry`. Owners are the kinds of
document, whose fields are Bitrix24's own in snake case, and the few that every situation has
(`event`, `document`, `workflow`, `template`, `starter`, `waiting_for`). The tables of fields are in
`fields`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from responder.rules.facts import fields, links
from responder.rules.facts.fields import Field, Type
from responder.rules.facts.links import Link, Linked
from responder.rules.load.suggestions import russian
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
# A fact of the document that one more workflow, which is not listed yet, would change.
_OF_ALL_WORKFLOWS = "document.running"

_ITEM = re.compile(r"item_([1-9][0-9]{2,9})")
_LIST = re.compile(r"list_[1-9][0-9]{0,9}")
_CALLED_ITEM = re.compile(
    r"(?:smart_?process(?:es)?|smart|spa|sp|dynamic|type|process|items?)_?([0-9]+)"
)
_CALLED_LIST = re.compile(r"(?:lists?|iblock|feed|bp)_?([0-9]+)")
_PROPERTY = re.compile(r"property_[1-9][0-9]{0,9}")
_USER_FIELD = re.compile(r"uf_[a-z0-9_]+")
_PARENT = re.compile(r"parent_id_[1-9][0-9]*")
_PATH = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+(?:\.[a-z0-9_]+)?")
_OF_THE_LIST = "A field of this list; `responder fields list_23 --portal NAME` names them."
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
    **dict.fromkeys(("due_date", "due", "due_at"), "deadline"),
    **dict.fromkeys(("inactive", "inactivity", "inactive_for"), "idle"),
    **dict.fromkeys(("duration", "running_for", "runs_for"), "age"),
    **dict.fromkeys(("start", "started_at", "begun"), "started"),
}
_LINKS_CALLED = {"assigned_by": "responsible", "responsible": "assigned_by", "author": "created_by"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One fact that rules may test. `kind` is its kind of document; None where it has none.

    `about_workflow` is true where another workflow on the same document may change it.
    """

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
    field = _field(owner, name)
    if field is None:
        return None
    return Fact(
        path=path,
        type=field.type,
        kind=owner if is_kind(owner) else None,
        about_workflow=owner in ABOUT_WORKFLOWS or path == _OF_ALL_WORKFLOWS,
        description=field.description,
    )


def _field(owner: str, name: str) -> Field | None:
    """Return a field of an owner; of a kind also what its links lead to, and the portal's own."""
    field = _fields(owner).get(name)
    if field is not None or not is_kind(owner):
        return field
    linked = links.parse(f"{owner}.{name}")
    return _open_field(owner, name) if linked is None else _at_the_end(linked)


def _at_the_end(linked: Linked) -> Field | None:
    there = at_the_end_of(linked.link)
    found = next((field for field in there if field.name == linked.name), None)
    if found is not None or linked.link.target == links.USER:
        return found
    return _open_field(linked.link.target, linked.name)


def spells_a_fact(text: str) -> bool:
    """Return whether a plain text is the name of a fact, which its author then probably meant."""
    return _PATH.fullmatch(text) is not None and find(text) is not None


def is_kind(name: str) -> bool:
    """Return whether a kind of document has this name: `deal`, `item_147`."""
    if name in KINDS:
        return True
    if is_of_a_list(name):
        return True
    item = _ITEM.fullmatch(name)
    return item is not None and int(item[1]) >= 128


def is_of_a_list(kind: str) -> bool:
    """Return whether a kind is that of a list or news-feed process: `list_23`."""
    return _LIST.fullmatch(kind) is not None


def is_link(path: str) -> bool:
    """Return whether a path names a link of a kind of document: `deal.company`."""
    kind, _, name = path.partition(".")
    return is_kind(kind) and any(link.name == name for link in links.of_kind(kind))


def at_the_end_of(link: Link) -> tuple[Field, ...]:
    """Return the standard fields of what a link leads to."""
    return fields.USER if link.target == links.USER else of_kind(link.target)


def of_kind(kind: str) -> tuple[Field, ...]:
    """Return the standard fields of a kind, or of an owner such as `workflow`."""
    return tuple(_fields(kind).values())


def describe(owner: str) -> str:
    """Return a sentence that describes an owner of facts, for people who write rules."""
    if is_of_a_list(owner):
        return f"An element of list or news-feed process {owner.removeprefix('list_')}."
    number = owner.removeprefix("item_")
    return {**KINDS, **_OWNERS}.get(owner, f"An item of smart process {number} (entityTypeId).")


def _numbered(name: str) -> str | None:
    """Return the kind of a smart process or list that a name with a number means: `list23`."""
    for pattern, kind in ((_CALLED_ITEM, "item"), (_CALLED_LIST, "list")):
        found = pattern.fullmatch(name.lower())
        if found is not None and is_kind(f"{kind}_{found[1]}"):
            return f"{kind}_{found[1]}"
    return None


def nearest_owner(name: str) -> str | None:
    """Return the kind, or other owner of facts, that is nearest to a wrong name."""
    meant = _numbered(name) or russian.english(name, KINDS)
    return meant or nearest(name.lower(), [*KINDS, *fields.ALWAYS, "item_147", "list_23"])


def nearest_kind(name: str) -> str | None:
    """Return the kind of document that is nearest to a wrong name of one."""
    plain = name.lower()
    meant = plain if is_kind(plain) else _numbered(plain) or russian.english(plain, KINDS)
    return meant or nearest(plain, KINDS)


def nearest_fact(path: str) -> str | None:
    """Return the path of the fact that is nearest to a wrong path, or None."""
    owner, _, name = path.partition(".")
    owner, name = _snake(owner), _snake(name)
    if "." in name:
        return _nearest_linked(owner, name)
    if not _fields(owner):
        owners = [*KINDS, *fields.ALWAYS]
        # A word may stand for a kind and for what every document has: `сделка`.
        meant = _numbered(owner) or russian.english(owner, KINDS) or russian.english(owner, owners)
        owner = meant or nearest(owner, owners) or owner
    name = russian.english(name, _fields(owner)) or name
    if find(f"{owner}.{name}"):
        return f"{owner}.{name}"
    there = {called: right for called, right in _CALLED.items() if find(f"{owner}.{right}")}
    found = name if name in there else nearest(name, [*_fields(owner), *there], likeness=0.7)
    return f"{owner}.{there.get(found, found)}" if found else None


def _nearest_linked(owner: str, name: str) -> str | None:
    """Return the path of the linked fact that is nearest to a wrong path of three parts."""
    owner = owner if links.of_kind(owner) else nearest(owner, KINDS) or owner
    link_name, _, field = name.partition(".")
    by_name = {link.name: link for link in links.of_kind(owner)}
    called = _LINKS_CALLED.get(link_name, link_name)
    link = by_name.get(link_name) or by_name.get(nearest(called, by_name) or "")
    if link is None:
        return None
    found = nearest(field, [one.name for one in at_the_end_of(link)])
    return f"{owner}.{link.name}.{found}" if found else None


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
    if is_of_a_list(kind):
        yield from fields.LIST_ELEMENT
        return
    yield from fields.EVERY_ITEM
    yield from fields.BY_KIND.get(kind, fields.SMART_ITEM)


def _open_field(kind: str, name: str) -> Field | None:
    if is_of_a_list(kind):
        return Field(name, Type.ANY, _OF_THE_LIST) if _PROPERTY.fullmatch(name) else None
    if _USER_FIELD.fullmatch(name):
        return Field(name, Type.ANY, "A field that this portal added.")
    if kind != "task" and _PARENT.fullmatch(name):
        return Field(name, Type.REFERENCE, "The item of another type that this one belongs to.")
    return None
