"""Builds jobs, the units of judging, from deliveries, second looks and stops that are due.

A second look judges a document once more, some seconds after an event or a stop.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from responder.bitrix24 import documents
from responder.bitrix24.fetch.document_facts import Ask, Reading
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
    """One thing to judge, whatever its cause: an event, a second look, a run, a stop that waited.

    A job determines from start to end which rules are asked: those that its trigger and events set
    off, or, where these do not determine them, the rules in `asked`. `only` restricts the judgement
    to one workflow. The evaluation concludes the job's deliveries; a second look and a stop have
    none.
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
        """Return the document's name; the empty text where there is none."""
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
            if self.trigger == "schedule":  # a rule whose schedules were removed acts no more
                asked &= {rule.id for rule in ruleset.scheduled(self.portal)}
            return ruleset.with_guards(asked, kind, self.portal)
        return ruleset.in_question(self.trigger, self.events, kind, self.portal)

    def choices(self, ruleset: Ruleset, listed: Sequence[Workflow] | Unknown) -> dict[str, Choice]:
        """Return the choices of rules with `keep` that this document alone does not determine.

        An event is judged on its own document, and `keep` chooses among what runs there. A run
        chooses over all documents; judged for one of them alone, it is unknown which workflows that
        choice would spare, so all are spared. The rule that condemned a stop repeats the choice
        that is stored with the stop (`recheck`).
        """
        if self.trigger not in RUNS or isinstance(listed, Unknown):
            return {}
        elsewhere = (
            rule for rule in self.rules(ruleset) if rule.keep and DOCUMENT not in rule.keep.per
        )
        ids = [workflow.id for workflow in listed]
        return {rule.id: spare_all(ids, CHOSEN_IN_RUNS) for rule in elsewhere}

    def situation(self, reading: Reading) -> Situation:
        """Build what the judgement rests on: trigger, events, document, facts and workflows."""
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
    """Jobs that are read and judged in one round, the rules for them, and how to read them."""

    jobs: Sequence[Job]
    ruleset: Ruleset
    by_pages: bool = False

    def ready(self, deferred: Collection[str]) -> list[Job]:
        """Return the jobs to judge now: all stops, and others whose document could be read."""
        return [job for job in self.jobs if job.stop is not None or job.ref not in deferred]


def of_waiting(portal: str, waiting: Waiting) -> Job:
    """Build a job from deliveries on one document that one evaluation concludes."""
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
    """Build one job from deliveries that no rule names, the newest of them last."""
    return Job(
        portal=portal,
        document=None,
        trigger="event",
        events=newest_last(one.event for one in alike),
        deliveries=tuple(delivery for one in alike for delivery in one.ids),
        received_at=min(one.received_at for one in alike),
    )


def of_look(portal: str, look: Look) -> Job:
    """Build a job from a second look."""
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
    """Build a job from a waiting stop that is judged afresh."""
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
    """Return the rules that a second look after a stop asks: those that the stop itself asks."""
    asked = of_stop(stop).asked
    return None if asked is None else frozenset(asked)


def _rules_to_ask(
    trigger: Trigger, asked: Collection[str] | None, *condemned: str
) -> tuple[str, ...] | None:
    """Return the rules to be asked again; None where trigger and events determine them.

    The version before did not store which rules a run asked: then it is the rule that condemned.
    """
    if asked is not None:
        return tuple(sorted(asked))
    return condemned if trigger == "schedule" or (condemned and trigger in RUNS) else None


def asks(jobs: Iterable[Job], ruleset: Ruleset) -> dict[str, Ask]:
    """Return what to read, by document: one `Ask` for all jobs on it."""
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
    """Return the ids of workflows that `keep` spared when these stops were condemned.

    They must still run for the stops to be valid.
    """
    stops = (job.stop for job in ready if job.stop is not None)
    return {one for stop in stops if stop.spared is not None for one in stop.spared.ids}


def refs(due: Iterable[Job]) -> list[str]:
    """Return the names of the documents that jobs concern, each once, in their order."""
    return list(dict.fromkeys(job.ref for job in due))


def on(documents: Collection[str], due: Iterable[Job]) -> list[Job]:
    """Return the jobs that concern these documents."""
    names = set(documents)
    return [job for job in due if job.ref in names]


def split(due: Sequence[Job], ruleset: Ruleset) -> tuple[list[Job], list[Job]]:
    """Return the jobs that some rule is asked about, and those that no rule names."""
    matched: list[Job] = []
    unmatched: list[Job] = []
    for one in due:
        (matched if one.stop is not None or one.rules(ruleset) else unmatched).append(one)
    return matched, unmatched
