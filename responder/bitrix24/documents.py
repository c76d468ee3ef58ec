"""Finds the workflow document that an event, a triple or a reference names.

Bitrix24 names a document by a triple: MODULE_ID, ENTITY, DOCUMENT_ID. Bare ids (tasks, lists,
Drive) collide across modules, so all three parts are always used. Anything that these tables do not
know exactly is kind `other`: it can be named and compared, but no rule can test its fields.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from responder.model import Document

Path = tuple[str, ...]


class _Entity(NamedTuple):
    """The portal's names for one kind of document."""

    module: str
    entity: str
    prefix: str
    type_id: int | None


_DOCUMENT = "Bitrix\\Crm\\Integration\\BizProc\\Document\\"

# https://apidocs.bitrix24.com/api-reference/bizproc/bizproc-workflow-start.html
_ENTITIES = {
    "deal": _Entity("crm", "CCrmDocumentDeal", "DEAL_", 2),
    "lead": _Entity("crm", "CCrmDocumentLead", "LEAD_", 1),
    "contact": _Entity("crm", "CCrmDocumentContact", "CONTACT_", 3),
    "company": _Entity("crm", "CCrmDocumentCompany", "COMPANY_", 4),
    "quote": _Entity("crm", _DOCUMENT + "Quote", "QUOTE_", 7),
    "invoice": _Entity("crm", _DOCUMENT + "SmartInvoice", "SMART_INVOICE_", 31),
    "task": _Entity("tasks", "Bitrix\\Tasks\\Integration\\Bizproc\\Document\\Task", "", None),
}
_SMART_PROCESS = ("crm", _DOCUMENT + "Dynamic")
_FIRST_SMART_PROCESS = 128

KINDS: tuple[str, ...] = tuple(_ENTITIES)
"""The kinds with a name of their own; smart process N is `item_N` beside them."""

_KIND_OF = {(named.module, named.entity): kind for kind, named in _ENTITIES.items()}
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_LONGEST = 18  # digits of an id; a kind is no longer either
_SMART_PROCESS_KIND = re.compile(r"item_([1-9][0-9]{2,9})")
_SMART_PROCESS_ID = re.compile(r"DYNAMIC_([1-9][0-9]{2,9})_([0-9]+)")


LIST, FEED = "Bitrix\\Lists\\BizprocDocumentLists", "BizprocDocument"
"""The entities of elements of lists, and of processes of the news feed."""

_LISTS = "lists"  # the module of both
_LIST_KIND = re.compile(r"(list|feed)_([1-9][0-9]{0,9})")


@lru_cache(maxsize=256)
def iblock_of(kind: str) -> int | None:
    """Return the number of the list that a kind is of (list_23: 23), or None."""
    found = _LIST_KIND.fullmatch(kind)
    return int(found[2]) if found is not None and found[1] == "list" else None


def is_of_a_list(document: Document) -> bool:
    """Return whether a document is an element of some list or news-feed process."""
    return document.module == _LISTS and document.entity in (LIST, FEED)


def in_list(document: Document, iblock: int) -> Document:
    """Return an element as one of a list's kind; its triple does not say which list it is of."""
    if not is_of_a_list(document) or not _NUMBER.fullmatch(document.id):
        return document
    return replace(document, kind=f"list_{iblock}", item_id=document.id)


def _element(kind: str, item_id: str) -> Document | None:
    """Return the element that a reference names: `list_23:777`, or `feed_23:777` in the feed."""
    found = _LIST_KIND.fullmatch(kind)
    if found is None or not _NUMBER.fullmatch(item_id):
        return None
    entity = LIST if found[1] == "list" else FEED
    of_any = Document(kind="other", item_id=item_id, module=_LISTS, entity=entity, id=item_id)
    return in_list(of_any, int(found[2]))


def of_item(kind: str, item_id: str) -> Document | None:
    """Return the document of a kind with this id, or None where there can be none."""
    if len(kind) > _LONGEST or len(item_id) > _LONGEST:
        return None
    named = _ENTITIES.get(kind)
    if named is None:
        element = _element(kind, item_id)
        if element is not None:
            return element
        named = _smart_process_entity(kind)
    if named is None or not _NUMBER.fullmatch(item_id):
        return None
    return Document(
        kind=kind,
        item_id=item_id,
        module=named.module,
        entity=named.entity,
        id=named.prefix + item_id,
    )


def _smart_process_entity(kind: str) -> _Entity | None:
    number = _smart_process(kind)
    return None if number is None else _Entity(*_SMART_PROCESS, f"DYNAMIC_{number}_", number)


def _smart_process(kind: str) -> int | None:
    match = _SMART_PROCESS_KIND.fullmatch(kind)
    if match is None or int(match[1]) < _FIRST_SMART_PROCESS:
        return None
    return int(match[1])


def from_triple(module: str, entity: str, id: str) -> Document:  # noqa: A002 - the portal's word
    """Return the document that a triple names; kind `other` where no table knows it exactly."""
    known = _item_of(module, entity, id)
    if known is not None and known.triple == (module, entity, id):
        return known
    return Document(kind="other", item_id=id, module=module, entity=entity, id=id)


