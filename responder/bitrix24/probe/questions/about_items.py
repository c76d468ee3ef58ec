"""Asks about items of the CRM: what does not exist, names and types of fields, stages."""

from collections.abc import Mapping

from responder.bitrix24.client.answers import Command
from responder.bitrix24.fetch.item_pages import items_of_ids
from responder.bitrix24.fetch.items import item_of
from responder.bitrix24.fetch.smart_types import type_check
from responder.bitrix24.probe.question import (
    CannotAskError,
    Heard,
    Question,
    Verdict,
    differs,
    expected,
    whether,
)
from responder.bitrix24.probe.questions.sample import DEAL
from responder.bitrix24.probe.questions.value_kinds import has_offset, number

LIST = "deals"
NO_ITEM = 2_000_000_001
NO_TYPE = 2_000_000_002
_SAMPLES = 2
_FOUND = "NOT_FOUND"
_FIELDS = ("id", "categoryId", "assignedById")  # numbers, wherever they come

Row = Mapping[str, object]


def _ids(heard: Heard) -> list[int]:
    """Return the ids of the deals that changed last."""
    rows = heard.some(LIST, "there is no deal")
    ids = [one for row in rows if (one := number(row.get("id"))) is not None]
    if not ids:
        raise CannotAskError("no deal has a number")
    return ids[:_SAMPLES]


def _gets(heard: Heard) -> dict[str, Command]:
    return {f"deal_{place}": item_of(DEAL, one) for place, one in enumerate(_ids(heard))}


def _lists(heard: Heard) -> dict[str, Command]:
    return {"chunk": items_of_ids(DEAL, _ids(heard), ["id", "stageId"])}


def _exist(heard: Heard) -> Verdict:
    lasting = heard.lasting(LIST, "id")
    asked = [place for place, one in enumerate(_ids(heard)) if str(one) in lasting]
    if not asked:
        raise CannotAskError("the deals that were asked for went meanwhile")
    codes = [heard[f"deal_{place}"].code for place in asked]
    return whether(
        _FOUND not in codes,
        "each was found",
        f"{codes.count(_FOUND)} of {len(codes)} were NOT_FOUND, and are listed",
    )


def _deal(heard: Heard) -> Row:
    value = heard["deal_0"].value
    item = value.get("item") if isinstance(value, dict) else None
    if not isinstance(item, dict):
        raise CannotAskError("the deal came without fields", failed=True)
    return item


def _typed(heard: Heard) -> Verdict:
    item = _deal(heard)
    odd = [name for name in _FIELDS if not isinstance(item.get(name, 0), int)]
    return whether(not odd, "numbers", f"something else in {', '.join(odd)}")


def _dated(heard: Heard) -> Verdict:
    rows = heard.some(LIST, "there is no deal")
    times = [row["updatedTime"] for row in rows if row.get("updatedTime") is not None]
    if not times:
        raise CannotAskError("no deal says when it changed")
    without = sum(not has_offset(one) for one in times)
    return whether(not without, "ISO 8601 with an offset", f"{without} otherwise")


def _original_names(heard: Heard) -> Verdict:
    names = [name for name in _deal(heard) if name[:2].lower() == "uf"]
    if not names:
        raise CannotAskError("the deal has no user field")
    other = sum(not name.startswith("UF_") for name in names)
    return whether(not other, "their own names, in upper case", "names in camel case")


def _finds_chunk(heard: Heard) -> Verdict:
    wanted = {str(one) for one in _ids(heard)}
    found = {str(row.get("id")) for row in heard["chunk"].rows}
    if found - wanted:
        return differs("other items too", "others")
    missing = (wanted & heard.lasting(LIST, "id")) - found
    return whether(not missing, "each of them, and no other", f"{len(missing)} were missing")


def _refusal(heard: Heard, name: str, status: int = 400) -> Verdict:
    reply = heard[name]
    code = reply.code
    if code != _FOUND:
        return differs("an item" if code is None else "another code", "code")
    if reply.status is None:
        raise CannotAskError("the status was not heard", failed=True)
    return expected(f"{status} NOT_FOUND") if reply.status == status else _status(reply.status)


def _status(status: int) -> Verdict:
    return differs(f"NOT_FOUND, with status {status}", "status")


