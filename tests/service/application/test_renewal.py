"""A pair of tokens that the OAuth server gave is stored, whatever becomes of whoever wanted it."""

import asyncio

import pytest

from responder.service.application.applications import Applications
from responder.store.database.engines import StoreUnavailable
from tests.service.application.test_access import FickleCommit, an_hour_passes, works
from tests.support.installing import HeldBack, Installing, play

pytestmark = pytest.mark.portal


async def lose_the_pair(there: Installing, commits: FickleCommit) -> Applications:
    """Refresh while the store is away, and let another replica have the lease; return this one."""
    await there.install()
    await an_hour_passes(there)
    there.endpoint.before = lambda: setattr(commits, "is_away", True)
    with pytest.raises(StoreUnavailable):
        await works(there)
    this = there.applications
    await there.portal.close()
    there.restart()
    await there.drive()
    return this


def test_a_pair_is_stored_by_who_has_it_though_another_drives_by_now(there: Installing) -> None:
    there.commits = commits = FickleCommit(there.database)
    there.configure()

    async def story(there: Installing) -> None:
        this = await lose_the_pair(there, commits)
        assert not await works(there)  # the request of the first may be under way
        assert there.breaker == "not_refreshed"
        commits.is_away = False
        await this.save_unsaved()
        there.later(seconds=31)
        assert await works(there)
        assert there.breaker is None
        await this.close()
        await commits.close()

    play(there, story)
    assert there.refreshes == 1


def test_a_pair_is_stored_when_the_process_ends_at_the_latest(there: Installing) -> None:
    there.commits = commits = FickleCommit(there.database)
    there.configure()

    async def story(there: Installing) -> None:
        this = await lose_the_pair(there, commits)
        commits.is_away = False
        await this.close()
        await commits.close()
        assert await works(there)

    play(there, story)
    assert there.refreshes == 1


def test_a_process_that_stops_during_a_refresh_waits_for_its_answer(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        await an_hour_passes(there)
        there.endpoint.held_back = held_back = HeldBack()
        call = asyncio.create_task(works(there))
        await held_back.came.wait()
        there.applications.stop()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        closing = asyncio.create_task(there.applications.close())
        await asyncio.sleep(0)
        held_back.release.set()
        await closing
        found = there.installed
        assert found is not None
        assert found.refresh_sent_at is None
        await there.commits.close()
        await there.portal.close()
        there.restart()
        await there.drive()
        assert await works(there)

    play(there, story)
    assert there.refreshes == 1


def test_no_refresh_is_begun_once_the_process_stops(there: Installing) -> None:
    async def story(there: Installing) -> None:
        await there.install()
        await an_hour_passes(there)
        there.applications.stop()
        assert not await works(there)

    play(there, story)
    assert there.refreshes == 0
