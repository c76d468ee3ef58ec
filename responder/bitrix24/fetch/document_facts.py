"""Reads the facts that rules need of some documents, in as few calls as possible.

Theory of operation. One `send` asks for everything that can be asked at once: the first page of
each document's running workflows, then its item, and the list of templates where a rule asks about
them. Only what depends on those answers (further pages, the meaning of a stage, a template that a
cached list lacks) is asked afterwards. A document is read after the list of what runs on it, never
before: a workflow may begin because its document changed, and must not be judged by what that was
before. Nothing is guessed: a value that an answer does not have is absent from the facts, and one
that could not be read is `Unknown` with the reason.

The portal drops a filter that it does not understand without a word, and then lists the workflows
of every document; one that it does understand finds rows *like* the value, and none where it has a
backslash, as ENTITY has of most kinds (see `workflow_row`). So the filter names the module and the
id, and every row is compared again, in full, with the document (docs:
bizproc-workflow-instances.md).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from responder.bitrix24.client.answers import Answer, Command, Failure, explain, uncertain
from responder.bitrix24.document_titles import Title, title_in
from responder.bitrix24.fetch.item_pages import ItemsRead
from responder.bitrix24.fetch.items import ItemRead
from responder.bitrix24.fetch.links import LinksRead, WholeSource
from responder.bitrix24.fetch.list_elements import item_read
from responder.bitrix24.fetch.people import People, needs_tasks
from responder.bitrix24.fetch.smart_types import TypesRead
from responder.bitrix24.fetch.stages import StagesRead
from responder.bitrix24.fetch.templates import Templates, TemplatesRead
from responder.bitrix24.lists.malformed_rows import OddRows
from responder.bitrix24.lists.paged import Listing, Read, Row, Send, read_all
from responder.bitrix24.lists.workflow_row import (
    WORKFLOW_ID,
    id_of,
    id_of_whole_row,
    instance_of_id,
    instances_on,
    triple,
    widest,
    workflow_facts,
)
from responder.model import Document, Unknown, Workflow
from responder.rules.facts.derived import RUNNING


@dataclass(frozen=True, slots=True)
class Ask:
    """A document, and the paths of the facts that the rules in question read.

    `stops` are workflows that will be called gone if they are not found on the document: so they
    are looked up by their ids too.
    """

    document: Document
    paths: frozenset[str]
    stops: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reading:
    """The facts and workflows of one document, as read.

    `failure` is the widest one that kept a needed fact from being read. `odd` has the reasons why a
    workflow that is not among these may run all the same. `title` is the document's, for the log,
    where the answers happen to have it.
    """

    facts: dict[str, object]
    workflows: tuple[Workflow, ...] | Unknown
    failure: Failure | None
    odd: OddRows = field(default_factory=OddRows)
    title: Title | None = field(default=None, compare=False)  # no fact: nothing rests on it


async def gather(
    send: Send, asks: Sequence[Ask], templates: Templates, now: datetime
) -> list[Reading]:
    """Read the facts and the running workflows of each ask, in its place."""
    cases = _cases(asks)
    paths = frozenset[str]().union(*(ask.paths for ask in asks))
    known = TemplatesRead(templates, now, paths)
    people = People(templates.users, now)
    await read_all(send, [*cases.values(), *known.reads()])
    known.keep()
    stages, types = StagesRead(templates.stages, now), TypesRead(templates.types, now)
    links = LinksRead(people)
    for ask in asks:
        cases[ask.document].ask_more(ask.paths, stages, types)
    for case in cases.values():
        links.ask(case.item, case.paths)
    asked = [(row, case.paths) for case in cases.values() for row in case.listing.rows.values()]
    rows = [row for row, _ in asked]
    tasks = people.task_reads(str(row["ID"]) for row, wanted in asked if needs_tasks(wanted))
    missed = [look for case in cases.values() for look in case.reads_of_missed()]
    others: list[Read] = [*stages.reads(), *types.reads(), *known.reads_again(rows)]
    await read_all(send, [*others, *tasks, *missed, WholeSource(links.source())])
    known.keep()
    stages.keep()
    types.keep()
    await read_all(send, people.user_reads(asked, links.users))
    people.keep()
    beside = _Beside(known, stages, types, people, links)
    return [cases[ask.document].reading(ask, beside) for ask in asks]


class _Beside(NamedTuple):
    """What was read beside the documents and their workflows."""

    templates: TemplatesRead
    stages: StagesRead
    types: TypesRead
    people: People
    links: LinksRead


FactsOfDocument = tuple[Mapping[str, object], Failure | None]


async def of_documents(
    send: Send, wanted: Mapping[Document, frozenset[str]], templates: Templates, now: datetime
) -> dict[Document, FactsOfDocument]:
    """Read facts of documents, and not what runs on them, fifty documents a command.

    Each comes with the widest failure that kept one of its facts from being read.
    """
    items, people = ItemsRead(), People(templates.users, now)
    stages, types = StagesRead(templates.stages, now), TypesRead(templates.types, now)
    links = LinksRead(people)
    items.ask(wanted)
    await read_all(send, [WholeSource(items)])
    items.ask_more(stages, types)
    for document, paths in wanted.items():
        links.ask(items.read(document), paths)
    users = people.user_reads((), links.users)
    more: list[Read] = [*users, *stages.reads(), *types.reads(), WholeSource(links.source())]
    await read_all(send, more)
    for kept in (people, stages, types):
        kept.keep()
    found: dict[Document, FactsOfDocument] = {}
    for document, paths in wanted.items():
        item = items.read(document)
        if item is not None:
            facts, failure = item.facts(paths, stages, types)
            linked, unread = links.facts(item, paths)
            found[document] = {**facts, **linked}, widest([failure, *unread])
    return found


Found = dict[str, Mapping[str, str | None] | Unknown | None]
OnDocuments = dict[Document, tuple[str, ...] | Unknown]


async def present(send: Send, ids: Sequence[str]) -> Found:
    """Return for each workflow id its row if it runs, None if certainly not, or `Unknown`."""
    found, _ = await present_with_documents(send, ids, ())
    return found


async def present_with_documents(
    send: Send, ids: Sequence[str], documents: Sequence[Document]
) -> tuple[Found, OnDocuments]:
    """Return the rows by workflow id (see `present`), and the ids that run on each document.

    Both are read with the same calls; a document whose list is not whole has `Unknown`.
    """
    named = dict.fromkeys(ids)
    listings = {one: _listing_of_id(one) for one in named if WORKFLOW_ID.fullmatch(one)}
    beside = {document: _listing_of(document) for document in documents}
    await read_all(send, [*listings.values(), *beside.values()])
    found: Found = dict.fromkeys(named, Unknown("this is no workflow's id"))
    for workflow_id, listing in listings.items():
        # An answer may have rows with other ids too; these are ignored.
        row = listing.rows.get(workflow_id)
        found[workflow_id] = as_texts(row) if row is not None else listing.absence(workflow_id)
    return found, {document: _running(listing) for document, listing in beside.items()}


def _running(listing: "_Workflows") -> tuple[str, ...] | Unknown:
    return tuple(sorted(listing.rows)) if listing.whole else Unknown(_why(listing.failure))


def as_texts(row: Row) -> dict[str, str | None]:
    """Return the row of a running workflow, its fields as text."""
    return {key: value if value is None else str(value) for key, value in row.items()}


class _Workflows(Listing):
    """A list of workflows, of which `keep` chooses; senseless rows go to `odd`."""

    def __init__(
        self, command: Command, *, keep: Callable[[Row], bool], until: str | None = None
    ) -> None:
        self.odd = OddRows()
        super().__init__(command, id_of=id_of, keep=keep, odd=self.odd.add, twice=True, until=until)

    def absence(self, workflow_id: str) -> Unknown | None:
        """Return None if a workflow that is not on the list does not run, else why it may."""
        if not self.whole:
            return Unknown(_why(self.failure))
        why = self.odd.why(workflow_id)
        return None if why is None else Unknown(why)


@dataclass(slots=True)
class _Case:
    """The reads of one document, which several asks may share: its workflows, then its item.

    The item is read behind each of the list's pages that are asked for at once, and the last
    counts.
    """

    document: Document
    paths: frozenset[str]
    stops: frozenset[str]
    listing: _Workflows
    item: ItemRead | None = None
    missed: dict[str, _Workflows] = field(default_factory=dict)
    _pages: int = 0  # of the list, which are asked for now

    def next_commands(self) -> list[Command]:
        """Return the commands for the list's next pages, and for the item."""
        pages = self.listing.next_commands()
        self._pages = len(pages)
        if not pages:
            return []
        self.item = item_read(self.document, self.paths)
        return pages if self.item is None else [*pages, *self.item.next_commands()]

    def accept(self, answers: Sequence[Answer]) -> None:
        """Accept these answers, in their order."""
        self.listing.accept(answers[: self._pages])
        if self.item is not None:
            self.item.accept(answers[self._pages :])

    def reads_of_missed(self) -> list[_Workflows]:
        """Return reads, by id, of the stops' workflows that are not on the document's list."""
        if self.listing.whole:
            missed = sorted(self.stops - self.listing.rows.keys())
            self.missed.update((one, _listing_of_id(one)) for one in missed)
        return list(self.missed.values())

    def ask_more(self, paths: frozenset[str], stages: StagesRead, types: TypesRead) -> None:
        if self.item is not None:
            self.item.ask_more(paths, stages, types)

    def reading(self, ask: Ask, beside: _Beside) -> Reading:
        facts: dict[str, object] = {}
        failures = [self.listing.failure]
        if self.item is not None:
            facts, failure = self.item.facts(ask.paths, beside.stages, beside.types)
            linked, unread = beside.links.facts(self.item, ask.paths)
            facts |= linked
            failures += [failure, *unread]
        elif "document.exists" in ask.paths:
            facts["document.exists"] = Unknown("no rule can look into a document of this kind")
        if not self.listing.whole:
            return Reading(facts, Unknown(_why(self.listing.failure)), widest(failures))
        workflows = []
        for workflow_id, row in sorted(self.listing.rows.items()):
            of_template, unlisted = beside.templates.facts(row, ask.paths)
            of_people, unread = beside.people.facts(row, ask.paths)
            facts_of_it = {**workflow_facts(row), **of_template, **of_people}
            workflows.append(Workflow(id=workflow_id, facts=facts_of_it))
            failures += [unlisted, *unread]
        odd = self._odd()
        if RUNNING in ask.paths:
            facts[RUNNING] = self._running(odd)
        return Reading(facts, tuple(workflows), widest(failures), odd, self._title())

    def _title(self) -> Title | None:
        if self.item is None:
            return None
        title = title_in(self.document.kind, self.item.value)
        # An answer to `crm.item.get` has all fields, so where it has no title there is none.
        return Title() if title is None and self.item.has_all_fields else title

    def _running(self, odd: OddRows) -> int | Unknown:
        """Return how many workflows run on the document; a stop that may is missing from them."""
        missing = (odd.why(workflow_id) for workflow_id in self.missed)
        why = next((why for why in missing if why is not None), None)
        return odd.running(len(self.listing.rows)) if why is None else Unknown(why)

    def _odd(self) -> OddRows:
        odd = self.listing.odd
        for workflow_id, look in self.missed.items():
            absence = look.absence(workflow_id)
            if workflow_id in look.rows:
                odd.add_elsewhere(workflow_id)
            elif absence is not None:
                odd.elsewhere[workflow_id] = absence.why
        return odd


def _cases(asks: Sequence[Ask]) -> dict[Document, _Case]:
    merged: dict[Document, Ask] = {}
    for ask in asks:
        known = merged.get(ask.document, ask)
        merged[ask.document] = Ask(ask.document, known.paths | ask.paths, known.stops | ask.stops)
    return {
        document: _Case(document, ask.paths, ask.stops, _listing_of(document))
        for document, ask in merged.items()
    }


def _listing_of(document: Document) -> _Workflows:
    return _Workflows(
        instances_on(document),
        keep=lambda row: id_of_whole_row(row) is not None and triple(row) == document.triple,
    )


def _listing_of_id(workflow_id: str) -> _Workflows:
    return _Workflows(
        instance_of_id(workflow_id),
        keep=lambda row: row["ID"] == workflow_id,
        until=workflow_id,
    )


def _why(failure: Failure | None) -> str:
    return explain(failure or uncertain("", "it was not read"))