def _lists_no_type(heard: Heard) -> Verdict:
    code = heard["type"].code
    return whether(code is not None, "a refusal", "an empty list, as if it existed")


def _has_semantics(heard: Heard) -> Verdict:
    rows = heard.some("stages", "the directory of deals' stages is empty")
    names = ("ENTITY_ID", "STATUS_ID", "SEMANTICS")
    lacking = {name for row in rows for name in names if name not in row}
    return whether(not lacking, "all of them", f"without {', '.join(sorted(lacking))}")


QUESTIONS = (
    Question(
        id="existing-item-is-found",
        section="6.4",
        asks="Does crm.item.get find a deal that crm.item.list has?",
        expected="its fields",
        leads_to="A rule about `document.exists: false` would stop workflows of living deals.",
        sample=(LIST,),
        commands=_gets,
        judge=_exist,
        crucial=True,
        like={"differs": ("hides_items", True)},
    ),
    Question(
        id="absent-item-is-not-found",
        section="6.4",
        asks="Is an item that does not exist answered with 400 NOT_FOUND?",
        expected="400 NOT_FOUND",
        leads_to="With another code a document that is gone stays unknown. Status: nothing.",
        alone=lambda _heard: {"no_item": item_of(DEAL, NO_ITEM)},
        judge=lambda heard: _refusal(heard, "no_item"),
        like={
            "code": ("absent_item_code", "ERROR_CORE"),
            "status": ("absent_item_status", 404),
        },
    ),
    Question(
        id="absent-type-is-not-found",
        section="9b.15",
        asks="Is an item of a type that does not exist answered with 400 NOT_FOUND as well?",
        expected="400 NOT_FOUND",
        leads_to="Nothing: whether the type exists is asked besides.",
        alone=lambda _heard: {"no_type": item_of(NO_TYPE, 1)},
        judge=lambda heard: _refusal(heard, "no_type"),
        like={
            "code": ("absent_type_code", "ENTITY_TYPE_NOT_SUPPORTED"),
            "status": ("absent_type_status", 404),
        },
    ),
    Question(
        id="absent-type-is-not-listed",
        section="9b.15",
        asks="Is a list of a type that does not exist refused?",
        expected="a refusal",
        leads_to="Items of a removed smart process would count as gone: a rule may act on that.",
        commands=lambda _heard: {"type": type_check(NO_TYPE)},
        judge=_lists_no_type,
        crucial=True,
        like={"differs": ("lists_absent_types", True)},
    ),
    Question(
        id="ids-filter-of-items",
        section="6.4",
        asks="Does crm.item.list with `@id` have those items and no other?",
        expected="each of them, and no other",
        leads_to="Rows are compared again; missing ones are asked for one by one.",
        sample=(LIST,),
        commands=_lists,
        judge=_finds_chunk,
        like={"others": ("drops_item_ids", True)},
    ),
    Question(
        id="original-uf-names",
        section="6.4",
        asks="Do user fields keep their own names with useOriginalUfNames=Y?",
        expected="names in upper case",
        leads_to="Rules about user fields are unknown, and do not act.",
        sample=(LIST,),
        commands=_gets,
        judge=_original_names,
        like={"differs": ("camel_uf_names", True)},
    ),
    Question(
        id="item-values-are-typed",
        section="6.4",
        asks="Are ids, references and numbers of an item JSON numbers?",
        expected="numbers",
        leads_to="Nothing: rules read numbers from text as well.",
        sample=(LIST,),
        commands=_gets,
        judge=_typed,
        like={"differs": ("item_numbers_as_text", True)},
    ),
    Question(
        id="item-times-have-offsets",
        section="6.4",
        asks="Are the times of an item instants with an offset?",
        expected="ISO 8601 with an offset",
        leads_to="Rules about times are unknown; a silent webhook is not noticed.",
        sample=(LIST,),
        judge=_dated,
        like={"differs": ("no_item_offsets", True)},
    ),
    Question(
        id="stages-have-meanings",
        section="6.4",
        asks="Do the stages of deals say what they mean (SEMANTICS)?",
        expected="all of them",
        leads_to="Rules about the meaning of a stage are unknown, and do not act.",
        sample=("stages",),
        judge=_has_semantics,
        like={"differs": ("no_semantics", True)},
    ),
)
