"""More places where two capabilities meet: what is let go, looked at again, made again, said."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from responder.runtime import operating
from responder.store import runs
from tests.runtime.driving import A_SECOND, DEAL, PORTAL, Driving
from tests.runtime.test_joints import (
    Tell,
    begin,
    outcomes,
    rule,
    rules,
    tell,
)

__all__ = ["tell"]


def pause(there: Driving) -> None:
    assert operating.pause(there.database, [PORTAL], by="me", at=there.now())


def resume(there: Driving) -> None:
    operating.resume(there.database, [PORTAL], by="me", at=there.now())


def rearm(there: Driving, name: str = "overdue") -> None:
    operating.rearm(there.database, [PORTAL], name, known=[name], by="me", at=there.now())


def incomplete(there: Driving) -> Mapping[str, datetime]:
    return there.database.read(lambda conn: runs.incomplete(conn, PORTAL))


# whom `keep` spares


def test_a_run_judges_all_it_read_as_of_one_moment(tell: Tell) -> None:
    """Each workflow is alone of its template, and comes of age while the run is judged."""
    text = rules(
        rule("[{every: 5m}]", "keep: newest", "per: [template]", "every_template: true").replace(
            "{workflow.template_id: 61}", "{deal.company_id: 5, workflow.age: {over: 1d}}"
        )
    )

    async def story(there: Driving) -> None:
        real = there.now

        def slow() -> datetime:
            there.later(seconds=1)
            return real()

        await begin(there)
        started = there.now() - timedelta(hours=23, minutes=53)
        for number in range(1, 61):
            there.sandbox.add_item(2, number, companyId=5)
            there.sandbox.add_template(100 + number, "Approval")
            there.sandbox.start_workflow(
                (*DEAL, f"DEAL_{number}"),
                100 + number,
                id=f"w{number}",
                started=started + number * 10 * A_SECOND,
            )
        there.later(minutes=6)
        there.now = slow  # type: ignore[method-assign]
        await there.drive()
        await there.until_idle()
        there.now = real  # type: ignore[method-assign]
        await there.drive()
        await there.come_to_rest()
        assert there.sandbox.killed == []
        assert outcomes(there) == []

    tell(text, story)


# what is said
