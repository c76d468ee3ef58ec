"""Both forms of an installation message are read, and nothing else is one."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.bitrix24 import payload
from responder.bitrix24.oauth import installation_message
from responder.bitrix24.oauth.installation_message import Message

MEMBER = "a223c6b3710f85df22e9377d6c4f7553"
AUTH = {
    "access_token": "access",
    "expires": "1764270000",
    "expires_in": "3600",
    "scope": "crm,bizproc",
    "domain": "p.bitrix24.com",
    "server_endpoint": "https://oauth.bitrix.info/rest/",
    "status": "L",
    "client_endpoint": "https://p.bitrix24.com/rest/",
    "member_id": MEMBER,
    "user_id": "1",
    "refresh_token": "refresh",
    "application_token": "token",
}
OPENED = {
    "AUTH_ID": "access",
    "AUTH_EXPIRES": "1800",
    "REFRESH_ID": "refresh",
    "member_id": MEMBER,
    "status": "L",
    "PLACEMENT": "DEFAULT",
}


def parse(form: dict[str, str], query: dict[str, str] | None = None) -> Message | None:
    return installation_message.parse(payload.event(urlencode(form).encode()), query or {})


def of_api(**changed: str | None) -> dict[str, str]:
    auth = {name: value for name, value in {**AUTH, **changed}.items() if value is not None}
    return {
        "event": "ONAPPINSTALL",
        "data[VERSION]": "1",
        **{f"auth[{name}]": value for name, value in auth.items()},
    }


def test_the_event_of_the_portals_servers_is_read() -> None:
    assert parse(of_api()) == Message(
        form="api",
        domain="p.bitrix24.com",
        member_id=MEMBER,
        endpoint="https://oauth.bitrix.info/rest/",
        expires_in=3600,
        access_token="access",
        refresh_token="refresh",
        application_token="token",
    )


def test_the_form_of_the_browser_is_read() -> None:
    newer = {"SERVER_ENDPOINT": "https://oauth.bitrix.info/rest/", "APPLICATION_TOKEN": "token"}
    assert parse({**OPENED, **newer}, {"DOMAIN": "p.bitrix24.com", "PROTOCOL": "1"}) == Message(
        form="interface",
        domain="p.bitrix24.com",
        member_id=MEMBER,
        endpoint="https://oauth.bitrix.info/rest/",
        expires_in=1800,
        access_token="access",
        refresh_token="refresh",
        application_token="token",
    )


def test_the_older_form_has_neither_server_nor_application_token() -> None:
    message = parse(OPENED)
    assert message is not None
    assert (message.endpoint, message.domain, message.application_token) == (None, None, "")


@pytest.mark.parametrize("absent", ["access_token", "refresh_token", "member_id"])
def test_without_tokens_or_member_it_is_none(absent: str) -> None:
    assert parse(of_api(**{absent: None})) is None
    assert parse(of_api(**{absent: ""})) is None
    assert parse(of_api(**{absent: "x" * 513})) is None
    assert parse(of_api(**{absent: "a\nb"})) is None


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"event": "ONAPPINSTALL"},
        {"event": "ONAPPINSTALL", "auth": "x"},
        {"event": "ONAPPINSTALL", **OPENED},
        {"event": "ONAPPUPDATE", **{f"auth[{k}]": v for k, v in AUTH.items()}},
        {"AUTH_ID": "access"},
    ],
)
def test_anything_else_is_none(form: dict[str, str]) -> None:
    assert parse(form) is None


@pytest.mark.parametrize(("written", "seconds"), [("x", 3600), ("", 3600), ("999999", 3600),
                                                  ("99999", 86_400), ("60", 60)])  # fmt: skip
def test_how_long_a_token_lives_has_bounds(written: str, seconds: int) -> None:
    message = parse(of_api(expires_in=written))
    assert message is not None
    assert message.expires_in == seconds


def test_a_code_is_read_from_an_address() -> None:
    query = {"code": "c", "state": "s", "domain": "p.bitrix24.com", "server_domain": "oauth.x"}
    assert installation_message.of_code(query) == Message(
        form="code", code="c", domain="p.bitrix24.com", endpoint="oauth.x"
    )
    assert installation_message.of_code({"state": "s"}) is None


def test_a_message_is_the_same_after_it_was_stored() -> None:
    message = parse(of_api())
    assert message is not None
    assert installation_message.of_text(installation_message.to_text(message)) == message


def test_a_message_shows_none_of_its_secrets() -> None:
    message = parse(of_api(access_token="AccessSecret", refresh_token="RefreshSecret"))
    assert "Secret" not in repr(message)


@given(st.binary(max_size=400))
def test_no_bytes_raise(body: bytes) -> None:
    installation_message.parse(payload.event(body), {})
