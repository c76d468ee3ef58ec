"""Writes a log as the service does: facts are judged by rules, and what follows is recorded."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from responder.authoring.backtest.backtest import Backtest
from responder.authoring.backtest.result import Result
from responder.bitrix24.fetch.document_facts import Reading
from responder.journal import record as journal
from responder.journal.entries import NewEvaluation
from responder.journal.record import Recorded
from responder.judge import planner
from responder.judge.jobs import Job
from responder.judge.plans import Known
from responder.judge.run_scope import Condemned
from responder.model import Document, Trigger, Unknown, Workflow
from responder.rules.decide import judge
from responder.rules.keep import Candidate, choose
from responder.rules.ruleset import Ruleset, load
from responder.store import rulesets
from responder.store.database.database import Database
from responder.store.database.tables import deliveries
from responder.store.inbox import inbox
from tests.rules.make import DEAL, a_situation, in_a_file

NOW = datetime(2026, 9, 24, 9, tzinfo=UTC)
UPDATED = ("ONCRMDEALUPDATE",)


def rules(text: str, head: str = "") -> Ruleset:
    return load(in_a_file(text, head).encode(), file="rules.yaml")


def deal(number: int) -> Document:
    return replace(DEAL, item_id=str(number), id=f"DEAL_{number}")


@dataclass(slots=True)
class PastRules:
    """A log in which these rules decided, minute by minute."""

    database: Database
    ruleset: Ruleset
    known: Known = field(default_factory=Known)
    now: datetime = NOW

    def happened(
        self,
        facts: Mapping[str, object],
        *workflows: Workflow,
        document: Document = DEAL,
        trigger: Trigger = "event",
        events: tuple[str, ...] = UPDATED,
        only: str | None = None,
        as_before: bool = False,
        unlisted: Unknown | None = None,
    ) -> Recorded:
        """Judge and record; `as_before` as the version before did, without the other rows."""
        job = Job(
            portal="main",
            document=document,
            trigger=trigger,
            events=events if trigger == "event" else (),
            only=only,
        )
        reading = Reading({"document.exists": True, **facts}, unlisted or workflows, None)
        plan = planner.plan(
            job, reading, self.ruleset, enforcing=True, known=self.known, now=self.now
        )
        if as_before:
            plan = replace(plan, running=None)
        return self.record(plan.evaluation(self.ruleset, self.now))

    def record(self, evaluation: NewEvaluation) -> Recorded:
        """Write an evaluation, and go on by a minute."""

        def write(tx: Connection) -> Recorded:
            rulesets.keep(tx, self.ruleset.revision, self.ruleset.text, self.now)
            return journal.record(tx, evaluation)

        recorded = self.database.write(write)
        self.now += timedelta(minutes=1)
        return recorded

    def unnamed(self, *documents: str, event: str = "ONCRMLEADUPDATE") -> None:
        """Receive what no rule names, and conclude it in bulk."""

        def receive(tx: Connection) -> list[int]:
            row = partial(inbox.row, "main", self.now, "event", event)
            inbox.add(tx, [row(name, None, b"x=1") for name in documents])
            waiting = deliveries.c.evaluation.is_(None)
            return [row.id for row in tx.execute(deliveries.select().where(waiting))]

        ids = self.database.write(receive)
        jobs = [
            Job(
                portal="main",
                document=DEAL,
                trigger="event",
                events=(event,),
                deliveries=tuple(ids),
                received_at=self.now,
            )
        ]
        for plan in planner.without_rules("main", jobs):
            self.record(plan.evaluation(self.ruleset, self.now))

    def swept(
        self,
        facts: Mapping[str, object],
        *workflows: Workflow,
        trigger: Trigger = "sweep",
        document: Document = DEAL,
    ) -> None:
        """Record what a run found on a document, if it condemned something."""
        situation = a_situation(facts, workflows, trigger=trigger, events=(), document=document)
        chosen = self.ruleset.in_question(trigger, (), document.kind, "main")
        choices = {
            rule.id: choose(
                (
                    Candidate(document.ref, one, rule.keep.group({**facts, **one.facts}))
                    for one in workflows
                ),
                rule.keep,
                self.ruleset.zone,
            )
            for rule in chosen
            if rule.keep is not None
        }
        judgement = judge(
            self.ruleset, situation, enforcing=True, now=self.now, rules=chosen, choices=choices
        )
        found = Condemned(
            job=Job(portal="main", document=document, trigger=trigger, events=()),
            facts={**facts, "event.name": ()},
            workflows=tuple(workflows),
            judgement=judgement,
        )
        plan = planner.of_run(found, self.ruleset, known=Known(), now=self.now)
        if plan.planned:
            self.record(plan.evaluation(self.ruleset, self.now))

    def tried(
        self,
        text: str,
        *,
        against: Ruleset | None = None,
        since: datetime = NOW - timedelta(days=1),
        portal: str | None = None,
        head: str = "",
    ) -> Result:
        """Try other rules on the log."""
        trial = Backtest(
            database=self.database, new=rules(text, head), since=since, against=against
        )
        return trial.run(trial.spans(portal), lambda _entries: None)
