"""Replaces every value of an answer by its shape, so that it tells nothing of the portal.

A shape is a word of ours. Names of fields of the documented interface stay; every other key is
data (a user field's name, an id), and becomes a word as well. Error codes stay where they are known
ones. Nothing else of what the portal sent is kept, neither lengths nor numbers.
"""

import json
import re
from collections.abc import Iterable, Mapping

from responder.bitrix24.client.answers import TABLE
from responder.bitrix24.fetch.open_tasks import TASK_FIELDS
from responder.bitrix24.lists.workflow_row import INSTANCE_FIELDS
from responder.bitrix24.probe.questions.value_kinds import instant

PAGE = 50
_DEEPEST = 12
_CODES = {row.code.casefold(): row.code for row in TABLE if row.code}
_FIELDS = frozenset(
    {
        *("result", "error", "error_description", "total", "next", "time", "items", "item"),
        *("task", "tasks", "start", "finish", "duration", "processing", "date_start"),
        *("date_finish", "operating", "operating_reset_at", "isExisting", "isAvailable"),
        *INSTANCE_FIELDS,
        *TASK_FIELDS,
        *("ACTIVE", "NAME", "LAST_NAME", "USER_TYPE", "UF_DEPARTMENT", "ADMIN", "TIME_ZONE"),
        *("DOCUMENT_TYPE", "AUTO_EXECUTE", "DESCRIPTION", "IS_MODIFIED", "SYSTEM_CODE"),
        *("ENTITY_ID", "STATUS_ID", "NAME_INIT", "SORT", "SYSTEM", "CATEGORY_ID", "COLOR"),
        *("SEMANTICS", "EXTRA", "PERSONAL_GENDER", "PERSONAL_PHOTO", "TIME_ZONE_OFFSET"),
        *("id", "entityTypeId", "title", "categoryId", "stageId", "stageSemanticId", "opened"),
        *("opportunity", "currencyId", "companyId", "contactId", "assignedById", "createdBy"),
        *("createdTime", "updatedTime", "updatedBy", "movedTime", "movedBy", "xmlId"),
    }
)
_DIGITS = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+\.[0-9]+")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WORKFLOW = re.compile(r"[0-9a-f]{14}\.[0-9]{8}")
_USER_FIELD = re.compile(r"UF_[A-Z0-9_]+")


def shape(value: object, depth: int = 0) -> object:
    """Return the shape of a JSON value: words, in the same structure."""
    if depth > _DEEPEST:
        return "deeper"
    if isinstance(value, dict):
        return _of_map(value, depth)
    if isinstance(value, list):
        return {"list": _count(len(value)), "of": _union(shape(one, depth + 1) for one in value)}
    if isinstance(value, str):
        return _of_text(value)
    return _of_scalar(value)


def _of_scalar(value: object) -> str:
    if value is None:
        return "null"
    return {bool: "boolean", int: "integer", float: "float"}.get(type(value), "other")


def _of_map(value: Mapping[str, object], depth: int) -> dict[str, object]:
    found: dict[str, list[object]] = {}
    for key, one in value.items():
        inner = _of_code(one) if key == "error" else shape(one, depth + 1)
        found.setdefault(_of_key(key), []).append(inner)
    return {
        key: shapes[0] if key in _FIELDS else _union(shapes)
        for key, shapes in sorted(found.items())
    }


def _of_key(key: str) -> str:
    if key in _FIELDS:
        return key
    if _USER_FIELD.fullmatch(key):
        return "<UF>"
    if key.startswith("uf"):
        return "<uf>"
    return "<number>" if key.isdecimal() else "<key>"


def _of_code(value: object) -> object:
    if not isinstance(value, str):
        return shape(value)
    return "" if value == "" else _CODES.get(value.casefold(), "<code>")


def _of_text(text: str) -> str:
    if text in ("Y", "N"):
        return "Y or N"
    if instant(text) is not None:
        return "instant with offset"
    for pattern, word in (
        (_DAY, "day"),
        (_DIGITS, "digits"),
        (_NUMBER, "decimal digits"),
        (_WORKFLOW, "id of a workflow"),
    ):
        if pattern.fullmatch(text):
            return word
    return "text" if text else "empty text"


def _union(shapes: Iterable[object]) -> list[object]:
    """Return each shape once, in one order."""
    found = {json.dumps(one, sort_keys=True): one for one in shapes}
    return [found[key] for key in sorted(found)]


def _count(length: int) -> str:
    if length < 2:
        return "one" if length else "none"
    return "some" if length < PAGE else "a page" if length == PAGE else "more"
