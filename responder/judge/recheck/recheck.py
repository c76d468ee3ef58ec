"""Judges waiting stops afresh, and postpones calls that lack evidence: no I/O, no clock.

A stop is valid while the fresh judgement has the verdict that condemned it. A stop for
which there is none is cleared, and its detail gives the test that came out otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter

from responder.bitrix24.client.answers import Failure, FailureKind
from responder.bitrix24.client.rate_limit import LIMIT_CODES
from responder.bitrix24.fetch.document_facts import Reading
from responder.bitrix24.fetch.open_tasks import Missing
from responder.journal.approval_proof import Approval
from responder.journal.approvals import GOOD_FOR
from responder.journal.open_stops import Stop
from responder.judge.jobs import Job, of_stop
from responder.judge.planner import next_step
from responder.judge.plans import Known, Plan, Planned
from responder.judge.stop_lifecycle import Seen, Step, StopProgress, step
from responder.model import (
    ACTING_MODES,
    KILLING,
    Condition,
    Group,
    Judgement,
    Mode,
    Outcome,
    Situation,
    Unknown,
    Verdict,
    Workflow,
)
from responder.rules.calendars import Calendar
from responder.rules.decide import judge
from responder.rules.keep import Choice, group_mark, repeat_choice
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset
from responder.store.limits import RUNS


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck:
    """A waiting stop that was judged afresh: its next step, and the verdict if it is still valid.

    `look` asks for a second look at the document: another rule may condemn the workflow now.
    `cleared_by` is the judgement that no longer condemns it (`explained` adds what changed).
    """

    stop: Stop
    step: Step
    situation: Situation
    verdict: Verdict | None = None
    look: bool = False
    cleared_by: Judgement | None = None

    @property
    def may_act(self) -> bool:
        """Return whether this stop counts against the limits now: enforced, or approved.

        Observed stops and unapproved ones do not.
        """
        unapproved = self.verdict is not None and self.verdict.mode is Mode.APPROVE
        return not self.stop.shadow and not (unapproved and self.stop.approval is None)


Running = Mapping[str, Mapping[str, str | None] | Unknown | None]
"""By workflow id, on any document: its row, None if it certainly ended, or `Unknown`."""

Groups = Mapping[tuple[str, str], Group]
"""By rule and workflow that its `keep` spared: the group to which that belongs now."""


def judge_afresh(
    stop: Stop,
    reading: Reading,
    ruleset: Ruleset,
    *,
    enforcing: bool,
    known: Known,
    now: datetime,
    running: Running,
    groups: Groups,
) -> Recheck:
    """Judge a waiting stop afresh.

    `running` has the workflows that `keep` spared in its stead, and `groups` those of them whose
    group may be another one by now.
    """
    rule = next((rule for rule in ruleset.rules if rule.id == stop.rule), None)
    job = of_stop(stop)
    waiting = _Waiting(stop, job, job.situation(reading), reading, known, now)
    void = _void_choice(stop, rule, running, groups)
    return waiting.unjudged(rule, void) or waiting.judged(rule, ruleset, enforcing=enforcing)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A waiting stop, with the facts of its document and the journal's knowledge."""

    stop: Stop
    job: Job
    situation: Situation
    reading: Reading
    known: Known
    now: datetime

    def seen(self, what: Seen, why: str, cleared_by: Judgement | None = None) -> Recheck:
        """Return the recheck of a stop that is not valid now, with the step that follows."""
        new_step = step(Outcome.WAITING, what, progress_of(self.stop), self.now, why)
        return Recheck(
            stop=self.stop, step=new_step, situation=self.situation, cleared_by=cleared_by
        )

    def unread(self, why: str) -> Recheck:
        """Return the recheck of a stop for which something could not be read."""
        return self.seen(_unread(self.reading.failure, away=self.known.away), why)

    def unjudged(self, rule: Rule | None, void: tuple[Seen, str] | None) -> Recheck | None:
        """Return the recheck if it needs no rules, else None.

        That is where its approval lapsed, the portal is observed by now, something could not be
        read, the workflow ended, or the choice of `keep` that condemned it is `void`.
        """
        stop, listed = self.stop, self.situation.workflows
        if _has_lapsed(stop.approval, None if rule is None else rule.during, self.now):
            why = "it could not be carried out within a day of its approval"
            return self.seen(Seen.LAPSED, why)
        if self.known.observed is not None and not stop.shadow:
            # Nor is it called gone: what the portal does not list may run all the same.
            return replace(self.seen(Seen.SPARED, self.known.observed), look=True)
        if isinstance(listed, Unknown):
            return self.unread(listed.why)
        ended = _no_longer_listed(stop, self.reading, listed) or void
        if ended is None:
            return None
        # A run chooses anew what to keep the next time; an event does not come again.
        anew = ended[0] is Seen.SPARED and stop.trigger not in RUNS
        return replace(self.seen(*ended), look=anew)

    def judged(self, rule: Rule | None, ruleset: Ruleset, *, enforcing: bool) -> Recheck:
        """Return the recheck by the rules."""
        stop = self.stop
        judgement = judge(
            ruleset,
            self.situation,
            enforcing=enforcing,
            now=self.now,
            only=stop.workflow_id,
            rules=self.job.rules(ruleset),
            choices=_choices(self.job, ruleset, rule, self.situation.workflows),
        )
        verdict = next((one for one in judgement.verdicts if _is_same(one, stop)), None)
        if verdict is not None and _has_left_its_group(verdict, stop):
            why = f"it belongs to another group now than when rule {stop.rule} condemned it"
            # A run chooses anew what to keep the next time; an event does not come again.
            return replace(self.seen(Seen.SPARED, why), look=stop.trigger not in RUNS)
        if verdict is not None:
            new_step = next_step(verdict, ruleset, progress_of(stop), self.known, self.now)
            return Recheck(stop=stop, step=new_step, situation=self.situation, verdict=verdict)
        if self.reading.failure is not None:
            return self.unread(f"not all facts could be read: {self.reading.failure.text}")
        other = any(one.action in KILLING for one in judgement.verdicts)
        why = f"rule {stop.rule} no longer condemns it"
        return replace(self.seen(Seen.SPARED, why, judgement), look=other)


