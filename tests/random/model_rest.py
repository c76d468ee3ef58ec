"""What must be so once everything has come to rest: the log is true, and nothing was passed over.

What a rule condemns is found by the runs of that rule, be it the sweep or its schedule, even where
no event ever told of it. So what a rule still condemns after a run is stopped, or is open in the
log: held or waiting, with a reason.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from tests.random.model_facts import DEAL, ELEMENTS, UNKNOWN, Row, View
from tests.random.model_rules import EVERY, NIGHTLY, Policy, Rule
from tests.random.model_watch import Watch

Decision = Mapping[str, object]


def log_is_true(
    watch: Watch, decisions: Sequence[Decision], evaluations: Sequence[str | None]
) -> None:
    """Hold the log against what the portal did and what was received."""
    events = {str(one["evaluation"]): one["events"] for one in decisions if one["events"]}
    concluded = Counter(str(evaluation) for evaluation in evaluations)
    watch.must(concluded == events, f"concluded {concluded}, the log says {events}")
    done = [one for one in decisions if one["outcome"] in ("killed", "terminated")]
    named = Counter(_workflow(one) for one in done)
    stopped = Counter(watch.stopped)
    missing = set(stopped) - set(named) - watch.back
    watch.must(not missing, f"stopped and not logged: {missing}")
    certain = Counter(_workflow(one) for one in done if one["receipt"])
    watch.must(certain <= stopped, f"a receipt for what was not stopped: {certain - stopped}")
    excess = named - stopped - watch.ended
    watch.must(not excess, f"logged as stopped twice, or as stopped and never ended: {excess}")


def nothing_is_held_idly(watch: Watch) -> None:
    """Check that what is held is held by something that there still is."""
    for stop in watch.sets.open:
        watch.must(stop.held != "pause", f"{stop.workflow} is held although nothing is paused")
        by_trip = stop.held not in ("", "approval", "document")
        watch.must(
            not by_trip or stop.rule.id in watch.sets.tripped_rules,
            f"{stop.workflow} is held ({stop.held}) although {stop.rule.id} is not tripped",
        )


def passed_over(watch: Watch, *, nightly: bool) -> set[tuple[str, str]]:
    """Return each workflow that a run of its rule would condemn now, and that no run has seen.

    It is neither open in the log, nor observed where it may only be observed.
    """
    open_ones = {stop.workflow for stop in watch.sets.open}
    found = set()
    for asked, view in _runs(watch.policy, watch.history.now, nightly=nightly):
        for rule, workflow_id in _condemned(watch.policy, asked, view):
            acts = watch.is_enforcing and rule.is_enforced
            seen = workflow_id in open_ones if acts else (workflow_id, rule.id) in watch.sets.would
            if not seen:
                found.add((workflow_id, rule.id))
    return found


def _runs(policy: Policy, view: View, *, nightly: bool) -> Iterator[tuple[list[Rule], View]]:
    """Yield the rules that are asked together in a run, and what it looks at.

    A sweep looks at the documents that have events. At night all schedules are due at once.
    """
    acting = [rule for rule in policy.rules if rule.acts]
    of_deals = {name: row for name, row in view.workflows.items() if row.kind == DEAL}
    yield [rule for rule in acting if rule.is_swept], replace(view, workflows=of_deals)
    if nightly and any(NIGHTLY in rule.when for rule in acting):
        yield [rule for rule in acting if rule.schedules], view
    else:
        yield [rule for rule in acting if EVERY in rule.when], view


def _condemned(policy: Policy, asked: Collection[Rule], view: View) -> Iterator[tuple[Rule, str]]:
    """Read the rules from the top for all that runs; yield what each of them condemns."""
    left = dict(view.workflows)
    if policy.guards_lists:  # any of them may protect what is not known to be of another list
        left = {name: row for name, row in left.items() if _is_told(row, view)}
    for rule in policy.rules:
        if rule.acts and rule not in asked:
            continue
        if not rule.acts and not rule.guards(asked):
            continue
        held = {name: row for name, row in left.items() if _holds(rule, view, name)}
        if rule.keep and _may_be_incomplete(view):
            return  # whom it spares is anybody's guess, and so is what rules below it find
        if rule.acts:
            held = {name: row for name, row in held.items() if _is_not_kept(rule, name, held, view)}
            yield from ((rule, name) for name in held)
        if not rule.acts or rule.is_enforced:
            left = {name: row for name, row in left.items() if name not in held}


def _is_told(row: Row, view: View) -> bool:
    """Return whether it is told which list an element is of: a template is listed that it has."""
    if row.document not in ELEMENTS:
        return True
    templates = {one.template for one in view.workflows.values() if one.document == row.document}
    return not templates.isdisjoint(view.listed)


def _holds(rule: Rule, view: View, workflow_id: str) -> bool:
    facts = view.facts(workflow_id)
    assert facts is not None
    if rule.kind not in (None, DEAL) and not _is_told(facts.row, view):
        return False
    held = rule.holds(facts)
    return held is True if rule.acts else held is not False


def _is_not_kept(rule: Rule, workflow_id: str, held: Mapping[str, Row], view: View) -> bool:
    """Return whether `keep` does not spare it: there are enough better ones in its group."""
    if not rule.keep:
        return True
    mine = (workflow_id, held[workflow_id])
    groups = {name: _group(rule, name, view) for name in held}
    group = groups[workflow_id]
    better = [
        name
        for name, row in held.items()
        if name != workflow_id and groups[name] == group and rule.is_better((name, row), mine)
    ]
    known = group is not None and UNKNOWN not in groups.values()
    return known and len(better) >= rule.count


def _group(rule: Rule, workflow_id: str, view: View) -> object:
    facts = view.facts(workflow_id)
    assert facts is not None
    return rule.group(facts, in_run=True)


def _may_be_incomplete(view: View) -> bool:
    """Return whether a document may not be read on which something runs."""
    unread = {f"DEAL_{deal}" for deal in view.denied} | (ELEMENTS.keys() - view.elements.keys())
    return any(row.document in unread for row in view.workflows.values())


def _workflow(decision: Decision) -> str:
    workflow = decision["workflow"]
    assert isinstance(workflow, dict)
    return str(workflow["id"])
