"""Has the methods of tasks: https://apidocs.bitrix24.com/api-reference/tasks/."""

from collections.abc import Mapping

from responder.bitrix24.sandbox import php
from responder.bitrix24.sandbox.answers import Answer, RefusedError
from responder.bitrix24.sandbox.crm import original
from responder.bitrix24.sandbox.rows import Asked, Listing, page
from responder.bitrix24.sandbox.state import State


def get(state: State, params: Mapping[str, object]) -> Answer:
    """Read one task. One that does not exist, or may not be read, is an empty array."""
    if "taskId" not in params:
        text = "CTaskItem All parameters in the constructor must have real class type"
        raise RefusedError(400, "100", text)
    task = state.tasks.get(php.integer(params["taskId"]))
    return Answer(value={"task": _selected(task, params)} if task else [])


def listed(state: State, params: Mapping[str, object]) -> Answer:
    """List tasks; asked for under upper-case names, answered in camelCase."""
    camel = {original(name): _camel(name) for task in state.tasks.values() for name in task}
    rows = [
        {original(name): value for name, value in task.items()} for task in state.tasks.values()
    ]
    found = page(
        rows,
        Asked(
            filter={} if state.drop_filters else php.mapping(params.get("filter")),
            order=php.mapping(params.get("order")),
            select=[name for name in php.texts(params.get("select")) if name != "*"],
            start=php.integer(params.get("start")),
        ),
        Listing(fields=tuple(camel), select=tuple(camel), order=(("ID", "DESC"),)),
    )
    tasks = [
        {camel[name]: value for name, value in php.mapping(row).items()}
        for row in php.mapping(found.value).values()
    ]
    return Answer(value={"tasks": tasks}, total=found.total, next=found.next)


def _selected(task: Mapping[str, object], params: Mapping[str, object]) -> dict[str, object]:
    select = {name.upper() for name in php.texts(params.get("select"))}
    if not select or "*" in select:
        # User fields have to be named.
        return {
            _camel(name): value
            for name, value in task.items()
            if name[:2] not in ("uf", "UF") or original(name) in select
        }
    return {
        _camel(name): value
        for name, value in task.items()
        if name == "id" or original(name) in select
    }


def _camel(name: str) -> str:
    """Write a user field's name (`UF_TASK2_X`) as answers do: `ufTask2X`.

    Small letters, and a capital after each underscore (module main, engine/response/converter.php).
    """
    if name[:3] != "UF_":
        return name
    first, *rest = name.lower().split("_")
    return first + "".join(part.capitalize() for part in rest)
