"""What keeps condemned workflows from being stopped: the pause, a tripped rule, a limit.

What one rule condemns at once is a *set* (`store.limits`): in one evaluation, in one run, or what
people approved at once. A set that would go over a limit is not begun: none of it is stopped. Over
`per_hour`, or a limit of runs, the rule trips and does nothing until it is rearmed; over
`per_document` the part of it on that document alone is held, since one document whose workflows are
stopped again and again means that rules fight or that something restarts the workflow. A set that
has begun is finished, however many rounds it takes: only the pause still holds it, until people
change the rules. What is left of it is then a set that has not begun by these rules.

What a rule in mode `approve` condemns is not begun before somebody approves it, so it is held
against the limits then; what people approve at once is one set. Only the limits of a run count when
the run ends, for nobody should be asked to approve what is certainly too much.

The gate asks for all sets of a batch before it writes any of it, inside the transaction that
commits the intents. So all that is asked is asked of rows, to which is added what was allowed
before in the same batch.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from responder.adapters.metrics import Metrics
from responder.journal import open_stops
from responder.journal import record as journal
from responder.journal.open_stops import Stop
from responder.judge.plans import Hold, Plan
from responder.judge.recheck import Recheck
from responder.model import ACTING_MODES, OPEN_OUTCOMES, Mode, Outcome
from responder.rules.ruleset import Ruleset
from responder.store import limits
from responder.store.database.database import Connection

HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)
FEWEST = 20  # below so many running, a percentage says nothing

log = structlog.get_logger()


Holds = Mapping[str, Hold | str]
"""By rule why its set is held, or in words what would hold it, were it enforced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSets:
    """What each rule condemned in one run that counted so many workflows `running`.

    `before` is what it condemned when it was tried before, and could not read everything.
    """

    acting: Mapping[str, Collection[str]]
    observed: Mapping[str, Collection[str]]
    running: int
    before: Mapping[str, Collection[str]]

    @classmethod
    def of(
        cls, plans: Iterable[Plan], running: int, before: Mapping[str, Collection[str]]
    ) -> "RunSets":
        """Group what a run condemned by rule: what acts, asking first or not, what is observed."""
        acting: dict[str, set[str]] = {}
        observed: dict[str, set[str]] = {}
        for plan in plans:
            for mode in (*ACTING_MODES, Mode.OBSERVE):
                sets = observed if mode is Mode.OBSERVE else acting
                for rule, workflows in plan.sets(mode).items():
                    sets.setdefault(rule, set()).update(workflows)
        return cls(acting=acting, observed=observed, running=running, before=before)

    def in_all(self, rule: str, workflows: Collection[str]) -> int:
        """Count what a rule condemned in all tries of the run."""
        return len({*workflows, *self.before.get(rule, ())})

    def not_held(self, holds: Holds) -> dict[str, Collection[str]]:
        """Return what is not held of it."""
        held = {rule for rule, hold in holds.items() if isinstance(hold, Hold)}
        return {
            rule: workflows
            for rule, workflows in (*self.acting.items(), *self.observed.items())
            if rule not in held
        }