def _item_of(module: str, entity: str, document_id: str) -> Document | None:
    kind = _KIND_OF.get((module, entity))
    if kind is not None:
        return of_item(kind, document_id.removeprefix(_ENTITIES[kind].prefix))
    if (module, entity) == _SMART_PROCESS and (match := _SMART_PROCESS_ID.fullmatch(document_id)):
        return of_item(f"item_{match[1]}", match[2])
    return None


def parse_ref(ref: str) -> Document | None:
    """Return the document that a reference (`deal:759`, `lists|BizprocDocument|777`) names."""
    if ref.count("|") >= 2:
        return from_triple(*ref.split("|", 2))
    kind, _, item_id = ref.partition(":")
    return of_item(kind, item_id)


def entity_type_id(kind: str) -> int | None:
    """Return the CRM's number of a kind (deal 2, item_147 147); None for tasks and others."""
    named = _ENTITIES.get(kind)
    return named.type_id if named else _smart_process(kind)


class _EventDocument(NamedTuple):
    """The document of an event: its kind (None: see ENTITY_TYPE_ID), and the paths of its id."""

    kind: str | None
    ids: tuple[Path, ...]


_ID: Path = ("data", "FIELDS", "ID")
_ENTITY_TYPE_ID: Path = ("data", "FIELDS", "ENTITY_TYPE_ID")
# A deleted task has no state after, a new one none before: that side is the text `undefined`.
_TASK_ID: tuple[Path, ...] = (("data", "FIELDS_AFTER", "ID"), ("data", "FIELDS_BEFORE", "ID"))
_TASK_OF_COMMENT: tuple[Path, ...] = (
    ("data", "FIELDS_AFTER", "TASK_ID"),
    ("data", "FIELDS_BEFORE", "TASK_ID"),
)

# https://apidocs.bitrix24.com/api-reference/events/index.html. An event that is not here is
# about no workflow document, or, like those of activities and timeline comments, does not name it.
_SUBJECTS: dict[str, _EventDocument] = {
    name + change: _EventDocument(kind, ids)
    for name, kind, ids in (
        ("ONCRMDEAL", "deal", (_ID,)),
        ("ONCRMLEAD", "lead", (_ID,)),
        ("ONCRMCONTACT", "contact", (_ID,)),
        ("ONCRMCOMPANY", "company", (_ID,)),
        ("ONCRMQUOTE", "quote", (_ID,)),
        ("ONCRMDYNAMICITEM", None, (_ID,)),
        ("ONTASK", "task", _TASK_ID),
        ("ONTASKCOMMENT", "task", _TASK_OF_COMMENT),
    )
    for change in ("ADD", "UPDATE", "DELETE")
}
# A deal that moves to another funnel fires this event and not ONCRMDEALUPDATE.
_SUBJECTS["ONCRMDEALMOVETOCATEGORY"] = _EventDocument("deal", (_ID,))

PATHS: tuple[Path, ...] = (_ID, _ENTITY_TYPE_ID, *_TASK_ID, *_TASK_OF_COMMENT)
"""Every place in a body that `document_at` may ask for."""


def document_at(name: str, value_at: Callable[[Path], str | None]) -> Document | None:
    """Return the document of an event, or None; `name` is in upper case.

    `value_at` returns the text at one of `PATHS`, or None, so that no nested data need be built.
    """
    item = _item_at(name, value_at)
    return None if item is None else of_item(*item)


def ref_at(name: str, value_at: Callable[[Path], str | None]) -> str | None:
    """Return the reference of the document that `document_at` returns, or None; it costs less."""
    item = _item_at(name, value_at)
    return None if item is None else f"{item[0]}:{item[1]}"


def _item_at(name: str, value_at: Callable[[Path], str | None]) -> tuple[str, str] | None:
    """Return kind and id of the item that an event is about, or None."""
    subject = _SUBJECTS.get(name)
    if subject is None:
        base, _, suffix = name.partition("_")
        subject = _SUBJECTS.get(base)
        if subject is None or subject.kind is not None:
            return None
        kind = _kind_of_type(value_at(_ENTITY_TYPE_ID) or suffix, suffix)
    else:
        kind = subject.kind or _kind_of_type(value_at(_ENTITY_TYPE_ID))
    if kind is None:
        return None
    for path in subject.ids:
        item_id = value_at(path)
        if item_id is not None and _NUMBER.fullmatch(item_id):
            return kind, item_id
    return None


def _kind_of_type(type_id: str | None, suffix: str | None = None) -> str | None:
    """Return the kind of a dynamic event, whose name may repeat the type (ONCRMDYNAMICITEMADD_147).

    Where body and name disagree, either may be wrong: return None.
    """
    if type_id is None or (suffix is not None and suffix != type_id):
        return None
    if type_id == str(_ENTITIES["invoice"].type_id):
        return "invoice"
    kind = f"item_{type_id}"
    return kind if _smart_process(kind) else None
