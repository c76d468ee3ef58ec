"""What must never be, whatever happens: watched from outside, with its own reading of the rules.

See `model_world`, which tells it what happens.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

HOUR, DAY = 3600.0, 86400.0
CALL_SECONDS = 11.0  # from the gate to the call
JUDGED_SECONDS = 31.0  # from a judgement to the gate
FACTS_SECONDS = 31.0 + CALL_SECONDS
VIP = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A small rules file, and what it means; `approved_seconds` is how long an approval is good."""

    enforced: bool = True
    asking: bool = False
    waiting: bool = False
    guard: bool = False
    second: str = "kill"
    per_hour: int = 30
    per_document: int = 5
    approved_seconds: float = DAY

    @property
    def text(self) -> str:
        """Write it as rules.yaml."""
        acting = "approve" if self.asking else "enforce"
        mode = acting if self.enforced else "observe"
        wait = "    wait: 1m\n" if self.waiting else ""
        limit = f"{{per_hour: {self.per_hour}, per_document: {self.per_document}}}"
        guard = "  - {id: keep-vip, if: {deal.company_id: 17}, then: leave}\n" if self.guard else ""
        return f"""\
version: 1
defaults: {{mode: {mode}, limit: {limit}}}
rules:
{guard}\
  - id: lost-deal
    when: [deal.updated, robot]
    if: {{deal.stage_semantic_id: F, workflow.template_id: 61}}
{wait}    then: kill
  - id: small-deal
    when: [deal.updated]
    if: {{workflow.template_id: 62, deal.opportunity: {{below: 1000}}}}
{wait}    then: {self.second}
"""

    def condemns(self, state: "State", workflow_id: str) -> str | None:
        """Name the rule that condemns a workflow, as things are in that state."""
        document, template = state.workflows.get(workflow_id, ("", ""))
        deal = int(document.removeprefix("DEAL_") or 0)
        facts = state.deals.get(deal)
        if facts is None or deal in state.denied:
            return None
        if self.guard and facts.get("companyId", VIP) == VIP:
            return None
        if template == "61" and facts.get("stageSemanticId") == "F":
            return "lost-deal"
        opportunity = str(facts.get("opportunity", ""))
        if template == "62" and opportunity.isdigit() and int(opportunity) < 1000:
            return "small-deal"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How the portal was from one instant of real time on."""

    since: float
    deals: Mapping[int, Mapping[str, object]]
    denied: frozenset[int]
    workflows: Mapping[str, tuple[str, str]]


class Driving(Protocol):
    """What is asked of a driver."""

    began_in: int
    enforcing: bool
    read: dict[str, tuple[int, float]]


class Time(Protocol):
    """What is asked of the world."""

    real: float
    broken: bool

    @property
    def driver(self) -> object | None:
        """Whoever has the lease."""

    def now(self) -> datetime:
        """Tell our time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """An intent as it was committed: by whom, under which rules, when by both clocks.

    `true_until` is when, in real time, the facts that it rests on were last true and read.
    """

    order: int
    by: object
    rule: str
    document: str
    policy: Policy
    at: float
    real: float
    true_until: float


