"""What the portal's answer to a kill means: each answer is a row, in bytes as it came."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.bitrix24.client.answers import Answer, Failure, FailureKind, read, stopping_method
from responder.bitrix24.client.client import WITHHELD
from responder.bitrix24.client.rate_limit import LIMIT_CODES, OPERATING_LIMIT, QUERY_LIMIT
from responder.judge.stop_lifecycle import (
    BUSY_AGAIN,
    LIFE,
    REFUSED_AGAIN,
    RETRY_AFTER,
    TRIES,
    VERIFY_AFTER,
    Seen,
    StopProgress,
)
from responder.model import OPEN_OUTCOMES, Action, Outcome
from responder.stop.call import StopCall, seen_in

NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)
NONE = timedelta(0)


def called(action: Action = Action.KILL, tries: int = 0) -> StopCall:
    return StopCall(
        decision_id="main-1-1",
        workflow_id="65e5a449e8f135.21284909",
        rule="lost-deal",
        progress=StopProgress(action=action, tries=tries, condemned_at=NOW, called_at=NOW, calls=1),
    )


def came(status: int, body: object) -> Answer:
    """Read an answer to a kill as the client does."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(status, sent, stopping_method(Action.KILL), lambda text: text)


def refused(status: int, code: str, text: str = "in the portal's own words") -> Answer:
    return came(status, {"error": code, "error_description": text})


def failed(kind: FailureKind, code: str) -> Answer:
    """Make a failure of which no bytes came."""
    return Answer(failure=Failure(kind, code, "in our own words"))


BUSY, UNCERTAIN = FailureKind.BUSY, FailureKind.UNCERTAIN

ANSWERS = {
    "true itself: it is done": (came(200, {"result": True}), Seen.DONE),
    "true as a text: nobody knows": (came(200, {"result": "true"}), Seen.LOST),
    "a one: nobody knows": (came(200, {"result": 1}), Seen.LOST),
    "an empty list: nobody knows": (came(200, {"result": []}), Seen.LOST),
    "nothing: nobody knows": (came(200, {"result": None}), Seen.LOST),
    "false: nobody knows": (came(200, {"result": False}), Seen.LOST),
    "true beside an error: look": (came(200, {"result": True, "error": ""}), Seen.UNKNOWN_ID),
    "a page instead of JSON: nobody knows": (came(200, b"<html>"), Seen.LOST),
    "an empty body: nobody knows": (came(200, b""), Seen.LOST),
    "a redirect: nobody knows": (came(302, b""), Seen.LOST),
    "a gateway's page: nobody knows": (came(502, b"<html>"), Seen.LOST),
    "it broke in the portal": (refused(500, "INTERNAL_SERVER_ERROR"), Seen.LOST),
    "500 without a code: nobody knows": (refused(500, ""), Seen.LOST),
    "done, but it could not say so": (refused(200, "WRONG_ENCODING"), Seen.LOST),
    "no answer in time: nobody knows": (failed(UNCERTAIN, "timeout"), Seen.LOST),
    "the connection broke: nobody knows": (failed(UNCERTAIN, "dropped"), Seen.LOST),
    "no connection: a failed try": (failed(BUSY, "no_connection"), Seen.UNREACHABLE),
    "429 without a code: a failed try": (refused(429, ""), Seen.UNREACHABLE),
    "kept back by us: never sent": (failed(BUSY, WITHHELD), Seen.NOT_SENT),
    "too many requests: not carried out": (refused(503, QUERY_LIMIT), Seen.NOT_SENT),
    "its time is used up: not done": (refused(429, OPERATING_LIMIT), Seen.NOT_SENT),
    "the webhook is revoked": (refused(401, "NO_AUTH_FOUND"), Seen.PORTAL_SHUT),
    "the portal is deleted": (refused(403, "PORTAL_DELETED"), Seen.PORTAL_SHUT),
    "we are blocked": (refused(503, "OVERLOAD_LIMIT"), Seen.PORTAL_SHUT),
    "the scope is missing": (refused(401, "insufficient_scope"), Seen.FORBIDDEN),
    "the right is missing": (refused(400, "ACCESS_DENIED"), Seen.FORBIDDEN),
    "no such method": (refused(404, "ERROR_METHOD_NOT_FOUND"), Seen.FORBIDDEN),
    "400, the code empty: the id is unknown": (refused(400, ""), Seen.UNKNOWN_ID),
    "a stale code: look, it may be": (refused(400, "NOT_FOUND"), Seen.UNKNOWN_ID),
    "a code nobody knows: look": (refused(400, "SOMETHING_NEW"), Seen.UNKNOWN_ID),
    "the id is malformed: refused": (refused(400, "ERROR_WRONG_WORKFLOW_ID"), Seen.REFUSED),
    "malformed, in other letters": (refused(400, "error_wrong_workflow_id"), Seen.REFUSED),
}


@pytest.mark.parametrize(("answer", "seen"), ANSWERS.values(), ids=ANSWERS)
def test_what_an_answer_shows(answer: Answer, seen: Seen) -> None:
    assert seen_in(answer)[0] is seen


