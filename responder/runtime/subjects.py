"""What a driver has to judge: waiting deliveries, second looks and stops that are due."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from responder.bitrix24 import documents
from responder.bitrix24.lookup import Ask, Reading
from responder.model import Document, Situation, Trigger
from responder.rules.ruleset import Rule, Ruleset, paths
from responder.store.inbox import Alike, Waiting, newest_last
from responder.store.journal import Stop
from responder.store.looks import Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One thing to judge, whatever brought it up.

    `only` restricts the judgement to one workflow. Deliveries are concluded by the evaluation; a
    second look and a stop conclude none.
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

    @property
    def ref(self) -> str:
        """Name the document; the empty text where there is none."""
        return "" if self.document is None else self.document.ref

    @property
    def newest(self) -> str | None:
        """Return the newest event's name; None for a robot call."""
        return self.events[-1] if self.events else None

    def rules(self, ruleset: Ruleset) -> tuple[Rule, ...]:
        """Return the rules in question, in reading order."""
        if self.document is None:
            return ()
        kind = self.document.kind
        if self.trigger in ("sweep", "schedule") and self.stop is not None:
            due = [rule for rule in ruleset.rules if rule.id == self.stop.rule]
            return ruleset.with_guards(due, kind, self.portal, trigger=self.trigger)
        return ruleset.in_question(self.trigger, self.events, kind, self.portal)

    def situation(self, reading: Reading) -> Situation:
        """Put together what the judgement rests on."""
        assert self.document is not None
        facts = dict(reading.facts)
        facts["event.name"] = self.events
        facts["document.kind"] = self.document.kind
        facts["document.id"] = self.document.item_id
        return Situation(
            portal=self.portal,
            trigger=self.trigger,
            events=self.events,
            document=self.document,
            facts=facts,
            workflows=reading.workflows,
        )


def of_waiting(portal: str, waiting: Waiting) -> Subject:
    """Make a subject of deliveries that are judged together."""
    ref = waiting.document_ref
    return Subject(
        portal=portal,
        document=documents.parse_ref(ref) if ref is not None else None,
        trigger=waiting.trigger,
        events=waiting.events,
        only=waiting.workflow_id,
        deliveries=waiting.ids,
        received_at=waiting.received_at,
    )


def together(portal: str, alike: Sequence[Alike]) -> Subject:
    """Make one subject of deliveries that no rule is asked about, the newest of them last."""
    return Subject(
        portal=portal,
        document=None,
        trigger="event",
        events=newest_last(one.event for one in alike),
        deliveries=tuple(delivery for one in alike for delivery in one.ids),
        received_at=min(one.received_at for one in alike),
    )


def of_look(portal: str, look: Look) -> Subject:
    """Make a subject of a second look."""
    return Subject(
        portal=portal,
        document=documents.parse_ref(look.document_ref),
        trigger=look.trigger,
        events=look.event_names,
        only=look.workflow_id,
        look=look,
    )


def of_stop(stop: Stop) -> Subject:
    """Make a subject of a stop that is judged afresh."""
    return Subject(
        portal=stop.portal,
        document=stop.document,
        trigger=stop.trigger,
        events=stop.event_names,
        only=stop.workflow_id,
        stop=stop,
    )


def asks(subjects: Iterable[Subject], ruleset: Ruleset) -> dict[str, Ask]:
    """Say what to read: one question a document, for all subjects that speak of it."""
    wanted: dict[str, Ask] = {}
    for subject in subjects:
        if subject.document is None:
            continue
        ref = subject.document.ref
        needed = paths(subject.rules(ruleset))
        known = wanted.get(ref)
        if known is not None:
            needed |= known.paths
        wanted[ref] = Ask(subject.document, needed)
    return wanted
