"""A portal moves between webhook and application, and to another key, and loses nothing."""

from collections import Counter
from pathlib import Path

import pytest

from tests.service.application.test_access import an_hour_passes, works
from tests.support.installing import Installing, play

pytestmark = pytest.mark.portal


def test_a_changed_secret_key_closes_the_way_and_a_new_installation_opens_it(
    there: Installing,
) -> None:
    play(there, Installing.install)
    there.restart(SECRET_KEY="another-secret-key-that-is-as-long-as-that")

    async def story(there: Installing) -> None:
        assert there.breaker == "key_changed"
        assert not await works(there)
        there.deliver([1])
        await there.applications.pins.reload()
        body = f"event=ONCRMDEALUPDATE&data[FIELDS][ID]=1&auth[member_id]={there.sandbox.member_id}"
        token = there.application.application_token
        assert await there.post(f"{body}&auth[application_token]={token}") == 200
        await there.install()
        assert there.breaker is None
        assert await works(there)

    play(there, story)


def test_a_portal_goes_from_its_webhook_to_its_application_and_back(there: Installing) -> None:
    tokens = "a-token-of-the-webhook-0001"
    webhook = {"PORTALS__MAIN__URL": there.server.url, "PORTALS__MAIN__APPLICATION_TOKENS": tokens}
    there.restart(**webhook)

    async def moving(there: Installing) -> None:
        there.lost_deals([1])
        there.deliver([1])
        await there.come_to_rest()
        assert not any(call.application for call in there.sandbox.calls)
        await there.install()
        there.sandbox.calls.clear()
        there.lost_deals([2])
        there.deliver([2])
        await there.come_to_rest()
        assert all(call.application for call in there.sandbox.calls)

    async def back(there: Installing) -> None:
        there.sandbox.calls.clear()
        there.lost_deals([3])
        there.deliver([3])
        await there.come_to_rest()
        assert not any(call.application for call in there.sandbox.calls)

    play(there, moving)
    there.restart(
        PORTALS__MAIN__DOMAIN=None, PORTALS__MAIN__CLIENT_ID=None,
        PORTALS__MAIN__CLIENT_SECRET=None, **webhook,
    )  # fmt: skip
    play(there, back)
    assert there.outcomes() == Counter({"killed": 3})
    assert there.installed is not None


def test_what_the_webhook_saw_is_forgotten_when_the_application_is_installed(
    there: Installing,
) -> None:
    tokens = "a-token-of-the-webhook-0001"
    there.restart(PORTALS__MAIN__URL=there.server.url, PORTALS__MAIN__APPLICATION_TOKENS=tokens)

    async def story(there: Installing) -> None:
        there.templates.names, there.templates.read_at = (
            {"61": "As the webhook sees it"},
            there.now(),
        )
        await there.until_idle()
        assert there.templates.names
        await there.install()
        assert not there.templates.names

    play(there, story)


def test_a_refused_application_falls_back_to_the_webhook(there: Installing) -> None:
    tokens = "a-token-of-the-webhook-0001"
    there.restart(PORTALS__MAIN__URL=there.server.url, PORTALS__MAIN__APPLICATION_TOKENS=tokens)

    async def story(there: Installing) -> None:
        await there.install()
        await an_hour_passes(there)
        there.fail_oauth("token", "invalid_grant")
        assert await works(there)
        assert not there.sandbox.calls[-1].application

    play(there, story)


def test_tokens_cannot_be_read_in_the_database(there: Installing, sqlite_url: str) -> None:
    async def story(there: Installing) -> None:
        await there.post(there.application.installation_message())
        written(there, sqlite_url)
        await there.settle()
        written(there, sqlite_url)
        await an_hour_passes(there)
        assert await works(there)

    play(there, story)
    written(there, sqlite_url)


def written(there: Installing, url: str) -> None:
    """Fail if the file, or what is beside it, has a token or the secret in it."""
    application = there.application
    names = ("SandboxAccessToken", "SandboxRefreshToken", application.application_token)
    place = Path(url.removeprefix("sqlite:///"))
    for path in place.parent.glob(f"{place.name}*"):
        content = path.read_bytes().decode("latin-1")
        for name in (*names, application.client_secret):
            assert name not in content
