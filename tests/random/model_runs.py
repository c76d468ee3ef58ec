"""What may set a rule off, and when: events that came, runs that are due or were asked for.

A rule with schedules alone acts in its own runs and in no other. Its run is due when one of its
instants has passed since the last one, by our own clock, be it right or wrong. What is due is asked
when a run begins: a clock that is set back before it ends does not make it a run of its own accord.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from tests.random.model_facts import DEAL, kind_of
from tests.random.model_rules import EVENTS, SECONDS_OF, Policy, Rule
from tests.random.model_stops import Stop


class Due(NamedTuple):
    """The rules of which a run was due at a moment, by our own clock."""

    at: float
    rules: frozenset[str]


class Runs:
    """When each rule ran last, by its name."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._came: set[tuple[str, str]] = set()

    def came(self, document: str, trigger: str) -> None:
        """Remember an event of a document by its portal's name, or a robot's call (`robot`)."""
        self._came.add((document, trigger))

    def in_force(self, policy: Policy, now: float) -> None:
        """Begin to count for the schedules of rules that are new.

        One that comes back catches up with what it missed.
        """
        for rule in policy.rules:
            if rule.schedules:
                self._last.setdefault(rule.id, now)

    def set_back(self, now: float) -> None:
        """Forget what lies in the future, now that the clock was set."""
        self._last = {name: min(last, now) for name, last in self._last.items()}

    def over(self, body: Mapping[str, object], began_at: float, now: float) -> None:
        """Remember that a run that began then is over; what could not be read is due still.

        Where our clock was set back meanwhile, a run that lies in the future counts as one of now.
        """
        if body["trigger"] == "schedule" and "failure" not in body and not body["unread"]:
            rules = body["rules"]
            assert isinstance(rules, list)
            at = min(began_at, now)
            self._last |= {name: at for name in rules if name in self._last}

    def due(self, policy: Policy, now: float) -> Due:
        """Return the rules of which a run is due."""
        return Due(now, frozenset(rule.id for rule in policy.rules if self._is_due(rule, now)))

    def may_act(
        self,
        rule: Rule,
        stop: Stop,
        names: Collection[str],
        before: Collection[Stop],
        due: Collection[str],
    ) -> bool:
        """Return whether a rule may have condemned at that moment, set off by what the log says.

        `due` are the rules of which a run was due when the newest began. `before` are all stops on
        the document: what one of them let begin is judged after it, by the rules that were asked
        when it was condemned.
        """
        match stop.trigger:
            case "event":
                of_rule = {EVENTS[one] for one in rule.when if one in EVENTS}
                return any((stop.document, name) in self._came for name in of_rule & set(names))
            case "robot":
                return "robot" in rule.when and (stop.document, "robot") in self._came
            case "sweep" if rule.is_swept and kind_of(stop.document) == DEAL:
                return True
        if not stop.by_run:
            return any(
                rule.id in (one.rule.id, *one.run_rules) for one in before if one is not stop
            )
        return stop.trigger == "schedule" and bool(rule.schedules) and rule.id in due

    def _is_due(self, rule: Rule, now: float) -> bool:
        last = self._last.get(rule.id, now)
        for schedule in rule.schedules:
            length, first = SECONDS_OF[schedule]
            if (now - first) // length > (last - first) // length:
                return True
        return False
