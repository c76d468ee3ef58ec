"""Gathers what rules need to know of documents, in as few calls as possible.

Theory of operation. One `send` asks for everything that can be asked at once: each document's item
and the first page of its running workflows, and the list of templates where a rule asks about
them. Only what depends on those answers (further pages, the meaning of a stage, a template that a
cached list lacks) is asked afterwards. Nothing is guessed: what an answer does not say is absent
from the facts, and what could not be read is `Unknown` with the reason.

The portal drops a filter that it does not understand without a word, and then lists the workflows
of every document; one that it does understand finds what is *like* it, and nothing where it has a
backslash, as ENTITY has of most kinds (see `instances`). So the filter names the module and the id,
and every row is compared again, in full, with the document (docs: bizproc-workflow-instances.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from responder.bitrix24.answers import Failure, uncertain
from responder.bitrix24.instances import (
    WORKFLOW_ID,
    id_of,
    id_of_whole_row,
    instances,
    triple,
    widest,
    workflow_facts,
)
from responder.bitrix24.items import ItemRead
from responder.bitrix24.listing import Listing, Row, Send, explain, settle
from responder.bitrix24.people import People, needs_tasks
from responder.bitrix24.smart_types import TypesRead
from responder.bitrix24.stages import StagesRead
from responder.bitrix24.templates import Templates, TemplatesRead
from responder.model import Document, Unknown, Workflow

__all__ = ["Ask", "Reading", "Send", "Templates", "as_found", "explain", "gather", "present"]


@dataclass(frozen=True, slots=True)
class Ask:
    """A document, and the paths of the facts that the rules in question read."""

    document: Document
    paths: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found. `failure` is the widest one that kept something needed from being read."""

    facts: dict[str, object]
    workflows: tuple[Workflow, ...] | Unknown
    failure: Failure | None


async def gather(
    send: Send, asks: Sequence[Ask], templates: Templates, now: datetime
) -> list[Reading]:
    """Read the facts and the running workflows of each ask, in its place."""
    cases = _cases(asks)
    paths = frozenset[str]().union(*(ask.paths for ask in asks))
    known = TemplatesRead(templates, now, paths)
    people = People(templates.users, now)
    items = [case.item for case in cases.values() if case.item is not None]
    await settle(send, [*items, *(case.listing for case in cases.values()), *known.reads()])
    known.keep()
    stages, types = StagesRead(templates.stages, now), TypesRead(templates.types, now)
    for ask in asks:
        cases[ask.document].ask_more(ask.paths, stages, types)
    asked = [(row, case.paths) for case in cases.values() for row in case.listing.rows.values()]
    rows = [row for row, _ in asked]
    tasks = people.task_reads(str(row["ID"]) for row, wanted in asked if needs_tasks(wanted))
    await settle(send, [*stages.reads(), *types.reads(), *known.reads_again(rows), *tasks])
    known.keep()
    stages.keep()
    types.keep()
    await settle(send, people.user_reads(asked))
    people.keep()
    return [cases[ask.document].reading(ask, known, stages, types, people) for ask in asks]


async def present(
    send: Send, ids: Sequence[str]
) -> dict[str, Mapping[str, str | None] | Unknown | None]:
    """Say of each workflow whether it is running: its row, None if certainly not, or `Unknown`.

    An answer may have any rows: those with another id are not looked at.
    """
    found: dict[str, Mapping[str, str | None] | Unknown | None] = {}
    listings: dict[str, Listing] = {}
    for workflow_id in dict.fromkeys(ids):
        if WORKFLOW_ID.fullmatch(workflow_id):
            listings[workflow_id] = _listing_of_id(workflow_id)
        else:
            found[workflow_id] = Unknown("this is no workflow's id")
    await settle(send, list(listings.values()))
    for workflow_id, listing in listings.items():
        row = listing.rows.get(workflow_id)
        found[workflow_id] = as_found(row) if row is not None else _absence(listing)
    return found


async def running_on(
    send: Send, documents: Sequence[Document]
) -> dict[Document, tuple[str, ...] | Unknown]:
    """Return the ids of the workflows that run on each document, or `Unknown`."""
    listings = {document: _listing_of(document) for document in documents}
    await settle(send, list(listings.values()))
    return {
        document: tuple(sorted(listing.rows)) if listing.whole else Unknown(_why(listing.failure))
        for document, listing in listings.items()
    }


def _absence(listing: Listing) -> Unknown | None:
    return None if listing.whole else Unknown(_why(listing.failure))


def as_found(row: Row) -> dict[str, str | None]:
    """Return the row of a workflow that runs, its fields as text."""
    return {key: value if value is None else str(value) for key, value in row.items()}


@dataclass(frozen=True, slots=True)
class _Case:
    """One document's reads. Several asks may share them."""

    document: Document
    paths: frozenset[str]
    listing: Listing
    item: ItemRead | None

    def ask_more(self, paths: frozenset[str], stages: StagesRead, types: TypesRead) -> None:
        if self.item is not None:
            self.item.ask_more(paths, stages, types)

    def reading(
        self,
        ask: Ask,
        templates: TemplatesRead,
        stages: StagesRead,
        types: TypesRead,
        people: People,
    ) -> Reading:
        facts: dict[str, object] = {}
        failures = [self.listing.failure]
        if self.item is not None:
            facts, failure = self.item.facts(ask.paths, stages, types)
            failures.append(failure)
        elif "document.exists" in ask.paths:
            facts["document.exists"] = Unknown("no rule can look into a document of this kind")
        if not self.listing.whole:
            return Reading(facts, Unknown(_why(self.listing.failure)), widest(failures))
        workflows = []
        for workflow_id, row in sorted(self.listing.rows.items()):
            of_template, unlisted = templates.facts(row, ask.paths)
            of_people, unread = people.facts(row, ask.paths)
            facts_of_it = {**workflow_facts(row), **of_template, **of_people}
            workflows.append(Workflow(id=workflow_id, facts=facts_of_it))
            failures += [unlisted, *unread]
        return Reading(facts, tuple(workflows), widest(failures))


def _cases(asks: Sequence[Ask]) -> dict[Document, _Case]:
    paths: dict[Document, frozenset[str]] = {}
    for ask in asks:
        paths[ask.document] = paths.get(ask.document, frozenset()) | ask.paths
    return {
        document: _Case(document, wanted, _listing_of(document), ItemRead.of(document, wanted))
        for document, wanted in paths.items()
    }


def _listing_of(document: Document) -> Listing:
    return Listing(
        instances({"MODULE_ID": document.module, "DOCUMENT_ID": document.id}),
        id_of=id_of_whole_row,
        keep=lambda row: triple(row) == document.triple,
        twice=True,
    )


def _listing_of_id(workflow_id: str) -> Listing:
    return Listing(
        instances({"ID": workflow_id}),
        id_of=id_of,
        keep=lambda row: row["ID"] == workflow_id,
        twice=True,
        until=workflow_id,
    )


def _why(failure: Failure | None) -> str:
    return explain(failure or uncertain("", "it was not read"))
