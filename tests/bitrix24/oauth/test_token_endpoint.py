"""Each answer of a token endpoint has one meaning: a pair, or what became of the old one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.bitrix24.oauth import token_endpoint
from responder.bitrix24.oauth.token_endpoint import FailureKind, Granted, TokenFailure

PAIR = {"access_token": "access", "refresh_token": "refresh", "expires_in": 3600, "scope": "app"}
REFUSED, UNUSABLE = FailureKind.REFUSED, FailureKind.UNUSABLE
LATER, LOST = FailureKind.LATER, FailureKind.LOST


def read(status: int, content: object, *secrets: str) -> Granted | TokenFailure:
    return token_endpoint.read(status, json.dumps(content).encode(), secrets)


def test_a_pair_is_granted() -> None:
    assert read(200, {**PAIR, "member_id": "m"}) == Granted(
        access_token="access", refresh_token="refresh", expires_in=3600, member_id="m"
    )


@pytest.mark.parametrize("expires_in", [None, 0, -1, "x", 10**9, [], True])
def test_a_pair_without_a_sensible_life_lives_an_hour(expires_in: object) -> None:
    found = read(200, {**PAIR, "expires_in": expires_in})
    assert isinstance(found, Granted)
    assert found.expires_in in (3600, 1)


def test_a_pair_lives_a_minute_at_least() -> None:
    found = read(200, {**PAIR, "expires_in": 5})
    assert isinstance(found, Granted)
    assert found.expires_in == 60


@pytest.mark.parametrize(
    ("status", "error", "kind", "code"),
    [
        (400, "invalid_grant", REFUSED, "invalid_grant"),
        (400, "INVALID_GRANT", REFUSED, "invalid_grant"),
        (200, "bad_verification_code", REFUSED, "bad_verification_code"),
        (200, "wrong_client", UNUSABLE, "wrong_client"),
        (401, "invalid_client", UNUSABLE, "invalid_client"),
        (400, "invalid_client", UNUSABLE, "invalid_client"),
        (401, "payment_required", UNUSABLE, "PAYMENT_REQUIRED"),
        (401, "NOT_INSTALLED", UNUSABLE, "NOT_INSTALLED"),
        (403, "insufficient_scope", UNUSABLE, "insufficient_scope"),
        (429, "", LATER, "http_429"),
        (503, "QUERY_LIMIT_EXCEEDED", LOST, "QUERY_LIMIT_EXCEEDED"),
        (500, "INTERNAL_SERVER_ERROR", LOST, "INTERNAL_SERVER_ERROR"),
        (400, "something_new", UNUSABLE, "something_new"),
        (200, "something_new", LOST, "something_new"),
    ],
)
def test_an_error_says_what_became_of_the_old_token(
    status: int, error: str, kind: FailureKind, code: str
) -> None:
    found = read(status, {"error": error, "error_description": "why"})
    assert found == TokenFailure(kind, code, "why")


@pytest.mark.parametrize(
    "content",
    [{}, [], "text", {"access_token": "a"}, {**PAIR, "refresh_token": ""},
     {**PAIR, "access_token": 5}, {**PAIR, "access_token": "a" * 5000}],
)  # fmt: skip
def test_an_answer_without_a_pair_is_a_failure_whatever_its_status(content: object) -> None:
    found = read(200, content)
    assert isinstance(found, TokenFailure)
    assert found.kind is LOST


def test_a_pair_with_an_error_is_none() -> None:
    assert isinstance(read(200, {**PAIR, "error": "invalid_grant"}), TokenFailure)


def test_what_was_sent_is_not_shown() -> None:
    found = read(400, {"error": "my-secret", "error_description": "bad my-secret"}, "my-secret")
    assert isinstance(found, TokenFailure)
    assert "my-secret" not in f"{found.code} {found.text}"


def test_a_redirect_and_a_page_are_no_answers() -> None:
    for status in (200, 301, 502):
        found = token_endpoint.read(status, b"<html>")
        assert isinstance(found, TokenFailure)
        assert found.kind is LOST


def test_tokens_are_not_shown() -> None:
    assert "access" not in repr(read(200, PAIR)).replace("Granted", "").replace("_", " ").split()


@given(st.integers(100, 599), st.binary(max_size=200))
def test_no_bytes_raise(status: int, body: bytes) -> None:
    token_endpoint.read(status, body)
