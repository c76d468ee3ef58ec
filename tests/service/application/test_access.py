"""Tokens are refreshed when they have ended, committed before use, and lost as seldom as can be."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import pytest

from responder.adapters.encryption import Seal
from responder.bitrix24.client.answers import Command
from responder.store.applications import installations
from responder.store.applications.installations import State
from responder.store.applications.standing import Tokens, opened, sealed
from responder.store.database.database import Connection
from responder.store.database.engines import StoreUnavailable
from responder.store.group_commit import SharedCommit
from responder.store.leases import LeaseLost
from tests.support.installing import SECRET_KEY, Installing, logged, play
from tests.support.rounds import KILL, PORTAL

T = TypeVar("T")

pytestmark = pytest.mark.portal

PROFILE = Command("profile", {})


async def works(there: Installing) -> bool:
    """Say whether the portal answers a call."""
    (answer,) = await there.client.send([PROFILE])
    return answer.failure is None


async def an_hour_passes(there: Installing) -> None:
    there.application.tokens.expire_access()
    there.later(minutes=61)


def test_a_token_that_has_ended_is_refreshed_before_the_call(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        before = there.installed
        await an_hour_passes(there)
        called = len(there.sandbox.calls)
        assert await works(there)
        assert len(there.sandbox.calls) == called + 1
        after = there.installed
        assert before is not None
        assert after is not None
        assert after.tokens != before.tokens
        assert after.refresh_sent_at is None

    play(there, story)
    assert there.refreshes == 1


def test_a_token_that_lives_is_not_refreshed(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        there.later(minutes=58)
        assert await works(there)

    play(there, story)
    assert there.refreshes == 0


def test_a_token_that_the_portal_says_has_ended_is_refreshed_and_the_call_repeated(
    there: Installing,
) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        there.application.tokens.expire_access()
        assert await works(there)
        assert there.breaker is None

    play(there, story)
    assert there.refreshes == 1


def test_only_the_commands_of_a_batch_that_were_refused_are_sent_again(there: Installing) -> None:
    commands = [Command("scope", {}), PROFILE, Command("app.info", {})]

    async def story(there: Installing) -> None:
        await there.install()
        there.sandbox.fail_next("profile", "expired_token")
        answers = await there.client.send(commands)
        assert all(answer.failure is None for answer in answers)

    play(there, story)
    counted = Counter(call.method for call in there.sandbox.calls)
    assert (counted["scope"], counted["app.info"], counted["profile"]) == (1, 1, 3)
    assert there.refreshes == 1


@pytest.mark.parametrize(("place", "times"), [("batch", 1), (KILL, 1), (KILL, 2)])
def test_no_kill_is_sent_twice_and_none_is_lost_when_a_token_ends(
    there: Installing, place: str, times: int
) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        there.lost_deals(range(1, 6))
        there.deliver(range(1, 6))
        if place == "batch":
            there.sandbox.fail_next("batch", "expired_token", times)
        else:
            there.sandbox.fail_next(KILL, "expired_token", times)
        await there.come_to_rest()

    play(there, story)
    assert there.outcomes() == Counter({"killed": 5})
    assert len(there.sandbox.calls_of(KILL)) == 5 + (times if place == KILL else 0)


def test_a_kill_whose_lease_ran_out_while_a_token_was_fetched_is_not_sent(
    there: Installing,
) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        there.lost_deals([1])
        there.deliver([1])
        there.sandbox.fail_next(KILL, "expired_token")

        def end_lease() -> None:
            there.leased = False

        there.endpoint.before = end_lease
        await there.round()
        assert len(there.sandbox.calls_of(KILL)) == 1
        there.leased = True
        await there.come_to_rest()

    play(there, story)
    assert there.outcomes() == Counter({"killed": 1})
    assert len(there.sandbox.calls_of(KILL)) == 2  # one was refused, and one carried out


LOST = ["act_then_drop", "act_then_hang", "act_then_500", "not_json"]


@pytest.mark.parametrize("fault", LOST)
def test_a_refresh_whose_answer_was_lost_opens_the_breaker_and_says_what_to_press(
    there: Installing, fault: str
) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        await an_hour_passes(there)
        there.fail_oauth("token", fault)
        assert not await works(there)
        assert there.breaker == "not_refreshed"
        there.later(seconds=61)
        assert not await works(there)
        assert there.breaker == "lost_answer"
        asked = len(there.sandbox.calls), there.refreshes
        there.later(seconds=61)
        assert not await works(there)  # a probe calls nobody
        assert (len(there.sandbox.calls), there.refreshes) == asked
        found = there.installed
        assert found is not None
        assert (found.state, found.reason) == (State.REFUSED, "lost_answer")
        await there.install()
        assert there.breaker is None
        assert await works(there)

    play(there, story)


HARMLESS = ["500", "hang", "drop_before", "html_502", "wrong_client", "invalid_client",
            "payment", "not_installed", "503_limit", "redirect"]  # fmt: skip


@pytest.mark.parametrize("fault", HARMLESS)
def test_nothing_else_locks_us_out(there: Installing, fault: str) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        await an_hour_passes(there)
        there.fail_oauth("token", fault, 3)
        for _ in range(3):
            assert not await works(there)
            assert there.breaker is not None
            there.later(seconds=61)
        assert await works(there)
        assert there.breaker is None

    play(there, story)


def test_an_oauth_server_that_is_away_is_asked_less_and_less_often(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        await an_hour_passes(there)
        there.fail_oauth("token", "500", 100)
        for _ in range(60):
            there.later(seconds=61)
            assert not await works(there)

    play(there, story)
    assert 8 <= there.refreshes <= 16


def test_a_server_that_cannot_be_reached_costs_nothing(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        await an_hour_passes(there)
        there.oauth.stop()
        assert not await works(there)
        found = there.installed
        assert found is not None
        assert found.refresh_sent_at is None
        there.oauth.start()
        there.later(seconds=61)
        assert await works(there)

    play(there, story)


def test_the_store_is_read_again_before_a_chain_is_given_up(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        await an_hour_passes(there)

        def another_is_quicker() -> None:
            found, seal = there.installed, Seal(SECRET_KEY)
            assert found is not None
            grant = there.application.tokens.refresh(opened(seal, found).refresh)
            assert grant is not None
            text = sealed(seal, PORTAL, Tokens(grant.access_token, grant.refresh_token))
            now = there.now()
            ends_at = now + timedelta(hours=1)
            there.database.write(
                lambda tx: installations.refreshed(
                    tx, PORTAL, text, instead=found.tokens, expires_at=ends_at, at=now
                )
            )

        there.endpoint.before = another_is_quicker
        assert await works(there)
        assert there.breaker is None

    play(there, story)
    assert there.refreshes == 1


def test_a_chain_that_was_idle_for_a_week_is_refreshed(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        there.later(days=7, minutes=1)
        await there.until_idle()
        assert there.refreshes == 1

        there.later(minutes=50)
        await there.until_idle()
        assert there.refreshes == 1  # it is polled, and its token has not ended

    play(there, story)


def test_a_pair_is_kept_though_the_lease_is_lost_while_it_is_fetched(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        await an_hour_passes(there)
        there.endpoint.before = lambda: there.take_lease("another")
        with pytest.raises(LeaseLost):
            await works(there)
        found = there.installed
        assert found is not None
        assert (found.state, found.refresh_sent_at) == (State.INSTALLED, None)
        await there.drive()
        assert await works(there)

    play(there, story)
    assert there.refreshes == 1


def test_the_new_pair_replaces_no_other_than_the_one_it_came_of(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        found = there.installed
        assert found is not None
        now = there.now()

        def late(instead: str) -> bool:
            return there.database.write(
                lambda tx: installations.refreshed(
                    tx, PORTAL, "new", instead=instead, expires_at=now, at=now
                )
            )

        assert not late("another pair")
        there.database.write(
            lambda tx: installations.refuse(tx, PORTAL, found.tokens, "invalid_grant")
        )
        assert late(found.tokens)
        healed = there.installed
        assert healed is not None
        assert (healed.state, healed.reason) == (State.INSTALLED, None)

    play(there, story)


def test_a_new_token_that_is_refused_at_once_is_not_renewed_again(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        there.sandbox.fail_next("profile", "expired_token", 3)
        assert not await works(there)
        assert there.breaker == "expired_token"
        there.later(seconds=61)
        assert not await works(there)

    play(there, story)
    assert there.refreshes == 1


def test_a_portal_that_refuses_new_tokens_is_given_them_less_and_less_often(
    there: Installing,
) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        there.sandbox.fail_next("*", "invalid_token", 10**6)
        for _ in range(12 * 60 // 5):
            there.later(minutes=5)
            assert not await works(there)

    play(there, story)
    # a token lives for an hour, and only once that is over must there be a new one
    assert there.refreshes <= 12 + 6


def test_a_token_that_works_ends_the_distrust(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        for _ in range(3):
            there.sandbox.fail_next("profile", "expired_token", 2)
            assert not await works(there)
            there.later(minutes=6)
            assert await works(there)

    play(there, story)
    assert there.refreshes == 3


def test_an_old_chain_is_told_of(there: Installing, capsys: pytest.CaptureFixture[str]) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        there.fail_oauth("token", "500", 10)
        there.later(days=15)
        await there.until_idle()

    play(there, story)
    assert "tokens were not refreshed for two weeks" in logged(capsys)


class FickleCommit(SharedCommit):
    """A shared commit whose store may be away."""

    is_away = False

    async def write(self, fn: Callable[[Connection], T]) -> T:
        if self.is_away:
            raise StoreUnavailable("away")
        return await super().write(fn)


def test_a_pair_that_the_store_did_not_take_is_kept_until_it_does(there: Installing) -> None:
    there.commits = commits = FickleCommit(there.database)
    there.configure()

    async def story(there: Installing) -> None:
        await there.install()
        await an_hour_passes(there)
        there.endpoint.before = lambda: setattr(commits, "is_away", True)
        with pytest.raises(StoreUnavailable):
            await works(there)
        commits.is_away = False
        assert await works(there)

    play(there, story)
    assert there.refreshes == 1
