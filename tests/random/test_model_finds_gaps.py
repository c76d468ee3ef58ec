"""The model can fail where capabilities meet: each of these mends, taken out, is found by it.

Each row has the profile that looks at that joint, how the mend is taken out, and what is found, in
the words of the watcher. `python -m pytest` of this file tells which joint comes apart.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import Select, bindparam, func, select

from responder.bitrix24.fetch.open_tasks import Evidence
from responder.bitrix24.lists.id_ranges import RangedList
from responder.judge import jobs, planner
from responder.judge.jobs import Job
from responder.judge.recheck import recheck
from responder.judge.run_scope import Run
from responder.model import Document, Trigger
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset
from responder.store import limits
from responder.store.database.tables import decisions
from tests.random.model_finds import found
from tests.random.model_profiles import (
    ASKED,
    GUARDS,
    KEPT,
    PAUSED,
    PROVED,
    REFUSED,
    SCHEDULED,
    SLICED,
    Profile,
    Waits,
)
from tests.random.test_model import folder as folder

Patch = pytest.MonkeyPatch
RUNS, STEPS = 300, 8
RULES_OF_RUN, RULES_OF_JOB, LET_GO = Run.rules_for, Job.rules, limits._release


def _was_read(rule: Rule, trigger: Trigger) -> bool:
    return rule.acts or rule.triggers is None or (trigger == "sweep" and rule.is_swept)


def guards_are_read_for_events_alone(patch: Patch) -> None:
    """Have a run read no guard that has a `when`, unless the sweep would ask it too."""

    def of_run(self: Run, document: Document) -> tuple[Rule, ...]:
        rules = RULES_OF_RUN(self, document)
        return tuple(rule for rule in rules if _was_read(rule, self.due.trigger))

    def of_job(self: Job, ruleset: Ruleset) -> tuple[Rule, ...]:
        rules = RULES_OF_JOB(self, ruleset)
        if self.asked is None:
            return rules
        return tuple(rule for rule in rules if _was_read(rule, self.trigger))

    patch.setattr(Run, "rules_for", of_run)
    patch.setattr(Job, "rules", of_job)


def who_was_spared_is_forgotten(patch: Patch) -> None:
    """Have nobody look whether those still run that were spared."""
    patch.setattr(recheck, "_void_choice", lambda *_given: None)


def a_look_asks_every_schedule(patch: Patch) -> None:
    """Have a look after a stop ask all rules that have the same kind of trigger."""
    patch.setattr(jobs, "asked_again", lambda _stop: None)
    patch.setattr(jobs, "_rules_to_ask", lambda _trigger, asked, *_rule: asked)
    patch.setattr(planner, "_why_out_of_turn", lambda *_given: None)


def the_last_number_ends_the_ranges(patch: Patch) -> None:
    """Have a list by ranges end at the last number that it told, and believe the facts."""

    def go_on(self: RangedList) -> None:
        self._open = None
        self._conclude()

    patch.setattr(RangedList, "_go_on", go_on)
    evidence_is_not_compared(patch)


def evidence_is_not_compared(patch: Patch) -> None:
    """Have evidence kept that says something else than the facts."""
    patch.setattr(Evidence, "contradicts", lambda _self, _workflow: False)


def each_round_asks_for_the_rest(patch: Patch) -> None:
    """Have what is left of a set that was begun held against the limits again."""
    patch.setattr(limits, "has_begun", lambda *_given: False)


def _every_call_counts() -> Select[int]:
    """Count calls, whatever came of them."""
    return (
        select(func.coalesce(func.sum(decisions.c.calls), 0))
        .select_from(decisions)
        .where(
            decisions.c.portal == bindparam("of"),
            decisions.c.called_at >= bindparam("since"),
            limits._since_rearm(),
        )
    )


def refused_calls_count(patch: Patch) -> None:
    """Have calls counted that were certainly not carried out."""
    patch.setattr(limits, "_ACTED_ON", _every_call_counts().where(limits._ON))


def each_run_is_let_go_by_itself(patch: Patch) -> None:
    """Have the sets of several runs let go one by one."""
    patch.setattr(limits, "_release", lambda tx, at, _name, *which: LET_GO(tx, at, None, *which))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A mend that is taken out; the profile that finds it, in which words, soon with which seed."""

    plant: Callable[[Patch], None]
    profile: Profile
    words: str
    seed: int = 0


GAPS = [
    Gap(
        plant=guards_are_read_for_events_alone,
        profile=GUARDS,
        words="does not condemn .*: the guard keep-vip protects it",
        seed=2,
    ),
    Gap(
        plant=who_was_spared_is_forgotten,
        profile=replace(KEPT, machine=Waits),
        words="whom one-each spared for .* runs no more",
        seed=8,
    ),
    Gap(plant=a_look_asks_every_schedule, profile=SCHEDULED, words="outside of its own runs"),
    Gap(
        plant=the_last_number_ends_the_ranges,
        profile=ASKED,
        words="does not condemn .*tests do not all hold",
        seed=4,
    ),
    Gap(plant=evidence_is_not_compared, profile=PROVED, words="by the tasks last read", seed=4),
    Gap(plant=each_round_asks_for_the_rest, profile=SLICED, words="a set is torn"),
    Gap(plant=refused_calls_count, profile=REFUSED, words="is held although at most", seed=13),
    Gap(
        plant=each_run_is_let_go_by_itself,
        profile=PAUSED,
        words="of one run or set|a set is torn",
        seed=11,
    ),
]


@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: gap.plant.__name__)
def test_a_mend_that_is_taken_out_is_found(
    folder: Path, migrated_file: Path, monkeypatch: Patch, gap: Gap
) -> None:
    gap.plant(monkeypatch)
    found(folder, migrated_file, gap.profile, gap.words, runs=RUNS, steps=STEPS, seed=gap.seed)
