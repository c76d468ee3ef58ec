"""Makes the sandbox answer as some portal does that differs from what is expected of portals.

An oddity is a switch by its name, with a value: `sandbox.oddities.set("ignores_order", True)`. Each
alters the parameters of a method's calls before they are carried out (`_ASKED`), its answers
(`_ANSWERED`), or what it refuses (`_REFUSED`). The questions of `probe` find them.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from responder.bitrix24.sandbox import php
from responder.bitrix24.sandbox.answers import Answer, RefusedError

INSTANCES = "bizproc.workflow.instances"
TEMPLATES = "bizproc.workflow.template.list"
TASKS = "bizproc.task.list"
KILL = "bizproc.workflow.kill"
GET, LIST, STATUSES = "crm.item.get", "crm.item.list", "crm.status.list"
USERS = "user.get"
PAGE = 50
AHEAD = timedelta(hours=3)

Params = Mapping[str, object]
Row = dict[str, object]
Asked = Callable[[Params, object], Params]
Answered = Callable[[Answer, object], Answer]
Run = Callable[[str, Params], Answer]

_NOTHING = "999999999999"  # a value that nothing has
_FIELDS = (
    "ID",
    "MODIFIED",
    "OWNED_UNTIL",
    "MODULE_ID",
    "ENTITY",
    "DOCUMENT_ID",
    "STARTED",
    "STARTED_BY",
    "TEMPLATE_ID",
)


def _names(value: object) -> Collection[str]:
    return value if isinstance(value, frozenset | set | list | tuple) else ()


def _filter(params: Params) -> dict[str, object]:
    return dict(php.mapping(params.get("FILTER", params.get("filter"))))


def _with_filter(params: Params, wanted: Mapping[str, object]) -> Params:
    return {**params, ("filter" if "filter" in params else "FILTER"): dict(wanted)}


def _blind(params: Params, value: object) -> Params:
    names = _names(value)
    wanted = {key: _NOTHING if key in names else one for key, one in _filter(params).items()}
    return _with_filter(params, wanted)


def _escaped(params: Params, _value: object) -> Params:
    doubled = {
        key: one.replace("\\", "\\\\") if isinstance(one, str) else one
        for key, one in _filter(params).items()
    }
    return _with_filter(params, doubled)


def _refuse_unknown(params: Params, _value: object) -> Params:
    if any(key.lstrip("<>=!") not in _FIELDS for key in _filter(params)):
        raise RefusedError(400, "ERROR_ARGUMENT", "Unknown field in filter")
    return params


def _equals(params: Params, _value: object) -> Params:
    return _with_filter(params, {key.removeprefix("="): v for key, v in _filter(params).items()})


def _first(params: Params, _value: object) -> Params:
    firsts = {k: v[0] if isinstance(v, list) and v else v for k, v in _filter(params).items()}
    return _with_filter(params, firsts)


def _backwards(params: Params, _value: object) -> Params:
    return {**params, "ORDER": {"ID": "DESC"}}


def _rounded(params: Params, _value: object) -> Params:
    return {**params, "start": php.integer(params.get("start")) // PAGE * PAGE}


def _unfiltered(params: Params, _value: object) -> Params:
    return {key: value for key, value in params.items() if key.lower() != "filter"}


def _without_status(params: Params, _value: object) -> Params:
    return _with_filter(params, {k: v for k, v in _filter(params).items() if k != "STATUS"})


def _camel_names(params: Params, _value: object) -> Params:
    return {**params, "useOriginalUfNames": "N"}


def _rows(answer: Answer) -> list[Row]:
    value = answer.value
    if isinstance(value, dict):
        value = next((value[name] for name in ("items", "tasks", "item") if name in value), None)
    found = value if isinstance(value, list) else [value]
    return [one for one in found if isinstance(one, dict)]


def _each(change: Callable[[Row, object], None]) -> Answered:
    """Return an alteration of every row; the rows are copies that `rows.page` made."""

    def answered(answer: Answer, value: object) -> Answer:
        for row in _rows(answer):
            change(row, value)
        return answer

    return answered


def _drop(row: Row, names: object) -> None:
    for name in _names(names):
        row.pop(name, None)


def _numbers(row: Row, _value: object) -> None:
    for name in ("STARTED_BY", "TEMPLATE_ID"):
        if name in row:
            row[name] = php.integer(row[name])


def _cut(*names: str) -> Callable[[Row, object], None]:
    def change(row: Row, _value: object) -> None:
        for name in names:
            if isinstance(row.get(name), str):
                row[name] = str(row[name])[:19]

    return change


def _ahead(row: Row, _value: object) -> None:
    if isinstance(row.get("STARTED"), str):
        row["STARTED"] = _moved(row["STARTED"], AHEAD)


def _moved(value: object, by: timedelta) -> str:
    return (datetime.fromisoformat(str(value)) + by).isoformat()


def _as_texts(row: Row, _value: object) -> None:
    for name, value in row.items():
        if isinstance(value, int) and not isinstance(value, bool):
            row[name] = str(value)


def _active(row: Row, _value: object) -> None:
    if "ACTIVE" in row:
        row["ACTIVE"] = "Y" if row["ACTIVE"] else "N"


def _uncounted(answer: Answer, _value: object) -> Answer:
    return replace(answer, total=None)


def _short(answer: Answer, _value: object) -> Answer:
    """Count the rows of a full page alone, as if none followed."""
    return replace(answer, total=len(_rows(answer)), next=None) if answer.next else answer


def _twice(answer: Answer, _value: object) -> Answer:
    rows = _rows(answer)
    return replace(answer, value=[*rows, *rows], total=2 * (answer.total or 0))


def _refuse_empty(answer: Answer, _value: object) -> Answer:
    if not answer.value:
        raise RefusedError(400, "ERROR_CORE", "Not found")
    return answer


def _hidden(_answer: Answer, _value: object) -> Answer:
    raise RefusedError(400, "NOT_FOUND", "Element not found")


def _texts_of_booleans(answer: Answer, _value: object) -> Answer:
    value = {
        key: ("Y" if one else "N") if isinstance(one, bool) else one
        for key, one in php.mapping(answer.value).items()
    }
    return replace(answer, value=value)


def _as_map(answer: Answer, _value: object) -> Answer:
    return replace(answer, value=php.mapping(answer.value))


def _clock(by: timedelta, length: int | None) -> Answered:
    return lambda answer, _value: replace(answer, value=_moved(answer.value, by)[:length])


_ASKED: dict[str, tuple[str, Asked]] = {
    "blind_filters": (INSTANCES, _blind),
    "finds_backslashes": (INSTANCES, _escaped),
    "refuses_unknown_keys": (INSTANCES, _refuse_unknown),
    "knows_equals": (INSTANCES, _equals),
    "first_of_several": (INSTANCES, _first),
    "ignores_order": (INSTANCES, _backwards),
    "rounds_start": (INSTANCES, _rounded),
    "blind_task_filters": (TASKS, _blind),
    "settled_tasks_too": (TASKS, _without_status),
    "ignores_task_order": (TASKS, _backwards),
    "drops_task_ids": ("tasks.task.list", _unfiltered),
    "drops_item_ids": (LIST, _unfiltered),
    "camel_uf_names": (GET, _camel_names),
    "drops_user_ids": (USERS, _unfiltered),
    "blind_template_filters": (TEMPLATES, _unfiltered),
}
_ANSWERED: dict[str, tuple[str, Answered]] = {
    "absent_fields": (INSTANCES, _each(_drop)),
    "ids_as_numbers": (INSTANCES, _each(_numbers)),
    "no_offsets": (INSTANCES, _each(_cut("STARTED", "MODIFIED", "OWNED_UNTIL"))),
    "starts_ahead": (INSTANCES, _each(_ahead)),
    "no_totals": (INSTANCES, _uncounted),
    "counts_short": (INSTANCES, _short),
    "absent_task_fields": (TASKS, _each(_drop)),
    "repeats_task_rows": (TASKS, _twice),
    "refuses_absent_tasks": ("tasks.task.get", _refuse_empty),
    "hides_items": (GET, _hidden),
    "item_numbers_as_text": (GET, _each(_as_texts)),
    "no_item_offsets": (LIST, _each(_cut("updatedTime"))),
    "no_semantics": (STATUSES, _each(lambda row, _value: _drop(row, ("SEMANTICS", "EXTRA")))),
    "refuses_absent_users": (USERS, _refuse_empty),
    "active_as_text": (USERS, _each(_active)),
    "no_departments": (USERS, _each(lambda row, _value: _drop(row, ("UF_DEPARTMENT",)))),
    "no_user_totals": (USERS, _uncounted),
    "admin_as_text": ("profile", _texts_of_booleans),
    "methods_as_text": ("method.get", _texts_of_booleans),
    "scopes_as_map": ("scope", _as_map),
    "clock_ahead": ("server.time", _clock(timedelta(days=1), None)),
    "clock_without_offset": ("server.time", _clock(timedelta(0), 19)),
}
# By its text a refusal is known: what the switch gives is its code, or its status.
_REFUSED: dict[str, tuple[str, str]] = {
    "absent_item_code": (GET, "Element not found"),
    "absent_item_status": (GET, "Element not found"),
    "absent_type_code": (GET, "SPA not found"),
    "absent_type_status": (GET, "SPA not found"),
    "absent_method_code": ("", "Method not found!"),
    "unknown_id_code": (KILL, ""),
}
_BESIDE = (
    "lists_robots",
    "lists_absent_types",
    "kills_anything",
    "repeats_last_page",
    "exact_task_offsets",
    "swaps_answers",
    "absent_parts",
    "empty_maps",
    "no_reset",
    "no_times",
)
NAMES = frozenset({*_ASKED, *_ANSWERED, *_REFUSED, *_BESIDE})


class Oddities:
    """The oddities of one sandbox; none at first."""

    def __init__(self) -> None:
        self._set: dict[str, object] = {}

    def set(self, name: str, value: object = True) -> None:  # noqa: FBT002 - most are on or off
        """Turn an oddity on; raise ValueError where there is none of this name."""
        if name not in NAMES:
            raise ValueError(f"there is no oddity {name!r}")
        self._set[name] = value

    def clear(self) -> None:
        """Turn all of them off."""
        self._set.clear()

    def __contains__(self, name: str) -> bool:
        return name in self._set

    def altered(self, method: str, params: Params, run: Run) -> Answer:
        """Carry out a call, altered by the oddities of its method."""
        if not self._set:
            return run(method, params)
        for name, value in self._set.items():
            of, asked = _ASKED.get(name, ("", None))
            params = asked(params, value) if asked is not None and of == method else params
        answer = self._run(method, params, run)
        for name, value in self._set.items():
            of, answered = _ANSWERED.get(name, ("", None))
            answer = answered(answer, value) if answered is not None and of == method else answer
        return answer

    def _run(self, method: str, params: Params, run: Run) -> Answer:
        try:
            answer = run(method, params)
        except RefusedError as refusal:
            return self._refused(method, refusal)
        start = php.integer(params.get("start"))
        if method == INSTANCES and "repeats_last_page" in self and start and not _rows(answer):
            last = max(0, (answer.total or 0) - 1) // PAGE * PAGE
            return run(method, {**params, "start": last})
        if method == TASKS and "exact_task_offsets" in self and 0 < start < PAGE:
            return replace(answer, value=_rows(answer)[start:])
        return answer

    def _refused(self, method: str, refusal: RefusedError) -> Answer:
        """Raise a refusal with another code or status, or answer all the same."""
        if method == LIST and "lists_absent_types" in self and refusal.text == "SPA not found":
            return Answer(value={"items": []}, total=0)
        if method == KILL and "kills_anything" in self and not refusal.code:
            return Answer(value=True)
        status, code = refusal.status, refusal.code
        for name, (of, text) in _REFUSED.items():
            if name in self and of in ("", method) and text in ("", refusal.text):
                value = self._set[name]
                status = php.integer(value) if name.endswith("_status") else status
                code = php.text(value) if name.endswith("_code") else code
        raise RefusedError(status, code, refusal.text)

    def batch(self, answer: Answer) -> Answer:
        """Return the answer to a batch, altered."""
        if not self._set:
            return answer
        parts = dict(php.mapping(answer.value))
        if "swaps_answers" in self:
            parts["result"] = _swapped(php.mapping(parts["result"]))
        absent = _names(self._set.get("absent_parts"))
        parts = {name: part for name, part in parts.items() if name not in absent}
        if "empty_maps" in self:
            parts = {name: part or {} for name, part in parts.items()}
        return replace(answer, value=parts)

    def times(self, times: Mapping[str, object]) -> dict[str, object]:
        """Return the times of an answer, altered."""
        absent = set[str]()
        if "no_reset" in self:
            absent |= {"operating_reset_at"}
        if "no_times" in self:
            absent |= {"duration", "finish"}
        return {name: value for name, value in times.items() if name not in absent}


def _swapped(results: Mapping[str, object]) -> object:
    """Exchange neighbours that have the same fields."""
    found, keys = dict(results), list(results)
    for one, other in pairwise(keys):
        if php.mapping(results[one]).keys() == php.mapping(results[other]).keys() != {}.keys():
            found[one], found[other] = results[other], results[one]
    return php.array(found)
