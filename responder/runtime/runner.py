"""Runs what time brings, a step a round, and writes what it found.

Theory of operation: see `sweep`. A run that is under way is kept in memory alone; what is durable
is when each run was due last, and what people asked for.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog

from responder.bitrix24.changes import last_changed
from responder.model import ACTING_MODES, OPEN_OUTCOMES, Mode, Outcome, Unknown
from responder.runtime import planning, sweep
from responder.runtime.budget import Budget, Hold
from responder.runtime.knowing import known_of
from responder.runtime.means import Means
from responder.runtime.planning import Known, Planned
from responder.runtime.sweep import Due, Found, Run
from responder.runtime.taking import ask_first
from responder.store import approvals, inbox, journal, rulesets, runs
from responder.store.commits import StoreUnavailable
from responder.store.database import Connection
from responder.store.journal import NewEvaluation
from responder.store.lanes import LeaseLost
from responder.store.runs import Request

LOOK_EVERY = timedelta(seconds=1)
FAILED_AGAIN = timedelta(seconds=60)
SILENCE = timedelta(minutes=15)  # far longer than a delivery takes
ROWS = 100  # evaluations in one transaction: acknowledging must not wait for a whole run

log = structlog.get_logger()

Written = tuple[Found, tuple[Planned, ...]]


class Runner:
    """The runs of one portal, under one lease."""

    def __init__(self, means: Means, sweep_every: timedelta) -> None:
        self.portal = means.portal
        self._gate = means.gate
        self._lane = means.lane
        self._database = means.database
        self._rules = means.rules
        self._templates = means.templates
        self._enforcing = means.enforcing
        self._sweep_every = sweep_every
        self._metrics = means.metrics
        self._now = means.now
        self._run: Run | None = None
        self._looked_at: datetime | None = None
        self._not_before: datetime | None = None

    async def step(self) -> bool:
        """Go one request further. Return False when there is nothing to run, or no room."""
        if self._run is not None and self._run.ruleset is not self._rules.ruleset:
            self._run = None  # other rules: from the beginning
        if self._run is None:
            self._run = await self._next()
        run = self._run
        if run is None or not self._lane.has_room():
            return False
        try:
            await self._go_on(run)
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception as error:
            # Given up, it is not read again at once, and for ever.
            log.exception("a run could not be judged", portal=self.portal)
            await self._give_up(run, f"a fault of ours ({type(error).__name__})")
        return True

    async def _go_on(self, run: Run) -> None:
        more = await run.survey.step(self._lane.send)
        if run.due.request is not None:
            await self._progress(run, run.due.request)
        failure = run.survey.failure
        if failure is not None:
            await self._give_up(run, f"{failure.code}: {failure.text}")
        elif not more:
            await self._finish(run)

    async def _next(self) -> Run | None:
        """Find what is due: first what somebody asked for, then schedules, then the sweep."""
        now = self._now()
        early = self._looked_at is not None and abs(now - self._looked_at) < LOOK_EVERY
        if early or self._waits(now):
            return None
        self._looked_at, self._not_before = now, None
        ruleset = self._rules.ruleset

        def read(conn: Connection) -> tuple[Request | None, dict[str, datetime]]:
            return runs.asked(conn, self.portal), runs.last(conn, self.portal)

        request, last = await self._database.reading(read)
        dues, new = sweep.due_now(
            ruleset, self.portal, last=last, sweep_every=self._sweep_every, now=now
        )
        if new:
            await self._gate.write(lambda tx: self._begin_to_count(tx, new, now))
        if request is not None:
            return self._begin(sweep.requested(request, ruleset, self.portal))
        return self._begin(dues[0]) if dues else None

    def _waits(self, now: datetime) -> bool:
        """Say whether a run failed just now; a clock that was set back must not lengthen it."""
        until = self._not_before
        return until is not None and now < until <= now + FAILED_AGAIN

    def _begin_to_count(self, tx: Connection, new: Sequence[str], now: datetime) -> None:
        for key in new:
            runs.ran(tx, self.portal, key, now)

    def _begin(self, due: Due) -> Run:
        observe = due.request is not None and due.request.observe
        return Run(
            portal=self.portal,
            due=due,
            ruleset=self._rules.ruleset,
            enforcing=self._enforcing and not observe,
            templates=self._templates,
            started_at=self._now(),
            now=self._now,
        )

    async def _progress(self, run: Run, request: Request) -> None:
        read, total = run.survey.read, run.survey.total
        await self._gate.write(lambda tx: runs.progress(tx, request.id, read, total))

    async def _give_up(self, run: Run, why: str) -> None:
        """Write that a run could not be made. A sweep comes again; a schedule is tried again."""
        self._run = None
        now = self._now()
        self._not_before = now + FAILED_AGAIN
        self._metrics.runs.labels(run.due.trigger, "failed").inc()
        log.warning("a run was given up", portal=self.portal, why=why)

        def write(tx: Connection) -> None:
            body = self._totals(run, {}, {}) | {"failure": why}
            runs.record(tx, self.portal, now, body)
            if run.due.trigger == "sweep":
                self._note(tx, run)
            if run.due.request is not None:
                runs.finish(tx, run.due.request.id, {"failure": why})

        await self._gate.write(write)

    async def _finish(self, run: Run) -> None:
        """Judge what was read, and write what was found, all sets of it or none."""
        self._run = None
        found = await run.found()
        observe = run.due.request is not None and run.due.request.observe
        known = Known() if observe else await self._known(run, found)
        now = self._now()
        written = [
            (item, planned)
            for item in found
            if (
                planned := planning.of_run(
                    item.judgement.verdicts, run.ruleset, known=known, now=now
                )
            )
        ]
        holds = await self._open(run, written)
        if run.due.request is not None and observe:
            await self._answer(run, run.due.request, written, holds)
            return
        for start in range(0, len(written), ROWS):
            chunk = written[start : start + ROWS]
            await self._gate.write(partial(self._record, run=run, chunk=chunk, holds=holds))
        await self._close(run, written, holds)
        self._tell(run, written)
        if run.due.trigger == "sweep":
            await self._listen(run)

    async def _listen(self, run: Run) -> None:
        """Raise the alarm when documents change and a webhook once heard says nothing of it."""
        heard = await self._database.reading(lambda conn: inbox.last_received(conn, self.portal))
        silent = False
        if heard is not None and self._now() - heard > SILENCE:
            triggers = [one for rule in run.due.rules for one in rule.triggers or () if one.events]
            changed = await last_changed(self._lane.send, {one.brings for one in triggers})
            silent = changed is not None and changed - heard > SILENCE
        if silent and not self._lane.silent:
            log.error(
                "the webhook has fallen silent while documents change",
                portal=self.portal,
                last_event_at=heard,
            )
        self._lane.silent = silent
        self._metrics.webhook_silent.labels(self.portal).set(silent)

    async def _known(self, run: Run, found: Sequence[Found]) -> Known:
        ids = [verdict.workflow.id for item in found for verdict in item.judgement.verdicts]
        return await known_of(self._database, self.portal, ids, run.ruleset.revision)

    async def _open(self, run: Run, written: Sequence[Written]) -> dict[str, Hold | str]:
        """Ask for each rule whether all it condemned may be begun; for observing ones, in words."""
        acting, observed = _sets(written)
        running = run.survey.running

        def work(tx: Connection) -> dict[str, Hold | str]:
            budget = Budget(tx, self.portal, run.ruleset, self._metrics, self._now())
            holds: dict[str, Hold | str] = {}
            for rule, workflows in acting.items():
                hold = budget.hold_run(rule, workflows, running)
                if hold is not None:
                    holds[rule] = hold
            for rule, workflows in observed.items():
                why = budget.over_in_run(rule, len(workflows), running)
                if why is not None:
                    holds.setdefault(rule, f"enforced, the rule would have tripped: {why}")
            return holds

        return await self._gate.write(work)

    def _record(
        self,
        tx: Connection,
        run: Run,
        chunk: Sequence[Written],
        holds: Mapping[str, Hold | str],
    ) -> None:
        now = self._now()
        rulesets.keep(tx, run.ruleset.revision, run.ruleset.text, now)
        for item, planned in chunk:
            decisions = [one.held(holds) for one in planned if self._is_free(tx, one, now)]
            if not decisions:
                continue
            evaluation = NewEvaluation(
                portal=self.portal,
                at=now,
                trigger=run.due.trigger,
                document=item.document,
                ruleset=run.ruleset.revision,
                facts=item.facts,
                running=item.workflows,
                decisions=tuple(one.decision for one in decisions),
            )
            recorded = journal.record(tx, evaluation)
            for decision_id, one in zip(recorded.decisions, decisions, strict=True):
                hold = holds.get(one.decision.rule or "")
                if one.decision.outcome is Outcome.HELD and isinstance(hold, Hold):
                    journal.postpone(
                        tx,
                        decision_id,
                        Outcome.HELD,
                        due_at=None,
                        tries=0,
                        detail=hold.why,
                        hold=hold.by,
                    )
                elif one.decision.mode is Mode.APPROVE and one.step is not None:
                    ask_first(tx, decision_id, one.step, run.name)

    def _is_free(self, tx: Connection, one: Planned, now: datetime) -> bool:
        """Tell whether a stop may be opened; clear what waits to be approved and is overtaken."""
        decision = one.decision
        if not one.overtakes or decision.workflow is None or decision.rule is None:
            return True
        workflow_id, rule = decision.workflow.id, decision.rule
        return approvals.overtake(tx, self.portal, workflow_id, rule, now)

    async def _close(
        self, run: Run, written: Sequence[Written], holds: Mapping[str, Hold | str]
    ) -> None:
        """Write the run's own entry with its totals, and note it as done."""
        now = self._now()

        def write(tx: Connection) -> None:
            runs.record(tx, self.portal, now, self._totals(run, _counts(written), holds))
            self._note(tx, run)

        await self._gate.write(write)
        if run.due.request is not None:
            await self._answer(run, run.due.request, written, holds)

    def _note(self, tx: Connection, run: Run) -> None:
        for key, at in run.due.keys:
            runs.ran(tx, self.portal, key, at)

    async def _answer(
        self,
        run: Run,
        request: Request,
        written: Sequence[Written],
        holds: Mapping[str, Hold | str],
    ) -> None:
        result = {
            **self._totals(run, _counts(written), holds),
            "found": [_told(item, one.held(holds)) for item, planned in written for one in planned],
        }
        await self._gate.write(lambda tx: runs.finish(tx, request.id, result))

    def _totals(
        self, run: Run, condemned: Mapping[str, int], holds: Mapping[str, Hold | str]
    ) -> dict[str, object]:
        return {
            "trigger": run.due.trigger,
            "rules": [rule.id for rule in run.due.rules],
            "ruleset": run.ruleset.revision,
            "started_at": run.started_at,
            "running": run.survey.running,
            "read": run.survey.read,
            "judged": run.judged,
            "condemned": dict(condemned),
            "held": {
                rule: hold.why if isinstance(hold, Hold) else hold for rule, hold in holds.items()
            },
            "asked_by": run.due.request.by if run.due.request is not None else None,
        }

    def _tell(self, run: Run, written: Sequence[Written]) -> None:
        counts = _counts(written)
        self._metrics.runs.labels(run.due.trigger, "complete").inc()
        took = (self._now() - run.started_at).total_seconds()
        self._metrics.run_seconds.labels(run.due.trigger).observe(max(0.0, took))
        for decision in (one.decision for _, planned in written for one in planned):
            if decision.outcome is not None and decision.outcome not in OPEN_OUTCOMES:
                self._metrics.decided(decision.action.value, decision.outcome.value, decision.rule)
        if run.due.trigger == "sweep":
            self._metrics.found_by_sweep.inc(sum(counts.values()))
        log.info(
            "a run is complete",
            portal=self.portal,
            trigger=run.due.trigger,
            running=run.survey.running,
            condemned=counts,
        )


