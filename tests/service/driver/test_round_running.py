"""How many workflows run on a document decides: for events, sweeps, schedules, and once more."""

from datetime import timedelta

import pytest

from responder.bitrix24.sandbox.slots import Slots
from tests.support.rounds import DEAL, Driving
from tests.support.stories import Tell, a_deal, after, begin, details, outcomes, rule, rules
from tests.support.stories_on_sqlite import tell as tell

pytestmark = pytest.mark.portal

CROWDED = ", document.running: {at_least: 2}"


@pytest.mark.parametrize("when", ["[deal.updated]", "[{every: 5m}]", "[deal.added]"])
def test_what_shares_its_document_is_stopped_whatever_sets_the_rule_off(
    tell: Tell, when: str
) -> None:
    text = rules(rule(when, *(["sweep: true"] if "every" not in when else []), tests=CROWDED))

    async def story(there: Driving) -> None:
        await begin(there, sweep_minutes=0 if "every" in when else 5)
        a_deal(there, 1, "a", "b")
        a_deal(there, 2, "alone")
        if when == "[deal.updated]":
            there.deliver([1, 2])
            await there.until_idle()
        else:
            await after(there, minutes=6)
        await there.come_to_rest()
        assert sorted(there.sandbox.killed) == ["a", "b"]
        assert outcomes(there) == ["killed", "killed"]

    tell(text, story)


def test_a_stop_that_waited_is_cleared_where_there_is_room_by_then(tell: Tell) -> None:
    text = rules(rule("[deal.updated]", "wait: 10m", tests=CROWDED))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a", "b")
        there.deliver([1])
        await there.until_idle()
        assert outcomes(there) == ["waiting", "waiting"]
        del there.sandbox.workflows["b"]
        await after(there, minutes=11)
        assert there.sandbox.killed == []
        assert sorted(map(str, outcomes(there))) == ["already_gone", "cleared"]
        assert "if.document.running at least 2 no longer holds" in "".join(details(there))

    tell(text, story)


def test_what_stands_in_line_begins_once_the_slots_are_free(tell: Tell) -> None:
    stuck = f"{CROWDED}, workflow.stuck: true"
    text = rules(rule("[{every: 5m}]", tests=stuck))

    async def story(there: Driving) -> None:
        await begin(there)
        there.sandbox.slots = Slots(2)
        there.sandbox.add_item(2, 1)
        long_ago = there.now() - timedelta(days=2)
        for name in ("a", "b"):
            there.sandbox.start_workflow(
                (*DEAL, "DEAL_1"), 61, id=name, started=long_ago, owned_until=long_ago
            )
        a_deal(there, 1, "next")
        assert there.sandbox.queued == ["next"]
        await after(there, minutes=6)
        await there.come_to_rest()
        assert sorted(there.sandbox.killed) == ["a", "b"]
        assert list(there.sandbox.workflows) == ["next"]

    tell(text, story)
