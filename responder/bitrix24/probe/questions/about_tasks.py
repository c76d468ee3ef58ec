"""Asks about the tasks that workflows wait for, and about tasks of the task module."""

from collections import Counter
from collections.abc import Mapping, Sequence

from responder.bitrix24.client.answers import Command
from responder.bitrix24.fetch.item_pages import tasks_of_ids
from responder.bitrix24.fetch.items import task_of
from responder.bitrix24.fetch.people import OPEN_TASK_FIELDS, RUNNING, open_tasks
from responder.bitrix24.lists.id_ranges import NumberRange
from responder.bitrix24.probe.question import (
    CannotAskError,
    Heard,
    Question,
    Verdict,
    differs,
    expected,
    whether,
)
from responder.bitrix24.probe.questions.value_kinds import number

LIST = "tasks"
NO_TASK = 2_000_000_001
_NONE = "no task waits for anybody"
_SAMPLES = 2

Row = Mapping[str, object]


def _rows(heard: Heard) -> list[Row]:
    return heard.some(LIST, _NONE)


def _workflows(heard: Heard) -> list[str]:
    """Return the ids of the first workflows that wait for somebody."""
    ids = [str(row.get("WORKFLOW_ID")) for row in _rows(heard)]
    return list(dict.fromkeys(ids))[:_SAMPLES]


def _of_workflows(heard: Heard) -> dict[str, Command]:
    return {
        f"of_workflow_{place}": open_tasks({"WORKFLOW_ID": workflow_id})
        for place, workflow_id in enumerate(_workflows(heard))
    }


def _finds_tasks(heard: Heard) -> Verdict:
    lasting = heard.lasting(LIST, "ID")
    asked = missed = 0
    for place, workflow_id in enumerate(_workflows(heard)):
        mine = {str(r.get("ID")) for r in _rows(heard) if r.get("WORKFLOW_ID") == workflow_id}
        found = {str(r.get("ID")) for r in heard[f"of_workflow_{place}"].rows}
        asked += bool(mine & lasting)
        missed += bool((mine & lasting) - found)
    if not asked:
        raise CannotAskError("the tasks that were seen are settled by now")
    return whether(
        not missed, "each workflow had its tasks", f"{missed} of {asked} did not have theirs"
    )


def _has_users(heard: Heard) -> Verdict:
    lacking = {name for row in _rows(heard) for name in OPEN_TASK_FIELDS if name not in row}
    return whether(not lacking, "all of them", f"without {', '.join(sorted(lacking))}")


def _are_open(heard: Heard) -> Verdict:
    others = sum(str(row.get("STATUS")) != RUNNING for row in _rows(heard))
    return whether(not others, "open ones alone", f"{others} that are settled")


def _pairs_once(heard: Heard) -> Verdict:
    pairs = Counter((str(row.get("ID")), str(row.get("USER_ID"))) for row in _rows(heard))
    if max(pairs.values()) > 1:
        return differs("one task and user in several rows")
    tasks = {task for task, _ in pairs}
    if len(tasks) == len(pairs):
        raise CannotAskError("no task waits for several people")
    return expected("a row for each user of a task")


def _numbers(rows: Sequence[Row]) -> list[int]:
    numbers = [one for row in rows if (one := number(row.get("ID"))) is not None]
    if not numbers:
        raise CannotAskError("no task has a number")
    return numbers


def _ranges(heard: Heard) -> dict[str, Command]:
    first = min(_numbers(_rows(heard)))
    return {
        "in_range": open_tasks(NumberRange(first - 1, first).filter),
        "descending": open_tasks(order="DESC"),
    }


def _compares_numbers(heard: Heard) -> Verdict:
    first = min(_numbers(_rows(heard)))
    found = {str(row.get("ID")) for row in heard["in_range"].rows}
    if not found and str(first) not in heard.lasting(LIST, "ID"):
        raise CannotAskError("the task that was asked for is settled by now")
    return whether(found == {str(first)}, "that task alone", "other tasks, or none")


def _both_ways(heard: Heard) -> Verdict:
    up, down = _numbers(_rows(heard)), _numbers(heard["descending"].rows)
    if len({*up, *down}) < 2:
        raise CannotAskError("only one task waits")
    right = up == sorted(up) and down == sorted(down, reverse=True)
    return whether(right, "ascending and descending", "in another order")


def _second(heard: Heard) -> dict[str, Command]:
    if len(_rows(heard)) < 2:
        raise CannotAskError("only one task waits")
    asked = open_tasks()
    return {"from_the_second": Command(asked.method, {**asked.params, "start": 1})}


