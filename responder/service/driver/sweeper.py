"""Makes the runs of sweeps, schedules and requests, one step between rounds, and writes the result.

Theory of operation: see `run_scope`. A run that is under way is kept in memory alone; stored are
the instant at which each run was due last, and people's requests.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from responder.bitrix24.client.answers import explain
from responder.bitrix24.fetch.last_changes import last_changed
from responder.bitrix24.lists.row_warnings import RowWarnings
from responder.journal import run_entries
from responder.judge import planner, run_scope
from responder.judge.context import Context, Interval
from responder.judge.judgement import known_of
from responder.judge.plans import Holds, Known, Plan, RunSets
from responder.judge.run_scope import DueRun, Run
from responder.rules.ruleset import Ruleset
from responder.service.driver import run_report
from responder.service.driver.plan_names import PlanNames
from responder.service.driver.unfinished_runs import UnfinishedRuns
from responder.stop.gate import Gate
from responder.stop.intents import StaleError
from responder.store import limits, sweep_runs
from responder.store.database.database import Connection
from responder.store.database.engines import StoreUnavailable
from responder.store.inbox import inbox
from responder.store.leases import LeaseLost
from responder.store.sweep_runs import Request

LOOK_EVERY = timedelta(seconds=1)
SILENCE = timedelta(minutes=15)  # far longer than a delivery takes
ROWS = 25  # evaluations in one transaction: acknowledging must not wait for a whole run

log = structlog.get_logger()


class Sweeper:
    """The runs of one portal, under one lease."""

    def __init__(self, context: Context, gate: Gate, sweep_every: timedelta) -> None:
        self._context = context
        self._gate = gate
        self._sweep_every = sweep_every
        self._row_warnings = RowWarnings(context.portal, context.now)
        self._run: Run | None = None
        self._interval = Interval(LOOK_EVERY)
        self._unfinished = UnfinishedRuns()
        self._names = PlanNames(context)

    async def step(self) -> bool:
        """Run one more request. Return False when there is nothing to run, or no room."""
        if self._run is not None and self._is_outdated(self._run):
            self._run = None  # it starts anew
        if self._run is None:
            self._run = await self._next()
        run = self._run
        if run is None or not self._context.client.has_room():
            return False
        try:
            await self._step_run(run)
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception as error:
            # Given up, it rests for a minute; otherwise it would be read again at once, for ever.
            log.exception("a run could not be judged", portal=self._context.portal)
            await self._give_up(run, f"a fault of ours ({type(error).__name__})")
        return True

    def _is_outdated(self, run: Run) -> bool:
        """Return whether a run began under other rules, or while the portal was acted upon."""
        other_rules = run.ruleset is not self._context.rules.ruleset
        return other_rules or run.enforcing is not self._enforces(run.due)

    def _enforces(self, due: DueRun) -> bool:
        return self._context.acts and not due.observes

    async def _step_run(self, run: Run) -> None:
        more = await run.survey.step(self._context.client.send)
        if run.due.request is not None:
            await self._progress(run, run.due.request)
        failure = run.survey.failure
        if failure is not None:
            await self._give_up(run, explain(failure))
        elif not more:
            await self._finish(run)

    async def _next(self) -> Run | None:
        """Return the run that is due: one just requested, else the longest overdue."""
        now = self._context.now()
        if not self._interval.is_over(now):
            return None
        ruleset, resting = self._context.rules.ruleset, self._unfinished.resting(now)

        def read(conn: Connection, portal: str) -> tuple[list[Request], dict[str, datetime]]:
            asked = sweep_runs.open_requests(conn, portal, now - sweep_runs.ASKED_FOR)
            if asked and limits.freed(conn, portal, most=1):  # runs skip stops that are still open
                asked = [request for request in asked if request.observe]
            return asked, sweep_runs.last(conn, portal)

        requests, last = await self._context.read(read)
        dues, new = run_scope.due_now(
            ruleset,
            self._context.portal,
            last=last,
            sweep_every=self._sweep_every,
            now=now,
            resting=resting,
        )
        if new:
            await self._gate.write(lambda tx: self._begin_to_count(tx, new, now))
        dues += (
            run_scope.requested(request, ruleset, self._context.portal)
            for request in requests
            if run_scope.request_name(request) not in resting
        )
        first = min(dues, key=lambda due: self._unfinished.order(due, now), default=None)
        # Of the rules by which it is due: those that are in force since then may have no schedule.
        return None if first is None else self._begin(first, ruleset)

    def _begin_to_count(self, tx: Connection, new: Sequence[str], now: datetime) -> None:
        for key in new:
            sweep_runs.record_run(tx, self._context.portal, key, now)

    def _begin(self, due: DueRun, ruleset: Ruleset) -> Run:
        return Run(
            portal=self._context.portal,
            due=due,
            ruleset=ruleset,
            enforcing=self._enforces(due),
            templates=self._context.templates,
            started_at=self._context.now(),
            now=self._context.now,
        )

    async def _progress(self, run: Run, request: Request) -> None:
        read, total = run.survey.read, run.survey.total
        await self._gate.write(lambda tx: sweep_runs.record_progress(tx, request.id, read, total))

    async def _give_up(self, run: Run, why: str) -> None:
        """Write that a run could not be made. It is made again after a minute."""
        self._run = None
        now = self._context.now()
        self._retry_later(run, {}, now)
        self._context.metrics.runs.labels(run.due.trigger, "failed").inc()
        log.warning("a run was given up", portal=self._context.portal, why=why)

        def write(tx: Connection) -> None:
            body = run_report.totals(run, (), {}) | {"failure": why}
            run_entries.record(tx, self._context.portal, now, body)
            if not run.due.observes:
                sweep_runs.record_unread(tx, self._context.portal, run.due.trigger, now)
            if run.due.request is not None:
                self._answer_later(tx, run.due.request, {"failure": why})

        await self._gate.write(write)

    def _retry_later(
        self, run: Run, condemned: Mapping[str, Collection[str]], now: datetime
    ) -> None:
        """Schedule a run again, unless it only shows what it would do: that one is not repeated."""
        if not run.due.observes:
            self._unfinished.add(run.due, condemned, now)

    async def _finish(self, run: Run) -> None:
        """Plan what the run condemned, check its sets, pass the gate, and close the run."""
        self._run = None
        self._row_warnings.warn(run.survey.odd)
        plans = await self._plan(run)
        sets = RunSets.of(plans, run.survey.running, self._unfinished.condemned(run.due))
        try:
            holds = await self._pass_gate(run, plans, sets)
        except StaleError as stale:
            log.info("a run is made again", portal=self._context.portal, why=str(stale))
            return
        if run.unread:
            self._retry_later(run, sets.not_held(holds), self._context.now())
        else:
            self._unfinished.forget(run.due)
        await self._close(run, [plan.held(holds) for plan in plans], holds)
        if run.due.trigger == "sweep" and not run.due.observes:
            await self._check_webhook(run)

    async def _plan(self, run: Run) -> list[Plan]:
        """Judge what was read, and return the plans that condemn something."""
        found, known = await run.found(), Known()
        if not run.due.observes:
            ids = [verdict.workflow.id for item in found for verdict in item.judgement.verdicts]
            known = await known_of(self._context, ids, run.ruleset.revision)
        now = self._context.now()
        made = (planner.of_run(item, run.ruleset, known=known, now=now) for item in found)
        plans = [plan for plan in made if plan.planned]
        if run.due.observes:
            return plans
        return await self._names.named(plans, self._names.wanted(plans, {}))

    async def _pass_gate(self, run: Run, plans: Sequence[Plan], sets: RunSets) -> Holds:
        """Check all sets of a run as a whole, then write its plans, 25 at a time, without calls."""
        holds = await self._gate.begin_run(sets, run.ruleset)
        for start in range(0, 0 if run.due.observes else len(plans), ROWS):
            chunk = plans[start : start + ROWS]
            await self._gate.pass_through(chunk, [], {}, run.ruleset, most_calls=0, holds=holds)
        return holds

    async def _check_webhook(self, run: Run) -> None:
        """Find out whether documents change but a webhook that worked once sends no events."""
        context, silent = self._context, False
        heard = await context.read(inbox.last_received)
        if heard is not None and context.now() - heard > SILENCE:
            triggers = [one for rule in run.due.rules for one in rule.triggers or () if one.events]
            changed = await last_changed(context.client.send, {one.brings for one in triggers})
            silent = changed is not None and changed - heard > SILENCE
        context.client.silent = silent  # an alarm says so (`alarm_watch`)

    async def _close(self, run: Run, plans: Sequence[Plan], holds: Holds) -> None:
        """Write the run's own entry with its totals; record it as done if it read everything."""
        now = self._context.now()
        totals = run_report.totals(run, plans, holds)
        result = totals | {"found": run_report.found(plans)}
        request = run.due.request

        def write(tx: Connection) -> None:
            if not run.due.observes:
                run_entries.record(tx, self._context.portal, now, totals)
                self._record_unread(tx, run, now)
            if not run.unread:
                for key, at in run.due.keys:
                    sweep_runs.record_run(tx, self._context.portal, key, at)
            if request is not None and run.unread:
                self._answer_later(tx, request, result)
            elif request is not None:
                sweep_runs.finish(tx, request.id, result)

        await self._gate.write(write)
        if not run.due.observes:  # a run that only shows is not counted
            run_report.count(self._context, run, plans)

    def _record_unread(self, tx: Connection, run: Run, now: datetime) -> None:
        """Record since when runs of this trigger cannot read everything, or that all can."""
        if run.unread:
            sweep_runs.record_unread(tx, self._context.portal, run.due.trigger, now)
        elif not self._unfinished.has(run.due.trigger):
            sweep_runs.record_unread(tx, self._context.portal, run.due.trigger, None)

    def _answer_later(self, tx: Connection, request: Request, result: Mapping[str, object]) -> None:
        """Write the result of a request so far; one that only observes is finished with it."""
        if request.observe:
            sweep_runs.finish(tx, request.id, result)
        else:
            sweep_runs.record_attempt(tx, request.id, result)
