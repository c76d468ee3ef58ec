"""Tests batches that go side by side: what holds for one that goes alone holds for each of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import pytest

from responder.bitrix24.client.answers import Answer, Command
from responder.bitrix24.client.rate_limit import Bucket
from responder.journal import open_stops
from responder.model import Outcome
from responder.stop import control
from responder.store.leases import LeaseLost
from tests.support.rounds import KILL, PORTAL, RULES, Driving, play
from tests.support.storms import MANY, all_is_done, begin
from tests.support.storms import driven as driven
from tests.support.storms import driven_on_premise as driven_on_premise

pytestmark = pytest.mark.portal

Batch = Callable[[Sequence[Command], float | None], Awaitable[list[Answer]]]


@pytest.fixture(autouse=True)
def a_round_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a round write slices for longer: on a busy machine one commit may take a second."""
    monkeypatch.setattr("responder.service.driver.round.WRITES_FOR", timedelta(minutes=2))


class Flights:
    """The batches of kills of a driver, and how many of them are under way.

    The first reaches the portal when another is under way too, or after `patience` seconds.
    """

    def __init__(self, there: Driving, patience: float = 30) -> None:
        self.most = 0
        self.unintended: list[str] = []
        self.left: list[set[str]] = []
        self.answers_within: float | None = None  # seconds; None where the portal is waited for
        self.when_sent: Callable[[], object] = lambda: None
        self.before_answer: Callable[[], object] = lambda: None
        self._there = there
        self._patience = patience
        self._under_way = 0
        self._company = asyncio.Event()
        self._send: Batch = there.portal.batch
        there.portal.batch = self._batch  # type: ignore[method-assign,assignment]

    async def _batch(self, commands: Sequence[Command], within: float | None) -> list[Answer]:
        ids = {str(one.params["ID"]) for one in commands if one.method == KILL}
        if not ids:
            return await self._send(commands, within)
        self.left.append(ids)
        self.when_sent()
        self.unintended += ids - _intended(self._there)
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        if self._under_way > 1:
            self._company.set()
        try:
            async with asyncio.timeout(self._patience):
                await self._company.wait()
        except TimeoutError:
            pass
        try:
            return await self._send(commands, within or self.answers_within)
        finally:
            self._under_way -= 1
            self._company.set()
            self.before_answer()


def _intended(there: Driving) -> set[str]:
    """Return the workflows of which an intent is committed and no outcome."""
    stops = there.database.read(lambda conn: open_stops.open_stops(conn, PORTAL))
    return {one.workflow_id for one in stops if one.outcome is Outcome.IN_DOUBT}


async def a_known_speed(there: Driving, patience: float = 30) -> Flights:
    """Stop one workflow, so that it is known how long that takes."""
    there.lost_deals([9_999])
    there.deliver([9_999])
    await there.until_idle()
    return Flights(there, patience)


async def all_rounds(there: Driving) -> None:
    while there.agenda is not None and there.agenda.rounds.is_amid_work:
        await there.round()


