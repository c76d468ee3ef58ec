"""Makes notifications of decisions that are held until somebody approves them.

Each is told of once when it is held, and once more before it lapses. That it was is written beside
its approval, in the transaction that stores the message.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, or_, select, update

from responder.journal.notices import outbox
from responder.journal.notices.outbox import Message
from responder.journal.open_stops import OF_DECISION
from responder.model import Outcome
from responder.store.canonical_json import instant_text
from responder.store.database.tables import OPEN, approvals, decisions
from responder.store.decision_ids import decision_name, is_decision
from responder.store.limits import APPROVAL

LAPSES_SOON = timedelta(hours=2)
MOST = 100  # in one transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """A decision that waits for approval, and that is to be told of, perhaps `again`."""

    portal: str
    seq: int
    n: int
    held_at: datetime
    lapses_at: datetime
    again: bool

    @property
    def decision_id(self) -> str:
        """Return the decision's name."""
        return decision_name(self.portal, self.seq, self.n)


_WAITS = and_(OPEN, decisions.c.outcome == Outcome.HELD, decisions.c.hold == APPROVAL)


def untold(conn: Connection, portals: Collection[str], now: datetime) -> list[Untold]:
    """Return the decisions of these portals that are to be told of, the first to lapse first."""
    lapses_soon = approvals.c.lapses_at <= now + LAPSES_SOON
    query = (
        select(approvals, decisions.c.at)
        .join(decisions, OF_DECISION)
        .where(
            decisions.c.portal.in_(portals),
            _WAITS,
            or_(
                approvals.c.told_at.is_(None), and_(lapses_soon, approvals.c.reminded_at.is_(None))
            ),
        )
        .order_by(approvals.c.lapses_at, approvals.c.portal, approvals.c.seq, approvals.c.n)
        .limit(MOST)
    )
    return [
        Untold(
            portal=row.portal,
            seq=row.seq,
            n=row.n,
            held_at=row.at,
            lapses_at=row.lapses_at,
            again=row.told_at is not None,
        )
        for row in conn.execute(query)
    ]


def tell(tx: Connection, some: Collection[Untold], portal: str, now: datetime, base: str) -> None:
    """Store the messages of a portal's decisions, and that they were told of.

    What was answered since it was read is not told of. `base` is where people reach the pages, or
    empty.
    """
    mine = [one for one in some if one.portal == portal and _waits(tx, one)]
    outbox.add_messages(tx, portal, [_message(tx, one, now, base) for one in mine], now)
    for one in mine:
        told = {} if one.again else {"told_at": now}
        # told first when it lapses soon already, it is not told of twice
        soon = {"reminded_at": now} if one.lapses_at <= now + LAPSES_SOON else {}
        tx.execute(
            update(approvals)
            .where(approvals.c.portal == portal, approvals.c.seq == one.seq, approvals.c.n == one.n)
            .values(**told, **soon)
        )


def _waits(tx: Connection, one: Untold) -> bool:
    """Return whether a decision waits for approval still."""
    place = (one.portal, one.seq, one.n)
    return tx.execute(select(decisions.c.n).where(is_decision(place), _WAITS)).first() is not None


def _message(tx: Connection, one: Untold, now: datetime, base: str) -> Message:
    name = one.decision_id
    data = {
        "decision": name,
        "portal": one.portal,
        **outbox.shown(outbox.decided(tx, one.seq, one.n, one.portal)),
        "lapses_at": instant_text(one.lapses_at),
        "again": one.again,
        "link": outbox.decision_link(base, name),
    }
    return Message(
        type="decision.held", data=data, at=now, identity=f"{name} {'again' if one.again else ''}"
    )
