"""What a run condemned and was held for is cleared some at a time, then looked for afresh."""

from collections import Counter
from datetime import UTC, datetime

from responder.stop import control
from responder.stop.rearm_release import MOST
from responder.store import sweep_runs
from tests.support.rounds import PORTAL, Driving
from tests.support.stories import Tell, a_deal, after, begin, outcomes, rule, rules
from tests.support.stories import tell as tell

EVER = datetime(1970, 1, 1, tzinfo=UTC)
MANY = 2 * MOST + 50
TEXT = rules(rule("[{every: 1h}]", "limit: {per_run: 3, per_hour: 1000, per_document: 1000}"))


async def held(there: Driving) -> None:
    """Let a run condemn more than it may."""
    await begin(there)
    a_deal(there, 1, *(f"w.{number:03d}" for number in range(MANY)))
    await after(there, hours=1)
    assert Counter(outcomes(there)) == {"held": MANY}


def rearm(there: Driving) -> int:
    return control.rearm(
        there.database, [PORTAL], "overdue", known=["overdue"], by="me", at=there.now()
    )


def test_much_is_cleared_in_steps_and_no_run_is_made_before_all_is(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await held(there)
        there.rules_path.write_text(TEXT.replace("per_run: 3", "per_run: 1000"), encoding="utf-8")
        there.rules.reload(at_once=True)
        there.later(seconds=2)
        assert rearm(there) == MANY
        for cleared in (MOST, 2 * MOST):
            await there.round()
            assert Counter(outcomes(there)) == {"cleared": cleared, "held": MANY - cleared}
        assert there.sandbox.killed == []
        await there.drive()  # another driver goes on
        await there.come_to_rest()
        await after(there, seconds=2)  # until a run is looked for again
        await there.come_to_rest()
        assert Counter(outcomes(there)) == {"cleared": MANY, "killed": MANY}
        assert len(there.sandbox.killed) == MANY

    tell(TEXT, story)


def test_what_a_driver_of_an_older_version_left_is_cleared_and_looked_for(tell: Tell) -> None:
    """It made the run that was asked for at once, and passed over what was held."""

    async def story(there: Driving) -> None:
        await held(there)
        there.rules_path.write_text(TEXT.replace("per_run: 3", "per_run: 1000"), encoding="utf-8")
        there.rules.reload(at_once=True)
        there.later(seconds=2)
        rearm(there)
        (asked,) = there.database.read(lambda conn: sweep_runs.open_requests(conn, PORTAL, EVER))
        there.database.write(lambda tx: sweep_runs.finish(tx, asked.id, {}))
        await there.drive()
        await there.come_to_rest()
        await after(there, seconds=2)
        await there.come_to_rest()
        assert Counter(outcomes(there)) == {"cleared": MANY, "killed": MANY}

    tell(TEXT, story)


def test_a_rule_that_would_trip_again_holds_what_the_new_run_found(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await held(there)
        there.later(seconds=2)
        assert rearm(there) == MANY
        assert rearm(there) == MANY  # as nothing was cleared yet
        await there.come_to_rest()
        await after(there, seconds=2)
        assert Counter(outcomes(there)) == {"cleared": MANY, "held": MANY}
        assert there.sandbox.killed == []

    tell(TEXT, story)
