"""How a portal is called follows from the settings and from what is stored, and loses nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from responder.adapters.encryption import Seal
from responder.settings.settings import PortalSettings
from responder.store.applications import report
from responder.store.applications.installations import Installation, State
from responder.store.applications.standing import (
    ADVICE,
    Tokens,
    Way,
    advice,
    sealed,
    standing,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
KEY, OTHER = "a-key-of-more-than-thirty-two-characters", "another-key-of-thirty-two-characters"
TOKENS = Tokens("access", "refresh")
GIVEN = {
    "domain": "example.bitrix24.com",
    "client_id": "local.1.2",
    "client_secret": "client-secret-0001",
}
WEBHOOK = {
    "url": "https://example.bitrix24.com/rest/1/hook-secret-0001/",
    "application_tokens": ["an-application-token"],
}
INSTALLED = Installation(
    portal="main",
    state=State.INSTALLED,
    reason=None,
    domain="example.bitrix24.com",
    member_id="a" * 32,
    client_id="local.1.2",
    oauth_host="oauth.bitrix.info",
    user_id="1",
    application_token_sha256="",
    key_mark=Seal(KEY).mark,
    tokens=sealed(Seal(KEY), "main", TOKENS),
    expires_at=NOW + timedelta(hours=1),
    installed_at=NOW,
    refreshed_at=NOW,
)


def given(**changed: object) -> PortalSettings:
    return PortalSettings.model_validate({**GIVEN, **changed})


NOT_USED = [
    (given(), None, "not_installed"),
    (given(domain="other.bitrix24.com"), INSTALLED, "not_installed"),
    (given(), replace(INSTALLED, state=State.UNINSTALLED), "uninstalled"),
    (given(client_id="local.3.4"), replace(INSTALLED, state=State.UNINSTALLED), "not_installed"),
    (given(client_id=None, client_secret=None), INSTALLED, "not_configured"),
    (given(client_id="local.3.4"), INSTALLED, "other_client"),
    (given(), replace(INSTALLED, state=State.REFUSED, reason="lost_answer"), "lost_answer"),
    (given(), replace(INSTALLED, key_mark="another"), "key_changed"),
    (given(), replace(INSTALLED, tokens="1:AAAA"), "key_changed"),
    (given(), replace(INSTALLED, portal="side"), "key_changed"),
]


def test_an_installed_application_is_called_by_its_tokens() -> None:
    found = standing(given(**WEBHOOK), INSTALLED, Seal(KEY))
    assert (found.way, found.why, found.tokens) == (Way.APPLICATION, None, TOKENS)


@pytest.mark.parametrize(("settings", "found", "why"), NOT_USED)
def test_without_one_there_is_no_way_and_a_reason(
    settings: PortalSettings, found: Installation | None, why: str
) -> None:
    at_present = standing(settings, found, Seal(KEY))
    assert (at_present.way, at_present.why, at_present.tokens) == (Way.NONE, why, None)
    assert advice(why) == ADVICE[why]


@pytest.mark.parametrize(("settings", "found", "why"), NOT_USED)
def test_without_one_the_webhook_is_used_where_there_is_one(
    settings: PortalSettings, found: Installation | None, why: str
) -> None:
    both = PortalSettings.model_validate({**settings.model_dump(exclude_none=True), **WEBHOOK})
    at_present = standing(both, found, Seal(KEY))
    assert (at_present.way, at_present.why) == (Way.WEBHOOK, why)


def test_settings_without_a_domain_are_of_a_webhook() -> None:
    settings = PortalSettings.model_validate(WEBHOOK)
    assert standing(settings, INSTALLED, Seal(KEY)).way is Way.WEBHOOK
    assert standing(settings, INSTALLED, None).way is Way.WEBHOOK


def test_tokens_are_shown_nowhere() -> None:
    found = standing(given(), INSTALLED, Seal(KEY))
    assert "access" not in repr(found.tokens)
    assert "refresh" not in repr(found)


def test_a_report_says_how_it_stands_and_nothing_secret() -> None:
    found = report.report(given(), INSTALLED, Seal(KEY), NOW)
    assert (found["state"], found["called_by"], found["user"]) == ("installed", "application", "1")
    assert (found["why"], found["advice"], found["refresh_overdue"]) == (None, None, False)
    assert found["hears_events"] is False
    known = replace(INSTALLED, application_token_sha256="digest")
    assert report.report(given(), known, Seal(KEY), NOW)["hears_events"] is True
    assert report.report(given(), INSTALLED, Seal(KEY), NOW + timedelta(days=15))["refresh_overdue"]
    refused = replace(INSTALLED, state=State.REFUSED, reason="invalid_grant")
    assert "Reinstall" in str(report.report(given(), refused, Seal(KEY), NOW)["advice"])


def test_a_reason_that_is_not_known_has_advice_too() -> None:
    assert "Reinstall" in advice("a_new_code")