FIRST = RETRY_AFTER[0]
STEPS = {
    "an unknown id: a look at once": (refused(400, ""), Outcome.IN_DOUBT, NONE, 0),
    "lost: a look at once": (failed(UNCERTAIN, "timeout"), Outcome.IN_DOUBT, NONE, 0),
    "what was not sent is no try": (refused(503, QUERY_LIMIT), Outcome.WAITING, BUSY_AGAIN, 0),
    "no connection is a try": (failed(BUSY, "no_connection"), Outcome.WAITING, FIRST, 1),
    "a shut portal is none": (refused(401, "NO_AUTH_FOUND"), Outcome.WAITING, REFUSED_AGAIN, 0),
    "a missing right is a try": (refused(400, "ACCESS_DENIED"), Outcome.WAITING, FIRST, 1),
}


@pytest.mark.parametrize(("answer", "outcome", "wait", "tries"), STEPS.values(), ids=STEPS)
def test_what_follows_from_an_answer_that_settles_nothing(
    answer: Answer, outcome: Outcome, wait: timedelta, tries: int
) -> None:
    taken = called().after(answer, NOW)
    assert (taken.outcome, taken.due_at, taken.tries) == (outcome, NOW + wait, tries)


@pytest.mark.parametrize(
    ("action", "outcome"),
    [(Action.KILL, Outcome.KILLED), (Action.TERMINATE, Outcome.TERMINATED)],
)
def test_what_was_confirmed_has_a_receipt_and_is_looked_for_again(
    action: Action, outcome: Outcome
) -> None:
    taken = called(action).after(came(200, {"result": True}), NOW)
    assert (taken.outcome, taken.receipt) == (outcome, True)
    assert (taken.due_at, taken.verify_at) == (None, NOW + VERIFY_AFTER)


def test_a_malformed_id_is_refused_for_good() -> None:
    taken = called().after(refused(400, "ERROR_WRONG_WORKFLOW_ID"), NOW)
    assert (taken.outcome, taken.due_at) == (Outcome.REFUSED, None)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        pytest.param(refused(400, "ACCESS_DENIED"), Outcome.REFUSED, id="it was never allowed"),
        pytest.param(failed(BUSY, "no_connection"), Outcome.GAVE_UP, id="it was never reached"),
    ],
)
def test_the_last_failed_try_is_the_end(answer: Answer, outcome: Outcome) -> None:
    assert called(tries=TRIES - 1).after(answer, NOW).outcome is outcome


def test_an_unknown_id_is_remembered_for_the_look_that_follows() -> None:
    assert called().after(refused(400, ""), NOW).unknown_id is True
    assert called().after(failed(UNCERTAIN, "timeout"), NOW).unknown_id is False


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(refused(503, QUERY_LIMIT, "Too many"), f"{QUERY_LIMIT}: Too many", id="both"),
        pytest.param(refused(400, "", "No such id"), "No such id", id="no code"),
        pytest.param(failed(BUSY, WITHHELD), "in our own words", id="a code of ours"),
        pytest.param(Answer(value=1), "the answer was not `true`", id="no refusal"),
    ],
)
def test_the_detail_has_the_portals_code_and_its_words(answer: Answer, why: str) -> None:
    assert called().after(answer, NOW).detail == why


def test_what_came_too_late_to_be_called_is_judged_afresh_and_counted() -> None:
    taken = called().too_late(NOW)
    assert (taken.outcome, taken.tries, taken.call) == (Outcome.WAITING, 1, False)
    assert taken.due_at == NOW + FIRST
    assert taken.detail == "not called: its facts were too old once its intent was committed"


def test_a_kill_names_the_workflow_alone_and_a_terminate_also_says_why() -> None:
    kill, terminate = called().command, called(Action.TERMINATE).command
    assert (kill.method, terminate.method) == (
        "bizproc.workflow.kill",
        "bizproc.workflow.terminate",
    )
    assert kill.params == {"ID": "65e5a449e8f135.21284909"}
    assert terminate.params == {**kill.params, "STATUS": "Stopped by rule lost-deal"}
    because = replace(called(Action.TERMINATE), because="A lost deal\nneeds no approval.")
    assert because.command.params["STATUS"] == "A lost deal needs no approval."


def test_a_call_knows_when_it_was_intended_and_what_it_does() -> None:
    assert called(Action.TERMINATE).action is Action.TERMINATE
    assert called().intended_at == NOW


codes = st.sampled_from(["", WITHHELD, *LIMIT_CODES, "ERROR_WRONG_WORKFLOW_ID"]) | st.text()
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
failures = st.builds(Failure, st.sampled_from(list(FailureKind)), codes, st.text())
answers = st.builds(Answer, value=values) | st.builds(Answer, value=values, failure=failures)
bodies = st.builds(
    lambda status, body: came(status, body), st.integers(100, 599), values | st.binary()
)
tries = st.integers(0, TRIES - 1)


@given(answers | bodies)
def test_only_true_itself_without_a_failure_is_done(answer: Answer) -> None:
    confirmed = answer.failure is None and answer.value is True
    assert (seen_in(answer)[0] is Seen.DONE) == confirmed


@given(answers | bodies, tries)
def test_no_answer_leads_straight_to_another_call(answer: Answer, tried: int) -> None:
    taken = called(tries=tried).after(answer, NOW)
    assert taken.call is False
    assert (Outcome.IN_DOUBT, seen_in(answer)[0]) in LIFE
    assert (taken.due_at is not None) == (taken.outcome in OPEN_OUTCOMES)


@given(answers | bodies, tries)
def test_what_may_have_been_carried_out_is_looked_for_before_it_is_tried_again(
    answer: Answer, tried: int
) -> None:
    failure = answer.failure
    if failure is not None and failure.kind is FailureKind.UNCERTAIN:
        assert called(tries=tried).after(answer, NOW).outcome is Outcome.IN_DOUBT