def test_quick_batches_go_side_by_side_each_after_its_intents(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        flights = await a_known_speed(there)
        await begin(there)
        await all_rounds(there)
        assert flights.most == 2
        assert flights.unintended == []
        assert [len(ids) for ids in flights.left] == [50, 50, 20]
        await all_is_done(there, range(121))

    play(driven, story)


def test_a_portal_that_takes_its_time_gets_one_batch_after_the_other(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.sandbox.takes[KILL] = 0.03
        flights = await a_known_speed(there, patience=0.05)
        await begin(there)
        await all_rounds(there)
        assert (flights.most, len(flights.left)) == (1, 3)
        await all_is_done(there, range(121))

    play(driven, story)


def test_a_bucket_without_room_gets_one_batch_after_the_other(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        flights = await a_known_speed(there, patience=0.05)

        def fill() -> None:
            there.client.rate, there.client.burst = 20, 50
            there.client.bucket = Bucket(60, there.now().timestamp())

        flights.when_sent = fill
        await begin(there)
        await all_rounds(there)
        assert flights.most == 1
        await all_is_done(there, range(121))

    play(driven, story)


def test_of_one_document_two_batches_are_never_under_way(driven_on_premise: Driving) -> None:
    async def story(there: Driving) -> None:
        flights = await a_known_speed(there, patience=0.05)
        there.rules_path.write_text(RULES.replace("per_document: 100", "per_document: 1000"))
        there.rules.reload(at_once=True)
        there.lost_deals([500], workflows=160)
        there.deliver([500])
        await there.come_to_rest()
        assert flights.most == 1
        await all_is_done(there, range(161))

    play(driven_on_premise, story)


def test_of_two_batches_of_which_one_got_no_answer_each_workflow_is_asked_for_once(
    driven: Driving,
) -> None:
    async def story(there: Driving) -> None:
        flights = await a_known_speed(there)
        there.sandbox.fail_next(KILL, "act_then_drop")
        await begin(there)
        await all_rounds(there)
        assert flights.most == 2
        assert there.outcomes() == {"killed": 71, "in_doubt": 50}
        await all_is_done(there, range(121))
        assert there.killed_once()
        assert [one["receipt"] for one in there.decisions()].count(False) == 50

    play(driven, story)


def test_a_pause_while_batches_are_under_way_names_them_and_holds_the_rest(
    driven: Driving,
) -> None:
    async def story(there: Driving) -> None:
        flights = await a_known_speed(there)
        flights.before_answer = lambda: control.pause(
            there.database, [PORTAL], by="somebody", at=there.now()
        )
        await begin(there)
        await there.until_idle()
        done = sum(map(len, flights.left)) + 1
        assert there.outcomes() == {"killed": done, "held": len(MANY) + 1 - done}
        assert len(flights.left) == 2
        flights.before_answer = lambda: None
        control.resume(there.database, [PORTAL], by="somebody", at=there.now())
        await all_is_done(there, range(121))

    play(driven, story)


def test_where_an_answer_shuts_the_portal_nothing_more_of_the_round_is_intended(
    driven: Driving,
) -> None:
    async def story(there: Driving) -> None:
        flights = await a_known_speed(there)
        flights.when_sent = lambda: there.sandbox.fail_next("batch", "401")
        await begin(there, range(1, 301))
        assert flights.most == 2
        assert len(flights.left) == 2
        assert there.outcomes() == {"killed": 1, "waiting": 100}
        flights.when_sent = lambda: None
        there.later(seconds=61)
        await all_is_done(there, range(301))

    play(driven, story)


def test_where_the_lease_is_lost_while_one_is_under_way_no_other_is_sent(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        flights = await a_known_speed(there, patience=0.05)
        write = there.commits.write

        async def taken_meanwhile(work: Callable[..., object]) -> object:
            if flights.left:
                there.take_lease("another")
            return await write(work)

        there.commits.write = taken_meanwhile  # type: ignore[method-assign,assignment]
        with pytest.raises(LeaseLost):
            await begin(there)
        assert len(flights.left) == 1
        assert there.outcomes() == {"killed": 1, "in_doubt": 50}
        there.commits.write = write  # type: ignore[method-assign]
        await there.drive()
        await all_is_done(there, range(121))
        assert there.killed_once()

    play(driven, story)


def test_who_is_stopped_while_batches_are_under_way_leaves_them_to_be_looked_for(
    driven: Driving,
) -> None:
    async def story(there: Driving) -> None:
        flights, two = await a_known_speed(there), asyncio.Event()
        flights.when_sent = lambda: two.set() if len(flights.left) == 2 else None
        flights.answers_within = 2
        there.sandbox.fail_next(KILL, "act_then_hang")
        there.lost_deals(MANY)
        there.deliver(MANY)
        stopped = asyncio.ensure_future(there.round())
        await two.wait()
        stopped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopped
        await there.drive()
        await all_is_done(there, range(121))
        assert there.killed_once()

    play(driven, story)
