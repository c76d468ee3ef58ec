"""What is different since a stop was condemned, what cannot be proved, and what a look shows."""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta

import pytest

from responder.bitrix24.client.answers import Failure, FailureKind
from responder.bitrix24.client.rate_limit import QUERY_LIMIT
from responder.bitrix24.fetch.document_facts import Reading
from responder.bitrix24.fetch.open_tasks import Missing
from responder.journal.open_stops import Stop
from responder.judge.recheck.recheck import (
    Before,
    after_lookup,
    explained,
    progress_of,
    put_off_stale,
    put_off_unproved,
    without_evidence,
)
from responder.judge.stop_lifecycle import (
    LOOK_AGAIN,
    PORTAL_CUTS_AT,
    REFUSED_AGAIN,
    RETRY_AFTER,
    SENT_WITHIN,
    TRIES,
    StopProgress,
)
from responder.model import Outcome, Unknown
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
    approved,
    planned,
)

ROW: Mapping[str, str | None] = {"ID": "a"}
LONGEST = SENT_WITHIN + PORTAL_CUTS_AT
IN_DOUBT = replace(STOP, outcome=Outcome.IN_DOUBT, called_at=NOW - LONGEST, calls=1)
FRESH = replace(IN_DOUBT, called_at=NOW)
LOOKS = {
    "it is gone: the call worked": (IN_DOUBT, None, Outcome.KILLED, None),
    "it is still there": (IN_DOUBT, ROW, Outcome.WAITING, NOW),
    "it is still there, but may be under way": (FRESH, ROW, Outcome.IN_DOUBT, NOW + LONGEST),
    "it could not be looked for": (IN_DOUBT, DENIED, Outcome.IN_DOUBT, NOW + LOOK_AGAIN),
    "gone, and its id was unknown": (
        replace(IN_DOUBT, unknown_id=True),
        None,
        Outcome.ALREADY_GONE,
        None,
    ),
}


@pytest.mark.parametrize(("stop", "row", "outcome", "due_at"), LOOKS.values(), ids=LOOKS)
def test_what_a_look_by_id_says_of_a_call_in_doubt(
    stop: Stop,
    row: Mapping[str, str | None] | Unknown | None,
    outcome: Outcome,
    due_at: datetime | None,
) -> None:
    taken = after_lookup(stop, row, NOW)
    assert (taken.outcome, taken.due_at, taken.call) == (outcome, due_at, False)
    assert taken.receipt is not True  # nobody saw an answer


def test_what_is_known_of_a_stop_is_what_the_journal_has() -> None:
    full = replace(
        STOP,
        approval=approved(hours_ago=1),
        tries=3,
        calls=2,
        called_at=NOW,
        ready_at=NOW,
        unknown_id=True,
        lapses_at=NOW,
        postponed_at=NOW,
    )
    progress = progress_of(full)
    for field in fields(StopProgress):
        assert getattr(progress, field.name) == getattr(full, field.name), field.name


DEAL_TEST = ("if.deal.stage_semantic_id", "is F")
TEMPLATE_TEST = ("if.workflow.template_id", "is 61")
GUARD = a_rule("workflow.template_id: 61", name="guard", when=None, then="leave")
AS_CONDEMNED: Before = {DEAL_TEST: True, TEMPLATE_TEST: True}
ANNA = "unless: {deal.assigned_by_id: 9}"
ANNAS = ("unless.deal.assigned_by_id", "is 9")


def different(rules: str, reading: Reading, before: Before, stop: Stop = STOP) -> str | None:
    """Say why a stop is cleared that was condemned with these tests."""
    one = explained(a_recheck(stop, rules, reading), before, NOW)
    assert one.step.outcome is Outcome.CLEARED
    return one.step.detail


