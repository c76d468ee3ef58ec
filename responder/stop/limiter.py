"""Checks whether condemned workflows may be stopped: the pause, tripped rules, the limits.

A *set* (`store.limits`) is all that one rule condemns in one evaluation or one run, or that people
approved at once. A set that would go over a limit is not begun: none of it is stopped. Over
`per_hour`, or a limit of runs, the rule trips and stops nothing until it is rearmed. Over
`per_document` only the part of the set on that document is held, because a document whose workflows
are stopped again and again means that rules fight or that something restarts the workflow. A set
that has begun is finished, however many rounds it takes: only the pause still holds it, until
people change the rules. The rest of it is then a set that has not begun by these rules.

Stops of a rule in mode `approve` do not begin before somebody approves them, so limits are checked
then; all that people approve at once is one set. Only the limits of a run are checked when the run
ends, because nobody should be asked to approve a set that is certainly too large.

The gate has the limiter check all sets of a batch before it writes any of them, inside the
transaction that commits the intents. So each check reads rows, and adds what was allowed before in
the same batch.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from responder.adapters.metrics import Metrics
from responder.journal import open_stops
from responder.journal import record as journal
from responder.journal.element_names import ElementNames, is_element, key_of
from responder.journal.open_stops import Stop
from responder.judge.plans import Hold, Holds, Plan, RunSets
from responder.judge.recheck.recheck import Recheck
from responder.model import ACTING_MODES, OPEN_OUTCOMES, Mode, Outcome
from responder.rules.ruleset import Ruleset
from responder.store import limits
from responder.store.database.database import Connection

HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)
FEWEST = 20  # of fewer running, a percentage means nothing

log = structlog.get_logger()


class Limiter:
    """The checks of one gate transaction. The results depend on what it allowed before."""

    def __init__(
        self, tx: Connection, portal: str, ruleset: Ruleset, metrics: Metrics, now: datetime
    ) -> None:
        self._tx = tx
        self._portal = portal
        self._revision = ruleset.revision
        self._limits = {rule.id: rule.limit for rule in ruleset.rules}
        self._asking = {rule.id for rule in ruleset.rules if rule.mode is Mode.APPROVE}
        self._acting = {rule.id for rule in ruleset.rules if rule.mode in ACTING_MODES}
        self._metrics = metrics
        self._now = now
        self._begun = Counter[str]()  # in this batch, by rule
        self._begun_on = Counter[str]()  # and by document (`key_of`)
        self._names = ElementNames(tx, portal, now - DAY)
        self._would_names = ElementNames(tx, portal, now - DAY, would=True)
        self._untouched = set[str]()  # documents on which nothing counts that is written
        self._acted: dict[str, int] = {}
        self._paused = limits.paused(tx)
        self._tripped = {trip.rule: trip.why for trip in limits.tripped(tx, portal)}

    def has_released(self, holds: Holds) -> bool:
        """Return whether a pause or trip that held sets of a run has ended since."""
        by = {rule: hold.by for rule, hold in holds.items() if isinstance(hold, Hold)}
        return any(
            self._paused is None if what == limits.PAUSED else rule not in self._tripped
            for rule, what in by.items()
        )

    def hold_plans(self, plans: Sequence[Plan]) -> list[dict[str, Hold | str]]:
        """Return of each plan what `hold_plan` does, having counted all their documents at once."""
        documents = {plan.job.ref for plan in plans if plan.sets(Mode.ENFORCE)}
        documents = {one for one in documents if not is_element(one)}
        since = self._now - DAY
        self._untouched = documents - limits.acted_on_any(self._tx, self._portal, documents, since)
        return [self.hold_plan(plan) for plan in plans]

    def hold_plan(self, plan: Plan) -> dict[str, Hold | str]:
        """Return by rule why its set in an evaluation is not begun; trip the rule if it is over.

        For a rule that only observes, return what would have held its set.
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

    def of_run(self, plan: Plan, holds: Holds) -> Holds:
        """Return what holds a plan of a run: what holds the run, or would hold its document."""
        found = {
            rule: why
            for rule, workflows in plan.sets(Mode.OBSERVE).items()
            if (why := self._would_hold_document(rule, plan.job.ref, len(workflows))) is not None
        }
        return {**found, **holds}

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
            self._begin(rule, {key_of(document): count})
        return hold

    def hold_all(self, rechecks: Sequence[Recheck]) -> dict[str, tuple[Stop, Hold]]:
        """Return the stops that are held of the sets of these rechecks, by decision id.

        Sets of which no recheck may act now are not checked.
        """
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
        """Return which stops of one set are held, by decision id; the others may continue.

        `members` are the stops in this batch. Others of the set, which are not due or had no room,
        are held too if the set as a whole may not begin; stops that are `over` now do not count.
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
        parts = Counter(_key(stop) for stop in waiting if stop.decision_id not in held)
        self._begin(rule, parts, counted=has_begun)
        return held

    def _waiting(
        self,
        members: Sequence[Stop],
        over: Collection[str],
        documents: Collection[str] | None = None,
    ) -> list[Stop]:
        """Return the stops of a set that wait, due or not, on these documents or on all."""
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
        """Return the waiting stops of a begun set on documents where no call of it was made."""
        rule, name = members[0].rule, members[0].set_name or ""
        names = self._names.of({stop.document.ref for stop in members})
        begun = limits.begun_on(self._tx, self._portal, rule, name, self._revision, names)
        touched = {key_of(one) for one in begun}
        names = [one for one in names if key_of(one) not in touched]
        return self._waiting(members, over, names) if names else []

    def _hold_parts(
        self, rule: str, name: str, waiting: Iterable[Stop]
    ) -> dict[str, tuple[Stop, Hold]]:
        """Return the stops of a set that go over the limit of their document, with the hold."""
        parts: dict[str, list[Stop]] = {}
        for stop in waiting:
            parts.setdefault(_key(stop), []).append(stop)
        held: dict[str, tuple[Stop, Hold]] = {}
        for part in parts.values():
            document = part[0].document.ref
            hold = self._hold_document(rule, document, len(part), but_set=name)
            if hold is not None:
                held |= {stop.decision_id: (stop, hold) for stop in part}
        return held

    def _over_as_run(self, rule: str, waiting: Sequence[Stop]) -> str | None:
        """Return which limit of a run a set goes over; several runs' sets may have become one."""
        of_runs = [s for s in waiting if s.trigger in limits.RUNS and s.approval is None]
        counted = [stop.running for stop in of_runs if stop.running is not None]
        return self._over_in_run(rule, len(of_runs), min(counted, default=0)) if of_runs else None

    def _begin(self, rule: str, parts: Mapping[str, int], *, counted: bool = False) -> None:
        """Count what begins in this batch; if `counted` for its rule already, by document alone."""
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
        """Return by rule why its set in one run is not begun; trip the rule if it is over.

        A rule in mode `approve` begins nothing here, so neither the pause nor `per_hour` keeps it
        from asking for approval.
        """
        holds: dict[str, Hold | str] = {}
        for rule, workflows in sets.acting.items():
            hold = self._hold_in_run(rule, workflows, sets)
            if hold is not None:
                holds[rule] = hold
        for rule, workflows in sets.observed.items():
            foreseen = self._foreseen(rule, workflows, sets)
            if foreseen is not None:
                holds.setdefault(rule, foreseen)
        return holds

    def _foreseen(self, rule: str, workflows: Collection[str], sets: RunSets) -> str | None:
        """Return in words what would hold the set of a run that only observes; None if nothing."""
        held = self._would_hold(rule)
        if held is not None:
            return f"it would be held: {held.why}"
        why = self._over_in_run(rule, sets.in_all(rule, workflows), sets.running)
        why = why or self._would_be_over_in_hour(rule, workflows)
        return None if why is None else f"enforced, the rule would have tripped: {why}"

    def _would_hold(self, rule: str) -> Hold | None:
        """Return what holds a rule's set now, in a run that acts; None for one that observes."""
        if rule not in self._acting:
            return None
        return self._hold_tripped(rule) or (None if rule in self._asking else self._hold_paused())

    def _would_be_over_in_hour(self, rule: str, workflows: Collection[str]) -> str | None:
        """Return why the set of a run that only observes would be over `per_hour`; else None."""
        if rule in self._asking:  # it begins nothing in a run
            return None
        # A run that a person asked to be shown finds those of earlier runs once more.
        since = self._now - HOUR
        would = limits.would_have_stopped(self._tx, self._portal, rule, since)
        done = len(would.difference(workflows))
        done += limits.acted(self._tx, self._portal, rule, since, self._revision)
        allowed = self._limits[rule].per_hour
        return _sum(len(workflows), done, allowed) if done + len(workflows) > allowed else None

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
        """Return which limit of a run so many condemned workflows go over; None if none."""
        limit = self._limits[rule]
        if limit.per_run is not None and count > limit.per_run:
            return f"{count} condemned in one run, per_run is {limit.per_run}"
        percent = limit.percent_of_running
        if percent is not None and running >= FEWEST and count * 100 > running * percent:
            return f"{count} condemned of {running} running, percent_of_running is {percent}"
        return None

    def _would_trip(self, rule: str, document: str, count: int) -> str | None:
        """Return what would have tripped or held an observing rule's set, were it enforced."""
        limit = self._limits[rule]
        done = limits.would_have(self._tx, self._portal, rule, self._now - HOUR)
        if done + count > limit.per_hour:
            return f"enforced, the rule would have tripped: {_sum(count, done, limit.per_hour)}"
        return self._would_hold_document(rule, document, count)

    def _would_hold_document(self, rule: str, document: str, count: int) -> str | None:
        limit = self._limits[rule]
        names = self._would_names.of([document])
        done = limits.would_have_on(self._tx, self._portal, names, self._now - DAY)
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
        done = self._begun_on[key_of(document)]
        if document not in self._untouched:
            names, since = self._names.of([document]), self._now - DAY
            done += limits.acted_on(
                self._tx, self._portal, names, rule, since, self._revision, but_set=but_set
            )
        if done + count <= allowed:
            return None
        why = _on_one_document(document, count, done, allowed)
        log.warning("a document is held", portal=self._portal, rule=rule, why=why)
        return Hold(limits.DOCUMENT, f"{why}; `responder rearm {rule}`")


def _key(stop: Stop) -> str:
    return key_of(stop.document.ref)


def _on_one_document(document: str, count: int, done: int, allowed: int) -> str:
    return (
        f"{count} condemned on {document} and {done} stopped on it within 24 h, per_document is "
        f"{allowed}: rules fight, or the workflow restarts itself"
    )


def _sum(count: int, done: int, allowed: int) -> str:
    return f"{count} condemned at once and {done} within the last hour, per_hour is {allowed}"
