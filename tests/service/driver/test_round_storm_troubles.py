"""Tests what may come amid a storm: nothing is lost, and nothing killed wrongly or twice."""

from datetime import timedelta

import pytest

from responder.stop import control
from responder.store.leases import LeaseLost
from tests.support.rounds import INSTANCES, KILL, PORTAL, RULES, Driving, play
from tests.support.storms import MANY, all_is_done, begin, read_singly, spoil_the_list
from tests.support.storms import driven as driven


@pytest.fixture
def migrated_url(sqlite_url: str) -> str:
    """Give SQLite alone: storms come on both (`test_round_storm`), and these are of the portal."""
    return sqlite_url


@pytest.fixture(autouse=True)
def a_round_writes_one_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the middle of a storm be after its first round, however soon that was answered."""
    monkeypatch.setattr("responder.service.driver.round.WRITES_FOR", timedelta(0))


def test_a_list_that_cannot_be_read_condemns_nobody_and_is_replaced_by_single_reads(
    driven: Driving,
) -> None:
    async def story(there: Driving) -> None:
        spoil_the_list(there)
        await begin(there)
        assert (there.sandbox.killed, there.waiting) == ([], len(MANY))
        await there.until_idle()
        assert len(there.sandbox.killed) == len(MANY)
        assert read_singly(there) >= len(MANY)
        assert there.waiting == 0
        there.later(seconds=3)  # and so is what was stopped looked for
        await there.until_idle()
        assert all(one["verified_at"] for one in there.decisions())

    play(driven, story)


@pytest.mark.parametrize("field", ["DOCUMENT_ID", "ID"])
def test_a_row_that_makes_no_sense_is_left_alone_and_all_others_are_judged(
    driven: Driving, field: str
) -> None:
    async def story(there: Driving) -> None:
        odd = there.sandbox.start_workflow(("crm", "CCrmDocumentDeal", "DEAL_777"), 61)
        del there.sandbox.workflows[odd][field]
        await begin(there)
        assert there.sandbox.killed
        assert read_singly(there) == 0
        there.sandbox.fail_next(KILL, "act_then_drop")
        await there.until_idle()
        assert len(there.sandbox.killed) == len(MANY)
        assert list(there.sandbox.workflows) == [odd]
        await there.come_to_rest()
        assert there.outcomes() == {"killed": len(MANY)}
        there.later(seconds=20)
        await there.until_idle()
        assert all(one["verified_at"] for one in there.decisions())

    play(driven, story)


def test_while_the_portal_is_away_a_storm_waits_and_nobody_is_suspected(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.sandbox.fail_next("*", "500", times=10_000)
        await begin(there)
        await there.until_idle()
        assert (there.sandbox.killed, there.waiting) == ([], len(MANY))
        there.sandbox.faults.clear()
        there.later(minutes=2)
        await all_is_done(there)
        assert max(there.batches_of(KILL)) == 50

    play(driven, story)


def test_a_portal_that_is_away_is_asked_every_two_seconds(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.sandbox.fail_next("*", "500", times=10_000)
        await begin(there)
        asked = there.sandbox.http_requests
        for _ in range(5):
            there.deliver([500])
            assert not await there.round()
        assert there.sandbox.http_requests == asked
        there.later(seconds=2)
        await there.round()
        assert there.sandbox.http_requests > asked
        there.later(hours=-1)  # a clock that was set back keeps nothing waiting
        asked = there.sandbox.http_requests
        await there.round()
        assert there.sandbox.http_requests > asked

    play(driven, story)


def test_a_page_that_fails_once_delays_nothing(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.sandbox.fail_next(INSTANCES, "missing_part")
        await begin(there)
        assert there.sandbox.killed
        await all_is_done(there)

    play(driven, story)


def test_fields_that_cannot_be_read_together_are_read_in_small_company(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.sandbox.fail_next("crm.item.list", "500", times=9)  # three lists, three tries each
        await begin(there)
        await there.until_idle()
        assert (there.sandbox.killed, there.waiting) == ([], len(MANY))
        there.later(seconds=11)
        await there.until_idle()
        assert len(there.sandbox.killed) == len(MANY)
        assert max(there.batches_of(KILL)) <= 20
        await all_is_done(there)

    play(driven, story)


def test_a_batch_whose_answer_is_lost_is_settled_by_looking(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.sandbox.fail_next(KILL, "act_then_drop")
        await begin(there)
        assert there.outcomes()["in_doubt"] > 1
        await all_is_done(there)
        assert there.killed_once()
        receipts = [one["receipt"] for one in there.decisions()]
        assert receipts.count(False) == there.batches_of(KILL)[0]

    play(driven, story)


def test_a_batch_that_did_not_arrive_is_tried_again_when_it_cannot_be_under_way(
    driven: Driving,
) -> None:
    async def story(there: Driving) -> None:
        there.sandbox.fail_next(KILL, "drop_before")
        await begin(there)
        first = {str(call.params["ID"]) for call in there.sandbox.calls_of(KILL)}
        await there.until_idle()
        assert not first & set(there.sandbox.killed)
        assert there.killed_once()
        there.later(seconds=61)
        await all_is_done(there)

    play(driven, story)


def test_a_pause_in_the_middle_holds_the_rest(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        done = len(there.sandbox.killed)
        control.pause(there.database, [PORTAL], by="somebody", at=there.now())
        await there.until_idle()
        assert len(there.sandbox.killed) == done
        assert there.outcomes() == {"killed": done, "held": len(MANY) - done}
        control.resume(there.database, [PORTAL], by="somebody", at=there.now())
        await all_is_done(there)

    play(driven, story)


def test_other_rules_in_the_middle_judge_the_rest(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        done = len(there.sandbox.killed)
        there.rules_path.write_text(RULES.replace("id: 61", "id: 62"), encoding="utf-8")
        there.rules.reload(at_once=True)
        await there.come_to_rest()
        assert len(there.sandbox.killed) == done
        assert len(there.sandbox.workflows) == len(MANY) - done
        assert there.waiting == 0

    play(driven, story)


def test_a_lease_that_is_lost_in_the_middle_ends_it_there(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        done = len(there.sandbox.killed)
        there.take_lease("another")
        with pytest.raises(LeaseLost):
            await there.until_idle()
        assert len(there.sandbox.killed) == done
        assert there.waiting == len(MANY) - done
        await there.drive()  # and another goes on
        await all_is_done(there)
        assert there.killed_once()

    play(driven, story)


@pytest.mark.parametrize("seconds", [26, 31])  # what is remembered may be five seconds older
def test_facts_that_grew_old_in_the_middle_are_read_afresh(driven: Driving, seconds: int) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        done = set(there.sandbox.killed)
        for number in MANY:
            if f"65e5a449e8f135.{number:06d}00" not in done:
                there.sandbox.add_item(2, number, stageSemanticId="P")
        there.later(seconds=seconds)
        await there.come_to_rest()
        assert set(there.sandbox.killed) == done
        assert there.waiting == 0

    play(driven, story)


def test_a_breaker_that_opens_in_the_middle_ends_it_there(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        done = len(there.sandbox.killed)
        there.sandbox.absent_methods.add(KILL)
        await there.until_idle()
        there.sandbox.absent_methods.clear()
        refused = there.batches_of(KILL)[1]
        assert len(there.sandbox.killed) < done + refused
        assert len(there.sandbox.calls_of(KILL)) == done + refused
        there.later(minutes=2)
        await there.come_to_rest()
        assert not there.sandbox.workflows

    play(driven, story)


def test_a_driver_that_ends_amid_a_storm_leaves_the_rest_as_it_was(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        assert there.agenda is not None
        assert there.agenda.rounds.is_amid_work
        done = len(there.sandbox.killed)
        await there.drive()  # nothing of what was judged is kept
        assert there.agenda is not None
        assert not there.agenda.rounds.is_amid_work
        assert there.waiting == len(MANY) - done
        await all_is_done(there)
        assert there.killed_once()

    play(driven, story)
