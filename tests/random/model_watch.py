"""What must never be, whatever happens: watched from outside, with its own reading of the rules.

See `model_world`, which tells it what happens.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from tests.random.model_facts import View
from tests.random.model_history import History, Seen
from tests.random.model_keeping import must_keep, must_know_groups
from tests.random.model_rules import Policy as Policy
from tests.random.model_rules import Rule
from tests.random.model_runs import Due, Runs
from tests.random.model_sets import Sets
from tests.random.model_stops import Intent, Set, Stop

CALL_SECONDS = 11.0  # from the gate to the call
JUDGED_SECONDS = 31.0  # from a judgement to the gate
FACTS_SECONDS = 30.5  # from the facts to the call
OPEN = ("waiting", "held", "in_doubt")
CUT_SECONDS = 60.0  # the portal may still be at a request that we lost sight of


class Driving(Protocol):
    """What is asked of a driver.

    `began_in` is the place of the state in which it began to read what it judges, `run_began` that
    of its run, `tasks_seen` that in which it last asked for a workflow's tasks.
    """

    began_in: int
    run_began: int | None
    enforcing: bool
    read: dict[str, tuple[int, float]]
    tasks_seen: dict[str, int]

    @property
    def is_running(self) -> bool:
        """Return whether what it writes now is what a run found."""

    @property
    def run_due(self) -> Due | None:
        """Return what was due when its newest run began."""


class Time(Protocol):
    """What is asked of the world."""

    real: float
    broken: bool

    @property
    def driver(self) -> Driving | None:
        """Whoever has the lease."""

    def now(self) -> datetime:
        """Return our time."""

    def asked_for(self, rule: str) -> bool:
        """Return whether somebody asked for a sweep of this rule, or of all, that is not done."""


class Watch:
    """Remembers what was and says at once when something is wrong."""

    def __init__(self, world: Time) -> None:
        self.policies: list[Policy] = []
        self.paused = False
        self.seen_seq = 0
        self.ended: Counter[str] = Counter()
        self.back: set[str] = set()
        self.under_way: set[str] = set()
        self.stopped: list[str] = []
        self.calls = 0
        self.history = History()
        self.sets = Sets(self)
        self.runs = Runs()
        self._world = world
        self._order = 0
        self._wrong: list[str] = []
        self._approved: dict[str, float] = {}
        self._open: dict[str, Intent] = {}
        self._called: dict[str, Intent] = {}
        self._gone: set[str] = set()
        self._lost: dict[str, tuple[float, float]] = {}

    @property
    def policy(self) -> Policy:
        """Return the rules in force."""
        return self.policies[-1]

    @property
    def is_enforcing(self) -> bool:
        """Return whether whoever drives enforces at all."""
        return self._world.driver is not None and self._world.driver.enforcing

    @property
    def intents(self) -> int:
        """Count the intents."""
        return len(self.sets.intents)

    def must(self, holds: bool, otherwise: str) -> None:
        """Fail where it does not hold."""
        if not holds:
            self._world.broken = True
            self._wrong.append(otherwise)
            raise AssertionError(otherwise)

    def check(self) -> None:
        """Fail where something was wrong, though the program may have gone on."""
        if self._wrong:
            raise AssertionError(self._wrong[0])

    def next_order(self) -> int:
        """Give what happens its number."""
        self._order += 1
        return self._order

    def seconds(self) -> float:
        """Return our time."""
        return self._world.now().timestamp()

    def now_due(self) -> Due:
        """Return of which rules a run is due."""
        return self.runs.due(self.policy, self.seconds())

    # What people and the portal do.

    def state(self, view: View) -> None:
        """Remember how things are now."""
        self.history.add(view, self._world.real)

    def ruled(self, policy: Policy) -> None:
        """Take other rules for those in force."""
        self.policies.append(policy)
        self.history.timed |= policy.is_timed
        self.sets.changed()
        self.runs.in_force(policy, self.seconds())

    def came_back(self, workflow_id: str) -> None:
        """Remember that a workflow runs again that was stopped."""
        self._gone.discard(workflow_id)
        self.back.add(workflow_id)

    # What is written.

    def written(
        self,
        by: Driving | None,
        kind: str,
        seq: int,
        at: float,
        body: Mapping[str, object],
    ) -> None:
        """Look at an entry of the log that was just committed."""
        if by is not None:
            self.must(by is self._world.driver, f"a {kind} was written without the lease")
        match kind:
            case "evaluation":
                assert by is not None
                self._evaluated(by, seq, at, body)
            case "outcome":
                self.sets.concluded(str(body["decision"]))
            case "sweep":
                assert by is not None
                self._run_over(by, body)
            case "control":
                self._controlled(by, seq, body)
            case "intent":
                assert by is not None
                self._intended(by, str(body["decision"]))
            case _:
                pass

    def _controlled(self, by: Driving | None, seq: int, body: Mapping[str, object]) -> None:
        match body["control"]:
            case "trip":
                assert by is not None
                self._tripped(by, str(body["rule"]))
            case "resume":
                self.sets.resumed()
            case "rearm":
                self.sets.rearmed(str(body["rule"]))
            case "approve":
                decisions = body["decisions"]
                assert isinstance(decisions, list)
                for name in decisions:
                    self.must(name not in self._approved, f"{name} was approved twice")
                    self._approved[name] = self.seconds()
                self.sets.approved(seq, decisions)
            case _:
                pass

    def _tripped(self, by: Driving, name: str) -> None:
        first = by.began_in if by.run_began is None else min(by.began_in, by.run_began)
        views = self.history.views(first)
        known = [rule for policy in self.policies[-2:] for rule in policy.rules if rule.id == name]
        matches = max((_matching(rule, view) for rule in known for view in views), default=0)
        self.sets.tripped(name, matches, [len(view.workflows) for view in views])

    def _run_over(self, by: Driving, body: Mapping[str, object]) -> None:
        rules = body["rules"]
        assert isinstance(rules, list)
        self.sets.run_over(rules)
        now = self.seconds()
        self.runs.over(body, now if by.run_due is None else by.run_due.at, now)
        by.run_began = None

    def _evaluated(self, by: Driving, seq: int, at: float, body: Mapping[str, object]) -> None:
        """Remember what was condemned, and see that its rules may act at all."""
        decisions, names = body["decisions"], body["event_names"]
        assert isinstance(decisions, list)
        assert isinstance(names, list)
        by_run = by.run_began is not None and by.is_running
        first = by.run_began if by.run_began is not None and by_run else by.began_in
        seen = list(self.history.seen(first, self._world.real))
        sets: dict[str, Set] = {}
        for place, told in enumerate(decisions, start=1):
            rule = self._rule(str(told["rule"]))
            if rule is None or told["action"] not in ("kill", "terminate"):
                continue
            if told["outcome"] not in OPEN or told["mode"] == "observe":
                self.sets.would.add((told["workflow"]["id"], rule.id))
                continue
            stop = self.sets.condemned(
                f"main-{seq}-{place}",
                rule,
                told,
                document=_document(body),
                trigger=str(body["trigger"]),
                by_run=by_run,
                at=at,
                real=self._world.real,
                beside=sets.get(rule.id),
                seen=seen,
            )
            sets[rule.id] = stop.of
            stop.asked = self._asked_with(rule, stop, names)
            before = [one for one in self.sets.stops.values() if one.document == stop.document]
            due = by.run_due.rules if by.run_due is not None else ()
            may = self.runs.may_act(rule, stop, names, before, due)
            may |= body["trigger"] == "sweep" and self._world.asked_for(rule.id)
            self.must(
                may, f"{rule.id} condemns {stop.workflow} outside of its own runs ({stop.trigger})"
            )
            must_know_groups(self, stop, seen)

    def _asked_with(self, rule: Rule, stop: Stop, names: Sequence[str]) -> tuple[Rule, ...]:
        """Return the rules that were certainly asked with one: of a run only the sweep tells."""
        rules = [one for one in self.policy.rules if one.acts]
        match stop.trigger:
            case "event":
                return tuple(one for one in rules if one.triggers & set(names))
            case "robot":
                return tuple(one for one in rules if "robot" in one.when)
            case "sweep" if stop.by_run and not self._world.asked_for(rule.id):
                return tuple(one for one in rules if one.is_swept)
            case _:
                return ()

    def _rule(self, name: str) -> Rule | None:
        """Return a rule as it is, or as it was before people changed the file amid a run."""
        found = (policy.rule(name) for policy in reversed(self.policies))
        return next((rule for rule in found if rule is not None), None)

    def _must_be_approved(self, stop: Stop, rule: Rule) -> None:
        """Check that what asks first is done only after its own approval, and soon after it."""
        if rule.mode == "approve" or stop.asks:
            self.must(stop.decision in self._approved, f"{stop.decision} was not approved")
        if stop.decision in self._approved:
            late = self.seconds() - self._approved[stop.decision]
            self.must(
                late < self.policy.approved_seconds + JUDGED_SECONDS,
                f"{stop.decision} is done long after its approval",
            )

    def _intended(self, by: Driving, decision: str) -> None:
        self.must(decision in self.sets.stops, f"{decision} was never condemned to be stopped")
        stop = self.sets.stops[decision]
        workflow_id, name = stop.workflow, stop.rule.id
        rule = self.policy.rule(name)
        if rule is None or not rule.is_enforced or not by.enforcing:
            self.must(False, f"{workflow_id}: nothing is enforced")
            return
        self._must_be_approved(stop, rule)
        self.must(not self.paused, f"{workflow_id} is to be stopped although all is paused")
        waited = max(self.seconds() - stop.at, self._world.real - stop.real + JUDGED_SECONDS)
        self.must(
            waited >= min(rule.wait, stop.rule.wait),
            f"{workflow_id} is to be stopped before {name} has waited",
        )
        seen = list(self.history.seen(by.began_in, self._world.real))
        until = self._condemned_until(by, rule, stop, seen)
        must_keep(self, stop, rule, seen)
        self.must(workflow_id not in self._gone, f"{workflow_id} was stopped already")
        _, read_at = by.read.get(stop.document, (0, 0.0))
        intent = Intent(
            order=self.next_order(),
            stop=stop,
            rule=rule,
            by=by,
            at=self.seconds(),
            real=self._world.real,
            true_until=min(until, read_at),
        )
        self.sets.intended(intent)
        self._open[workflow_id] = intent

    def _condemned_until(self, by: Driving, rule: Rule, stop: Stop, seen: Sequence[Seen]) -> float:
        """Check that a rule condemned a workflow while it was judged; return until when it did."""
        asked = stop.asked if stop.policy is self.policy else ()

        def why_not(view: View) -> str | None:
            return self.policy.spared_by(rule, view, stop.workflow, asked)

        found = [one for one in seen if why_not(one.view) is None]
        whys = ", ".join(sorted({str(why_not(one.view)) for one in seen}))
        self.must(bool(found), f"{rule.id} does not condemn {stop.workflow}: {whys}")
        place = by.tasks_seen.get(stop.workflow, -1)
        if place >= by.began_in:
            told = {why_not(self.history.with_tasks(one, place)) for one in found}
            whys = ", ".join(sorted(map(str, told)))
            self.must(
                None in told,
                f"{rule.id} does not condemn {stop.workflow} by the tasks last read: {whys}",
            )
        return max(one.until for one in found)

    # What is called.

    def called(self, by: Driving, workflow_id: str) -> None:
        """Look at a call to stop a workflow that is about to arrive."""
        self.calls += 1
        intent = self._open.pop(workflow_id, None)
        if intent is None:
            self.must(False, f"{workflow_id} is called for without an intent of its own")
            return
        real = self._world.real
        self.must(intent.by is by, f"{workflow_id} is called for on the intent of another")
        self.must(
            real - intent.real <= CALL_SECONDS,
            f"{workflow_id} is called for long after its intent",
        )
        self.must(
            real - intent.true_until <= FACTS_SECONDS,
            f"{workflow_id} is called for on facts older than 30 s",
        )
        self.must(workflow_id not in self._gone, f"{workflow_id} is stopped and called for again")
        then, by_us = self._lost.get(workflow_id, (-CUT_SECONDS, -CUT_SECONDS))
        over = max(real - then, self.seconds() - by_us) >= CUT_SECONDS
        self.must(
            over and workflow_id not in self.under_way,
            f"{workflow_id} is called for while an earlier call may still take effect",
        )
        intent.called = True
        self._called[workflow_id] = intent

    def answered(self, workflow_id: str, *, refused: bool, lost: bool) -> None:
        """Remember what the answer to a call shows: it was refused unseen, or got lost."""
        self._called[workflow_id].refused = refused
        if lost and workflow_id not in self._gone:
            self._lost[workflow_id] = (self._world.real, self.seconds())

    def were_stopped(self, workflow_ids: Sequence[str]) -> None:
        """Look at workflows that the portal has just stopped for us, and at the limits."""
        for workflow_id in workflow_ids:
            self.stopped.append(workflow_id)
            self.must(workflow_id not in self._gone, f"{workflow_id} was stopped twice")
            self._gone.add(workflow_id)
            self._called[workflow_id].killed = True
        for workflow_id in workflow_ids:
            self.sets.within_limits(self._called[workflow_id])


def _matching(rule: Rule, view: View) -> int:
    """Count what a rule's own tests hold for."""
    found = (view.facts(workflow_id) for workflow_id in view.workflows)
    return sum(1 for facts in found if facts is not None and rule.holds(facts) is True)


def _document(body: Mapping[str, object]) -> str:
    document = body["document"]
    assert isinstance(document, dict)
    return str(document["triple"][2])
