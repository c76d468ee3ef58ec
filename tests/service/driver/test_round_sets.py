"""Sets: what has begun is finished, what would be too much is not begun, what is held waits."""

import re

import pytest
from sqlalchemy import event as engine_event

from responder.stop import control
from tests.support.rounds import PORTAL, Driving
from tests.support.stories import (
    Tell,
    a_deal,
    after,
    begin,
    change_rules,
    let_go,
    outcomes,
    rearm,
    rule,
    rules,
)
from tests.support.stories import tell as tell

pytestmark = pytest.mark.portal


def test_a_set_that_was_begun_is_finished_and_the_next_is_not_begun(tell: Tell) -> None:
    text = rules(rule("[deal.updated]", "limit: {per_hour: 40, per_document: 100}"))

    async def story(there: Driving) -> None:
        await begin(there)
        there.client.capacity = lambda method: 20  # type: ignore[method-assign]  # noqa: ARG005
        for number in (1, 2):
            a_deal(there, number, *(f"{number}-{place:02d}" for place in range(25)))
        there.deliver([1])
        there.deliver([2])
        await there.come_to_rest()
        killed = [one.partition("-")[0] for one in there.sandbox.killed]
        assert killed == ["1"] * 25
        assert outcomes(there).count("held") == 25

    tell(text, story)


