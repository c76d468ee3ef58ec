"""An application is installed by what the OAuth server and the portal say, and by nothing else."""

import asyncio
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from responder.receive.application import authorization_state
from responder.service.application import stored_address
from responder.store.applications import installations
from responder.store.applications.installations import State, token_digest
from tests.service.application.test_access import FickleCommit
from tests.support.installing import SECRET_KEY, HeldBack, Installing, play
from tests.support.processes import event
from tests.support.rounds import PORTAL

pytestmark = pytest.mark.portal


async def deal_is_killed(there: Installing, number: int) -> bool:
    """Lose a deal, deliver its event as the application, and say whether its workflow is gone."""
    there.lost_deals([number])
    body = event("ONCRMDEALUPDATE", number, token=there.application.application_token)
    member = urlencode({"auth[member_id]": there.application.member_id})
    assert await there.post(f"{body}&{member}") == 200
    await there.come_to_rest()
    return there.outcomes()["killed"] > 0


def test_an_application_is_installed_hears_events_and_kills(there: Installing) -> None:
    async def story(there: Installing) -> None:
        assert there.breaker == "not_installed"
        await there.install()
        assert there.breaker is None
        assert await deal_is_killed(there, 1)
        assert all(call.application for call in there.sandbox.calls)

    play(there, story)
    found = there.installed
    assert found is not None
    assert (found.state, found.user_id, found.member_id, found.client_id) == (
        State.INSTALLED,
        "1",
        there.sandbox.member_id,
        there.application.client_id,
    )
    assert found.application_token_sha256 == token_digest(there.application.application_token)
    assert there.held == []


def test_a_message_that_comes_before_id_and_secret_waits_for_them(there: Installing) -> None:
    there.configure(PORTALS__MAIN__CLIENT_ID=None, PORTALS__MAIN__CLIENT_SECRET=None)

    async def before(there: Installing) -> None:
        await there.install()
        assert there.sandbox.oauth.calls == []
        assert len(there.held) == 1

    play(there, before)
    there.restart()

    async def after(there: Installing) -> None:
        await there.settle()
        assert there.breaker is None
        assert await deal_is_killed(there, 1)

    play(there, after)


def test_the_form_of_an_interface_installs_and_its_page_finishes(there: Installing) -> None:
    there.sandbox.add_application(user_id=1, with_interface=True)
    there.configure()

    async def story(there: Installing) -> None:
        opening = there.application.opening()
        status, page = await there.ask("POST", opening.body, opening.query)
        assert status == 200
        assert b"BX24.installFinish()" in page
        there.application.finish_installation()
        await there.settle()
        assert await deal_is_killed(there, 1)

    play(there, story)


def code_flow(there: Installing, *, state: str | None = None) -> str:
    """Have the browser authorize, and return the query it comes back with."""
    if state is None:
        state = authorization_state.made(SECRET_KEY, PORTAL, there.now())
    asked = urlencode({"client_id": there.application.client_id, "state": state})
    answer = httpx.get(f"{there.oauth.url}/oauth/authorize/?{asked}", trust_env=False)
    return urlsplit(answer.headers["location"]).query


def test_an_authorization_in_the_browser_installs(there: Installing) -> None:
    async def story(there: Installing) -> None:
        status, page = await there.ask("GET", query=code_flow(there))
        assert status == 200
        assert b"responder app" in page
        await there.settle()
        assert there.breaker is None
        found = there.installed
        assert found is not None
        assert found.application_token_sha256 == ""

    play(there, story)


def test_what_a_code_brought_is_kept_though_the_store_is_away_for_a_moment(
    there: Installing,
) -> None:
    there.commits = commits = FickleCommit(there.database)
    there.configure()

    def go_away() -> None:
        commits.is_away = True
        asyncio.get_running_loop().call_later(0.1, setattr, commits, "is_away", False)

    async def story(there: Installing) -> None:
        await there.ask("GET", query=code_flow(there))
        there.endpoint.before = go_away
        await there.settle()
        await there.settle()
        assert there.breaker is None

    play(there, story)
    assert there.refreshes == 1  # the code alone


