"""Stories of a driver that goes on with what another was to tell: never twice, whoever dies."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import pytest

from responder.bitrix24.client.answers import COMMENT, NOTIFY
from responder.stop.gate import Gate
from responder.store.database.database import Connection
from responder.store.leases import LeaseLost
from tests.stop.telling.test_teller import (
    OVER,
    TOLD,
    comments,
    go_on,
    notified,
    ready,
    states,
    stopped,
)
from tests.support.rounds import Driving
from tests.support.stories import Tell
from tests.support.stories import tell as tell

pytestmark = pytest.mark.portal

T = TypeVar("T")


class DyingGate(Gate):
    """A gate whose process dies before what is named is written."""

    at = ""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Commit, or die."""
        if DyingGate.at and DyingGate.at in getattr(work, "__qualname__", ""):
            raise LeaseLost(self.portal)
        return await super().write(work)


async def taken_over(there: Driving, at: str) -> None:
    """Let it be stopped and told by one driver, which dies there, and then by another."""
    there.gate = DyingGate
    await ready(there)
    await stopped(there)
    DyingGate.at = at
    with pytest.raises(LeaseLost):
        await go_on(there, timedelta(seconds=2))
    DyingGate.at = ""
    await there.drive()
    await there.come_to_rest()


def test_a_driver_that_died_before_its_record_leaves_nothing_to_be_told_twice(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await taken_over(there, "Teller._write")
        assert len(comments(there)) == 1
        await go_on(there, timedelta(seconds=30))
        assert states(there) == ["sending"] * 3
        await go_on(there, OVER, OVER)
        assert states(there) == ["told", "in_doubt", "in_doubt"]
        assert len(comments(there)) == 1
        assert len(notified(there)) == 2
        assert len(there.sandbox.calls_of(COMMENT)) == 1
        assert len(there.sandbox.calls_of(NOTIFY)) == 2

    tell(TOLD, story)


def test_a_driver_that_died_before_it_sent_leaves_all_to_the_next(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await taken_over(there, "Teller._send")
        await go_on(there, timedelta(seconds=2))
        assert states(there) == ["told"] * 3
        assert (len(comments(there)), len(notified(there))) == (1, 2)

    tell(TOLD, story)


def test_a_driver_that_lost_its_lease_sends_nothing(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await ready(there)
        await stopped(there)
        there.take_lease("another one")
        with pytest.raises(LeaseLost):
            await go_on(there, timedelta(seconds=2))
        assert not comments(there)
        assert not notified(there)

    tell(TOLD, story)


def test_without_time_left_in_the_lease_it_is_told_later(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await ready(there)
        await stopped(there)
        there.leased = False
        await go_on(there, timedelta(seconds=2))
        assert not comments(there)
        there.leased = True
        await go_on(there, timedelta(minutes=2), OVER)
        assert states(there) == ["told"] * 3
        assert (len(comments(there)), len(notified(there))) == (1, 2)

    tell(TOLD, story)
