"""What a round judged, cut into batches: nothing twice, nothing lost, no more calls than fit."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.judge.plans import Plan
from responder.judge.recheck.recheck import Recheck
from responder.model import Action, Document
from responder.stop.batches import WITH_CALLS, WRITTEN, Backlog, Slice
from tests.judge.make import (
    DEAL,
    JOB,
    STOP,
    a_condemning_rule,
    a_recheck,
    a_ruleset,
    a_workflow,
    planned,
)

RULES = a_ruleset(a_condemning_rule())
CALLED = a_recheck()
WRITTEN_ONLY = a_recheck(rules=a_condemning_rule(more="wait: 1h"))
MANY = 1_000


class Unit(NamedTuple):
    """What was judged of one document: the calls of its evaluations, and its stops."""

    ref: str
    evaluations: tuple[int, ...] = ()
    acting: int = 0
    quiet: int = 0


def a_deal(ref: str) -> Document:
    return replace(DEAL, item_id=ref, id=f"DEAL_{ref}")


def an_evaluation(ref: str, calls: int) -> Plan:
    workflows = [a_workflow(f"{ref}-{n}") for n in range(calls)]
    job = replace(JOB, document=a_deal(ref))
    return planned(RULES, *workflows or [a_workflow(template_id="7")], job=job)


def a_stop(ref: str, number: int, of: Recheck) -> Recheck:
    kind = "acting" if of.step.call else "quiet"
    stop = replace(STOP, decision_id=f"{ref}-{kind}-{number}", document=a_deal(ref))
    return replace(of, stop=stop)


def judged(units: Sequence[Unit], capacity: int = MANY) -> Backlog:
    plans = [an_evaluation(unit.ref, calls) for unit in units for calls in unit.evaluations]
    stops = [a_stop(unit.ref, n, CALLED) for unit in units for n in range(unit.acting)]
    stops += [a_stop(unit.ref, n, WRITTEN_ONLY) for unit in units for n in range(unit.quiet)]
    order = [f"deal:{unit.ref}" for unit in units]
    return Backlog(plans, stops, order=order, capacity=lambda _method: capacity)


def all_cuts(of: Backlog) -> list[Slice]:
    found: list[Slice] = []
    while of:
        found.append(of.cut())
    return found


def shown(cut: Slice) -> dict[str, int]:
    """Count what a batch has of each document."""
    refs = [plan.job.ref for plan in cut.plans] + [s.stop.document.ref for s in cut.rechecks]
    return dict(Counter(ref.removeprefix("deal:") for ref in refs))


CUTS = {
    "nothing was judged": ([], 9, []),
    "all of it fits": (
        [Unit("1", (2,)), Unit("2", (), 3)],
        9,
        [{"1": 1, "2": 3}],
    ),
    "what fits exactly": ([Unit("1", (), 4), Unit("2", (), 5)], 9, [{"1": 4, "2": 5}]),
    "one call too many goes in the next": (
        [Unit("1", (), 4), Unit("2", (), 6)],
        9,
        [{"1": 4}, {"2": 6}],
    ),
    "a later one that would fit does not overtake": (
        [Unit("1", (), 4), Unit("2", (), 6), Unit("3", (), 1)],
        9,
        [{"1": 4}, {"2": 6, "3": 1}],
    ),
    "what calls comes before what is only written": (
        [Unit("1", (0,)), Unit("2", (), 0, 2), Unit("3", (1,))],
        9,
        [{"3": 1, "1": 1, "2": 2}],
    ),
    "what is written fills the rest, up to its own measure": (
        [Unit("1", (), 5), Unit("2", (), 0, 15), Unit("3", (), 0, 1)],
        9,
        [{"1": 5, "2": 15}, {"3": 1}],
    ),
    "a document with more stops than fit is cut": (
        [Unit("1", (), 20), Unit("2", (), 1)],
        9,
        [{"1": 9}, {"1": 9}, {"1": 2, "2": 1}],
    ),
    "its evaluation stands in front, and counts": (
        [Unit("1", (2,), 9)],
        9,
        [{"1": 1 + 7}, {"1": 2}],
    ),
    "an evaluation with more calls than fit is whole": ([Unit("1", (12,), 1)], 9, [{"1": 1}] * 2),
    "much that is only written is written first, some at a time": (
        [Unit("1", (1,), 2, 45)],
        9,
        [{"1": 20}, {"1": 20}, {"1": 5 + 3}],
    ),
    "as much as is written at once stays with its calls": (
        [Unit("1", (), 10, 20)],
        9,
        [{"1": 20 + 9}, {"1": 1}],
    ),
    "where nothing is called the capacity does not matter": (
        [Unit(str(n), (0,)) for n in range(25)],
        1,
        [{str(n): 1 for n in range(20)}, {str(n): 1 for n in range(20, 25)}],
    ),
    "many documents with a call each": (
        [Unit(str(n), (), 1) for n in range(120)],
        MANY,
        [{str(n): 1 for n in range(100)}, {str(n): 1 for n in range(100, 120)}],
    ),
}


@pytest.mark.parametrize(("units", "capacity", "cuts"), CUTS.values(), ids=CUTS)
def test_how_a_round_is_cut(units: list[Unit], capacity: int, cuts: list[dict[str, int]]) -> None:
    assert [shown(cut) for cut in all_cuts(judged(units, capacity))] == cuts


def test_the_method_that_takes_longest_says_how_many_calls_go_out_together() -> None:
    stops = [a_stop("1", n, CALLED) for n in range(8)]
    terminated = replace(stops[7], stop=replace(stops[7].stop, action=Action.TERMINATE))
    room = {"bizproc.workflow.kill": 5, "bizproc.workflow.terminate": 3}
    cuts = all_cuts(
        Backlog([], [*stops[:7], terminated], order=["deal:1"], capacity=room.__getitem__)
    )
    assert [cut.calls for cut in cuts] == [3, 3, 2]


def test_the_capacity_is_asked_for_anew_each_time() -> None:
    room = iter([2, 5])
    of = Backlog(
        [],
        [a_stop("1", n, CALLED) for n in range(7)],
        order=["deal:1"],
        capacity=lambda _: next(room),
    )
    assert [cut.calls for cut in all_cuts(of)] == [2, 5]


def test_a_batch_knows_its_documents_its_subjects_and_its_methods() -> None:
    (cut,) = all_cuts(judged([Unit("1", (1,)), Unit("2", (), 1), Unit("3", (), 0, 1)]))
    assert (cut.refs, cut.size, cut.calls) == ({"deal:1", "deal:2", "deal:3"}, 3, 2)
    assert [one.ref for one in cut.jobs] == ["deal:1", "deal:2", "deal:3"]
    assert cut.methods == {"bizproc.workflow.kill"}


def test_what_is_only_written_calls_no_method() -> None:
    (cut,) = all_cuts(judged([Unit("1", (0,)), Unit("2", (), 0, 1)]))
    assert (cut.methods, cut.calls) == (set(), 0)


units = st.lists(
    st.builds(
        lambda evaluations, acting, quiet: (tuple(evaluations), acting, quiet),
        st.lists(st.integers(0, 4), max_size=2),
        st.integers(0, 30),
        st.integers(0, 50),
    ),
    max_size=6,
).map(lambda found: [Unit(str(n), *one) for n, one in enumerate(found, start=1)])
capacities = st.integers(1, 50)


@given(units, capacities)
def test_everything_is_in_one_batch_and_in_no_other(found: list[Unit], capacity: int) -> None:
    cuts = all_cuts(judged(found, capacity))
    stops = Counter(one.stop.decision_id for cut in cuts for one in cut.rechecks)
    assert len(stops) == sum(unit.acting + unit.quiet for unit in found)
    assert set(stops.values()) <= {1}
    plans = Counter(plan.job.ref for cut in cuts for plan in cut.plans)
    assert plans == Counter({f"deal:{u.ref}": len(u.evaluations) for u in found if u.evaluations})


@given(units, capacities)
def test_no_batch_is_larger_than_what_goes_out_and_is_committed_at_once(
    found: list[Unit], capacity: int
) -> None:
    for cut in all_cuts(judged(found, capacity)):
        assert cut.size > 0
        called = [plan.calls for plan in cut.plans] + [one.step.call for one in cut.rechecks]
        assert cut.calls == sum(called)
        assert cut.calls <= max(capacity, sum(plan.calls for plan in cut.plans))
        assert cut.size <= (WITH_CALLS if cut.calls else WRITTEN + 2)  # two evaluations in front


@given(units, capacities)
def test_what_came_up_first_is_called_first(found: list[Unit], capacity: int) -> None:
    acting = [f"deal:{u.ref}" for u in found if u.acting or any(u.evaluations)]
    seen: dict[str, None] = {}
    for cut in all_cuts(judged(found, capacity)):
        refs = [plan.job.ref for plan in cut.plans if plan.calls]
        refs += [one.stop.document.ref for one in cut.rechecks if one.step.call]
        seen |= dict.fromkeys(sorted(refs, key=acting.index))
    assert list(seen) == acting


@given(st.integers(0, 4), st.integers(0, 60), st.integers(0, 60))
def test_a_document_whose_calls_fit_is_in_one_batch(calls: int, acting: int, quiet: int) -> None:
    cuts = all_cuts(judged([Unit("1", (calls,), acting, quiet)], capacity=64))
    assert sum(1 for cut in cuts if cut.calls) <= 1


@given(units, capacities)
def test_what_may_go_beside_the_last_two_batches_calls_nothing_on_their_documents(
    found: list[Unit], capacity: int
) -> None:
    of, last = judged(found, capacity), [set[str](), set[str]()]
    while of:
        busy = last[0] | last[1]
        goes_beside = of.has_calls_on_others(busy)
        cut = of.cut()
        called = {plan.job.ref for plan in cut.plans if plan.calls}
        called |= {one.stop.document.ref for one in cut.rechecks if one.step.call}
        assert not (goes_beside and (busy & called or not called))
        last = [last[1], cut.refs]