def test_calls_that_the_portals_limit_refused_are_no_stops(tell: Tell) -> None:
    text = rules(rule("[deal.updated]", "limit: {per_document: 6}"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "a")
        there.sandbox.fail_next("bizproc.workflow.kill", "503_limit", times=5)
        there.deliver([1])
        await there.come_to_rest()
        assert there.sandbox.killed == ["a"]
        a_deal(there, 1, "b", "c", "d", "e", "f")
        there.deliver([1])
        await there.come_to_rest()
        assert len(there.sandbox.killed) == 6

    tell(text, story)


@pytest.mark.parametrize("cause", ["pause", "trip"])
def test_what_several_runs_condemned_meanwhile_is_one_set_when_it_is_let_go(
    tell: Tell, cause: str
) -> None:
    text = rules(rule("[{every: 5m}]", "limit: {per_run: 3}"))

    async def story(there: Driving) -> None:
        await begin(there)
        if cause == "pause":
            control.pause(there.database, [PORTAL], by="me", at=there.now())
        else:
            a_deal(there, 100, *(f"first-{place}" for place in range(4)))
        for number in range(5):
            a_deal(there, number + 1, *(f"{number}-{place}" for place in range(3)))
            await after(there, minutes=5)
        assert set(outcomes(there)) == {"held"}
        let_go(there, "paused" if cause == "pause" else "tripped")
        await after(there, seconds=2)
        await there.come_to_rest()
        assert there.sandbox.killed == []
        assert set(outcomes(there)) <= {"held", "cleared"}

    tell(text, story)


def test_what_is_condemned_no_longer_is_not_counted_to_its_set(tell: Tell) -> None:
    text = rules(rule("[deal.updated]", "wait: 10m", "sweep: false", "limit: {per_hour: 3}"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 2, "first")
        there.deliver([2])
        await there.until_idle()
        there.later(minutes=5)
        a_deal(there, 1, "a", "b", "c")
        there.deliver([1])
        await there.until_idle()
        await after(there, minutes=6)
        assert there.sandbox.killed == ["first"]
        there.sandbox.end_workflow("b")
        there.sandbox.end_workflow("c")
        await after(there, minutes=6)
        assert there.sandbox.killed == ["first", "a"]
        assert outcomes(there) == ["killed", "killed", "already_gone", "already_gone"]

    tell(text, story)


def test_a_set_is_not_asked_of_the_store_once_for_each_of_its_documents(tell: Tell) -> None:
    text = rules(rule("[{every: 5m}]", "limit: {per_hour: 1000}"))

    async def story(there: Driving) -> None:
        await begin(there)
        there.client.capacity = lambda method: 10  # type: ignore[method-assign]  # noqa: ARG005
        for number in range(1, 41):
            a_deal(there, number, f"w{number}")
        asked: list[str] = []

        def count(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
            if re.match(r"SELECT .* decisions\.set_name = [?%]", statement, re.DOTALL):
                asked.append(statement)

        engine_event.listen(there.database.writer, "before_cursor_execute", count)
        await after(there, minutes=6)
        await there.come_to_rest()
        assert len(there.sandbox.killed) == 40
        assert len(asked) < 20

    tell(text, story)


def test_two_parts_of_sets_on_one_document_do_not_hold_each_other_for_ever(tell: Tell) -> None:
    text = rules(rule("[{every: 5m}]", "limit: {per_document: 3}"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, "k1", "k2")
        await after(there, minutes=5)
        await after(there, seconds=3)
        a_deal(there, 1, "a1", "a2")
        a_deal(there, 2, "x")
        await after(there, minutes=5)
        await after(there, seconds=3)
        a_deal(there, 1, "b1", "b2")
        a_deal(there, 3, "y")
        await after(there, minutes=5)
        assert sorted(there.sandbox.killed) == ["k1", "k2", "x", "y"]
        rearm(there)
        await after(there, seconds=2)
        assert len(there.sandbox.killed) == 6
        rearm(there)
        await after(there, seconds=2)
        assert len(there.sandbox.killed) == 8

    tell(text, story)


def test_what_is_left_of_a_set_is_begun_anew_by_rules_that_have_changed(tell: Tell) -> None:
    """A set that was begun is finished though its rule trips: by the rules that began it."""
    text = rules(rule("[deal.updated]", "sweep: false", "limit: {per_hour: 30}"))

    async def story(there: Driving) -> None:
        await begin(there)
        for number, names in ((1, ("a",)), (2, ("b", "c"))):
            a_deal(there, number, *names)
        there.sandbox.fail_next("bizproc.workflow.kill", "drop_before")
        there.deliver([1])
        await there.until_idle()
        assert outcomes(there) == ["in_doubt"]
        change_rules(there, text.replace("per_hour: 30", "per_hour: 1"))
        there.deliver([2])
        await there.come_to_rest()
        assert there.sandbox.killed == []
        assert outcomes(there) == ["held"] * 3
        rearm(there)
        await there.come_to_rest()
        assert there.sandbox.killed == ["a"]

    tell(text, story)


def test_a_comment_in_the_rules_keeps_nothing_of_a_set_that_was_begun(tell: Tell) -> None:
    text = rules(rule("[deal.updated]", "sweep: false", "limit: {per_hour: 30, per_document: 30}"))

    async def story(there: Driving) -> None:
        await begin(there)
        names = [f"{number:02d}" for number in range(30)]
        a_deal(there, 1, *names)
        there.client.capacity = lambda method: 10  # type: ignore[method-assign]  # noqa: ARG005
        there.deliver([1])
        await there.round()
        assert 0 < len(there.sandbox.killed) < 30
        change_rules(there, text + "# said more clearly")
        await there.come_to_rest()
        assert sorted(there.sandbox.killed) == names

    tell(text, story)


def test_rules_that_are_put_back_do_not_take_up_what_other_rules_began(tell: Tell) -> None:
    """What is left of a set counts for everybody as long as it may be let go unasked."""
    text = rules(rule("[deal.updated]", "sweep: false", "limit: {per_hour: 30, per_document: 30}"))

    async def story(there: Driving) -> None:
        await begin(there)
        a_deal(there, 1, *(f"one{number:02d}" for number in range(30)))
        a_deal(there, 2, *(f"two{number:02d}" for number in range(10)))
        size = 10
        there.client.capacity = lambda method: size  # type: ignore[method-assign]  # noqa: ARG005
        there.deliver([1])
        await there.round()
        change_rules(there, text + "# said more clearly")
        await there.round()
        assert len(there.sandbox.killed) == 20
        change_rules(there, text)
        size = 50
        there.deliver([2])
        await there.come_to_rest()
        assert len(there.sandbox.killed) <= 30

    tell(text, story)