DIFFERENT = {
    "the deal is no longer lost": (
        a_condemning_rule(),
        a_reading(stage="S"),
        AS_CONDEMNED,
        "if.deal.stage_semantic_id is F no longer holds",
    ),
    "its stage is unknown": (
        a_condemning_rule(),
        a_reading(stage=DENIED),
        AS_CONDEMNED,
        "if.deal.stage_semantic_id is F is unknown now",
    ),
    "the exception holds": (
        a_condemning_rule(more=ANNA),
        a_reading(assigned_by="9"),
        {**AS_CONDEMNED, ANNAS: False},
        "unless.deal.assigned_by_id is 9 holds now",
    ),
    "the exception is unknown": (
        a_condemning_rule(more=ANNA),
        a_reading(assigned_by=DENIED),
        {**AS_CONDEMNED, ANNAS: False},
        "unless.deal.assigned_by_id is 9 is unknown now",
    ),
    "an exception that is new holds": (
        a_condemning_rule(more=ANNA),
        a_reading(assigned_by="9"),
        AS_CONDEMNED,
        "unless.deal.assigned_by_id is 9 holds now",
    ),
    "two tests are different, and the last ended it": (
        a_condemning_rule(),
        a_reading(a_workflow(template_id="7"), stage=DENIED),
        AS_CONDEMNED,
        "if.workflow.template_id is 61 no longer holds",
    ),
    "one that was made says more than one that was not": (
        a_condemning_rule(more=ANNA),
        a_reading(stage=DENIED, assigned_by=DENIED),
        AS_CONDEMNED,
        "if.deal.stage_semantic_id is F is unknown now",
    ),
    "its rule observes": (
        a_condemning_rule(mode="observe"),
        a_reading(),
        AS_CONDEMNED,
        "rule the-rule is in mode observe now",
    ),
    "its rule observes, as one above it does": (
        a_condemning_rule(name="other", mode="observe") + a_condemning_rule(mode="observe"),
        a_reading(),
        AS_CONDEMNED,
        "rule the-rule is in mode observe now",
    ),
    "its rule does something else": (
        a_condemning_rule(then="terminate"),
        a_reading(),
        AS_CONDEMNED,
        "rule the-rule says terminate now",
    ),
    "a guard stands between one that observes and its rule": (
        a_condemning_rule(name="other", mode="observe") + GUARD + a_condemning_rule(),
        a_reading(),
        AS_CONDEMNED,
        "rule the-rule no longer condemns it; guard says leave",
    ),
    "another rule is read first": (
        a_condemning_rule(name="other") + a_condemning_rule(),
        a_reading(),
        AS_CONDEMNED,
        "rule the-rule no longer condemns it; other says kill",
    ),
    "a guard stands above it": (
        GUARD + a_condemning_rule(),
        a_reading(),
        AS_CONDEMNED,
        "rule the-rule no longer condemns it; guard says leave",
    ),
    "its rule is gone": (
        a_rule("workflow.id: z", name="other"),
        a_reading(),
        AS_CONDEMNED,
        "rule the-rule no longer condemns it",
    ),
}


@pytest.mark.parametrize(
    ("rules", "reading", "before", "detail"), DIFFERENT.values(), ids=DIFFERENT
)
def test_a_cleared_stop_says_what_is_different(
    rules: str, reading: Reading, before: Before, detail: str
) -> None:
    assert different(rules, reading, before) == detail


def test_what_is_not_cleared_by_a_judgement_is_left_as_it_is() -> None:
    for one in (a_recheck(), a_recheck(reading=a_reading(a_workflow("b")))):
        assert explained(one, AS_CONDEMNED, NOW) is one


def test_a_stop_that_was_approved_and_is_cleared_says_by_whom() -> None:
    detail = different("", a_reading(stage="S"), AS_CONDEMNED, replace(STOP, approval=approved(1)))
    assert str(detail).startswith("approved by anna")
    assert str(detail).endswith("if.deal.stage_semantic_id is F no longer holds")


