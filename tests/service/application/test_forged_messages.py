"""A message that is not true changes nothing, whoever sends it, and calls nobody else."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote, urlsplit

import pytest

from responder.adapters.encryption import Seal
from responder.bitrix24.sandbox import OAuthServer, Sandbox, SandboxServer
from responder.service.application.installer import NOT_BELIEVED
from responder.store.applications import held_messages
from responder.store.database.database import Connection
from responder.store.group_commit import SharedCommit
from responder.store.inbox import refusals
from tests.support.installing import SECRET_KEY, Installing, logged, play
from tests.support.rounds import PORTAL

T = TypeVar("T")

pytestmark = pytest.mark.portal


Forge = Callable[[Installing], str]


def of_another_host(there: Installing) -> str:
    domain = f"127.0.0.1%3A{there.server.port}"
    return there.application.installation_message().replace(domain, "other.bitrix24.com")


def of_another_oauth_server(there: Installing) -> str:
    here = f"127.0.0.1%3A{there.oauth.port}"
    return there.application.installation_message().replace(here, "oauth.attacker.example")


def of_another_member(there: Installing) -> str:
    member = there.application.member_id
    return there.application.installation_message().replace(member, "f" * 32)


def with_made_up_tokens(there: Installing) -> str:
    return there.application.installation_message().replace("SandboxAccess", "ForgedAccess")


def of_a_user_who_is_no_administrator(there: Installing) -> str:
    there.sandbox.administrators.discard("7")
    there.application.user_id = "7"
    there.sandbox.add_user(7)
    return there.application.installation_message()


def with_a_token_that_was_used(there: Installing) -> str:
    message = there.application.installation_message()
    there.application.tokens.expire_access()
    return message


def of_another_application(there: Installing) -> str:
    there.configure(PORTALS__MAIN__CLIENT_ID="local.0000000000000.00000000")
    return there.application.installation_message()


def with_an_endpoint_that_is_no_address(there: Installing) -> str:
    here = quote(f"http://127.0.0.1:{there.oauth.port}/rest/", safe="")
    message = there.application.installation_message()
    assert here in message
    return message.replace(here, quote("//[fe80::1%[x]/", safe=""))


FORGED: dict[Forge, int] = {
    of_another_host: 0,
    of_another_oauth_server: 0,
    with_an_endpoint_that_is_no_address: 0,
    of_another_member: 1,
    with_made_up_tokens: 1,
    of_a_user_who_is_no_administrator: 1,
    with_a_token_that_was_used: 1,
}


@pytest.mark.parametrize("forge", list(FORGED))
def test_a_forged_installation_changes_nothing_and_is_counted(
    there: Installing, forge: Forge
) -> None:
    async def story(there: Installing) -> None:
        assert await there.post(forge(there)) == 200
        await there.settle()

    play(there, story)
    assert there.installed is None
    (held,) = there.held
    assert (held.result is not None, held.try_at) == (True, None)
    assert len(there.sandbox.oauth.calls) == FORGED[forge]
    counted = there.database.read(lambda conn: refusals.lately(conn, there.now()))
    assert [(one.why, one.count) for one in counted[PORTAL]] == [(NOT_BELIEVED, 1)]


def test_a_true_message_of_another_application_waits_for_the_settings(there: Installing) -> None:
    message = of_another_application(there)

    async def story(there: Installing) -> None:
        assert await there.post(message) == 200
        await there.settle()

    play(there, story)
    assert there.installed is None
    assert "CLIENT_ID" in str(there.held[0].result)
    there.restart()  # with the client id that the form shows

    async def corrected(there: Installing) -> None:
        await there.settle()
        assert there.breaker is None

    play(there, corrected)


class BrokenCommit(SharedCommit):
    """A shared commit with a fault of ours."""

    async def write(self, fn: Callable[[Connection], T]) -> T:
        raise RuntimeError(f"a fault in {fn}")


def test_a_fault_of_ours_is_logged_once_a_minute(
    there: Installing, capsys: pytest.CaptureFixture[str]
) -> None:
    there.commits = BrokenCommit(there.database)
    there.configure()

    async def story(there: Installing) -> None:
        for _ in range(3):
            assert await there.post(there.application.installation_message()) == 503

    play(there, story)
    assert logged(capsys).count("error of ours") == 1


def test_strangers_do_not_fill_the_room_for_longer_than_an_hour(there: Installing) -> None:
    there.configure(PORTALS__MAIN__CLIENT_ID=None, PORTALS__MAIN__CLIENT_SECRET=None)

    async def before(there: Installing) -> None:
        for number in range(held_messages.MOST):
            assert await there.post(f"{with_made_up_tokens(there)}&n={number}") == 200
        await there.applications.pins.reload()
        there.later(minutes=61)
        await there.applications.pins.reload()
        assert await there.post(there.application.installation_message()) == 200
        assert len(there.held) == 1

    play(there, before)
    there.restart()

    async def after(there: Installing) -> None:
        await there.settle()
        assert there.breaker is None

    play(there, after)


def test_a_flood_of_messages_is_one_line_of_the_log(
    there: Installing, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story(there: Installing) -> None:
        for number in range(4):
            assert await there.post(f"{with_made_up_tokens(there)}&n={number}") == 200
            await there.settle()
        assert all(one.try_at is None for one in there.held)

    play(there, story)
    assert logged(capsys).count("was not believed") == 1


def test_a_silent_oauth_server_keeps_no_workflow_from_being_stopped(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        there.endpoint.is_silent = True
        for number in range(held_messages.MOST):
            assert await there.post(f"{with_made_up_tokens(there)}&n={number}") == 200
        there.lost_deals([1])
        there.deliver([1])
        async with asyncio.timeout(5):
            for _ in range(6):
                there.later(seconds=6)
                await there.round()
        assert len(there.applications.verifying) == 1

    play(there, story)
    assert there.outcomes() == Counter({"killed": 1})


def test_a_message_is_tried_for_an_hour_at_most(there: Installing) -> None:
    async def story(there: Installing) -> None:
        there.fail_oauth("app.info", "500", 10**6)
        assert await there.post(there.application.installation_message()) == 200
        for _ in range(16):
            there.later(minutes=5)
            await there.settle()

    play(there, story)
    assert 8 <= len(there.sandbox.oauth.calls) <= 13


def test_a_message_that_is_a_fault_of_ours_is_refused_and_the_true_one_installs(
    there: Installing, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Seal(SECRET_KEY).seal(
        '{"form": "api", "of_another_version": 1}', held_messages.sealed_for(PORTAL)
    )

    def hold(tx: Connection) -> None:
        held_messages.hold(tx, PORTAL, "digest", text, there.now(), held_messages.Sender.ANYBODY)

    async def story(there: Installing) -> None:
        there.database.write(hold)
        await there.settle()
        (held,) = there.held
        assert held.try_at is None
        await there.settle()
        await there.install()
        assert there.breaker is None

    play(there, story)
    assert logged(capsys).count("could not be verified") == 1


def test_another_portal_cannot_install_itself(there: Installing) -> None:
    other = Sandbox(secret="another-portal-secret")
    application = other.add_application()
    with SandboxServer(other), OAuthServer(other):
        # all it says is true, but for the portal's name
        domain = f"127.0.0.1%3A{urlsplit(application.client_endpoint).port}"
        message = application.installation_message()
        message = message.replace(domain, f"127.0.0.1%3A{there.server.port}")

        async def story(there: Installing) -> None:
            assert await there.post(message) == 200
            await there.settle()

        play(there, story)
    assert there.installed is None


def test_a_stranger_cannot_keep_the_true_message_from_its_turn(there: Installing) -> None:
    async def story(there: Installing) -> None:
        for number in range(4):
            forged = with_made_up_tokens(there)
            assert await there.post(f"{forged}&n={number}") == 200
        await there.post(there.application.installation_message())
        for _ in range(6):
            await there.post(with_made_up_tokens(there))
            await there.settle()
        assert there.breaker is None

    play(there, story)
