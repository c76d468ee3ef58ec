"""Whether a choice still stands by which others live in a condemned workflow's stead."""

from dataclasses import replace

import pytest

from responder.journal.entries import Spared
from responder.journal.open_stops import Stop
from responder.judge.recheck import Running
from responder.model import Outcome
from tests.judge.make import (
    DENIED,
    STOP,
    a_condemning_rule,
    a_reading,
    a_recheck,
    a_rule,
    a_workflow,
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
