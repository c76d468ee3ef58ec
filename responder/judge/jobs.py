"""What a driver has to judge: waiting deliveries, second looks and stops that are due."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from responder.bitrix24 import documents
from responder.bitrix24.fetch.lookup import Ask, Reading
from responder.journal.open_stops import Stop
from responder.model import Document, Situation, Trigger, Unknown, Workflow
from responder.rules.facts import derived
from responder.rules.keep import DOCUMENT, Choice, spare_all
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset, paths
from responder.store.inbox.inbox import Alike, Waiting, newest_last
from responder.store.inbox.second_looks import Look
from responder.store.limits import RUNS

CHOSEN_IN_RUNS = "it is chosen over all documents, in the next run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One thing to judge, whatever brought it up: an event, a look, a run, a stop that waited.

    It says from the start to the end which rules are asked: those that its trigger and events set
    off, or, where these do not tell, the rules in `asked`. `only` restricts the judgement to one
    workflow. Deliveries are concluded by the evaluation; a second look and a stop conclude none.
    """

    portal: str
    document: Document | None
    trigger: Trigger
    events: tuple[str, ...]
    only: str | None = None
    deliveries: tuple[int, ...] = ()
    received_at: datetime | None = None
    look: Look | None = None
    stop: Stop | None = None
    asked: tuple[str, ...] | None = None

    @property
    def ref(self) -> str:
        """Name the document; the empty text where there is none."""
        return "" if self.document is None else self.document.ref

    @property
    def newest(self) -> str | None:
        """Return the newest event's name; None for a robot call."""
        return self.events[-1] if self.events else None

    def rules(self, ruleset: Ruleset) -> tuple[Rule, ...]:
        """Return the rules in question with their guards, in reading order."""
        if self.document is None:
            return ()
        kind = self.document.kind
        if self.asked is not None:
            asked = set(self.asked)
            if self.trigger == "schedule":  # a rule that has none any more acts after none
                asked &= {rule.id for rule in ruleset.scheduled(self.portal)}
            return ruleset.with_guards(asked, kind, self.portal)
        return ruleset.in_question(self.trigger, self.events, kind, self.portal)

    def choices(self, ruleset: Ruleset, listed: Sequence[Workflow] | Unknown) -> dict[str, Choice]:
        """Return whom `keep` spares where this document alone does not tell.

        An event sees its own document alone, and chooses among what runs on it. A run chooses over
        all documents: of one of them, judged for itself, it is unknown who would be spared. What a
        stop was condemned by stands with it.
        """
        if self.trigger not in RUNS or isinstance(listed, Unknown):
            return {}
        elsewhere = (
            rule for rule in self.rules(ruleset) if rule.keep and DOCUMENT not in rule.keep.per
        )
        ids = [workflow.id for workflow in listed]
        return {rule.id: spare_all(ids, CHOSEN_IN_RUNS) for rule in elsewhere}

    def situation(self, reading: Reading) -> Situation:
        """Put together what the judgement rests on."""
        assert self.document is not None
        return Situation(
            portal=self.portal,
            trigger=self.trigger,
            events=self.events,
            document=self.document,
            facts={**reading.facts, **derived.of_judgement(self.events, self.document)},
            workflows=reading.workflows,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobBatch:
    """Jobs that are read and judged together, and by which rules."""

    jobs: Sequence[Job]
    ruleset: Ruleset
    by_pages: bool = False

    def ready(self, deferred: Collection[str]) -> list[Job]:
        """Return those that are judged: stops, and others where their document could be read."""
        return [job for job in self.jobs if job.stop is not None or job.ref not in deferred]


def of_waiting(portal: str, waiting: Waiting) -> Job:
    """Make a job of deliveries that are judged together."""
    ref = waiting.document_ref
    return Job(
        portal=portal,
        document=documents.parse_ref(ref) if ref is not None else None,
        trigger=waiting.trigger,
        events=waiting.events,
        only=waiting.workflow_id,
        deliveries=waiting.ids,
        received_at=waiting.received_at,
    )


def of_unmatched(portal: str, alike: Sequence[Alike]) -> Job:
    """Make one job of deliveries that no rule is asked about, the newest of them last."""
    return Job(
        portal=portal,
        document=None,
        trigger="event",
        events=newest_last(one.event for one in alike),
        deliveries=tuple(delivery for one in alike for delivery in one.ids),
        received_at=min(one.received_at for one in alike),
    )


def of_look(portal: str, look: Look) -> Job:
    """Make a job of a second look."""
    return Job(
        portal=portal,
        document=documents.parse_ref(look.document_ref),
        trigger=look.trigger,
        events=look.event_names,
        only=look.workflow_id,
        look=look,
        asked=_rules_to_ask(look.trigger, look.asked),
    )


def of_stop(stop: Stop) -> Job:
    """Make a job of a stop that is judged afresh."""
    return Job(
        portal=stop.portal,
        document=stop.document,
        trigger=stop.trigger,
        events=stop.event_names,
        only=stop.workflow_id,
        stop=stop,
        asked=_rules_to_ask(stop.trigger, stop.asked, stop.rule),
    )


def asked_again(stop: Stop) -> frozenset[str] | None:
    """Return the rules that a look after a stop asks: those that the stop itself asks again."""
    asked = of_stop(stop).asked
    return None if asked is None else frozenset(asked)


def _rules_to_ask(
    trigger: Trigger, asked: Collection[str] | None, *condemned: str
) -> tuple[str, ...] | None:
    """Return the rules to be asked again; None where trigger and events tell.

    The version before did not keep what a run asked: then it is the rule that condemned.
    """
    if asked is not None:
        return tuple(sorted(asked))
    return condemned if trigger == "schedule" or (condemned and trigger in RUNS) else None


def asks(jobs: Iterable[Job], ruleset: Ruleset) -> dict[str, Ask]:
    """Say what to read: one question a document, for all jobs that speak of it."""
    wanted: dict[str, Ask] = {}
    for job in jobs:
        if job.document is None:
            continue
        ref = job.document.ref
        needed, stops = paths(job.rules(ruleset)), frozenset[str]()
        if job.stop is not None:
            stops |= {job.stop.workflow_id}
        known = wanted.get(ref)
        if known is not None:
            needed, stops = needed | known.paths, stops | known.stops
        wanted[ref] = Ask(job.document, needed, stops)
    return wanted


def kept_workflows(ready: Sequence[Job]) -> set[str]:
    """Name the workflows that were kept when others were condemned, which must still run."""
    stops = (job.stop for job in ready if job.stop is not None)
    return {one for stop in stops if stop.spared is not None for one in stop.spared.ids}


def refs(due: Iterable[Job]) -> list[str]:
    """Name the documents that jobs concern, each once, in their order."""
    return list(dict.fromkeys(job.ref for job in due))


def on(documents: Collection[str], due: Iterable[Job]) -> list[Job]:
    """Return the jobs that concern these documents."""
    names = set(documents)
    return [job for job in due if job.ref in names]


def split(due: Sequence[Job], ruleset: Ruleset) -> tuple[list[Job], list[Job]]:
    """Return what some rule asks about, and what no rule names."""
    matched: list[Job] = []
    unmatched: list[Job] = []
    for one in due:
        (matched if one.stop is not None or one.rules(ruleset) else unmatched).append(one)
    return matched, unmatched
