"""Whether a choice still stands by which others live in a condemned workflow's stead."""

from dataclasses import replace

import pytest

from responder.journal.entries import Spared
from responder.journal.open_stops import Stop
from responder.judge.recheck.recheck import Running, explained
from responder.model import Outcome, Workflow
from responder.rules.keep import group_mark
from tests.judge.make import (
    DENIED,
    NOW,
    STOP,
    a_condemning_rule,
    a_failure,
    a_reading,
    a_recheck,
    a_rule,
    a_workflow,
    planned,
)

KEEP = "is not the newest of its document and template"
OLD, NEW = a_workflow("a"), a_workflow("new", started="2026-09-21T12:00:00+03:00")
NEWER = a_workflow("newer", started="2026-09-22T12:00:00+03:00")
KEPT = replace(STOP, spared=Spared(KEEP, ("new",)))
TWO_KEPT = replace(STOP, spared=Spared(KEEP, ("new", "newer")))
KEEPS = a_condemning_rule(more="keep: newest")
OTHERS = "rule the-rule keeps others now than when it condemned this one"
ENDED = "new, which was kept in its stead, no longer runs"
UNSURE = "whether new, which was kept in its stead, still runs: "
ROW: dict[str, str | None] = {"ID": "new"}
CHOICES = {
    "the one that is kept runs": (KEPT, KEEPS, {"new": ROW}, Outcome.IN_DOUBT, None),
    "its rule keeps nobody any more": (KEPT, "", {}, Outcome.IN_DOUBT, None),
    "the one that is kept has ended": (KEPT, KEEPS, {"new": None}, Outcome.CLEARED, ENDED),
    "one of two that are kept has ended": (
        TWO_KEPT,
        KEEPS,
        {"newer": ROW, "new": None},
        Outcome.CLEARED,
        ENDED,
    ),
    "its rule keeps the oldest now": (
        KEPT,
        KEEPS.replace("newest", "oldest"),
        {"new": ROW},
        Outcome.CLEARED,
        OTHERS,
    ),
    "its rule keeps one only now": (STOP, KEEPS, {"new": ROW}, Outcome.CLEARED, OTHERS),
    "the one that is kept cannot be seen": (
        KEPT,
        KEEPS,
        {"new": DENIED},
        Outcome.WAITING,
        UNSURE + DENIED.why,
    ),
    "nobody looked for it": (KEPT, KEEPS, {}, Outcome.WAITING, UNSURE + "it was not looked for"),
}


@pytest.mark.parametrize(
    ("stop", "rules", "runs", "outcome", "detail"), CHOICES.values(), ids=CHOICES
)
def test_a_choice_is_void_where_one_that_was_kept_has_ended(
    stop: Stop, rules: str, runs: Running, outcome: Outcome, detail: str | None
) -> None:
    one = a_recheck(stop, rules, a_reading(OLD, NEW), running=runs)
    assert (one.step.outcome, one.step.detail) == (outcome, detail)
    assert one.step.call == (outcome is Outcome.IN_DOUBT)
    assert one.look == (outcome is Outcome.CLEARED)  # an event chooses anew at once


def test_who_was_kept_stays_so_though_a_newer_one_has_begun() -> None:
    one = a_recheck(KEPT, KEEPS, a_reading(OLD, NEW, NEWER), running={"new": ROW})
    assert one.step.call is True
    assert one.verdict is not None
    assert one.verdict.spared == ("new",)


EVERY_HOUR = a_rule(more="keep: newest\nper: [template]", when="[{every: 1h}]")
OF_RUN = replace(
    STOP,
    trigger="schedule",
    event_names=(),
    asked=frozenset({"the-rule"}),
    spared=Spared("is not the newest of its template", ("new",)),
)


def test_what_a_run_chose_over_all_documents_stands_with_the_stop() -> None:
    one = a_recheck(OF_RUN, EVERY_HOUR, a_reading(OLD), running={"new": ROW})
    assert one.step.call is True


