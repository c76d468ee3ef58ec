"""Reads the names of what plans condemn: the document's title, the template, the people.

They are for people who read the log, and decide nothing. So they cost one request of a round at
most, for what is not known already, and none where a few commands go along with those that read the
evidence. A request of their own is not made while the portal's bucket is nearly full, and is given
two seconds. No method's breaker is opened for them, and after a failure they are not asked for a
while. What could not be read is written without its name, and shown by its id.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from responder.bitrix24.client.answers import Answer, Command, Failure, FailureKind, explain
from responder.bitrix24.document_titles import Title, plain
from responder.bitrix24.fetch.document_facts import Reading
from responder.bitrix24.fetch.templates import Label
from responder.bitrix24.lists.paged import Send
from responder.bitrix24.lists.requests import PORTION
from responder.bitrix24.names_read import NamesRead
from responder.judge.context import Context
from responder.judge.plans import Plan
from responder.model import KILLING, Document, Names, Workflow
from responder.store.database.engines import StoreUnavailable
from responder.store.leases import LeaseLost

WITHIN_SECONDS = 2.0
KNOWN_FOR = timedelta(hours=1)  # names change rarely
REFUSED_RESTS_FOR = timedelta(minutes=5)
LOST_RESTS_FOR = timedelta(hours=1)  # evidence may have been lost with them
ALONG = 4  # commands that go with others; more of them have a request of their own
MOST_KNOWN = 10_000

log = structlog.get_logger()


@dataclass(slots=True)
class Wanted:
    """What names are read for the plans of one round: the titles known, and commands to send."""

    titles: dict[Document, Title] = field(default_factory=dict)
    read: NamesRead = field(default_factory=NamesRead)
    commands: Sequence[Command] = ()

    def along(self, send: Send) -> Send:
        """Return `send`, whose first request with room for a few commands more takes these too."""

        async def together(commands: Sequence[Command]) -> list[Answer]:
            some, count = self.commands, len(commands)
            if len(some) > min(ALONG, PORTION - count):
                some = ()
            if some:
                self.commands = ()
            answers = await send([*commands, *some])
            self.read.accept(answers[count:])
            return answers[:count]

        return together


class PlanNames:
    """The reader of names for one portal's driver."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rests_until: dict[str, datetime] = {}  # by method, "" for all of them
        self._logged: set[str] = set()

    def wanted(self, plans: Sequence[Plan], readings: Mapping[str, Reading]) -> Wanted:
        """Return what names must be read for; nothing where that goes wrong."""
        try:
            return self._wanted(plans, readings)
        except Exception:
            log.exception("names were left out by a fault of ours", portal=self._context.portal)
            return Wanted()

    async def named(self, plans: list[Plan], wanted: Wanted) -> list[Plan]:
        """Return the plans with the names of what they condemn; any other as it is.

        Whatever goes wrong with names, the plans are returned.
        """
        try:
            titles = await self._read(wanted)
            return [self._with_names(plan, titles) if _condemned(plan) else plan for plan in plans]
        except (LeaseLost, StoreUnavailable):
            raise  # of the commit that a request may need first
        except Exception:
            log.exception("names were left out by a fault of ours", portal=self._context.portal)
            return plans

    def _wanted(self, plans: Sequence[Plan], readings: Mapping[str, Reading]) -> Wanted:
        condemning = [plan for plan in plans if _condemned(plan)]
        wanted = Wanted(_known_titles(condemning, readings))
        now = self._context.now()
        labels = dict.fromkeys(
            label for p in condemning for w in _condemned(p) for label in self._labels_of(w)
        )
        unknown = [label for label in labels if not self._is_known(label, now)]
        untitled = dict.fromkeys(
            plan.job.document
            for plan in condemning
            if plan.job.document is not None and plan.job.document not in wanted.titles
        )
        resting = {one for one, at in self._rests_until.items() if now < at <= now + LOST_RESTS_FOR}
        commands = wanted.read.ask(untitled, unknown, without=resting)
        if "" not in resting and self._may_ask():
            wanted.commands = [replace(command, optional=True) for command in commands]
        return wanted

    async def _read(self, wanted: Wanted) -> Mapping[Document, Title]:
        """Read what did not go along with another request; return the titles."""
        if wanted.commands:
            answers = await self._context.client.send_aside(wanted.commands, WITHIN_SECONDS)
            wanted.read.accept(answers)
        now = self._context.now()
        for method, failure in wanted.read.answered.items():
            self._note(method, failure, now)
        self._keep(wanted.read.labels, now)
        return wanted.titles | wanted.read.titles

    def _may_ask(self) -> bool:
        client = self._context.client
        return client.breakers.of_portal is None and client.has_room()

    def _note(self, method: str, failure: Failure | None, now: datetime) -> None:
        """Log the first of several failures of a method, and ask no more for a while after each.

        Where the portal gave no answer, nothing at all is asked.
        """
        if failure is None:
            self._logged.discard(method)
            return
        refused = failure.kind in (FailureKind.METHOD, FailureKind.REJECTED)
        if refused:
            self._rests_until[method] = now + REFUSED_RESTS_FOR
        else:
            self._rests_until[""] = now + LOST_RESTS_FOR
        if method not in self._logged:
            log.warning(
                "names could not be read; the log has ids instead",
                portal=self._context.portal,
                method=method,
                why=explain(failure),
            )
        self._logged.add(method)

    def _keep(self, labels: Mapping[Label, str | None], now: datetime) -> None:
        known = self._context.templates.labels
        if len(known) + len(labels) > MOST_KNOWN:
            known.clear()
        known |= {label: (now, name) for label, name in labels.items()}

    def _is_known(self, label: Label, now: datetime) -> bool:
        known = self._context.templates.labels.get(label)
        return known is not None and timedelta(0) <= now - known[0] < KNOWN_FOR

    def _with_names(self, plan: Plan, titles: Mapping[Document, Title]) -> Plan:
        document = plan.job.document
        title = Title() if document is None else titles.get(document, Title())
        return plan.named(lambda workflow: self._names(workflow, title))

    def _names(self, workflow: Workflow, title: Title) -> Names:
        starter, *waiting = _starter_and_waiting(workflow)
        return Names(
            title=title.title,
            amount=title.amount,
            currency=title.currency,
            template=self._template(workflow),
            starter=None if starter is None else self._label(("user", starter)),
            waiting_for=tuple(n for user in waiting if user and (n := self._label(("user", user)))),
        )

    def _template(self, workflow: Workflow) -> str | None:
        """Return its template's name: from the facts, the list of all, or as it was asked for."""
        label = _template_of(workflow)
        listed = None if label is None else self._context.templates.names.get(label[1])
        known = plain(workflow.facts.get("template.name", listed))
        return known or (None if label is None else self._label(label))

    def _label(self, label: Label) -> str | None:
        _, name = self._context.templates.labels.get(label, (None, None))
        return name

    def _labels_of(self, workflow: Workflow) -> Iterator[Label]:
        """Yield the users and the template whose names the facts and the list do not have."""
        template = _template_of(workflow)
        if template is not None and self._template(workflow) is None:
            yield template
        yield from (("user", user) for user in _starter_and_waiting(workflow) if user is not None)


def _condemned(plan: Plan) -> list[Workflow]:
    decisions = (planned.decision for planned in plan.planned)
    return [one.workflow for one in decisions if one.workflow and one.action in KILLING]


def _known_titles(plans: Sequence[Plan], readings: Mapping[str, Reading]) -> dict[Document, Title]:
    """Return the titles that came with the facts."""
    found: dict[Document, Title] = {}
    for plan in plans:
        reading = readings.get(plan.job.ref)
        if plan.job.document is not None and reading is not None and reading.title is not None:
            found[plan.job.document] = reading.title
    return found


def _template_of(workflow: Workflow) -> Label | None:
    template_id = plain(workflow.facts.get("workflow.template_id"))
    return None if template_id is None else ("template", template_id)


def _starter_and_waiting(workflow: Workflow) -> tuple[str | None, ...]:
    """Return the ids of who started a workflow, and of those it waits for where rules asked."""
    starter = plain(workflow.facts.get("workflow.started_by"))
    waiting = workflow.facts.get("waiting_for.id")
    others = map(plain, waiting) if isinstance(waiting, list) else ()
    return (None if starter in (None, "0") else starter, *others)