def test_what_a_code_brings_is_kept_though_the_process_ends(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.ask("GET", query=code_flow(there))
        there.endpoint.held_back = held_back = HeldBack()
        there.later(seconds=6)
        while not there.applications.verifying:
            await there.round()
        await held_back.came.wait()
        ending = asyncio.create_task(there.applications.close())
        await asyncio.sleep(0)  # it has begun
        held_back.release.set()
        await ending

    play(there, story)
    there.restart()

    async def again(there: Installing) -> None:
        await there.settle()
        assert there.breaker is None

    play(there, again)
    assert there.refreshes == 1


def test_an_authorization_keeps_the_application_token_that_was_pinned(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        await there.ask("GET", query=code_flow(there))
        await there.settle()
        assert await deal_is_killed(there, 1)

    play(there, story)
    found = there.installed
    assert found is not None
    assert found.refreshed_at > found.installed_at - timedelta(seconds=30)


@pytest.mark.parametrize("state", ["", "1.2", "x", "99999999999.abc", "999999999999.x"])
def test_an_authorization_that_nobody_asked_for_is_refused(there: Installing, state: str) -> None:
    async def story(there: Installing) -> None:
        query = parse_qs(code_flow(there, state=state or "none"))
        asked = urlencode({name: value[-1] for name, value in query.items()})
        assert (await there.ask("GET", query=asked))[0] == 403
        assert there.held == []

    play(there, story)


def test_a_state_is_of_one_portal_and_holds_ten_minutes(there: Installing) -> None:
    now = there.now()
    made = authorization_state.made(SECRET_KEY, PORTAL, now)
    assert authorization_state.holds(SECRET_KEY, PORTAL, made, now + timedelta(minutes=9))
    assert not authorization_state.holds(SECRET_KEY, PORTAL, made, now + timedelta(minutes=11))
    assert not authorization_state.holds(SECRET_KEY, "other", made, now)
    assert not authorization_state.holds(SECRET_KEY + "x", PORTAL, made, now)


def test_a_replayed_message_changes_nothing_once_its_tokens_are_used(there: Installing) -> None:
    message = there.application.installation_message()

    async def story(there: Installing) -> None:
        await there.post(message)
        await there.settle()
        there.application.tokens.expire_access()
        there.deliver([1])  # so that there is a call, which refreshes
        there.lost_deals([1])
        await there.until_idle()
        before = there.installed
        await there.post(message)
        await there.settle()
        assert there.installed == before
        assert there.breaker is None

    play(there, story)


def test_reinstalling_by_another_administrator_replaces_the_pin(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        there.sandbox.add_user(5)
        message = there.application.reinstall(5)
        assert message is not None
        assert await there.post(message) == 200
        await there.settle()
        assert await deal_is_killed(there, 1)

    play(there, story)
    found = there.installed
    assert found is not None
    assert found.user_id == "5"


def test_uninstalling_opens_the_breaker_and_a_new_installation_heals(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        there.application.bindings.add("ONAPPUNINSTALL", handler=there.application.handler_url)
        body = there.application.uninstall()
        assert body is not None
        assert await there.post(body) == 200
        there.later(seconds=2)
        await there.until_idle()
        assert there.breaker == "uninstalled"
        made = there.sandbox.add_application(user_id=1)
        assert made is there.application

    play(there, story)
    there.restart()

    async def again(there: Installing) -> None:
        await there.install()
        assert there.breaker is None
        assert await deal_is_killed(there, 1)

    play(there, again)


def test_an_event_with_the_token_and_another_member_is_refused(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        body = event("ONCRMDEALUPDATE", 1, token=there.application.application_token)
        assert await there.post(body) == 403
        assert await there.post(f"{body}&auth[member_id]={'f' * 32}") == 403
        assert there.waiting == 0

    play(there, story)
    assert there.failures == ["main: another member_id"] * 2


@pytest.mark.parametrize(
    ("portal", "body"),
    [
        ("main", "event=ONCRMDEALUPDATE"),
        ("main", "AUTH_ID=x"),
        ("main", "event=ONAPPINSTALL&auth[access_token]=a&auth[member_id]=b"),
        ("other", "event=ONCRMDEALUPDATE"),
        ("main/more", "event=ONCRMDEALUPDATE"),
        ("", ""),
    ],
)
def test_what_is_neither_is_the_same_403(there: Installing, portal: str, body: str) -> None:
    async def story(there: Installing) -> None:
        assert await there.ask("POST", body, portal=portal) == (403, b"Forbidden\n")
        assert (await there.ask("GET", portal=portal)) == (403, b"Forbidden\n")

    play(there, story)


def test_a_portal_that_does_not_answer_is_asked_again(there: Installing) -> None:
    async def story(there: Installing) -> None:
        there.fail_oauth("app.info", "500")
        there.sandbox.fail_next("profile", "500")
        await there.install()
        assert there.installed is None
        (held,) = there.held
        assert held.try_at is not None
        for _ in range(4):
            there.later(seconds=60)
            await there.settle()
        assert there.breaker is None

    play(there, story)


def test_a_message_held_under_another_key_is_refused(there: Installing) -> None:
    async def before(there: Installing) -> None:
        await there.post(there.application.installation_message())

    play(there, before)
    there.restart(SECRET_KEY="another-secret-key-that-is-as-long-as-that")
    play(there, Installing.settle)
    assert "RESPONDER_SECRET_KEY" in str(there.held[0].result)
    assert there.sandbox.oauth.calls == []


@pytest.mark.parametrize(
    ("fault", "words", "is_tried_again"),
    [("invalid_grant", "no tokens for the code", False), ("500", "no tokens for the code", False)],
)
def test_a_code_that_brings_no_tokens_says_so(
    there: Installing, fault: str, words: str, is_tried_again: bool
) -> None:
    async def story(there: Installing) -> None:
        there.fail_oauth("token", fault)
        await there.ask("GET", query=code_flow(there))
        await there.settle()

    play(there, story)
    (held,) = there.held
    assert words in str(held.result)
    assert (held.try_at is not None) == is_tried_again


def test_a_code_of_another_portal_is_not_exchanged(there: Installing) -> None:
    async def story(there: Installing) -> None:
        query = code_flow(there).replace(f"127.0.0.1%3A{there.server.port}", "other.bitrix24.com")
        assert (await there.ask("GET", query=query))[0] == 200
        await there.settle()

    play(there, story)
    assert there.refreshes == 0
    assert "another portal" in str(there.held[0].result)


def test_commands_call_by_the_stored_token_while_it_lives(there: Installing) -> None:
    play(there, Installing.install)

    def address(later: timedelta = timedelta(0)) -> str:
        now = there.now() + later
        try:
            found = there.database.read(
                lambda conn: stored_address.stored(conn, there.settings, PORTAL, now)
            )
        except stored_address.NoAddress as why:
            return str(why)
        return found.root

    assert address() == f"http://127.0.0.1:{there.server.port}/rest/"
    assert "has ended" in address(timedelta(hours=1))
    digest = token_digest(there.application.application_token)
    there.database.write(lambda tx: installations.uninstall(tx, PORTAL, digest))
    assert "uninstalled" in address()
    assert there.refreshes == 0