def _rounds(heard: Heard) -> Verdict:
    lasting = heard.lasting(LIST, "ID")
    first, second = (
        [
            key
            for row in rows
            if (key := (str(row.get("ID")), str(row.get("USER_ID"))))[0] in lasting
        ]
        for rows in (_rows(heard), heard["from_the_second"].rows)
    )
    if not first or not second:
        raise CannotAskError("the list changed meanwhile")
    return whether(
        first[0] == second[0], "the first page, for start=1", "from the second row on, exactly"
    )


def _module_tasks(_heard: Heard) -> dict[str, Command]:
    return {
        "task": task_of(NO_TASK, ["ID"]),
        "task_list": tasks_of_ids([NO_TASK], ["ID"]),
    }


def _absent_task(heard: Heard) -> Verdict:
    code = heard["task"].code
    if code is not None:
        return differs("the portal refuses it")
    return whether(not heard["task"].value, "an empty array", "a task all the same")


def _absent_in_list(heard: Heard) -> Verdict:
    return whether(not heard["task_list"].rows, "no task", "tasks with other ids")


QUESTIONS = (
    Question(
        id="workflow-filter-finds-its-tasks",
        section="6.4",
        asks="Does the list of tasks, asked for a workflow, have its open tasks?",
        expected="all of them",
        leads_to="A workflow would seem to wait for nobody: a rule about that would stop it.",
        sample=(LIST,),
        commands=_of_workflows,
        judge=_finds_tasks,
        crucial=True,
        like={"differs": ("blind_task_filters", frozenset({"WORKFLOW_ID"}))},
    ),
    Question(
        id="task-rows-have-all-fields",
        section="6.4",
        asks="Does each row of a task have user, workflow and both states?",
        expected="all five",
        leads_to="The people that a workflow waits for are unknown: such rules do not act.",
        sample=(LIST,),
        judge=_has_users,
        like={"differs": ("absent_task_fields", frozenset({"USER_STATUS"}))},
    ),
    Question(
        id="status-filter-finds-open-tasks",
        section="6.4",
        asks="Does the filter STATUS=0 leave out tasks that are settled?",
        expected="open ones alone",
        leads_to="Rows are compared again, so nothing is mistaken; readings are longer.",
        sample=(LIST,),
        judge=_are_open,
        like={"differs": ("settled_tasks_too", True)},
    ),
    Question(
        id="one-row-a-task-and-user",
        section="6.4",
        asks="Has a task of several people one row for each of them?",
        expected="a row for each user of a task",
        leads_to="Lists that count otherwise are not believed: rules about tasks do not act.",
        sample=(LIST,),
        judge=_pairs_once,
        like={"differs": ("repeats_task_rows", True)},
    ),
    Question(
        id="task-range-is-exact",
        section="6.4",
        asks="Do the filters `>ID` and `<=ID` of tasks compare numbers?",
        expected="the one task in that range",
        leads_to="Long lists of tasks are read by pages instead: more requests.",
        sample=(LIST,),
        commands=_ranges,
        judge=_compares_numbers,
        like={"differs": ("blind_task_filters", frozenset({">ID"}))},
    ),
    Question(
        id="tasks-come-in-both-orders",
        section="6.4",
        asks="Do tasks come in the order of their ids, and in reverse?",
        expected="both",
        leads_to="Long lists of tasks are read by pages instead: more requests.",
        sample=(LIST,),
        commands=_ranges,
        judge=_both_ways,
        like={"differs": ("ignores_task_order", True)},
    ),
    Question(
        id="task-offsets-are-rounded",
        section="6.4",
        asks="Is the `start` of tasks rounded down to a whole page?",
        expected="the first page, for start=1",
        leads_to="Nothing: either way of counting is read rightly.",
        sample=(LIST,),
        commands=_second,
        judge=_rounds,
        like={"differs": ("exact_task_offsets", True)},
    ),
    Question(
        id="absent-task-is-empty",
        section="6.4",
        asks="Is a task that does not exist answered with an empty array?",
        expected="an empty array",
        leads_to="Nothing: a task that cannot be read is unknown in either case.",
        commands=_module_tasks,
        judge=_absent_task,
        like={"differs": ("refuses_absent_tasks", True)},
    ),
    Question(
        id="task-list-filters-ids",
        section="6.4",
        asks="Does tasks.task.list, asked for ids that do not exist, stay empty?",
        expected="no task",
        leads_to="Rows are compared again, so nothing is mistaken; readings are longer.",
        commands=_module_tasks,
        judge=_absent_in_list,
        like={"differs": ("drops_task_ids", True)},
    ),
)
