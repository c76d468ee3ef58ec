"""Doctor says how an application stands, and what became of its installation messages."""

from datetime import UTC, datetime

import pytest

from responder.service.doctor import application_checks
from responder.service.doctor.checks import Status, fine, problem
from responder.settings.settings import PortalSettings
from responder.store.applications.held_messages import Held

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
BARE = PortalSettings.model_validate({"domain": "p.bitrix24.com"})
FULL = PortalSettings.model_validate(
    {"domain": "p.bitrix24.com", "client_id": "local.1", "client_secret": "client-secret-0001"}
)
REPORT = {
    "state": "installed", "called_by": "application", "why": None, "advice": None, "user": "1",
    "installed_at": "then", "refreshed_at": "then", "refresh_overdue": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, Status.OK),
        ({"refresh_overdue": True}, Status.WARNING),
        ({"called_by": "webhook", "why": "refused"}, Status.WARNING),
        ({"called_by": "none", "why": "not_installed"}, Status.PROBLEM),
    ],
)
def test_how_it_stands_is_as_grave_as_it_is(changed: dict[str, object], status: Status) -> None:
    (found,) = application_checks.standing({**REPORT, **changed})
    assert found.status is status


def test_a_portal_without_one_has_nothing_to_say() -> None:
    assert application_checks.standing(None) == []
    assert application_checks.held([], FULL) == []


def held(result: str | None, try_at: datetime | None) -> Held:
    return Held(
        portal="main", digest="d", message="m", received_at=NOW, try_at=try_at, result=result
    )


def test_messages_that_wait_for_id_and_secret_are_told() -> None:
    (found,) = application_checks.held([held(None, NOW)], BARE)
    assert "CLIENT_SECRET" in str(found.advice)


def test_messages_that_are_tried_and_those_refused_are_told() -> None:
    trying, refused = application_checks.held(
        [held("no answer", NOW), held("another member_id", None)], FULL
    )
    assert "no answer" in trying.message
    assert "another member_id" in refused.message


def test_advice_is_for_who_has_an_application() -> None:
    advice = application_checks.of_application(problem("scopes", "missing: crm", "the webhook"))
    assert "webhook" not in str(advice.advice)
    assert application_checks.of_application(fine("scopes", "all")).advice is None
    other = problem("clock", "ahead", "synchronise")
    assert application_checks.of_application(other) == other


def test_a_breaker_is_not_mended_by_a_new_webhook() -> None:
    advice = application_checks.of_application(problem("breaker", "it is", "a new webhook")).advice
    assert "webhook" not in str(advice)
    ours = problem("breaker", "it is", "press Reinstall")
    assert application_checks.of_application(ours) == ours