def _no_longer_listed(
    stop: Stop, reading: Reading, listed: tuple[Workflow, ...]
) -> tuple[Seen, str] | None:
    """Return what was seen, and why, if the workflow is not listed any more; else None."""
    if stop.workflow_id in map(attrgetter("id"), listed):
        return None
    why = reading.odd.why(stop.workflow_id)
    return (Seen.GONE, "") if why is None else (Seen.UNREADABLE, why)


def _has_lapsed(approval: Approval | None, hours: Calendar | None, now: datetime) -> bool:
    """Return whether an approval is no longer valid. `hours` are those of its rule.

    An approval's day counts from when the hours are open: whoever approves on a Friday evening what
    may be done in office hours means Monday.
    """
    if approval is None:
        return False
    begins = approval.at
    if hours is not None and not hours.is_open(begins):
        begins = hours.opens_at(begins)
    return now >= begins + GOOD_FOR


def _is_same(verdict: Verdict, stop: Stop) -> bool:
    """Return whether a verdict is the one that a stop carries out.

    A stop that waits for approval is not carried out because its rule enforces now: that is another
    decision. A stop of a rule that enforced, and whose rule is in mode `approve` now, waits for
    approval.
    """
    if (verdict.rule, verdict.action) != (stop.rule, stop.action):
        return False
    if stop.shadow or verdict.mode not in ACTING_MODES:
        return stop.shadow and verdict.mode is Mode.OBSERVE
    return verdict.mode is Mode.APPROVE or not stop.asks or stop.approval is not None


def _has_left_its_group(verdict: Verdict, stop: Stop) -> bool:
    """Return whether the facts changed by which `keep` grouped a workflow with those it spared."""
    if stop.spared is None:
        return False
    return group_mark(verdict.group, stop.workflow_id) != stop.spared.group


def _choices(
    job: Job, ruleset: Ruleset, rule: Rule | None, listed: Sequence[Workflow] | Unknown
) -> dict[str, Choice]:
    """Return the choices of `keep`; the stop's own rule spares the workflows it spared then."""
    choices, stop = job.choices(ruleset, listed), job.stop
    if stop is not None and stop.spared is not None and rule is not None and rule.keep is not None:
        choices[rule.id] = repeat_choice(stop.spared.ids, stop.workflow_id)
    return choices


def _void_choice(
    stop: Stop, rule: Rule | None, running: Running, groups: Groups
) -> tuple[Seen, str] | None:
    """Return what was seen, and why, if the choice of `keep` that condemned a stop is void.

    A rule with `keep` condemns a workflow because others of its group are kept. Once one of those
    has ended or left the group, or the rule keeps others, the choice is void, and has to be made
    anew.
    """
    if rule is None or rule.keep is None:
        return None
    if stop.spared is None or stop.spared.keep != rule.keep.english:
        return Seen.SPARED, f"rule {rule.id} keeps others now than when it condemned this one"
    for workflow_id in stop.spared.ids:
        row = running.get(workflow_id, Unknown("it was not looked for"))
        if row is None:
            return Seen.SPARED, f"{workflow_id}, which was kept in its stead, no longer runs"
        if isinstance(row, Unknown):
            why = f"whether {workflow_id}, which was kept in its stead, still runs: {row.why}"
            return Seen.UNREADABLE, why
        group = groups.get((rule.id, workflow_id), _SAME)
        if group is not _SAME and group_mark(group, stop.workflow_id) != stop.spared.group:
            return Seen.SPARED, _left(workflow_id, group)
    return None


_SAME: Group = ("",)  # whatever it is: nothing can have changed


def _left(workflow_id: str, group: Group) -> str:
    """Return in words that a workflow that was kept is no longer known to be of its group."""
    if isinstance(group, Unknown):
        return f"the group of {workflow_id}, which was kept in its stead, is unknown: {group.why}"
    return f"{workflow_id}, which was kept in its stead, belongs to another group now"


Before = Mapping[tuple[str, str], bool | None]
"""The result of each test of a rule when it condemned, by the test's path and wording."""


