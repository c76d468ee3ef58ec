"""Reads all running workflows of a portal, and the facts that rules need of many documents.

Theory of operation. A survey is made in steps of one request, between which its caller does what is
more urgent. It has four phases, each filling its requests as far as it can:

1. the list of everything that runs, and the templates where rules ask for them;
2. for each document the caller's `wanted` decides whether a rule can concern it, and what of it
   must be read. The rows of all others are dropped;
3. the fields of those documents, fifty a command, and the tasks where rules ask for them;
4. the users that rules ask about, the companies and contacts that the documents are linked to, and
   what the documents themselves lack: the meaning of stages, whether a type exists.

The documents are chosen in one of two ways. A sweep does not know them before: `wanted` is called
for each document that has workflows. A caller that has many documents to judge names them
(`Survey.of`), and gets for each the reading that `document_facts.gather` would return, also for
those on which nothing runs.

The readings are put together one document at a time, when the caller iterates over them. If the
list of workflows is not whole, or no call to the portal works, the survey fails, and proves
nothing.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Failure
from responder.bitrix24.document_titles import Title, title_in
from responder.bitrix24.fetch.document_facts import Ask, Reading
from responder.bitrix24.fetch.item_pages import ItemsRead
from responder.bitrix24.fetch.links import LinksRead
from responder.bitrix24.fetch.people import People, needs_tasks
from responder.bitrix24.fetch.smart_types import TypesRead
from responder.bitrix24.fetch.stages import StagesRead
from responder.bitrix24.fetch.templates import Templates, TemplatesRead
from responder.bitrix24.lists.malformed_rows import OddRows
from responder.bitrix24.lists.paged import Read, Row, Send
from responder.bitrix24.lists.requests import ReadSource, SharedRequests, Source
from responder.bitrix24.lists.workflow_row import widest, workflow_facts
from responder.bitrix24.lists.workflows import (
    Compact,
    RunningWorkflows,
    WorkflowList,
    triple,
    unpacked,
)
from responder.model import Document, Unknown, Workflow
from responder.rules.facts import links
from responder.rules.facts.derived import RUNNING

Wanted = Callable[[Document, Sequence[Workflow]], frozenset[str] | None]
"""Returns the facts to read of a document with these workflows; None where no rule concerns it."""

# So much is done before other tasks of the event loop have their turn.
AT_ONCE = 100
ROWS_AT_ONCE = 1000


class Survey:
    """One reading of a whole portal. `wanted` is called once for each document with workflows.

    Those workflows have their own facts and those of their templates; `workflow_paths` are the
    facts that rules read of workflows, templates and people. `lists` is true where rules ask for
    facts of lists: then elements are told apart by the lists that they are of, and `kinds_unread`
    says why that was not possible. `expected` is how many workflows ran lately, if that is known.
    `failure` is set when the survey had to give up: then nothing may be concluded.
    """

    def __init__(
        self,
        templates: Templates,
        now: datetime,
        *,
        wanted: Wanted,
        workflow_paths: frozenset[str],
        lists: bool = False,
        expected: int | None = None,
    ) -> None:
        self.failure: Failure | None = None
        self.kinds_unread: Failure | None = None
        self.complete = False
        self.running = 0
        self._wanted = wanted
        self._asks: Mapping[Document, frozenset[str]] | None = None
        self._stops: Mapping[str, Document] = {}
        self._stops_on: dict[Document, list[str]] = {}
        self._workflow_paths = workflow_paths
        self._list = WorkflowList(expected)
        self._templates = TemplatesRead(templates, now, workflow_paths, lists=lists)
        self._people = People(templates.users, now)
        self._items = ItemsRead()
        self._links = LinksRead(self._people)
        self._along: Sequence[Source] = ()
        self._stages = StagesRead(templates.stages, now)
        self._types = TypesRead(templates.types, now)
        self._rows: dict[Document, list[Compact]] = {}
        self._paths: dict[Document, frozenset[str]] = {}
        self._requests = SharedRequests()
        beside = map(ReadSource, self._templates.reads())
        self._requests.set_sources([*beside, self._list])
        self._next = self._after_the_list

    @classmethod
    def of(
        cls,
        asks: Sequence[Ask],
        templates: Templates,
        now: datetime,
        *,
        expected: int | None = None,
        along: Sequence[Source] = (),
    ) -> "Survey":
        """Return a survey of these documents alone; its list of everything that runs is kept.

        What is `along` is asked in the requests for the documents, after these.
        """
        paths: dict[Document, frozenset[str]] = {}
        for ask in asks:
            paths[ask.document] = paths.get(ask.document, frozenset()) | ask.paths
        every = frozenset[str]().union(*paths.values())
        made = cls(
            templates, now, wanted=lambda _d, _w: None, workflow_paths=every, expected=expected
        )
        made._asks, made._items, made._along = paths, ItemsRead(titled=True), along
        made._stops = {stop: ask.document for ask in asks for stop in ask.stops}
        for stop, document in made._stops.items():
            made._stops_on.setdefault(document, []).append(stop)
        return made

    @property
    def listed(self) -> RunningWorkflows:
        """Return the list of everything that runs."""
        return RunningWorkflows(self._list.rows, self.odd)

    @property
    def odd(self) -> OddRows:
        """Return the rows of that list that are left alone, because they make no sense.

        If it has `rows`, a document may have more workflows than were found.
        """
        return self._list.odd

    @property
    def unread(self) -> Failure | None:
        """Return why the list of all tasks could not be read, where rules ask for tasks."""
        return self._people.unread

    @property
    def read(self) -> int:
        """Return how many workflows have been read so far."""
        return self.running or len(self._list.rows)

    @property
    def total(self) -> int | None:
        """Return how many workflows there are, by the portal's last answer."""
        return self._list.total

    async def step(self, send: Send) -> bool:
        """Send one request at most. Return False when the survey is finished, or has failed."""
        while not self.complete and self.failure is None:
            sent = await self._requests.step(send)
            self.failure = self._requests.failure or self._list.failure
            if sent:
                return self.failure is None
            if self.failure is None:
                await self._next()
        return False

    async def _after_the_list(self) -> None:
        """Continue once everything that runs is known."""
        self.running = len(self._list.rows)
        self._templates.keep()
        rows: Iterable[Compact] = self._list.rows.values()
        if self._asks is not None:
            await self._choose_asked(self._asks)
            rows = (row for some in self._rows.values() for row in some)
        self._requests.set_sources(
            map(ReadSource, self._templates.reads_again(map(unpacked, rows)))
        )
        self._next = self._after_the_templates

    async def _after_the_templates(self) -> None:
        """Continue once the templates are known: choose the documents to read, drop all others."""
        self._templates.keep()
        if self._asks is None:
            await self._choose_wanted()
            self._list.rows.clear()
        # Not before the list: a workflow may begin because its document changed, and must not be
        # judged by what that was before.
        self._items.ask(self._paths)
        asked = (self._asked_of(document) for document, rows in self._rows.items() if rows)
        tasks = self._people.all_task_reads() if any(map(needs_tasks, asked)) else ()
        along = self._along if self._items.are_needed else ()
        self._requests.set_sources([*tasks, self._items, *along])
        self._next = self._after_the_items

    def _chosen_rows(self) -> Iterator[tuple[Row, frozenset[str]]]:
        """Yield each workflow of the chosen documents, with the facts that rules ask of it."""
        for document, rows in self._rows.items():
            for row in rows:
                yield unpacked(row), self._asked_of(document)

    def _asked_of(self, document: Document) -> frozenset[str]:
        return self._workflow_paths if self._asks is None else self._paths[document]

    async def _choose_asked(self, asks: Mapping[Document, frozenset[str]]) -> None:
        """Choose the documents that the caller named; one may have no workflows."""
        grouped = await _by_triple(self._list.rows.values())
        for document, paths in asks.items():
            self._rows[document] = grouped.get(document.triple, [])
            self._paths[document] = paths
        for workflow_id, document in self._stops.items():
            row = self._list.rows.get(workflow_id)
            if row is not None and triple(row) != document.triple:
                self.odd.add_elsewhere(workflow_id)

    async def _choose_wanted(self) -> None:
        """Choose, by `wanted`, among the documents that have workflows."""
        grouped = await _by_triple(self._list.rows.values())
        for place, (named, rows) in enumerate(grouped.items()):
            document = self._document(named, rows)
            found = (self._workflow(unpacked(row), self._workflow_paths, None) for row in rows)
            paths = self._wanted(document, [workflow for workflow, _ in found])
            if paths is not None:
                self._rows[document], self._paths[document] = rows, paths
            if place % AT_ONCE == 0:
                await asyncio.sleep(0)

    def _document(self, named: tuple[str, str, str], rows: Sequence[Compact]) -> Document:
        """Return the document that a triple names; its workflows' templates say of which list."""
        document = documents.from_triple(*named)
        if not documents.is_of_a_list(document):
            return document
        iblock = self._templates.iblock(map(unpacked, rows))
        self.kinds_unread = self.kinds_unread or self._templates.failure
        return document if iblock is None else documents.in_list(document, iblock)

    async def _after_the_items(self) -> None:
        """Continue once the fields are known: read users, links, meanings of stages, and types."""
        self._items.ask_more(self._stages, self._types)
        for document, paths in self._paths.items():
            if links.among(paths, document.kind):
                self._links.ask(self._items.read(document), paths)
        users = self._people.user_reads(self._chosen_rows(), self._links.users)
        more: list[Read] = [*users, *self._stages.reads(), *self._types.reads()]
        self._requests.set_sources([*map(ReadSource, more), self._links.source()])
        self._next = self._after_the_rest

    async def _after_the_rest(self) -> None:
        for kept in (self._people, self._stages, self._types):
            kept.keep()
        self.complete = True

    def readings(self) -> Iterator[tuple[Document, Reading]]:
        """Yield the reading of each chosen document. The survey must be complete."""
        if not self.complete:
            raise RuntimeError("a survey that is not complete proves nothing")
        for document, rows in self._rows.items():
            yield document, self._reading(document, rows)

    def _reading(self, document: Document, rows: Sequence[Compact]) -> Reading:
        paths = self._paths[document]
        facts: dict[str, object] = {}
        failures: list[Failure | None] = []
        item = self._items.read(document)
        if item is not None:
            facts, failure = item.facts(paths, self._stages, self._types)
            linked, unread = self._links.facts(item, paths)
            facts |= linked
            failures += [failure, *unread]
        elif "document.exists" in paths:
            facts["document.exists"] = Unknown("no rule can look into a document of this kind")
        workflows = []
        for row in map(unpacked, rows):
            workflow, met = self._workflow(row, self._asked_of(document), self._people)
            workflows.append(workflow)
            failures += met
        workflows.sort(key=lambda workflow: workflow.id)
        if RUNNING in paths:
            facts[RUNNING] = self._running_on(document, [workflow.id for workflow in workflows])
        title = None if item is None else title_in(document.kind, item.value)
        if title is None and item is not None and item.was_read and self._asks is not None:
            title = Title()  # it has none, for it was asked for: nobody need ask again
        return Reading(facts, tuple(workflows), widest(failures), self.odd, title)

    def _running_on(self, document: Document, ids: Sequence[str]) -> int | Unknown:
        """Return how many workflows run on a document; a stop that may is missing from them."""
        missing = (stop for stop in self._stops_on.get(document, ()) if stop not in ids)
        why = next((why for stop in missing if (why := self.odd.why(stop)) is not None), None)
        return self.odd.running(len(ids)) if why is None else Unknown(why)

    def _workflow(
        self, row: Row, paths: frozenset[str], people: People | None
    ) -> tuple[Workflow, tuple[Failure | None, ...]]:
        of_template, unlisted = self._templates.facts(row, paths)
        of_people, unread = people.facts(row, paths) if people is not None else ({}, ())
        facts = {**workflow_facts(row), **of_template, **of_people}
        return Workflow(id=str(row["ID"]), facts=facts), (unlisted, *unread)


async def _by_triple(rows: Iterable[Compact]) -> dict[tuple[str, str, str], list[Compact]]:
    """Group the rows by document. A row that names none is left out."""
    found: dict[tuple[str, str, str], list[Compact]] = {}
    for place, compact in enumerate(rows):
        module, entity, document_id = triple(compact)
        if isinstance(module, str) and isinstance(entity, str) and isinstance(document_id, str):
            found.setdefault((module, entity, document_id), []).append(compact)
        if place % ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return found
