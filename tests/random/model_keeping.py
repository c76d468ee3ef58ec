"""What must be so where a rule keeps some of each group and stops the others.

Whom `keep` spared still runs when another is stopped in its stead, and that one is still in its
group. Where the group of one that the rule matches is unknown, nobody knows whom it would spare,
and it condemns nobody; who is in no group is left.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from tests.random.model_facts import UNKNOWN, View
from tests.random.model_history import Seen
from tests.random.model_rules import Policy, Rule
from tests.random.model_stops import Stop


class Judge(Protocol):
    """Who decides what is wrong."""

    policies: list[Policy]

    def must(self, holds: bool, otherwise: str) -> None:
        """Fail where it does not hold."""


def must_know_groups(court: Judge, stop: Stop, seen: Sequence[Seen]) -> None:
    """Check that `keep` condemned somebody only where it knew the groups of all it matched."""
    rule, on = stop.rule, None if stop.by_run else stop.document
    known = [policy for policy in court.policies[-2:] if rule in policy.rules]
    if not rule.keep or not known:
        return
    blocked = [_blocked(policy, rule, seen, on=on) for policy in known]
    court.must(
        not all(blocked),
        f"{rule.id} condemns {stop.workflow}, and the group of one on {blocked} is unknown",
    )
    court.must(bool(stop.groups), f"{rule.id} condemns {stop.workflow}, which is in no group")


def must_keep(court: Judge, stop: Stop, rule: Rule, seen: Sequence[Seen]) -> None:
    """Check that whom `keep` spared still runs, so that nobody's last one is stopped."""
    if not rule.keep:
        return
    running = {name for one in seen for name in one.view.workflows}
    spared = stop.spared - {other.workflow for other in stop.born.stops}
    if rule != stop.rule:
        spared |= perhaps_spared(rule, stop.workflow, seen, in_run=stop.by_run)
    court.must(
        len(spared & running) >= rule.count,
        f"whom {rule.id} spared for {stop.workflow} runs no more: {sorted(spared)}",
    )
    left = rule.per == stop.rule.per and not stop.groups & groups_of(rule, stop.workflow, seen)
    court.must(not left, f"{stop.workflow} is in another group than when {rule.id} condemned it")


def groups_of(rule: Rule, workflow_id: str, seen: Iterable[Seen]) -> frozenset[object]:
    """Return the groups in which `keep` may have found a workflow: neither none nor unknown."""
    if not rule.keep:
        return frozenset()
    found = (one.view.facts(workflow_id) for one in seen)
    groups = (rule.group(facts, in_run=True) for facts in found if facts is not None)
    return frozenset(groups) - {None, UNKNOWN}


def perhaps_spared(
    rule: Rule, workflow_id: str, seen: Iterable[Seen], *, in_run: bool
) -> frozenset[str]:
    """Return whom a rule with `keep` may have spared when it condemned a workflow."""
    if not rule.keep:
        return frozenset()
    found = set()
    for view in (one.view for one in seen):
        mine, of_mine = view.workflows.get(workflow_id), view.facts(workflow_id)
        if mine is None or of_mine is None:
            continue
        group = rule.group(of_mine, in_run=in_run)
        if group in (None, UNKNOWN):
            continue
        for name, row in view.workflows.items():
            facts = view.facts(name)
            if name != workflow_id and facts is not None and rule.holds(facts) is True:
                same = rule.group(facts, in_run=in_run) == group
                if same and rule.is_better((name, row), (workflow_id, mine)):
                    found.add(name)
    return frozenset(found)


def _blocked(policy: Policy, rule: Rule, seen: Iterable[Seen], *, on: str | None) -> set[str]:
    """Return each document where, whatever was seen, one is of an unknown group for `keep`.

    `on` is the only document that is judged, None where all are. What a rule above, or a guard, may
    have decided is left out.
    """
    found = [_of_unknown_group(policy, rule, one.view, on) for one in seen]
    return set.intersection(*found) if found else set()


def _of_unknown_group(policy: Policy, rule: Rule, view: View, on: str | None) -> set[str]:
    above = policy.rules[: policy.rules.index(rule)]
    found = set()
    for name, row in view.workflows.items():
        facts = view.facts(name)
        assert facts is not None
        if on in (None, row.document) and rule.holds(facts):
            unknown = rule.group(facts, in_run=True) is UNKNOWN
            if unknown and all(other.holds(facts) is False for other in above):
                found.add(row.document)
    return found
