"""Implements the methods of tasks: https://apidocs.bitrix24.com/api-reference/tasks/."""

from collections.abc import Iterable, Mapping

from responder.bitrix24.sandbox import php
from responder.bitrix24.sandbox.answers import Answer, RefusedError
from responder.bitrix24.sandbox.methods.crm import original
from responder.bitrix24.sandbox.rows import Listing, ListParams, page
from responder.bitrix24.sandbox.state import State


def get(state: State, params: Mapping[str, object]) -> Answer:
    """Read one task. A task that does not exist, or may not be read, is an empty array."""
    if "taskId" not in params:
        text = "CTaskItem All parameters in the constructor must have real class type"
        raise RefusedError(400, "100", text)
    task = state.tasks.get(php.integer(params["taskId"]))
    if task is None:
        return Answer(value=[])
    row = _row(task)
    return Answer(value={"task": _answered(row, _selected(row, params))})


def list_tasks(state: State, params: Mapping[str, object]) -> Answer:
    """List tasks; fields are asked for in upper case and answered in camelCase."""
    rows = [_row(task) for task in state.tasks.values()]
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    found = page(
        rows,
        ListParams(
            filter={} if state.drop_filters else php.mapping(params.get("filter")),
            order=php.mapping(params.get("order")),
            select=_selected(names, params),
            start=php.integer(params.get("start")),
        ),
        Listing(fields=names, select=(), order=(("ID", "DESC"),)),
    )
    tasks = [_answered(row, row) for row in map(php.mapping, php.mapping(found.value).values())]
    return Answer(value={"tasks": tasks}, total=found.total, next=found.next)


def _row(task: Mapping[str, object]) -> dict[str, object]:
    return {
        name if name.startswith("UF_") else original(name): value for name, value in task.items()
    }


def _selected(names: Iterable[str], params: Mapping[str, object]) -> list[str]:
    select = {name.upper() for name in php.texts(params.get("select"))}
    everything = not select or "*" in select  # but user fields, which have to be named
    return [
        name
        for name in names
        if name == "ID" or name in select or (everything and not name.startswith("UF_"))
    ]


def _answered(row: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    """Return fields under the names of the answer, which cannot be converted back.

    `UF_TASK2_X` comes as `ufTask2X`, and so would `UF_TASK_2X` (module main, StringHelper).
    """
    return {_camel(name): row[name] for name in names}


def _camel(name: str) -> str:
    first, *rest = name.lower().split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)
