"""Stops and the sets they are of, held against the limits: a set is begun whole, or not at all.

What a rule condemned in one evaluation is a *set*, and so is what it condemned in one run, over all
documents. What several runs condemned while everything was paused, or the rule was tripped, is one
set when it is let go. A set is *begun* with its first intent. From then on no limit and no trip
holds any of it, until people have changed something about it (the rules, a rearm).

Who belongs together is read from the log, which says it to people too. What was stopped is told by
the portal.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from tests.random.model_history import Seen
from tests.random.model_keeping import groups_of, perhaps_spared
from tests.random.model_rules import DAY, Policy, Rule
from tests.random.model_stops import Intent, Set, Stop, go_together, may_be_carried_out, stops_in

HOUR = 3600.0
SLACK = 30.0  # between an instant that the program noted and the one that was seen here
FEWEST = 20  # below so many running, a percentage says nothing
NO_LIMIT = ("", "pause", "approval")


class Court(Protocol):
    """Who decides what is wrong, and knows the order of things."""

    policies: list[Policy]

    def must(self, holds: bool, otherwise: str) -> None:
        """Fail where it does not hold."""

    def next_order(self) -> int:
        """Give what happens its number."""

    def seconds(self) -> float:
        """Return our time."""


class Sets:
    """All stops, by the names of their decisions."""

    def __init__(self, court: Court) -> None:
        self.stops: dict[str, Stop] = {}
        self.would: set[tuple[str, str]] = set()
        self.intents: list[Intent] = []
        self._court = court
        self._run: dict[str, Set] = {}
        self._tripped: dict[str, int] = {}
        self._rearmed: Counter[str] = Counter()

    @property
    def open(self) -> list[Stop]:
        """Return the stops that are not concluded."""
        return [stop for stop in self.stops.values() if not stop.closed]

    @property
    def tripped_rules(self) -> set[str]:
        """Return the names of the rules that are tripped."""
        return set(self._tripped)

    # What is written.

    def condemned(
        self,
        decision: str,
        rule: Rule,
        told: Mapping[str, object],
        *,
        document: str,
        trigger: str,
        by_run: bool,
        at: float,
        real: float,
        beside: Set | None,
        seen: Sequence[Seen],
    ) -> Stop:
        """Remember a decision; `beside` is the set of what its rule condemned in its evaluation."""
        running = [len(one.view.workflows) for one in seen]
        found = self._run.get(rule.id) if by_run else beside
        if found is None:
            order = self._court.next_order()
            found = Set(since=order, running=(min(running), max(running)))
        if by_run:
            self._run[rule.id] = found
        workflow = told["workflow"]
        assert isinstance(workflow, dict)
        stop = Stop(
            decision=decision,
            rule=rule,
            workflow=str(workflow["id"]),
            document=document,
            trigger=trigger,
            asks=told["mode"] == "approve",
            by_run=by_run,
            at=at,
            real=real,
            spared=perhaps_spared(rule, str(workflow["id"]), seen, in_run=by_run),
            groups=groups_of(rule, str(workflow["id"]), seen),
            born=found,
            of=found,
            policy=self._court.policies[-1],
        )
        found.stops.append(stop)
        self.stops[decision] = stop
        return stop

    def concluded(self, decision: str) -> None:
        """Remember that a decision is settled."""
        if decision in self.stops:
            self.stops[decision].closed = self._court.next_order()

    def run_over(self, rules: Iterable[str]) -> None:
        """Remember that a run is over, or that whoever made it is gone."""
        for found in self._run.values():
            for stop in found.stops:
                stop.run_rules = frozenset(rules)
        self._run.clear()

    def lost_sight_of(self, in_doubt: Iterable[str]) -> None:
        """Remember that nobody knows any more what came of the calls of these decisions."""
        for decision in in_doubt:
            if decision in self.stops and self.stops[decision].intents:
                self.stops[decision].intents[-1].unseen = True

    def approved(self, entry: int, names: Iterable[str]) -> None:
        """Remember what was approved at once."""
        for name in names:
            if name in self.stops:
                self.stops[name].approval = entry

    def let_go(self, freed: Iterable[Stop]) -> None:
        """Make one set of what several runs condemned by a rule, had not begun, and let go now."""
        by_rule: dict[str, list[Set]] = {}
        for stop in freed:
            sets = by_rule.setdefault(stop.rule.id, [])
            if stop.by_run and stop.of not in sets and not stop.of.was_begun:
                sets.append(stop.of)
        for sets in by_rule.values():
            if len(sets) < 2:
                continue
            least, most = (max(one.running[end] for one in sets) for end in (0, 1))
            one = Set(since=self._court.next_order(), running=(least, most))
            for part in sets:
                for stop in part.stops:
                    stop.of = one
                    one.stops.append(stop)

    def resumed(self) -> None:
        """Let go what was paused."""
        self.let_go([stop for stop in self.open if stop.held == "pause"])

    def rearmed(self, rule: str) -> None:
        """Forgive a rule what it did, and let go what it held."""
        self._tripped.pop(rule, None)
        self._rearmed[rule] = self._court.next_order()
        self.let_go([s for s in self.open if s.rule.id == rule and s.held not in NO_LIMIT])
        self._begin_anew(rule)

    def changed(self) -> None:
        """Begin all sets anew, as people have changed the rules or the mode."""
        self._begin_anew(None)

    def _begin_anew(self, rule: str | None) -> None:
        order = self._court.next_order()
        for stop in self.open:
            if rule in (None, stop.rule.id):
                stop.of.since = order

    # What must be so.

    def tripped(self, rule: str, matches: int, running: Sequence[int]) -> None:
        """Check that a rule tripped for a reason: so much matches it, and so much ran."""
        self._tripped[rule] = self._court.next_order()
        begun = [one for one in self.intents if one.stop.rule.id == rule]
        most = matches + sum(1 for stop in self.open if stop.rule.id == rule)
        some = self._count(begun, HOUR, rule) + most
        due = False
        for policy in self._court.policies[-2:]:
            known = policy.rule(rule)
            if known is None:
                continue
            due |= some > known.per_hour
            due |= known.per_run is not None and most > known.per_run
            if known.percent is not None and max(running) >= FEWEST:
                due |= most * 100 > min(running) * known.percent
        self._court.must(due, f"{rule} trips although it is within its limits")

    def look_at_holds(self, holds: Mapping[str, str]) -> None:
        """Check that what is held is held for a reason, and that no set is torn."""
        for stop in self.open:
            was, stop.held = stop.held, holds.get(stop.decision, "")
            if stop.held in NO_LIMIT:
                continue
            if was != stop.held:
                self._must_be_held_rightly(stop)
            for other in stop.of.stops:
                if go_together(stop, other):
                    done = any(i.killed and i.order > stop.of.since for i in other.intents)
                    self._court.must(
                        not done,
                        f"a set is torn: {other.workflow} is stopped, and {stop.workflow}, "
                        f"condemned with it by {stop.rule.id}, is held ({stop.held})",
                    )

    def _must_be_held_rightly(self, stop: Stop) -> None:
        if stop.held != "document":
            self._court.must(
                stop.rule.id in self._tripped,
                f"{stop.workflow} is held ({stop.held}) although {stop.rule.id} is not tripped",
            )
            return
        begun = [one for one in self.intents if one.stop.document == stop.document]
        some = self._count(begun, DAY, stop.rule.id)
        some += sum(1 for other in self.open if other.document == stop.document)
        rules = [known for policy in self._court.policies[-2:] for known in policy.rules]
        allowed = [known.per_document for known in rules if known.id == stop.rule.id]
        self._court.must(
            any(some > most for most in allowed),
            f"{stop.document} is held although at most {some} can count, allowed {allowed}",
        )

    def _count(self, begun: Iterable[Intent], seconds: float, rule: str) -> int:
        """Count at most what can count against a limit: what may have been carried out."""
        since = self._court.seconds() - seconds - SLACK
        forgiven = self._rearmed[rule]
        return sum(
            1
            for one in begun
            if may_be_carried_out(one)
            and one.at >= since
            and (one.order > forgiven or not 0 < one.stop.closed < forgiven)
        )

    def intended(self, intent: Intent) -> None:
        """Check that nothing of a set is begun whose rule is tripped."""
        stop = intent.stop
        order = self._tripped.get(stop.rule.id)
        if order is not None:
            begun = stop.of.begun()
            self._court.must(
                begun is not None and begun.order < order,
                f"{stop.rule.id} is tripped and stops {stop.workflow}",
            )
        stop.of.was_begun = True
        stop.intents.append(intent)
        self.intents.append(intent)

    def within_limits(self, intent: Intent) -> None:
        """Check that what was just stopped is within the limits of its rule."""
        self._must_be_within_an_hour(intent)
        self._must_be_on_a_document(intent)
        if intent.stop.by_run:
            self._must_be_in_a_run(intent)

    def _must_be_within_an_hour(self, intent: Intent) -> None:
        stop = intent.stop
        since = intent.at - HOUR + SLACK
        done = [
            one
            for one in self.intents
            if one.killed
            and one.stop.rule.id == stop.rule.id
            and self._rearmed[stop.rule.id] < one.order <= intent.order
            and one.at >= since
        ]
        most = max(intent.rule.per_hour, stop.rule.per_hour)
        self._court.must(
            stops_in(done) <= most,
            f"{stop.rule.id} stopped {stops_in(done)} in an hour, allowed {most}",
        )

    def _must_be_on_a_document(self, intent: Intent) -> None:
        """Check that the limit held when the set was begun there."""
        stop = intent.stop
        begun = stop.of.begun(stop.document)
        first = intent if begun is None or begun.order > intent.order else begun
        forgiven = self._rearmed[stop.rule.id]
        done = [
            one
            for one in self.intents
            if one.killed and one.stop.document == stop.document and one.order > forgiven
        ]
        before = [o for o in done if o.order < first.order and o.at >= first.at - DAY + SLACK]
        mine = [o for o in done if o.order >= first.order and o.stop.of is stop.of]
        most = max(intent.rule.per_document, stop.rule.per_document)
        some = stops_in(before) + stops_in(mine)
        self._court.must(some <= most, f"{some} stopped on {stop.document}, allowed {most}")

    def _must_be_in_a_run(self, intent: Intent) -> None:
        stop, known = intent.stop, intent.stop.rule
        done = stops_in(
            one
            for one in self.intents
            if one.killed and one.stop.of is stop.of and one.order > stop.of.since
        )
        most = known.per_run
        if most is not None and intent.rule.per_run is not None:
            most = max(most, intent.rule.per_run)
            self._court.must(
                done <= most, f"{known.id} stopped {done} of one run or set, allowed {most}"
            )
        least, running = stop.of.running
        if known.percent is not None and known.percent == intent.rule.percent and least >= FEWEST:
            self._court.must(
                done * 100 <= running * known.percent,
                f"{known.id} stopped {done} of {running} running, allowed {known.percent} percent",
            )