PROVED_NOT = {
    "the portal is shut": (a_failure(FailureKind.PORTAL, "NO_AUTH_FOUND"), REFUSED_AGAIN, 0),
    "the right is missing": (a_failure(FailureKind.METHOD, "ACCESS_DENIED"), REFUSED_AGAIN, 0),
    "too many requests": (a_failure(code=QUERY_LIMIT), REFUSED_AGAIN, 0),
    "no answer came": (a_failure(), RETRY_AFTER[0], 1),
    "it was not read": (None, RETRY_AFTER[0], 1),
}
WHY = "its evidence could not be read: no tasks"


@pytest.mark.parametrize(("failure", "wait", "tries"), PROVED_NOT.values(), ids=PROVED_NOT)
def test_what_cannot_be_proved_is_not_called(
    failure: Failure | None, wait: timedelta, tries: int
) -> None:
    plan = put_off_unproved(planned(a_condemning_rule()), {"a": Missing("no tasks", failure)}, NOW)
    (one,) = plan.planned
    assert one.step is not None
    assert (one.step.outcome, one.step.tries, one.step.call) == (Outcome.WAITING, tries, False)
    assert (one.step.due_at, one.step.detail) == (NOW + wait, WHY)
    assert (one.decision.outcome, one.decision.due_at, one.decision.detail) == (
        Outcome.WAITING,
        NOW + wait,
        WHY,
    )


def test_what_cannot_be_proved_for_the_fifth_time_is_given_up() -> None:
    tried = replace(progress_of(STOP), tries=TRIES - 1)
    taken = without_evidence(tried, Missing("no tasks", a_failure()), NOW)
    assert (taken.outcome, taken.detail) == (Outcome.GAVE_UP, f"after 5 tries: {WHY}")


MISSING = {"a": Missing("no tasks", None)}
UNTOUCHED = {
    "it is proved": (a_condemning_rule(), {}),
    "another one is not": (a_condemning_rule(), {"b": Missing("no tasks", None)}),
    "it waits anyway": (a_condemning_rule(more="wait: 10m"), MISSING),
    "somebody is asked first": (a_condemning_rule(mode="approve"), MISSING),
    "nothing is condemned": (a_rule("workflow.id: z"), MISSING),
}


@pytest.mark.parametrize(("rules", "missing"), UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_is_not_about_to_be_called_needs_no_evidence(
    rules: str, missing: dict[str, Missing]
) -> None:
    plan = planned(rules)
    assert put_off_unproved(plan, missing, NOW) == plan


def test_what_would_be_stopped_says_that_it_could_not_be_proved() -> None:
    (one,) = put_off_unproved(planned(a_condemning_rule(mode="observe")), MISSING, NOW).planned
    assert (one.step, one.decision.outcome, one.decision.detail) == (None, Outcome.WOULD_KILL, WHY)


def test_what_is_too_old_for_a_call_is_judged_afresh_later() -> None:
    acting, quiet = planned(a_condemning_rule()), planned(a_condemning_rule(more="wait: 10m"))
    stands, waits = a_recheck(), a_recheck(rules=a_condemning_rule(more="wait: 1h"))
    (late, still), (put_off, as_before) = put_off_stale([acting, quiet], [stands, waits], NOW)
    assert (still, as_before) == (quiet, waits)
    (one,) = late.planned
    for taken in (one.step, put_off.step):
        assert taken is not None
        assert (taken.outcome, taken.call, taken.tries) == (Outcome.WAITING, False, 1)
        assert taken.due_at == NOW + RETRY_AFTER[0]
        assert taken.detail is not None
        assert taken.detail.startswith("the portal answers slowly: the facts were too old")
    assert one.decision.due_at == NOW + RETRY_AFTER[0]
    assert put_off.stop is stands.stop


def test_what_is_too_old_for_the_fifth_time_is_given_up() -> None:
    _, (one,) = put_off_stale([], [a_recheck(replace(STOP, tries=TRIES - 1))], NOW)
    assert one.step.outcome is Outcome.GAVE_UP