def test_a_void_choice_of_a_run_is_left_to_the_next_run() -> None:
    one = a_recheck(OF_RUN, EVERY_HOUR, a_reading(OLD), running={"new": None})
    assert (one.step.outcome, one.look) == (Outcome.CLEARED, False)


def test_another_rule_that_chooses_over_all_documents_condemns_nobody_meanwhile() -> None:
    both = EVERY_HOUR.replace("the-rule", "other") + EVERY_HOUR
    stop = replace(OF_RUN, asked=frozenset({"the-rule", "other"}))
    one = a_recheck(stop, both, a_reading(OLD), running={"new": ROW})
    assert one.step.call is True


TWO_EACH = a_condemning_rule(more="keep: {newest: 2}\nper: [starter.id]")
BY_STARTER = "is not among the 2 newest with the same starter.id"
OF_SEVEN = Spared(BY_STARTER, ("new", "newer"), group_mark(("7",), "a"))
BOTH: Running = {"new": ROW, "newer": {"ID": "newer"}}
MOVED = "it belongs to another group now than when rule the-rule condemned it"


def started_by(starter: object) -> Workflow:
    return a_workflow("a", **{"starter.id": starter})


@pytest.mark.parametrize(
    ("starter", "running", "outcome", "detail"),
    [
        ("7", BOTH, Outcome.IN_DOUBT, None),
        ("7", {**BOTH, "newer": None}, Outcome.CLEARED, ENDED.replace("new", "newer")),
        ("8", BOTH, Outcome.CLEARED, MOVED),
        (None, BOTH, Outcome.CLEARED, f"keep {BY_STARTER} no longer holds"),
        (DENIED, BOTH, Outcome.CLEARED, f"keep {BY_STARTER} is unknown now"),
    ],
)
def test_a_stop_stands_while_all_that_were_kept_run_and_it_is_of_their_group(
    starter: object, running: Running, outcome: Outcome, detail: str | None
) -> None:
    stop = replace(STOP, spared=OF_SEVEN)
    one = explained(
        a_recheck(stop, TWO_EACH, a_reading(started_by(starter)), running=running), {}, NOW
    )
    assert (one.step.outcome, one.step.detail) == (outcome, detail)
    assert one.step.call == (outcome is Outcome.IN_DOUBT)


def test_what_could_not_be_read_of_a_group_is_looked_at_again() -> None:
    stop = replace(STOP, spared=OF_SEVEN)
    reading = a_reading(started_by(DENIED), failure=a_failure())
    one = a_recheck(stop, TWO_EACH, reading, running=BOTH)
    assert one.step.outcome is Outcome.WAITING


def test_a_rule_that_keeps_another_number_now_does_not_act() -> None:
    stop = replace(STOP, spared=OF_SEVEN)
    rules = TWO_EACH.replace("newest: 2", "newest: 3")
    one = a_recheck(stop, rules, a_reading(started_by("7")), running=BOTH)
    assert (one.step.outcome, one.step.detail) == (Outcome.CLEARED, OTHERS)


def test_in_a_run_a_group_that_changed_is_left_to_the_next_run() -> None:
    rules = TWO_EACH.replace("[deal.updated]", "[{every: 1h}]")
    stop = replace(OF_RUN, spared=OF_SEVEN)
    one = a_recheck(stop, rules, a_reading(started_by("8")), running=BOTH)
    assert (one.step.outcome, one.look) == (Outcome.CLEARED, False)
    assert a_recheck(stop, rules, a_reading(started_by("7")), running=BOTH).step.call is True


def test_a_decision_says_who_was_spared_and_of_which_group() -> None:
    a, new, newer = (
        replace(one, facts={**one.facts, "starter.id": "7"}) for one in (OLD, NEW, NEWER)
    )
    (condemned,) = [one.decision for one in planned(TWO_EACH, a, new, newer).planned if one.step]
    assert condemned.spared is not None
    assert condemned.spared == replace(OF_SEVEN, ids=("newer", "new"))
