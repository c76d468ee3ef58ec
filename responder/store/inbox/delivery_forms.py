"""Empties the forms of concluded deliveries a day later; what was judged from them is in the log.

Forms are emptied in order of arrival, a thousand ids a transaction, and how far that has come is
stored for each portal. It goes no further than a delivery that still waits or is not old enough; a
delivery with a receive time in the future (our clock was ahead) counts as old enough.
"""

from datetime import datetime

from sqlalchemy import Connection, and_, func, or_, select, update

from responder.store.database.tables import UNCONCLUDED, deliveries, emptied, insert

MOST = 1_000


def empty(tx: Connection, portal: str, before: datetime, now: datetime) -> bool:
    """Empty some forms that were received before an instant; return whether more may be left."""
    first, last = (  # two statements: asked for both in one, SQLite reads the whole index
        tx.execute(select(end(deliveries.c.id))).scalar() for end in (func.min, func.max)
    )
    if first is None:
        return False
    known = tx.execute(select(emptied.c.through).where(emptied.c.portal == portal)).scalar()
    through = max(known or 0, first - 1)
    end = min(through + MOST, last)
    theirs = deliveries.c.portal == portal
    # of any portal: what is being received now may become visible later, with a lower id
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
