"""A stop that waited is judged afresh: every reason to act, to wait on, to clear it is a row."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.bitrix24.client.answers import Failure, FailureKind
from responder.bitrix24.client.rate_limit import OPERATING_LIMIT, QUERY_LIMIT
from responder.bitrix24.fetch.document_facts import Reading
from responder.bitrix24.lists.malformed_rows import OddRows
from responder.journal.approval_proof import Approval
from responder.journal.open_stops import Stop
from responder.judge.plans import Known
from responder.judge.stop_lifecycle import (
    EXECUTING_AT_MOST,
    REFUSED_AGAIN,
    RETRY_AFTER,
    TRIES,
)
from responder.model import Action, Outcome, Unknown
from tests.judge.make import (
    CAREFUL,
    CAREFUL_FACTS,
    DENIED,
    NOW,
    STOP,
    Found,
    a_careful_reading,
    a_condemning_rule,
    a_failure,
    a_reading,
    a_recheck,
    a_rule,
    a_workflow,
    approved,
)

SOON = (NOW + timedelta(seconds=1)).isoformat()
GUARD = a_rule("workflow.template_id: 61", name="guard", when=None, then="leave")
OTHER = a_condemning_rule(name="other")
PORTAL, METHOD = FailureKind.PORTAL, FailureKind.METHOD


ASKED = replace(STOP, asks=True)
APPROVED = replace(ASKED, approval=approved(hours_ago=1))
SHADOW = replace(STOP, shadow=True)
EXECUTES = a_reading(a_workflow(owned_until=SOON))
ASKS = a_condemning_rule(mode="approve")
OBSERVES = a_condemning_rule(mode="observe")
ALSO_OBSERVED = a_condemning_rule(name="other", mode="observe") + a_condemning_rule()
CALLED = {
    "nothing has changed": (STOP, "", Known()),
    "it was tried four times": (replace(STOP, tries=TRIES - 1), "", Known()),
    "its wait is over": (STOP, a_condemning_rule(more="wait: 10m"), Known()),
    "its hours have begun": (STOP, a_condemning_rule(more="during: now"), Known()),
    "it was approved": (APPROVED, ASKS, Known()),
    "it was approved, and its rule asks no more": (APPROVED, "", Known()),
    "another method is refused": (STOP, "", Known(shut={"bizproc.workflow.terminate": "x"})),
    "another rule observes it": (
        STOP,
        OBSERVES.replace("the-rule", "o") + a_condemning_rule(),
        Known(),
    ),
}


@pytest.mark.parametrize(("stop", "rules", "known"), CALLED.values(), ids=CALLED)
def test_a_stop_that_still_stands_is_called(stop: Stop, rules: str, known: Known) -> None:
    one = a_recheck(stop, rules, known=known)
    assert one.step.call is True
    assert (one.step.outcome, one.step.tries) == (Outcome.IN_DOUBT, stop.tries)
    assert one.verdict is not None
    assert (one.verdict.rule, one.verdict.workflow.id) == ("the-rule", "a")
    assert (one.may_act, one.look, one.cleared_by) == (True, False, None)


KILL = "bizproc.workflow.kill"
WAITS = {
    "its rule looks on": (
        STOP,
        a_condemning_rule(more="wait: 11m"),
        Known(),
        (Outcome.WAITING, NOW + timedelta(minutes=1)),
    ),
    "its hours are over": (
        STOP,
        a_condemning_rule(more="during: tonight"),
        Known(),
        (Outcome.WAITING, datetime(2026, 9, 24, 20, tzinfo=UTC)),
    ),
    "the portal refuses all kills": (
        STOP,
        "",
        Known(shut={KILL: "ACCESS_DENIED"}),
        (Outcome.WAITING, NOW + REFUSED_AGAIN),
    ),
    "nobody has approved it": (ASKED, ASKS, Known(), (Outcome.HELD, NOW + timedelta(hours=24))),
    "its rule asks now": (STOP, ASKS, Known(), (Outcome.HELD, NOW + timedelta(hours=24))),
    "it lapses when it was to lapse": (
        replace(ASKED, lapses_at=NOW + timedelta(hours=3)),
        ASKS,
        Known(),
        (Outcome.HELD, NOW + timedelta(hours=3)),
    ),
}


@pytest.mark.parametrize(("stop", "rules", "known", "expected"), WAITS.values(), ids=WAITS)
def test_a_stop_that_still_stands_waits_for_its_time(
    stop: Stop, rules: str, known: Known, expected: tuple[Outcome, datetime]
) -> None:
    one = a_recheck(stop, rules, known=known)
    assert (one.step.outcome, one.step.due_at) == expected
    assert one.step.call is False
    assert one.verdict is not None


def test_a_workflow_that_executes_is_looked_at_again_for_five_minutes() -> None:
    first = a_recheck(reading=EXECUTES).step
    assert (first.outcome, first.ready_at) == (Outcome.WAITING, NOW)
    for_long = replace(STOP, ready_at=NOW - EXECUTING_AT_MOST)
    assert a_recheck(for_long, reading=EXECUTES).step.outcome is Outcome.GAVE_UP


UNREAD = {
    "the portal is shut": (a_failure(PORTAL, "NO_AUTH_FOUND"), False, REFUSED_AGAIN, 0),
    "the right is missing": (a_failure(METHOD, "ACCESS_DENIED"), False, REFUSED_AGAIN, 0),
    "too many requests": (a_failure(code=QUERY_LIMIT), False, REFUSED_AGAIN, 0),
    "its time is used up": (a_failure(code=OPERATING_LIMIT), False, REFUSED_AGAIN, 0),
    "the portal is away": (a_failure(), True, REFUSED_AGAIN, 0),
    "no answer came": (a_failure(), False, RETRY_AFTER[0], 1),
}


@pytest.mark.parametrize(("failure", "away", "wait", "tries"), UNREAD.values(), ids=UNREAD)
def test_a_stop_whose_workflows_cannot_be_listed_waits(
    failure: Failure, away: bool, wait: timedelta, tries: int
) -> None:
    unlisted = a_reading(unlisted=Unknown("the list broke"), failure=failure)
    one = a_recheck(reading=unlisted, known=Known(away=away))
    assert (one.step.outcome, one.step.detail) == (Outcome.WAITING, "the list broke")
    assert (one.step.due_at, one.step.tries) == (NOW + wait, tries)


@pytest.mark.parametrize(("failure", "away", "wait", "tries"), UNREAD.values(), ids=UNREAD)
def test_a_stop_whose_facts_cannot_be_read_waits(
    failure: Failure, away: bool, wait: timedelta, tries: int
) -> None:
    unread = a_reading(stage=DENIED, failure=failure)
    one = a_recheck(reading=unread, known=Known(away=away))
    assert one.step.detail == "not all facts could be read: in the portal's own words"
    assert (one.step.due_at, one.step.tries) == (NOW + wait, tries)


def test_a_list_that_was_not_even_asked_for_is_a_failed_try() -> None:
    taken = a_recheck(reading=a_reading(unlisted=DENIED)).step
    assert (taken.outcome, taken.tries) == (Outcome.WAITING, 1)


def test_what_cannot_be_read_five_times_is_given_up() -> None:
    unlisted = a_reading(unlisted=Unknown("the list broke"), failure=a_failure())
    taken = a_recheck(replace(STOP, tries=TRIES - 1), reading=unlisted).step
    assert (taken.outcome, taken.detail) == (Outcome.GAVE_UP, "after 5 tries: the list broke")


def odd(*, nameless: bool = False, elsewhere: bool = False) -> OddRows:
    return OddRows(nameless=nameless, elsewhere={"a": "it is elsewhere"} if elsewhere else {})


UNLISTED = {
    "it certainly ended": (odd(), Outcome.ALREADY_GONE, "it was no longer running when we"),
    "it is listed elsewhere": (odd(elsewhere=True), Outcome.WAITING, "it is elsewhere"),
    "it may be the row without an id": (odd(nameless=True), Outcome.WAITING, "the list of workf"),
}


@pytest.mark.parametrize(("rows", "outcome", "detail"), UNLISTED.values(), ids=UNLISTED)
def test_a_workflow_is_gone_where_nothing_says_that_it_may_run(
    rows: OddRows, outcome: Outcome, detail: str
) -> None:
    one = a_recheck(reading=a_reading(a_workflow("b"), odd=rows))
    assert one.step.outcome is outcome
    assert str(one.step.detail).startswith(detail)
    assert (one.step.receipt, one.verdict) == (None if outcome is Outcome.WAITING else False, None)


MON = datetime(2026, 9, 28, 8, tzinfo=UTC)  # when the office opens after the evening of a Thursday
EVENING = Approval("anna", datetime(2026, 9, 24, 19, tzinfo=UTC), 7)
DAY, SECOND = timedelta(hours=24), timedelta(seconds=1)
IN_OFFICE = a_condemning_rule(mode="approve", more="during: office")
LAPSES = {
    "within a day": (approved(24), ASKS, NOW - SECOND, Outcome.IN_DOUBT),
    "a day later": (approved(24), ASKS, NOW, Outcome.CANCELLED),
    "a day later, its rule is gone": (approved(24), OTHER, NOW, Outcome.CANCELLED),
    "within a day of the next hours": (EVENING, IN_OFFICE, MON + 2 * SECOND, Outcome.IN_DOUBT),
    "before the next hours": (EVENING, IN_OFFICE, MON - SECOND, Outcome.WAITING),
    "a day after the next hours began": (EVENING, IN_OFFICE, MON + DAY, Outcome.CANCELLED),
}


@pytest.mark.parametrize(("approval", "rules", "now", "outcome"), LAPSES.values(), ids=LAPSES)
def test_an_approval_is_good_for_a_day_of_its_rules_hours(
    approval: Approval, rules: str, now: datetime, outcome: Outcome
) -> None:
    one = a_recheck(replace(ASKED, approval=approval), rules, now=now)
    assert one.step.outcome is outcome
    assert outcome is not Outcome.CANCELLED or "lapsed: it could not be carried" in str(
        one.step.detail
    )


ELSEWHERE = a_rule("workflow.id: z", name="elsewhere")
CLEARED = {
    "its deal is no longer lost": (STOP, "", a_reading(stage="S"), False),
    "its stage cannot be understood": (STOP, "", a_reading(stage=DENIED), False),
    "its deal is gone": (STOP, "", a_reading(stage=None, exists=False), False),
    "it has another template": (STOP, "", a_reading(a_workflow(template_id="7")), False),
    "a guard stands above it": (STOP, GUARD + a_condemning_rule(), None, False),
    "its rule is gone": (STOP, ELSEWHERE, None, False),
    "its rule is gone, and another condemns it": (STOP, OTHER, None, True),
    "another rule is read first": (STOP, OTHER + a_condemning_rule(), None, True),
    "its rule observes": (STOP, OBSERVES, None, True),
    "its rule does something else": (STOP, a_condemning_rule(then="terminate"), None, True),
    "its rule enforces what it observed": (SHADOW, "", None, True),
    "its rule asks nobody any more": (ASKED, "", None, True),
    "its rule is switched off": (STOP, a_condemning_rule(more="disabled: no"), None, False),
    "its rule is over": (STOP, a_condemning_rule(more="expires: 2026-09-01"), None, False),
}


@pytest.mark.parametrize(("stop", "rules", "reading", "look"), CLEARED.values(), ids=CLEARED)
def test_a_stop_that_stands_no_more_is_cleared_and_others_are_asked(
    stop: Stop, rules: str, reading: Reading | None, look: bool
) -> None:
    one = a_recheck(stop, rules, reading)
    assert (one.step.outcome, one.step.detail) == (
        Outcome.CLEARED,
        "rule the-rule no longer condemns it",
    )
    assert (one.verdict, one.look) == (None, look)
    assert one.cleared_by is not None


def test_a_stop_is_cleared_where_the_installation_observes_now() -> None:
    assert a_recheck(enforcing=False).step.outcome is Outcome.CLEARED


def test_a_stop_whose_workflow_is_no_longer_condemned_is_not_kept_by_another() -> None:
    """Its rule condemns another workflow of the same deal, which is not this stop's."""
    reading = a_reading(a_workflow("a", template_id="7"), a_workflow("b"))
    assert a_recheck(reading=reading).step.outcome is Outcome.CLEARED


