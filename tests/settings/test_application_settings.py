"""The settings of a local application: what is needed, what is wrong, and what is never printed."""

import pytest

from responder.settings.settings import load, secrets
from tests.settings.test_settings import MINIMAL, URL, problems_of, url_of

APPLICATION = {
    "RESPONDER_SECRET_KEY": "a-key-of-more-than-thirty-two-characters",
    "RESPONDER_PORTALS__MAIN__DOMAIN": "Example.bitrix24.com",
}


def test_a_domain_and_a_key_are_enough_for_a_local_application() -> None:
    portal = load(APPLICATION, env_file=None).portals["main"]
    assert (portal.domain, portal.host) == ("example.bitrix24.com", "example.bitrix24.com")
    assert (portal.url, portal.application_tokens) == (None, ())
    assert portal.origin == "https://example.bitrix24.com"
    assert not portal.application_is_configured


def test_a_host_is_the_same_by_webhook_and_by_domain() -> None:
    url = "https://Example.Bitrix24.com/rest/1/a-secret-of-a-webhook/"
    webhook = load(
        {
            "RESPONDER_PORTALS__MAIN__URL": url,
            "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": "a-token-of-the-webhook-0001",
        },
        env_file=None,
    )
    assert webhook.portals["main"].host == load(APPLICATION, env_file=None).portals["main"].host


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("PORTALS__MAIN__DOMAIN", "https://a.example/", "must be a host such as"),
        ("PORTALS__MAIN__DOMAIN", "a.example:99999999", "must be a host such as"),
        ("PORTALS__MAIN__DOMAIN", "", "is missing"),
        ("PORTALS__MAIN__CLIENT_ID", "local.1.2", "need each other"),
        ("PORTALS__MAIN__CLIENT_SECRET", "client-secret-0001", "need each other"),
        ("PORTALS__MAIN__CLIENT_SECRET", "tiny", "at least 16"),
        ("PORTALS__MAIN__POLL_EVERY", "0", "must be from 1s to 1h"),
        ("PORTALS__MAIN__POLL_EVERY", "2h", "must be from 1s to 1h"),
        ("SECRET_KEY", "tiny", "is shorter than 32 characters"),
        ("SECRET_KEY", "", "it encrypts an application's tokens"),
        ("PUBLIC_URL", "http://responder.example", "must begin with https://"),
        ("PUBLIC_URL", "https://a:b@responder.example", "must hold no user"),
    ],
)
def test_a_wrong_setting_of_an_application_is_named_with_the_reason(
    name: str, value: str, problem: str
) -> None:
    problems = problems_of({**APPLICATION, f"RESPONDER_{name}": value})
    assert any(problem in one for one in problems), problems
    assert not any(value and value in one for one in problems)


@pytest.mark.parametrize(
    ("url", "domain", "is_one"),
    [
        ("https://a.bitrix24.com/rest/1/abcdefabcdef1234/", "a.bitrix24.com", True),
        ("https://A.bitrix24.com:443/rest/1/abcdefabcdef1234/", "a.bitrix24.com", True),
        ("https://a.bitrix24.com:8443/rest/1/abcdefabcdef1234/", "a.bitrix24.com", False),
        ("https://a.bitrix24.com/rest/1/abcdefabcdef1234/", "b.bitrix24.com", False),
    ],
)
def test_webhook_and_application_are_of_one_portal(url: str, domain: str, is_one: bool) -> None:
    given = APPLICATION | {
        "RESPONDER_PORTALS__MAIN__DOMAIN": domain,
        "RESPONDER_PORTALS__MAIN__URL": url,
        "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": "0123456789abcdef01",
    }
    if is_one:
        assert load(given, env_file=None).portals["main"].host == domain
        return
    (problem,) = problems_of(given)
    assert "RESPONDER_PORTALS__MAIN__URL and RESPONDER_PORTALS__MAIN__DOMAIN" in problem
    assert "bitrix24.com" not in problem


def test_two_portals_share_no_domain_and_no_client() -> None:
    keys = {"CLIENT_ID": "local.1.2", "CLIENT_SECRET": "client-secret-0001"}
    given = dict(APPLICATION)
    for name in ("MAIN", "SIDE"):
        given |= {f"RESPONDER_PORTALS__{name}__{key}": value for key, value in keys.items()}
    given["RESPONDER_PORTALS__SIDE__DOMAIN"] = "example.bitrix24.com"
    problems = problems_of(given)
    assert any("SIDE__DOMAIN shares a value" in one for one in problems)
    assert any("SIDE__CLIENT_ID shares a value" in one for one in problems)


def test_the_secrets_of_an_application_are_never_printed() -> None:
    keys = {"CLIENT_ID": "local.1.2", "CLIENT_SECRET": "client-secret-0001"}
    given = APPLICATION | {f"RESPONDER_PORTALS__MAIN__{key}": one for key, one in keys.items()}
    found = secrets(load(given, env_file=None))
    assert {"client-secret-0001", APPLICATION["RESPONDER_SECRET_KEY"]} <= found


def test_a_portal_may_have_both_its_webhooks_and_an_application() -> None:
    here = {"RESPONDER_PORTALS__MAIN__DOMAIN": "portal.example"}
    portal = load(MINIMAL | APPLICATION | here, env_file=None).portals["main"]
    assert (url_of(portal), portal.domain) == (URL, "portal.example")
