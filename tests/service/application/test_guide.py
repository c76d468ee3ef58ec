"""The guide says what to fill in and what to press next, in each state."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from responder.service.application import guide as guides
from responder.service.application.guide import Guide
from responder.settings.settings import PortalSettings
from responder.store.applications.held_messages import Held

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
KEYS = {"client_id": "local.1.2", "client_secret": "client-secret-0001"}
INSTALLED = {
    "state": "installed", "called_by": "application", "why": None, "advice": None, "user": "1",
    "installed_at": "2026-11-28T12:00:00Z", "refreshed_at": "2026-11-28T12:00:00Z",
    "hears_events": True, "refresh_overdue": False,
}  # fmt: skip
NOT_INSTALLED = {
    "state": "not_installed", "called_by": "none", "why": "not_installed", "advice": "do this",
    "user": None, "hears_events": False, "installed_at": None, "refreshed_at": None,
    "refresh_overdue": False,
}  # fmt: skip
UNINSTALLED = {**NOT_INSTALLED, "state": "uninstalled", "why": "uninstalled"}


def guide(
    report: Mapping[str, object],
    *,
    keys: bool = True,
    held: Sequence[Held] = (),
    public_url: str | None = "https://responder.example",
) -> Guide:
    given = {"domain": "p.bitrix24.com", **(KEYS if keys else {})}
    return Guide(
        portal="main",
        given=PortalSettings.model_validate(given),
        public_url=public_url,
        scopes=["bizproc", "crm"],
        report=report,
        held=held,
        state="1.proof",
    )


def message(result: str | None, try_at: datetime | None = NOW) -> Held:
    return Held(
        portal="main", digest="d", message="m", received_at=NOW, try_at=try_at, result=result
    )


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (guide(NOT_INSTALLED, keys=False), "save the form above"),
        (guide(NOT_INSTALLED, keys=False, held=[message(None)]), "CLIENT_ID and __CLIENT_SECRET"),
        (guide(NOT_INSTALLED), "Press Reinstall"),
        (guide(NOT_INSTALLED), "https://p.bitrix24.com/oauth/authorize/?client_id=local.1.2"),
        (guide(NOT_INSTALLED, held=[message("no answer")]), "being verified"),
        (guide(NOT_INSTALLED, held=[message("user 7 is no administrator", None)]), "user 7 is"),
        (guide(INSTALLED), "Nothing is to be done"),
        (guide({**INSTALLED, "refresh_overdue": True}), "two weeks"),
        (guide(NOT_INSTALLED, public_url=None), "RESPONDER_PUBLIC_URL"),
        (guide(UNINSTALLED), "Add the application again"),
        (guide(UNINSTALLED), "CLIENT_ID and __CLIENT_SECRET"),
        (guide({**INSTALLED, "hears_events": False}), "press Reinstall"),
        (guide({**INSTALLED, "hears_events": False}, public_url=None), "Nothing is to be done"),
        (guide({**INSTALLED, "others": 3}), "3 events do not go to this address"),
        (guide(INSTALLED), "https://responder.example/app/main"),
        (guide(INSTALLED, public_url=None), "handler path               /app/main"),
        (guide(INSTALLED), "bizproc, crm"),
    ],
)
def test_it_says_what_is_next(shown: Guide, words: str) -> None:
    assert words in "\n".join(guides.lines(shown))


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (guide(UNINSTALLED), "Reinstall"),  # what is deleted cannot be pressed
        (guide(INSTALLED, public_url=None), "link"),
        (guide(INSTALLED, public_url=None), "RESPONDER_PUBLIC_URL"),
    ],
)
def test_it_says_nothing_that_cannot_be_done_or_need_not(shown: Guide, words: str) -> None:
    assert words not in "\n".join(guides.next_steps(shown))


def test_it_says_the_same_to_a_program_and_nothing_secret() -> None:
    shown = guides.as_json(guide(NOT_INSTALLED, held=[message(None)]))
    assert shown["handler_url"] == shown["install_url"] == "https://responder.example/app/main"
    assert "client-secret-0001" not in json.dumps(shown)
    assert guides.as_json(guide(NOT_INSTALLED, keys=False))["authorize_url"] is None


@pytest.mark.parametrize(
    ("why", "is_said"),
    [
        ("not_installed", False),
        ("not_configured", False),
        ("invalid_grant", True),
        ("key_changed", True),
    ],
)
def test_advice_is_given_once_where_the_steps_do_not_give_it(why: str, *, is_said: bool) -> None:
    shown = "\n".join(guides.lines(guide({**NOT_INSTALLED, "why": why})))
    assert ("do this" in shown) is is_said