MAY_ACT = {
    "it is enforced": (STOP, "", True),
    "it was approved": (APPROVED, ASKS, True),
    "it was approved, and its rule asks no more": (APPROVED, "", True),
    "nobody has approved it": (ASKED, ASKS, False),
    "its rule asks now": (STOP, ASKS, False),
    "it is only observed": (SHADOW, OBSERVES, False),
}


@pytest.mark.parametrize(("stop", "rules", "may_act"), MAY_ACT.values(), ids=MAY_ACT)
def test_what_counts_against_the_limits(stop: Stop, rules: str, may_act: bool) -> None:
    assert a_recheck(stop, rules).may_act is may_act


@pytest.mark.parametrize(
    ("then", "outcome"), [("kill", Outcome.WOULD_KILL), ("terminate", Outcome.WOULD_TERMINATE)]
)
def test_what_was_observed_and_still_would_be_stopped_is_settled(
    then: str, outcome: Outcome
) -> None:
    shadow = replace(SHADOW, action=Action(then))
    one = a_recheck(shadow, a_condemning_rule(then=then, mode="observe"))
    assert (one.step.outcome, one.step.call) == (outcome, False)


ways: st.SearchStrategy[Found] = st.sampled_from(["for", "against", "unknown", "absent"])


@given(st.fixed_dictionaries(dict.fromkeys(CAREFUL_FACTS, ways)), st.sampled_from([STOP, APPROVED]))
def test_a_stop_is_called_only_where_all_its_facts_are_known(
    found: dict[str, Found], stop: Stop
) -> None:
    one = a_recheck(stop, CAREFUL, a_careful_reading(found))
    assert one.step.call == (set(found.values()) == {"for"})
