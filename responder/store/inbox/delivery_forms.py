"""The end of a delivery's form: what was judged from it stands in the log, and it goes in a day.

Forms are emptied in the order in which they came, a thousand ids a transaction, and how far that
has come is kept for each portal. It goes no further than a delivery that still waits, or that is
not old enough; one from a clock that was ahead is.
"""

from datetime import datetime

from sqlalchemy import Connection, and_, func, or_, select, update

from responder.store.database.tables import UNCONCLUDED, deliveries, emptied, insert

MOST = 1_000


def empty(tx: Connection, portal: str, before: datetime, now: datetime) -> bool:
    """Empty forms that were received before an instant and concluded; True where more may be."""
    first, last = (  # each is found at one end; asked for both at once, SQLite goes through all
        tx.execute(select(end(deliveries.c.id))).scalar() for end in (func.min, func.max)
    )
    if first is None:
        return False
    known = tx.execute(select(emptied.c.through).where(emptied.c.portal == portal)).scalar()
    through = max(known or 0, first - 1)
    end = min(through + MOST, last)
    theirs = deliveries.c.portal == portal
    # another portal's too: what is received this moment may be seen later, and has a lower id
    of_today = deliveries.c.received_at.between(before, now)
    stays = tx.execute(
        select(func.min(deliveries.c.id)).where(
            deliveries.c.id > through,
            deliveries.c.id <= end,
            or_(of_today, and_(theirs, UNCONCLUDED)),
        )
    ).scalar()
    until = end if stays is None else stays - 1
    if until <= through:
        return False
    tx.execute(
        update(deliveries)
        .where(
            theirs,
            deliveries.c.id > through,
            deliveries.c.id <= until,
            func.length(deliveries.c.form) > 0,
        )
        .values(form=b"")
    )
    tx.execute(
        insert(tx, emptied)
        .values(portal=portal, through=until)
        .on_conflict_do_update(index_elements=["portal"], set_={"through": until})
    )
    return stays is None and until < last
