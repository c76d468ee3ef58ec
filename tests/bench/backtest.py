"""Judges 100,000 recorded decisions by other rules: how long it takes, and what it holds meanwhile.

The log is written as the service writes it, but for the hashes: ten rules of three tests, two
workflows on each document, and every fourth evaluation condemns one of them.
"""

import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from responder.authoring.backtest.backtest import Backtest
from responder.bitrix24.fetch.document_facts import Reading
from responder.journal import chain
from responder.journal import entries as shapes
from responder.journal.entries import NewEvaluation
from responder.judge import planner
from responder.judge.jobs import Job
from responder.judge.plans import Known
from responder.model import Document, Workflow
from responder.rules.ruleset import Ruleset, load
from responder.store import canonical_json, rulesets
from responder.store.database.database import Connection, Database
from responder.store.database.tables import chains, decisions, entries, evidence
from tests.bench.figures import Figure

T = TypeVar("T")

DECISIONS = 100_000
AT = datetime(2026, 9, 1, tzinfo=UTC)
ROWS = 1_000


def measure() -> list[Figure]:
    """Measure once."""
    with tempfile.TemporaryDirectory() as folder:
        database = Watched(f"sqlite:///{Path(folder) / 'log.db'}")
        database.open()
        database.migrate()
        made = fill(database, ruleset(61), DECISIONS)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began, worked = time.perf_counter(), time.process_time()
        found = tried(database)
        seconds, work = time.perf_counter() - began, time.process_time() - worked
        assert found == made
        longest = database.longest
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        database.close()
    return [
        Figure("backtest of 100,000 recorded decisions", seconds, "s", at_most=30),
        Figure("backtest, of that its own work", work, "s"),
        Figure("backtest, longest read transaction", longest * 1_000, "ms", at_most=100),
        Figure("backtest, memory it takes", held / 1e3, "MB"),
    ]


class Watched(Database):
    """A database that remembers its longest read transaction."""

    longest = 0.0

    def read(self, fn: Callable[[Connection], T]) -> T:
        """Read as ever."""
        began = time.perf_counter()
        try:
            return super().read(fn)
        finally:
            self.longest = max(self.longest, time.perf_counter() - began)


def tried(database: Database) -> int:
    """Try rules that condemn other workflows; return how many evaluations that were."""
    trial = Backtest(database=database, new=ruleset(7), since=AT)
    return trial.run(trial.spans(None), lambda _entries: None).evaluations


def ruleset(template: int) -> Ruleset:
    """Make ten rules of three tests, of which the last one may act."""
    rules = [
        f"  - {{id: r{n}, when: [deal.updated], then: kill, if: {{deal.stage_semantic_id: F, "
        f"deal.category_id: {n}, workflow.template_id: {template}}}}}"
        for n in range(10)
    ]
    return load("\n".join(["version: 1", "rules:", *rules]).encode(), file="rules.yaml")


def fill(database: Database, rules: Ruleset, number: int) -> int:
    """Write evaluations until there are so many decisions; return how many they are."""
    written, seq = 0, 0
    database.write(lambda tx: rulesets.keep(tx, rules.revision, rules.text, AT))
    while written < number:
        some = [(seq + place, evaluation(rules, seq + place)) for place in range(1, ROWS + 1)]
        with database.writer.begin() as tx:
            written += write(tx, some)
        seq += ROWS
    head = {"portal": "main", "seq": seq, "hash": chain.GENESIS}
    database.write(lambda tx: tx.execute(chains.insert(), head))
    return seq


def write(tx: Connection, some: list[tuple[int, NewEvaluation]]) -> int:
    """Write evaluations in bulk, and return how many decisions they have."""
    at = {"portal": "main"}
    bodies = [
        {
            **at,
            "seq": seq,
            "kind": "evaluation",
            "at": one.at,
            "hash": chain.GENESIS,
            "body": canonical_json.canonical({**shapes.body(one), "evidence": chain.GENESIS}),
        }
        for seq, one in some
    ]
    kept = [
        {**at, "seq": seq, "salt": "0", "content": canonical_json.canonical(shapes.evidence(one))}
        for seq, one in some
    ]
    rows = [
        shapes.index_row(one, decision, seq, n)
        for seq, one in some
        for n, decision in enumerate(one.decisions, start=1)
    ]
    tx.execute(entries.insert(), bodies)
    tx.execute(evidence.insert(), kept)
    tx.execute(decisions.insert(), rows)
    return len(rows)


def evaluation(rules: Ruleset, seq: int) -> NewEvaluation:
    """Judge one event as the service does."""
    now = AT + timedelta(seconds=seq)
    deal = Document(
        kind="deal",
        item_id=str(seq),
        module="crm",
        entity="CCrmDocumentDeal",
        id=f"DEAL_{seq}",
    )
    facts = {
        "document.exists": True,
        "deal.stage_semantic_id": "P" if seq % 4 else "F",
        "deal.category_id": str(seq % 10),
    }
    running = tuple(workflow(f"{seq:x}.{template}", template) for template in (61, 7))
    job = Job(portal="main", document=deal, trigger="event", events=("ONCRMDEALUPDATE",))
    reading = Reading(dict(facts), running, None)
    plan = planner.plan(job, reading, rules, enforcing=True, known=Known(), now=now)
    return plan.evaluation(rules, now)


def workflow(name: str, template: int) -> Workflow:
    """Make the row of a workflow."""
    row: dict[str, object] = {"id": name, "template_id": str(template), "started_by": "7"}
    row |= {"started": "2026-08-20T12:00:00+03:00", "modified": "2026-08-23T12:00:00+03:00"}
    row["owned_until"] = None
    return Workflow(id=name, facts={f"workflow.{key}": value for key, value in row.items()})
