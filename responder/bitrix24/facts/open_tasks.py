"""Reads what is kept of a workflow before it is stopped: its open tasks, its template's name.

Nothing that the portal gives restores a killed workflow; this is proof, not a backup. It is read
for condemned workflows alone: the tasks of each, or, for many of them, from the list of all
tasks, which then takes fewer requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from responder.bitrix24.client.answers import Command, Failure, explain
from responder.bitrix24.facts.people import in_order, key_of, waits
from responder.bitrix24.facts.templates import Templates, TemplatesRead
from responder.bitrix24.lists.id_ranges import RangedList, pages_of
from responder.bitrix24.lists.paged import Listing, Row, Send, settle, told
from responder.bitrix24.lists.requests import Errands, Whole
from responder.model import Unknown, Workflow

TASK_FIELDS = (
    "ID",
    "WORKFLOW_ID",
    "USER_ID",
    "STATUS",
    "USER_STATUS",
    "NAME",
    "DOCUMENT_NAME",
    "MODIFIED",
    "OVERDUE_DATE",
)
_NAME = frozenset({"template.name"})


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the portal tells of one workflow besides its row."""

    tasks: tuple[Row, ...]
    template_name: object

    def contradicts(self, workflow: Workflow) -> bool:
        """Tell whether it waits for others than the facts say by which it was condemned.

        Tasks move on between two requests. Where rules did not ask for them, nothing is said.
        """
        told = workflow.facts.get("waiting_for.id")
        if not isinstance(told, list):
            return False
        return {str(one) for one in told} != {str(t.get("USER_ID")) for t in self.tasks if waits(t)}


@dataclass(frozen=True, slots=True)
class Missing:
    """Why the evidence of a workflow could not be read."""

    why: str
    failure: Failure | None


async def gather(
    send: Send, workflows: Sequence[Workflow], templates: Templates, now: datetime
) -> dict[str, Evidence | Missing]:
    """Read the evidence of each workflow, by its id."""
    names = TemplatesRead(templates, now, _NAME)
    tasks = {workflow.id: _tasks_of(workflow.id) for workflow in workflows}
    await settle(send, [*tasks.values(), *names.reads()])
    names.keep()
    return {workflow.id: _of(workflow, tasks[workflow.id], names) for workflow in workflows}


async def gather_by_pages(
    send: Send, workflows: Sequence[Workflow], templates: Templates, now: datetime
) -> tuple[dict[str, Evidence | Missing], int | None]:
    """Read the evidence of many workflows from the list of all tasks; tell how many tasks it has.

    Nothing is found where the list has more pages than there are workflows to ask for, which the
    first request tells, or where it did not come out whole: then each must be asked for.
    """
    names = TemplatesRead(templates, now, _NAME)
    tasks = _all_tasks({workflow.id for workflow in workflows})
    errands = Errands()
    errands.set_out([*map(Whole, names.reads()), tasks])
    while await errands.step(send):
        if tasks.total is not None and pages_of(tasks.total) > len(workflows):
            return {}, tasks.total
    if not tasks.whole:
        return {}, tasks.total
    names.keep()
    rows: dict[str, list[Row]] = {workflow.id: [] for workflow in workflows}
    for row in sorted(tasks.rows.values(), key=in_order):
        rows[str(row["WORKFLOW_ID"])].append(row)
    return {w.id: _with(w, rows[w.id], names) for w in workflows}, tasks.total


def _all_tasks(wanted: set[str]) -> RangedList:
    """List all tasks, whatever became of them, and keep those of these workflows."""
    command = Command("bizproc.task.list", {"SELECT": list(TASK_FIELDS), "ORDER": {"ID": "ASC"}})

    return RangedList(
        command, key_of=key_of, keep=lambda row: str(row.get("WORKFLOW_ID")) in wanted
    )


def _tasks_of(workflow_id: str) -> Listing:
    """List a workflow's tasks; rows of others may come where the portal dropped the filter."""
    command = Command(
        "bizproc.task.list",
        {
            "SELECT": list(TASK_FIELDS),
            "FILTER": {"WORKFLOW_ID": workflow_id},
            "ORDER": {"ID": "ASC"},
        },
    )
    return Listing(
        command,
        id_of=key_of,
        keep=lambda row: row.get("WORKFLOW_ID") == workflow_id,
        twice=True,
    )


def _of(workflow: Workflow, tasks: Listing, names: TemplatesRead) -> Evidence | Missing:
    if not tasks.whole:
        failure = tasks.failure
        return Missing(explain(failure) if failure else "its tasks were not read", failure)
    return _with(workflow, sorted(tasks.rows.values(), key=in_order), names)


def _with(workflow: Workflow, tasks: Sequence[Row], names: TemplatesRead) -> Evidence | Missing:
    row = {"TEMPLATE_ID": workflow.facts.get("workflow.template_id")}
    facts, failure = names.facts(row, _NAME)
    if failure is not None and told(failure) is not None:
        return Missing(explain(failure), failure)
    name = facts.get("template.name")
    return Evidence(tuple(tasks), None if isinstance(name, Unknown) else name)
