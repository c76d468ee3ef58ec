"""Nothing is called for an approval that no entry of the log bears out."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from sqlalchemy import select, update

from responder.journal import approvals, chain
from responder.journal.audit.verify import verify
from responder.stop import control
from responder.store.database.database import Connection, Database
from responder.store.database.tables import approvals as asked
from responder.store.database.tables import decisions, entries
from tests.support.rounds import PORTAL, RULES, Driving, driving, play

pytestmark = pytest.mark.portal

ASKING = RULES.replace("mode: enforce", "mode: approve")
DEALS = range(1, 4)


@pytest.fixture
def there(tmp_path: Path, database: Database) -> Iterator[Driving]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    with driving(database, tmp_path, ASKING) as made:
        yield made
    structlog.reset_defaults()


async def ask(there: Driving) -> list[str]:
    """Condemn three workflows; return the decisions that wait for somebody's approval."""
    there.lost_deals(DEALS)
    there.deliver(DEALS)
    await there.until_idle()
    waiting = there.database.read(lambda conn: approvals.pending(conn, [PORTAL]))
    assert len(waiting) == len(DEALS)
    return [one.decision_id for one in waiting]


def approve(there: Driving, *names: str) -> None:
    control.approve(there.database, names, by="anna", at=there.now())


def approve_in_rows_alone(there: Driving, by: str = "alice", entry: int | None = None) -> None:
    """Write what approving writes into the rows, and nothing into the log."""

    def write(tx: Connection) -> None:
        now = datetime.now(UTC)
        tx.execute(update(asked).values(approved_at=now, approved_by=by, entry=entry))
        tx.execute(
            update(decisions)
            .where(decisions.c.outcome == "held")
            .values(outcome="waiting", hold=None, due_at=now)
        )

    there.database.write(write)


def intents(there: Driving) -> list[dict[str, object]]:
    query = select(entries.c.body).where(entries.c.kind == "intent").order_by(entries.c.seq)
    return there.database.read(lambda c: [json.loads(body) for body in c.execute(query).scalars()])


def said(there: Driving) -> set[tuple[object, object]]:
    condemned = [one for one in there.decisions() if one["workflow"]]
    return {(one["outcome"], one["detail"]) for one in condemned}


NOBODY = "no entry of the log says that somebody approved it, so nothing comes of it"


@pytest.mark.parametrize("entry", [None, 1, 99])
def test_an_approval_in_the_rows_alone_calls_nothing(there: Driving, entry: int | None) -> None:
    async def story(there: Driving) -> None:
        await ask(there)
        approve_in_rows_alone(there, entry=entry)
        await there.until_idle()
        assert there.sandbox.killed == []
        assert said(there) == {("cleared", NOBODY)}
        assert intents(there) == []

    play(there, story)


def test_the_approval_of_another_decision_approves_nothing(there: Driving) -> None:
    async def story(there: Driving) -> None:
        first, second, third = await ask(there)
        approve(there, first)
        head = there.database.read(chain.heads)[PORTAL]
        there.database.write(
            lambda tx: tx.execute(
                update(asked)
                .where(asked.c.approved_at.is_(None))
                .values(approved_at=there.now(), approved_by="anna", entry=head)
            )
        )
        there.database.write(
            lambda tx: tx.execute(
                update(decisions)
                .where(decisions.c.outcome == "held")
                .values(outcome="waiting", hold=None, due_at=there.now())
            )
        )
        await there.until_idle()
        assert len(there.sandbox.killed) == 1
        assert [one["decision"] for one in intents(there)] == [first]
        became = {str(one["id"]): one["outcome"] for one in there.decisions()}
        assert [became[name] for name in (first, second, third)] == ["killed", "cleared", "cleared"]

    play(there, story)


@pytest.mark.parametrize("change", [{"approved_by": "alice"}, {"approved_at": datetime.now(UTC)}])
def test_an_approval_by_another_or_at_another_time_is_none(
    there: Driving, change: dict[str, object]
) -> None:
    async def story(there: Driving) -> None:
        approve(there, *await ask(there))
        there.database.write(lambda tx: tx.execute(update(asked).values(**change)))
        await there.until_idle()
        assert there.sandbox.killed == []
        assert said(there) == {("cleared", NOBODY)}

    play(there, story)


def test_the_intent_names_the_entry_of_its_approval(there: Driving) -> None:
    async def story(there: Driving) -> None:
        names = await ask(there)
        approve(there, *names)
        approval = there.database.read(chain.heads)[PORTAL]
        await there.until_idle()
        assert len(there.sandbox.killed) == len(DEALS)
        assert {one["approval"] for one in intents(there)} == {approval}
        assert verify(there.database, PORTAL).bad is None

    play(there, story)
