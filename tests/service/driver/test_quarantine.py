"""Tests what becomes of documents that a fault of ours keeps from being judged."""

from datetime import timedelta
from typing import cast

from responder.bitrix24.fetch.stages import Stages
from responder.journal.audit.verify import verify
from responder.store import sweep_runs
from tests.support.rounds import DEAL, INSTANCES, PORTAL, RULES, Driving, play
from tests.support.sqlite_first import migrated_url as migrated_url
from tests.support.storms import driven as driven


def break_it(there: Driving) -> None:
    """Let what is remembered of stages be nonsense; only deals that do not tell theirs need it."""
    there.templates.stages["DEAL_STAGE"] = cast("Stages", "nonsense")


def mend_it(there: Driving) -> None:
    there.templates.stages["DEAL_STAGE"] = Stages({"LOSE": "F"}, there.now())


def lost(there: Driving, number: int) -> None:
    there.sandbox.add_item(2, number, stageId="LOSE", categoryId=0)
    there.sandbox.start_workflow((*DEAL, f"DEAL_{number}"), 61)


async def wait_and_go_on(there: Driving, times: int) -> None:
    for _ in range(times):
        there.later(seconds=351)
        await there.until_idle()


def test_what_cannot_be_judged_is_tried_five_times_and_then_concluded(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        break_it(there)
        lost(there, 1)
        there.deliver([1, 1])
        await there.until_idle()
        await wait_and_go_on(there, 3)
        assert there.waiting == 2
        await wait_and_go_on(there, 1)
        assert there.waiting == 0
        (decision,) = there.decisions()
        assert (decision["action"], decision["reason"]) == ("none", "unreadable")
        assert decision["events"] == 2
        assert "a fault of ours" in str(decision["detail"])
        assert there.sandbox.killed == []
        assert verify(there.database, PORTAL).bad is None

    play(driven, story)


def test_what_can_be_judged_is_not_held_up_by_what_cannot(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        break_it(there)
        lost(there, 1)
        there.lost_deals([2])
        there.deliver([1, 2])
        await there.until_idle()
        there.later(seconds=2)
        await there.until_idle()
        assert len(there.sandbox.killed) == 1
        assert there.waiting == 1

    play(driven, story)


def test_once_the_fault_is_mended_it_is_judged_as_ever(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        break_it(there)
        lost(there, 1)
        there.deliver([1])
        await there.until_idle()
        await wait_and_go_on(there, 3)
        mend_it(there)
        await wait_and_go_on(there, 1)
        assert there.waiting == 0
        assert there.outcomes() == {"killed": 1}

    play(driven, story)


def test_a_stop_that_cannot_be_judged_afresh_is_given_up(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        given = RULES.replace("then:", "wait: 1m\n    then:")
        there.rules_path.write_text(given, encoding="utf-8")
        there.rules.reload(at_once=True)
        mend_it(there)
        lost(there, 1)
        there.deliver([1])
        await there.until_idle()
        assert there.outcomes() == {"waiting": 1}
        break_it(there)
        await wait_and_go_on(there, 4)
        assert there.outcomes() == {"waiting": 1}
        await wait_and_go_on(there, 1)
        assert there.outcomes() == {"gave_up": 1}
        assert "a fault of ours" in str(there.decisions()[0]["detail"])
        assert there.sandbox.killed == []

    play(driven, story)


def test_a_run_that_cannot_be_judged_is_given_up_for_a_minute(driven: Driving) -> None:
    driven.sweep_every = timedelta(minutes=5)

    async def story(there: Driving) -> None:
        await there.until_idle()  # the sweep begins to count
        break_it(there)
        lost(there, 1)
        begun = there.database.write(
            lambda tx: sweep_runs.add_request(
                tx, PORTAL, rule=None, observe=True, by="me", at=there.now()
            )
        )
        there.later(seconds=2)
        await there.until_idle()
        asked = there.database.read(lambda conn: sweep_runs.request(conn, begun))
        assert asked is not None
        assert asked.result is not None
        assert "a fault of ours" in str(asked.result["failure"])
        before = len(there.sandbox.calls_of(INSTANCES))
        there.later(minutes=6)
        await there.until_idle()
        assert len(there.sandbox.calls_of(INSTANCES)) <= 2 * before
        assert there.sandbox.killed == []
        mend_it(there)
        there.later(minutes=6)
        await there.until_idle()
        assert len(there.sandbox.killed) == 1

    play(driven, story)
