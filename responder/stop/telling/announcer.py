"""Writes, in a transaction of the gate, whom to tell of a stop in the portal, and in which words.

What is told afterwards is written with the intent of the call, from the facts that condemned, and
waits for its outcome (`journal.telling.tellings`). A warning is written when the wait of its rule
begins, or when approval is asked. A rule that only observes tells nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from responder.bitrix24.fetch.open_tasks import Evidence
from responder.bitrix24.fetch.people import is_waiting
from responder.journal.telling import tellings
from responder.journal.telling.tellings import Kind, NewTelling
from responder.judge.stop_lifecycle import Step
from responder.model import ACTING_MODES, Action, Audience, Document, Mode, Outcome, Unknown
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset
from responder.rules.telling.audiences import WAITS_FOR, title_of
from responder.rules.telling.recipients import recipients
from responder.stop.telling import message_words
from responder.stop.telling.message_words import Approval, Subject
from responder.store.database.database import Connection
from responder.store.limits import APPROVAL

Facts = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condemned:
    """A workflow that a rule condemned, as far as people are told of it."""

    decision_id: str
    rule: str
    mode: Mode | None
    document: Document
    facts: Facts
    workflow: Facts
    condemned_at: datetime


class Announcer:
    """The writer of what is told of one gate transaction's stops."""

    def __init__(self, tx: Connection, ruleset: Ruleset, now: datetime) -> None:
        self._tx = tx
        self._zone = ruleset.zone
        self._now = now
        self._rules = ruleset.telling

    def intended(self, one: Condemned, evidence: Evidence) -> None:
        """Write whom to tell once a call that is intended has stopped the workflow."""
        rule = self._rules.get(one.rule)
        if rule is None or not rule.telling.tell or one.mode not in ACTING_MODES:
            return
        waiting = [task.get("USER_ID") for task in evidence.tasks if is_waiting(task)]
        subject = _subject(one, rule, evidence.template_name)
        workflow = {**one.workflow, WAITS_FOR: waiting}
        tellings.replan(self._tx, one.decision_id)
        self._write(one, Kind.TELL, rule.telling.tell, workflow, message_words.stopped(subject))

    def went_on(self, one: Condemned, step: Step) -> None:
        """Write warnings where a stop's step begins to wait, or asks for approval."""
        rule = self._rules.get(one.rule)
        if rule is None or not rule.telling.warn or one.mode not in ACTING_MODES:
            return
        until = None if rule.wait is None else one.condemned_at + rule.wait
        waits = step.outcome is Outcome.WAITING and not step.call
        at = until if waits and until is not None and until > self._now else None
        if at is None and step.hold != APPROVAL:
            return
        subject = _subject(one, rule, one.workflow.get("template.name"))
        approval = Approval(None if at is not None else step.due_at)
        asks = approval if one.mode is Mode.APPROVE else None
        text = message_words.warning(subject, at=at, asks=asks, zone=self._zone)
        self._write(one, Kind.WARN, rule.telling.warn, one.workflow, text)

    def _write(
        self, one: Condemned, kind: Kind, audiences: Sequence[Audience], workflow: Facts, text: str
    ) -> None:
        new = [
            NewTelling(
                audience=found.audience,
                user=found.user,
                message=text if found.why is None else None,
                why=found.why,
            )
            for found in recipients(audiences, one.document.kind, one.facts, workflow)
        ]
        tellings.write(self._tx, one.decision_id, kind, new, self._now)


def _subject(one: Condemned, rule: Rule, template: object) -> Subject:
    title = one.facts.get(title_of(one.document.kind) or "")
    return Subject(
        decision_id=one.decision_id,
        document=one.document,
        title=_name(title),
        template=_name(template),
        action=Action(rule.then),
        because=rule.because,
    )


def _name(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, Unknown) else None