def _sets(written: Sequence[Written]) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Group what was condemned by rule: what acts, asking first or not, and what is observed."""
    acting: dict[str, set[str]] = {}
    observed: dict[str, set[str]] = {}
    for _, planned in written:
        for one in planned:
            rule, workflow = one.decision.rule, one.decision.workflow
            if rule is not None and workflow is not None:
                into = acting if one.decision.mode in ACTING_MODES else observed
                into.setdefault(rule, set()).add(workflow.id)
    return acting, observed


def _counts(written: Sequence[Written]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for _, planned in written:
        for one in planned:
            rule = one.decision.rule or ""
            counts[rule] = counts.get(rule, 0) + 1
    return counts


def _told(item: Found, planned: Planned) -> dict[str, object]:
    decision = planned.decision
    workflow = decision.workflow
    return {
        "document": item.document.ref,
        "workflow": None if workflow is None else workflow.id,
        "template_id": None
        if workflow is None
        else _plain(workflow.facts.get("workflow.template_id")),
        "rule": decision.rule,
        "action": decision.action.value,
        "outcome": None if decision.outcome is None else decision.outcome.value,
        "detail": decision.detail,
    }


def _plain(value: object) -> object:
    return None if isinstance(value, Unknown) else json.loads(json.dumps(value, default=str))
