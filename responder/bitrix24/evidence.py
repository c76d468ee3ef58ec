"""Reads what is kept of a workflow before it is stopped: its open tasks, its template's name.

Nothing that the portal gives restores a killed workflow; this is proof, not a backup. It is read
for condemned workflows alone, in one question for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from responder.bitrix24.answers import Command, Failure
from responder.bitrix24.listing import Listing, Row, Send, explain, settle, told
from responder.bitrix24.templates import Templates, TemplatesRead
from responder.model import Unknown, Workflow

TASK_FIELDS = (
    "ID",
    "WORKFLOW_ID",
    "USER_ID",
    "STATUS",
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
    return Listing(command, id_of=_id_of, keep=lambda row: row.get("WORKFLOW_ID") == workflow_id)


def _of(workflow: Workflow, tasks: Listing, names: TemplatesRead) -> Evidence | Missing:
    if not tasks.whole:
        failure = tasks.failure
        return Missing(explain(failure) if failure else "its tasks were not read", failure)
    row = {"TEMPLATE_ID": workflow.facts.get("workflow.template_id")}
    facts, failure = names.facts(row, _NAME)
    if failure is not None and told(failure) is not None:
        return Missing(explain(failure), failure)
    name = facts.get("template.name")
    return Evidence(tuple(tasks.rows.values()), None if isinstance(name, Unknown) else name)


def _id_of(row: Row) -> str | None:
    value = row.get("ID")
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value)