class Limiter:
    """What may be begun in one transaction."""

    def __init__(
        self, tx: Connection, portal: str, ruleset: Ruleset, metrics: Metrics, now: datetime
    ) -> None:
        self._tx = tx
        self._portal = portal
        self._revision = ruleset.revision
        self._limits = {rule.id: rule.limit for rule in ruleset.rules}
        self._asking = {rule.id for rule in ruleset.rules if rule.mode is Mode.APPROVE}
        self._metrics = metrics
        self._now = now
        self._begun = Counter[str]()  # in this batch, by rule
        self._begun_on = Counter[str]()  # and by document
        self._acted: dict[str, int] = {}
        self._paused = limits.paused(tx)
        self._tripped = {trip.rule: trip.why for trip in limits.tripped(tx, portal)}

    def has_released(self, holds: Holds) -> bool:
        """Tell whether something that held sets of a run when it asked holds nothing any more."""
        by = {rule: hold.by for rule, hold in holds.items() if isinstance(hold, Hold)}
        return any(
            self._paused is None if what == limits.PAUSED else rule not in self._tripped
            for rule, what in by.items()
        )

    def hold_plan(self, plan: Plan) -> dict[str, Hold | str]:
        """Say of each rule why what it condemns on a document is not begun; trip it if need be.

        Of a rule that only observes it says what would have kept it.
        """
        document = plan.job.ref
        holds: dict[str, Hold | str] = {}
        for rule, workflows in plan.sets(Mode.OBSERVE).items():
            why = self._would_trip(rule, document, len(workflows))
            if why is not None:
                holds[rule] = why
        for rule, workflows in plan.sets(Mode.ENFORCE).items():
            hold = self._hold_new(plan, rule, len(workflows))
            if hold is not None:
                holds[rule] = hold
        return holds

    def _hold_new(self, plan: Plan, rule: str, count: int) -> Hold | None:
        paused = self._hold_paused()
        if paused is not None:
            return paused
        if plan.job.trigger in limits.RUNS:
            self._trip_if(rule, self._over_in_run(rule, count, 0))
        self._trip_if_over(rule, count)
        document = plan.job.ref
        hold = self._hold_tripped(rule) or self._hold_document(rule, document, count, but_set="")
        if hold is None and plan.begins(rule):
            self._begin(rule, {document: count})
        return hold

    def hold_all(self, rechecks: Sequence[Recheck]) -> dict[str, tuple[Stop, Hold]]:
        """Say which stops are held of the sets of those that would go on, by their decisions."""
        over = {one.stop.decision_id for one in rechecks if one.step.outcome not in OPEN_OUTCOMES}
        sets: dict[tuple[str, str], list[Stop]] = {}
        for one in rechecks:
            if one.verdict is None or not one.may_act or one.stop.decision_id in over:
                continue
            of = (one.stop.rule, one.stop.set_name or one.stop.decision_id)
            sets.setdefault(of, []).append(one.stop)
        held: dict[str, tuple[Stop, Hold]] = {}
        for members in sets.values():
            held |= self._hold_set(members, over)
        return held

    def _hold_set(
        self, members: Sequence[Stop], over: Collection[str]
    ) -> dict[str, tuple[Stop, Hold]]:
        """Say which stops of one set are held, by their decisions; the others may go on.

        These are the members at hand. Others of the set, which are not due or had no room, are held
        with them where the set as a whole may not begin; those that are `over` now are none of it.
        """
        rule, name = members[0].rule, members[0].set_name or ""
        paused = self._hold_paused()
        if paused is not None:
            waiting = self._waiting(members, over)
            return {stop.decision_id: (stop, paused) for stop in waiting}
        has_begun = limits.has_begun(self._tx, self._portal, rule, name, self._revision)
        if has_begun:
            waiting = self._not_begun(members, over)
        else:
            waiting = self._waiting(members, over)
            self._trip_if(rule, self._over_as_run(rule, waiting))
            self._trip_if_over(rule, len(waiting))
            tripped = self._hold_tripped(rule)
            if tripped is not None:
                return {stop.decision_id: (stop, tripped) for stop in waiting}
        held = self._hold_parts(rule, name, waiting)
        parts = Counter(s.document.ref for s in waiting if s.decision_id not in held)
        self._begin(rule, parts, counted=has_begun)
        return held

    def _waiting(
        self,
        members: Sequence[Stop],
        over: Collection[str],
        documents: Collection[str] | None = None,
    ) -> list[Stop]:
        """Return what still waits of a set, due or not, on these documents or on all."""
        rule, name = members[0].rule, members[0].set_name
        found = [*members]
        if name is not None:
            found += open_stops.of_set(self._tx, self._portal, rule, name, documents)
        return list(
            {
                stop.decision_id: stop
                for stop in found
                if stop.outcome is Outcome.WAITING
                and stop.decision_id not in over
                and (documents is None or stop.document.ref in documents)
            }.values()
        )

    def _not_begun(self, members: Sequence[Stop], over: Collection[str]) -> list[Stop]:
        """Return what waits of a begun set on documents on which no call of it was made."""
        rule, name = members[0].rule, members[0].set_name or ""
        documents = {stop.document.ref for stop in members}
        documents -= limits.begun_on(self._tx, self._portal, rule, name, self._revision, documents)
        return self._waiting(members, over, documents) if documents else []

    def _hold_parts(
        self, rule: str, name: str, waiting: Iterable[Stop]
    ) -> dict[str, tuple[Stop, Hold]]:
        """Hold the parts of a set whose documents have had too much."""
        parts: dict[str, list[Stop]] = {}
        for stop in waiting:
            parts.setdefault(stop.document.ref, []).append(stop)
        held: dict[str, tuple[Stop, Hold]] = {}
        for document, part in parts.items():
            hold = self._hold_document(rule, document, len(part), but_set=name)
            if hold is not None:
                held |= {stop.decision_id: (stop, hold) for stop in part}
        return held

    def _over_as_run(self, rule: str, waiting: Sequence[Stop]) -> str | None:
        """Say which limit of a run a set would go over: several may have become one."""
        of_runs = [s for s in waiting if s.trigger in limits.RUNS and s.approval is None]
        counted = [stop.running for stop in of_runs if stop.running is not None]
        return self._over_in_run(rule, len(of_runs), min(counted, default=0)) if of_runs else None

    def _begin(self, rule: str, parts: Mapping[str, int], *, counted: bool = False) -> None:
        """Count in this batch what it begins; what is `counted` to its rule is new on documents."""
        self._begun[rule] += 0 if counted else sum(parts.values())
        self._begun_on.update(parts)

    def _hold_paused(self) -> Hold | None:
        if self._paused is None:
            return None
        return Hold(limits.PAUSED, f"everything is paused by {self._paused[1]}")

    def _hold_tripped(self, rule: str) -> Hold | None:
        if rule not in self._tripped:
            return None
        why = f"rule {rule} is tripped: {self._tripped[rule]}; `responder rearm {rule}`"
        return Hold(limits.TRIPPED, why)

    def hold_run(self, sets: RunSets) -> dict[str, Hold | str]:
        """Say of each rule why what it condemned in one run is not begun; trip it if need be.

        A rule that asks first begins nothing here: neither the pause nor what it did within an hour
        keeps it from asking.
        """
        holds: dict[str, Hold | str] = {}
        for rule, workflows in sets.acting.items():
            hold = self._hold_in_run(rule, workflows, sets)
            if hold is not None:
                holds[rule] = hold
        for rule, workflows in sets.observed.items():
            why = self._over_in_run(rule, sets.in_all(rule, workflows), sets.running)
            if why is not None:
                holds.setdefault(rule, f"enforced, the rule would have tripped: {why}")
        return holds

    def _hold_in_run(self, rule: str, workflows: Collection[str], sets: RunSets) -> Hold | None:
        asks = rule in self._asking
        in_all = sets.in_all(rule, workflows)
        self._trip_if(rule, self._over_in_run(rule, in_all, sets.running))
        if not asks:
            self._trip_if_over(rule, len(workflows))
        tripped = self._hold_tripped(rule)
        if tripped is not None:
            return Hold(limits.RUN, tripped.why)
        return None if asks else self._hold_paused()

    def _over_in_run(self, rule: str, count: int, running: int) -> str | None:
        """Say which limit of a run so many condemned would go over."""
        limit = self._limits[rule]
        if limit.per_run is not None and count > limit.per_run:
            return f"{count} condemned in one run, per_run is {limit.per_run}"
        percent = limit.percent_of_running
        if percent is not None and running >= FEWEST and count * 100 > running * percent:
            return f"{count} condemned of {running} running, percent_of_running is {percent}"
        return None

    def _would_trip(self, rule: str, document: str, count: int) -> str | None:
        """Say what an observing rule's set would have tripped or held, were it enforced."""
        limit = self._limits[rule]
        done = limits.would_have(self._tx, self._portal, rule, self._now - HOUR)
        if done + count > limit.per_hour:
            return f"enforced, the rule would have tripped: {_sum(count, done, limit.per_hour)}"
        done = limits.would_have_on(self._tx, self._portal, document, self._now - DAY)
        if done + count > limit.per_document:
            why = _on_one_document(document, count, done, limit.per_document)
            return f"enforced, the document would have been held: {why}"
        return None

    def _trip_if(self, rule: str, why: str | None) -> None:
        if why is not None and rule not in self._tripped:
            self._trip(rule, why)

    def _trip_if_over(self, rule: str, count: int) -> None:
        if rule in self._tripped:
            return
        if rule not in self._acted:
            since = self._now - HOUR
            self._acted[rule] = limits.acted(self._tx, self._portal, rule, since, self._revision)
        allowed, done = self._limits[rule].per_hour, self._acted[rule] + self._begun[rule]
        if done + count > allowed:
            self._trip(rule, _sum(count, done, allowed))

    def _trip(self, rule: str, why: str) -> None:
        limits.trip(self._tx, self._portal, rule, self._now, why)
        journal.control(
            self._tx, self._portal, self._now, {"control": "trip", "rule": rule, "why": why}
        )
        self._tripped[rule] = why
        self._metrics.rule_tripped.labels(rule).set(1)
        log.warning("a rule has tripped", portal=self._portal, rule=rule, why=why)

    def _hold_document(self, rule: str, document: str, count: int, but_set: str) -> Hold | None:
        allowed = self._limits[rule].per_document
        done = self._begun_on[document]
        done += limits.acted_on(
            self._tx,
            self._portal,
            document,
            rule,
            self._now - DAY,
            self._revision,
            but_set=but_set,
        )
        if done + count <= allowed:
            return None
        why = _on_one_document(document, count, done, allowed)
        log.warning("a document is held", portal=self._portal, rule=rule, why=why)
        return Hold(limits.DOCUMENT, f"{why}; `responder rearm {rule}`")


def _on_one_document(document: str, count: int, done: int, allowed: int) -> str:
    return (
        f"{count} condemned on {document} and {done} stopped on it within 24 h, per_document is "
        f"{allowed}: rules fight, or the workflow restarts itself"
    )


def _sum(count: int, done: int, allowed: int) -> str:
    return f"{count} condemned at once and {done} within the last hour, per_hour is {allowed}"