def explained(one: Recheck, before: Before, now: datetime) -> Recheck:
    """Return the recheck; if it clears the stop, its detail is what changed since then."""
    if one.cleared_by is None:
        return one
    why = _what_is_different(one.cleared_by, one.stop, before)
    return replace(one, step=step(Outcome.WAITING, Seen.SPARED, progress_of(one.stop), now, why))


def _what_is_different(judgement: Judgement, stop: Stop, before: Before) -> str:
    """Return in words which test of the stop's rule changed, or which rule is read before it now.

    The last changed test is the one that ended the reading of the rule. Tests that were recorded
    when it condemned are preferred to those that were not.
    """
    made = [test for verdict in judgement.verdicts for test in verdict.conditions]
    changed = [
        test
        for test in (*made, *judgement.conditions)
        if test.rule == stop.rule
        and test.holds is not before.get((test.path, test.test), _as_it_must_be(test))
    ]
    if changed:
        known = [test for test in changed if (test.path, test.test) in before]
        one = known[-1] if known else changed[0]
        return f"{one.path} {one.test} {_now(one)}"
    own = next((verdict for verdict in judgement.verdicts if verdict.rule == stop.rule), None)
    if own is not None and own.action is not stop.action:
        return f"rule {stop.rule} says {own.action} now"
    if own is not None:
        return f"rule {stop.rule} is in mode {own.mode} now"
    if judgement.verdicts:  # the last: rules that only observe do not end the reading
        last = judgement.verdicts[-1]
        return f"rule {stop.rule} no longer condemns it; {last.rule} says {last.action}"
    return f"rule {stop.rule} no longer condemns it"


def _as_it_must_be(condition: Condition) -> bool:
    """Return the result that a test which was not recorded must have had for a condemnation."""
    return not condition.path.startswith("unless")


def _now(condition: Condition) -> str:
    if condition.holds is None:
        return "is unknown now"
    return "holds now" if condition.holds else "no longer holds"


def put_off_unproved(plan: Plan, missing: Mapping[str, Missing], now: datetime) -> Plan:
    """Return the plan with the calls postponed for workflows whose evidence is missing."""

    def put_off(planned: Planned) -> Planned:
        workflow = planned.decision.workflow
        found = None if workflow is None else missing.get(workflow.id)
        if found is None:
            return planned
        if planned.step is None:
            detail = f"its evidence could not be read: {found.why}"
            return replace(planned, decision=replace(planned.decision, detail=detail))
        progress = StopProgress(action=planned.decision.action, tries=0, condemned_at=now)
        return planned.put_off(without_evidence(progress, found, now))

    return replace(plan, planned=tuple(map(put_off, plan.planned)))


def without_evidence(progress: StopProgress, missing: Missing, now: datetime) -> Step:
    """Return the step of a condemned workflow's stop whose evidence could not be read."""
    why = f"its evidence could not be read: {missing.why}"
    return step(Outcome.WAITING, _unread(missing.failure), progress, now, why)


def put_off_stale(
    plans: Sequence[Plan], rechecks: Sequence[Recheck], now: datetime
) -> tuple[list[Plan], list[Recheck]]:
    """Return plans and rechecks with all calls postponed: the facts grew too old for a call."""
    why = "the portal answers slowly: the facts were too old when it was to be called"

    def later(progress: StopProgress) -> Step:
        return step(Outcome.WAITING, Seen.UNREADABLE, progress, now, why)

    def put_off(planned: Planned) -> Planned:
        progress = StopProgress(action=planned.decision.action, tries=0, condemned_at=now)
        return planned.put_off(later(progress))

    return (
        [replace(plan, planned=tuple(map(put_off, plan.planned))) for plan in plans],
        [
            replace(one, step=later(progress_of(one.stop))) if one.step.call else one
            for one in rechecks
        ],
    )


def after_lookup(stop: Stop, row: Mapping[str, str | None] | Unknown | None, now: datetime) -> Step:
    """Return the step after a search for a workflow, which gave its row, None, or `Unknown`."""
    progress = progress_of(stop)
    if isinstance(row, Unknown):
        return step(Outcome.IN_DOUBT, Seen.UNSEEN, progress, now, row.why)
    seen = Seen.ABSENT if row is None else Seen.PRESENT
    return step(Outcome.IN_DOUBT, seen, progress, now)


def progress_of(stop: Stop) -> StopProgress:
    """Return the progress of a stop as the journal has it."""
    return StopProgress(
        action=stop.action,
        tries=stop.tries,
        condemned_at=stop.condemned_at,
        called_at=stop.called_at,
        calls=stop.calls,
        ready_at=stop.ready_at,
        unknown_id=stop.unknown_id,
        approval=stop.approval,
        lapses_at=stop.lapses_at,
        postponed_at=stop.postponed_at,
    )


def _unread(failure: Failure | None, *, away: bool = False) -> Seen:
    refused = failure is not None and failure.kind in (FailureKind.PORTAL, FailureKind.METHOD)
    limited = failure is not None and failure.code in LIMIT_CODES  # not counted as a try
    return Seen.PORTAL_SHUT if refused or limited or away else Seen.UNREADABLE
