"""What withholds a portal holds in whatever way it is called, until it was asked in the new one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.store import client_state
from responder.store.database.database import Database
from tests.support.installing import Installing, installing, play
from tests.support.rounds import PORTAL

pytestmark = pytest.mark.portal

QUESTION = "absent-type-is-not-listed"


@pytest.fixture
def there(tmp_path: Path, sqlite_database: Database) -> Iterator[Installing]:
    """Give a driver, which asks, of a portal whose application is not installed yet."""
    with installing(sqlite_database, tmp_path) as there:
        there.asks = True
        yield there


def differ(there: Installing) -> None:
    there.sandbox.oddities.set("lists_absent_types")


def cannot_be_asked(there: Installing) -> None:
    there.sandbox.absent_methods.add("crm.item.list")


async def reinstall(there: Installing) -> None:
    """Press Reinstall, which brings other tokens."""
    address = there.client.breakers.address
    body = there.application.reinstall(there.application.user_id)
    assert body is not None
    assert await there.post(body) == 200
    await there.settle()
    assert there.client.breakers.address != address


async def install_withheld(there: Installing) -> None:
    there.lost_deals([1])
    differ(there)
    await there.install()
    assert set(there.client.withheld) == {QUESTION}


async def deliver(there: Installing) -> None:
    there.deliver([1])
    there.later(seconds=2)
    await there.until_idle()


def test_the_driver_after_a_reinstallation_goes_on_withholding_where_it_cannot_ask(
    there: Installing,
) -> None:
    async def story(there: Installing) -> None:
        await install_withheld(there)
        await reinstall(there)
        await there.applications.close()
        there.restart()
        cannot_be_asked(there)
        await there.drive()
        await deliver(there)
        assert set(there.client.withheld) == {QUESTION}

    play(there, story)
    assert there.outcomes() == {"would_kill": 1}


def test_what_a_webhook_showed_withholds_the_application_of_the_same_portal(
    there: Installing,
) -> None:
    async def story(there: Installing) -> None:
        there.lost_deals([1])
        differ(there)
        await there.until_idle()
        assert set(there.client.withheld) == {QUESTION}
        cannot_be_asked(there)
        await there.install()
        await there.drive()
        await deliver(there)
        assert set(there.database.read(client_state.withheld)[PORTAL]) == {QUESTION}

    there.restart(PORTALS__MAIN__URL=there.server.url)
    play(there, story)
    assert there.outcomes() == {"would_kill": 1}


@pytest.mark.parametrize("otherwise", [False, True])
def test_a_portal_is_asked_anew_at_once_when_it_is_called_in_another_way(
    there: Installing, otherwise: bool
) -> None:
    async def story(there: Installing) -> None:
        there.lost_deals([1])
        if not otherwise:
            differ(there)
        await there.install()
        assert bool(there.client.withheld) is not otherwise
        there.sandbox.oddities.clear()
        if otherwise:
            differ(there)
        await reinstall(there)
        await deliver(there)

    play(there, story)
    assert there.outcomes() == {"would_kill" if otherwise else "killed": 1}


def test_what_another_host_answered_is_stored_anew_where_this_one_answers_the_same(
    there: Installing,
) -> None:
    async def story(there: Installing) -> None:
        await install_withheld(there)
        found, now = there.client.withheld, there.now()
        there.database.write(
            lambda tx: client_state.save_withheld(tx, PORTAL, found, "another.example", now)
        )
        there.later(minutes=61)
        await there.drive()
        await there.until_idle()
        host = there.client.host
        stored = there.database.read(lambda c: client_state.withheld_of(c, PORTAL, host))
        assert set(stored) == {QUESTION}

    play(there, story)