class Watch:
    """Remembers what was and says at once when something is wrong."""

    def __init__(self, world: Time) -> None:
        self.policy = Policy()
        self.paused = False
        self.seen_seq = 0
        self.ended: set[str] = set()
        self.under_way: set[str] = set()
        self.stopped: list[str] = []
        self.intents = 0
        self.calls = 0
        self._world = world
        self._order = 0
        self._wrong: list[str] = []
        self._states: list[State] = []
        self._tripped: set[str] = set()
        self._asking: set[str] = set()
        self._approved: dict[str, float] = {}
        self._rearmed: Counter[str] = Counter()
        self._open: dict[str, Intent] = {}
        self._called: dict[str, Intent] = {}
        self._stops: dict[str, Intent] = {}

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

    @property
    def states_so_far(self) -> int:
        """Return the place of the state that is now."""
        return len(self._states) - 1

    def state(self, state: State) -> None:
        """Remember how things are now."""
        self._states.append(state)

    def rearmed(self, rule: str) -> None:
        """Forgive a rule what it did."""
        self._tripped.discard(rule)
        self._rearmed[rule] = self.next_order()

    def written(self, by: Driving | None, kind: str, body: Mapping[str, object]) -> None:
        """Look at an entry of the log that was just committed."""
        if by is not None:
            self.must(by is self._world.driver, f"a {kind} was written without the lease")
        if kind == "evaluation":
            self._asking.update(_asking(body, self.seen_seq))
        if kind == "control" and body["control"] == "trip":
            self._tripped.add(str(body["rule"]))
        if kind == "control" and body["control"] == "approve":
            self._was_approved(body["decisions"])
        if kind == "intent":
            assert by is not None
            self._must_be_approved(str(body["decision"]))
            self._intended(by, str(body["workflow_id"]), str(body["rule"]))

    def _was_approved(self, decisions: object) -> None:
        assert isinstance(decisions, list)
        for name in decisions:
            self.must(name not in self._approved, f"{name} was approved twice")
            self._approved[name] = self._world.now().timestamp()

    def _must_be_approved(self, decision: str) -> None:
        """See that what asks first is done only after its own approval, and soon after it."""
        if self.policy.asking or decision in self._asking:
            self.must(decision in self._approved, f"{decision} was not approved")
        if decision in self._approved:
            late = self._world.now().timestamp() - self._approved[decision]
            self.must(
                late < self.policy.approved_seconds + JUDGED_SECONDS,
                f"{decision} is done long after its approval",
            )

    def _intended(self, by: Driving, workflow_id: str, rule: str) -> None:
        self.intents += 1
        self.must(not self.paused, f"{workflow_id} is to be stopped although all is paused")
        self.must(rule not in self._tripped, f"{rule} is tripped and stops {workflow_id}")
        self.must(by.enforcing and self.policy.enforced, f"{workflow_id}: nothing is enforced")
        states = self._states_since(by.began_in)
        condemning = [end for s, end in states if self.policy.condemns(s, workflow_id) == rule]
        self.must(bool(condemning), f"{rule} does not condemn {workflow_id}")
        self.must(workflow_id not in self._stops, f"{workflow_id} was stopped already")
        rows = (s.workflows[workflow_id] for s, _ in states if workflow_id in s.workflows)
        document, _ = next(rows)
        _, read_at = by.read.get(document, (0, 0.0))
        self._open[workflow_id] = Intent(
            order=self.next_order(),
            by=by,
            rule=rule,
            document=document,
            policy=self.policy,
            at=self._world.now().timestamp(),
            real=self._world.real,
            true_until=min(max(condemning), read_at),
        )

    def _states_since(self, place: int) -> list[tuple[State, float]]:
        """Return the states from that place on, each with the instant at which it ended."""
        ends = [*(state.since for state in self._states[1:]), self._world.real]
        return list(zip(self._states, ends, strict=True))[place:]

    def called(self, by: Driving, workflow_id: str) -> None:
        """Look at a call to stop a workflow that is about to arrive."""
        self.calls += 1
        intent = self._open.pop(workflow_id, None)
        if intent is None:
            self.must(False, f"{workflow_id} is called for without an intent of its own")
            return
        self.must(intent.by is by, f"{workflow_id} is called for on the intent of another")
        self.must(
            self._world.real - intent.real <= CALL_SECONDS,
            f"{workflow_id} is called for long after its intent",
        )
        self.must(
            self._world.real - intent.true_until <= FACTS_SECONDS,
            f"{workflow_id} is called for on facts older than 30 s",
        )
        self.must(workflow_id not in self._stops, f"{workflow_id} is stopped and called for again")
        self.must(
            workflow_id not in self.under_way,
            f"{workflow_id} is called for while an earlier call may still take effect",
        )
        self._called[workflow_id] = intent

    def was_stopped(self, workflow_id: str) -> None:
        """Look at a workflow that the portal has stopped for us, and at the limits."""
        self.stopped.append(workflow_id)
        self.must(workflow_id not in self._stops, f"{workflow_id} was stopped twice")
        intent = self._stops[workflow_id] = self._called[workflow_id]
        before = [
            one
            for one in self._stops.values()
            if self._rearmed[intent.rule] < one.order <= intent.order
        ]
        hour = [o for o in before if o.rule == intent.rule and o.at >= intent.at - HOUR]
        self.must(
            len(hour) <= intent.policy.per_hour,
            f"{intent.rule} stopped {len(hour)} in an hour, allowed {intent.policy.per_hour}",
        )
        day = [o for o in before if o.document == intent.document and o.at >= intent.at - DAY]
        self.must(
            len(day) <= intent.policy.per_document,
            f"{len(day)} stopped on {intent.document}, allowed {intent.policy.per_document}",
        )

    def settled(
        self, decisions: Sequence[Mapping[str, object]], evaluations: Sequence[str | None]
    ) -> None:
        """Hold the log against what the portal did and what was received."""
        events = {str(one["evaluation"]): one["events"] for one in decisions if one["events"]}
        concluded = Counter(str(evaluation) for evaluation in evaluations)
        self.must(concluded == events, f"concluded {concluded}, the log says {events}")
        done = [one for one in decisions if one["outcome"] in ("killed", "terminated")]
        named = Counter(_workflow(one) for one in done)
        self.must(set(self.stopped) <= set(named), f"stopped {self.stopped}, logged {named}")
        self.must(not [n for n in named.values() if n > 1], f"logged as stopped twice: {named}")
        certain = {_workflow(one) for one in done if one["receipt"]}
        self.must(certain <= set(self.stopped), f"a receipt for what was not stopped: {certain}")
        unseen = set(named) - set(self.stopped)
        self.must(unseen <= self.ended, f"logged as stopped, and never ended: {unseen}")


def _asking(evaluation: Mapping[str, object], seq: int) -> set[str]:
    """Name the decisions of an evaluation that ask first."""
    made = evaluation["decisions"]
    assert isinstance(made, list)
    return {f"main-{seq}-{n}" for n, one in enumerate(made, start=1) if one["mode"] == "approve"}


def _workflow(decision: Mapping[str, object]) -> str:
    workflow = decision["workflow"]
    assert isinstance(workflow, dict)
    return str(workflow["id"])
