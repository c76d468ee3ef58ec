"""Defines the links that rules may follow from a document: to its company, contact and people.

A linked fact has three parts: the document's kind, the link, and a field of what the link leads to:
`deal.company.industry`, `task.responsible.active`. A link is a field of the document that holds the
number of a company, a contact or a user. One link is followed, and no further one from there.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

USER = "user"

_MANY = 256  # sets of paths: a rule's, or those of one document's rules


class Link(NamedTuple):
    """One link: its name, the document's field that holds the number, and what it leads to.

    `target` is a kind of document, or `USER`.
    """

    name: str
    field: str
    target: str
    description: str


class Linked(NamedTuple):
    """A linked fact: its path, its link, and the name of the field at the link's end."""

    path: str
    link: Link
    name: str


_CREATOR = Link("created_by", "created_by", USER, "The user who created it")
_PEOPLE = (Link("assigned_by", "assigned_by_id", USER, "The user responsible for it"), _CREATOR)
_CLIENT = (
    Link("company", "company_id", "company", "The company it is linked to"),
    Link("contact", "contact_id", "contact", "The first contact it is linked to"),
)
_BY_KIND: Mapping[str, tuple[Link, ...]] = {
    "contact": _PEOPLE,
    "company": _PEOPLE,
    "task": (Link("responsible", "responsible_id", USER, "The user responsible for it"), _CREATOR),
    **dict.fromkeys(("deal", "lead", "quote", "invoice"), (*_CLIENT, *_PEOPLE)),
}
_OF_SMART_PROCESS = (*_CLIENT, *_PEOPLE)


def of_kind(kind: str) -> tuple[Link, ...]:
    """Return the links of a kind of document; none of what is no kind."""
    if kind.startswith("list_"):
        return (_CREATOR,)
    return _OF_SMART_PROCESS if kind.startswith("item_") else _BY_KIND.get(kind, ())


@lru_cache(maxsize=4096)
def parse(path: str) -> Linked | None:
    """Return the linked fact that a path names, or None. The field itself may not exist."""
    kind, _, rest = path.partition(".")
    name, dot, field = rest.partition(".")
    link = next((link for link in of_kind(kind) if link.name == name), None)
    return Linked(path, link, field) if link is not None and dot else None


def field_of(path: str) -> str:
    """Return the document's own field that must be read for a fact: `company_id`, `title`."""
    linked = parse(path)
    return path.partition(".")[2] if linked is None else linked.link.field


@lru_cache(_MANY)
def among(paths: frozenset[str], kind: str) -> tuple[Linked, ...]:
    """Return the linked facts of a kind of document among these paths."""
    found = (parse(path) for path in sorted(paths) if path.startswith(f"{kind}."))
    return tuple(linked for linked in found if linked is not None)


@lru_cache(_MANY)
def own_fields(paths: frozenset[str], kind: str) -> tuple[str, ...]:
    """Return the document's own fields that these facts need, those that hold links among them."""
    prefix = f"{kind}."
    return tuple(sorted({field_of(path) for path in paths if path.startswith(prefix)}))


def lead_to_users(paths: Iterable[str]) -> bool:
    """Return whether one of these facts needs more of a user than the number."""
    found = (parse(path) for path in paths)
    return any(one is not None and one.link.target == USER and one.name != "id" for one in found)
