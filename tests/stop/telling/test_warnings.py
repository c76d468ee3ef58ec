"""Stories of warnings: given when a wait begins or approval is asked, dropped when it is over."""

from datetime import timedelta

import pytest

from responder.bitrix24.client.answers import NOTIFY
from responder.journal.telling.tellings import State
from responder.stop import control
from tests.stop.telling.test_teller import comments, go_on, notified, ready, rows, states
from tests.support.rounds import KILL, Driving
from tests.support.sqlite_first import migrated_url as migrated_url
from tests.support.stories import Tell, rule, rules
from tests.support.stories import tell as tell

pytestmark = pytest.mark.portal

A_MOMENT = timedelta(seconds=2)


def warns(*more: str, mode: str = "enforce") -> str:
    return rules(
        rule(
            "[deal.updated]",
            "because: It took too long.",
            "warn: [timeline, responsible]",
            *more,
            mode=mode,
            tests=", deal.stage_id: NEW",
        )
    )


async def condemned(there: Driving) -> None:
    await ready(there)
    there.sandbox.add_user(7)
    there.sandbox.items[2, 1]["stageId"] = "NEW"
    there.deliver([1])
    await there.until_idle()


def test_when_a_wait_begins_people_hear_what_will_happen_and_when(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await condemned(there)
        until = there.now() + timedelta(hours=1)
        await go_on(there, A_MOMENT)
        [(user, said)] = notified(there)
        assert user == "7"
        assert said.startswith("Will be stopped and deleted with its data at 2")
        assert "(Europe/Moscow), if what led to it still holds then" in said
        assert "It took too long. (main-1-1)" in said
        assert len(comments(there)) == 1
        assert not there.sandbox.killed
        await go_on(there, timedelta(minutes=30))
        assert len(notified(there)) == 1
        await go_on(there, until - there.now() + A_MOMENT)
        assert there.sandbox.killed == ["a"]
        assert len(notified(there)) == len(comments(there)) == 1

    tell(warns("wait: 1h"), story)


def test_when_approval_is_asked_people_hear_of_it(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await condemned(there)
        await go_on(there, A_MOMENT)
        [(_, said)] = notified(there)
        assert "if an administrator approves it by 2" in said
        assert there.outcomes() == {"held": 1}
        approved = control.approve(there.database, ["main-1-1"], by="anna", at=there.now())
        assert approved.approved
        await there.come_to_rest()
        await go_on(there, A_MOMENT)
        assert there.sandbox.killed == ["a"]
        assert len(notified(there)) == 1

    tell(warns(mode="approve"), story)


def test_with_both_people_are_warned_once(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await condemned(there)
        await go_on(there, A_MOMENT, timedelta(hours=1), A_MOMENT)
        [(_, said)] = notified(there)
        assert "still holds then and an administrator approves it" in said
        assert there.outcomes() == {"held": 1}

    tell(warns("wait: 1h", mode="approve"), story)


def test_a_warning_of_what_was_cleared_is_dropped(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await ready(there, *[(NOTIFY, "503_limit")] * 3)
        there.sandbox.add_user(7)
        there.sandbox.items[2, 1]["stageId"] = "NEW"
        there.deliver([1])
        await there.until_idle()
        await go_on(there, A_MOMENT)
        assert rows(there)[-1] == ("responsible", "7", "due")
        there.sandbox.items[2, 1]["stageId"] = "WON"
        await go_on(there, timedelta(minutes=2), timedelta(minutes=10))
        assert there.outcomes() == {"cleared": 1}
        assert states(there)[-1] == State.DROPPED
        assert not notified(there)

    tell(warns("wait: 1m"), story)


def test_what_may_have_been_stopped_already_is_not_warned_of(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await ready(there, *[(NOTIFY, "503_limit")] * 2, (KILL, "drop_before"))
        there.sandbox.add_user(7)
        there.sandbox.items[2, 1]["stageId"] = "NEW"
        there.deliver([1])
        await there.until_idle()
        await go_on(there, A_MOMENT, timedelta(seconds=12))
        assert states(there)[-1] == State.DUE
        await go_on(there, timedelta(seconds=62))
        assert there.outcomes() == {"in_doubt": 1}
        assert states(there)[-1] == State.DROPPED
        assert not notified(there)

    tell(warns("wait: 1m"), story)
