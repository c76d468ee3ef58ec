"""Reads the evidence that is kept before a workflow is stopped: open tasks, its template's name.

The portal gives nothing that could restore a killed workflow; this is proof, not a backup. It is
read for condemned workflows alone: the tasks of each, or, for many of them, from the list of all
tasks, which then takes fewer requests. A portal that has few tasks is asked for all of them along
with the documents, which takes none.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from responder.bitrix24.client.answers import Answer, Command, Failure, explain
from responder.bitrix24.fetch.people import is_waiting, task_key, task_order
from responder.bitrix24.fetch.templates import Templates, TemplatesRead
from responder.bitrix24.lists.id_ranges import RangedList, pages_of
from responder.bitrix24.lists.paged import Listing, Row, Send, read_all, unless_rejected
from responder.bitrix24.lists.requests import ReadSource, SharedRequests, Source
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
    """The evidence of one workflow besides its row."""

    tasks: tuple[Row, ...]
    template_name: object

    def contradicts(self, workflow: Workflow) -> bool:
        """Return whether the workflow waits for others now than when it was condemned.

        Tasks move on between two requests. Where rules did not ask for tasks, return False.
        """
        expected = workflow.facts.get("waiting_for.id")
        if not isinstance(expected, list):
            return False
        return {str(one) for one in expected} != {
            str(t.get("USER_ID")) for t in self.tasks if is_waiting(t)
        }


@dataclass(frozen=True, slots=True)
class Missing:
    """The reason why the evidence of a workflow could not be read."""

    why: str
    failure: Failure | None


async def gather(
    send: Send, workflows: Sequence[Workflow], templates: Templates, now: datetime
) -> dict[str, Evidence | Missing]:
    """Read the evidence of each workflow, by its id."""
    names = TemplatesRead(templates, now, _NAME)
    tasks = {workflow.id: _tasks_of(workflow.id) for workflow in workflows}
    await read_all(send, [*tasks.values(), *names.reads()])
    names.keep()
    return {workflow.id: _of(workflow, tasks[workflow.id], names) for workflow in workflows}


async def gather_by_pages(
    send: Send, workflows: Sequence[Workflow], templates: Templates, now: datetime
) -> tuple[dict[str, Evidence | Missing], int | None]:
    """Read the evidence of many workflows from the list of all tasks, and return the list's length.

    The evidence is empty where that list has more pages than there are workflows, which the first
    request shows, or where it was not whole: then the tasks of each must be asked for.
    """
    tasks = AllTasks(templates, now, len(workflows), {workflow.id for workflow in workflows})
    requests = SharedRequests()
    requests.set_sources(tasks.sources())
    while not tasks.is_too_long and await requests.step(send):
        pass
    return tasks.of(workflows), tasks.total


class AllTasks:
    """The list of all tasks, open or not, and the names of templates, as sources of requests.

    A list of more than `most_pages` is not read to its end. Tasks of the workflows `wanted` are
    kept; of any where that is None, because nobody is condemned yet, nor the method needed.
    """

    def __init__(
        self,
        templates: Templates,
        now: datetime,
        most_pages: int,
        wanted: Collection[str] | None = None,
    ) -> None:
        params = {"SELECT": list(TASK_FIELDS), "ORDER": {"ID": "ASC"}}
        self._names = TemplatesRead(templates, now, _NAME)
        self._most_pages = most_pages
        self._tasks = RangedList(
            Command("bizproc.task.list", params, optional=wanted is None),
            key_of=task_key,
            keep=lambda row: wanted is None or str(row.get("WORKFLOW_ID")) in wanted,
        )

    @property
    def total(self) -> int | None:
        """Return how many tasks the portal has; None where that is not known."""
        return self._tasks.total

    @property
    def is_too_long(self) -> bool:
        """Return whether the list is known to have too many pages."""
        return self.total is not None and pages_of(self.total) > self._most_pages

    @property
    def has_failed(self) -> bool:
        """Return whether the list was asked for in vain."""
        return self._tasks.failure is not None

    def sources(self) -> list[Source]:
        """Return what is to be asked."""
        return [*map(ReadSource, self._names.reads()), self]

    def next_commands(self, room: int) -> list[tuple[int, Command]]:
        """Return the next commands for the list; none once it is known to be too long."""
        return [] if self.is_too_long else self._tasks.next_commands(room)

    def accept(self, number: int, answer: Answer) -> None:
        """Accept an answer."""
        self._tasks.accept(number, answer)

    def of(self, workflows: Sequence[Workflow]) -> dict[str, Evidence | Missing]:
        """Return the evidence of each workflow, by its id; of none where the list is not whole."""
        if not self._tasks.whole:
            return {}
        self._names.keep()
        rows: dict[str, list[Row]] = {workflow.id: [] for workflow in workflows}
        for row in sorted(self._tasks.rows.values(), key=task_order):
            rows.get(str(row.get("WORKFLOW_ID")), []).append(row)
        return {w.id: _with(w, rows[w.id], self._names) for w in workflows}


def _tasks_of(workflow_id: str) -> Listing:
    """Return a list of a workflow's tasks; other rows come where the portal dropped the filter."""
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
        id_of=task_key,
        keep=lambda row: row.get("WORKFLOW_ID") == workflow_id,
        twice=True,
    )


def _of(workflow: Workflow, tasks: Listing, names: TemplatesRead) -> Evidence | Missing:
    if not tasks.whole:
        failure = tasks.failure
        return Missing(explain(failure) if failure else "its tasks were not read", failure)
    return _with(workflow, sorted(tasks.rows.values(), key=task_order), names)


def _with(workflow: Workflow, tasks: Sequence[Row], names: TemplatesRead) -> Evidence | Missing:
    row = {"TEMPLATE_ID": workflow.facts.get("workflow.template_id")}
    facts, failure = names.facts(row, _NAME)
    if failure is not None and unless_rejected(failure) is not None:
        return Missing(explain(failure), failure)
    name = facts.get("template.name")
    return Evidence(tuple(tasks), None if isinstance(name, Unknown) else name)
