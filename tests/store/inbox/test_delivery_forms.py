"""The forms of deliveries go in a day, once they are concluded."""

from datetime import datetime, timedelta

from responder.store.database.database import Database
from responder.store.inbox import delivery_forms, inbox
from tests.support.evaluations import AT

DAY = timedelta(days=1)


def received(database: Database, *ages: timedelta, portal: str = "main") -> list[int]:
    """Receive so many, that old; return their ids."""
    rows = [
        inbox.row(portal, AT - age, "event", "ONCRMDEALUPDATE", f"deal:{n}", None, b"event=X")
        for n, age in enumerate(ages)
    ]
    database.write(lambda tx: inbox.add(tx, rows))
    return sorted(one.id for one in inbox.received(database) if one.portal == portal)[-len(ages) :]


def concluded(database: Database, *ids: int) -> None:
    database.write(lambda tx: inbox.conclude(tx, ids, "main-1"))


def left(database: Database) -> list[int]:
    """Return the ids of those that still have their forms."""
    return sorted(one.id for one in inbox.received(database) if one.form)


def emptied(database: Database, portal: str = "main", at: datetime = AT) -> int:
    """Empty what may be; return in how many steps."""
    steps = 1
    while database.write(lambda tx: delivery_forms.empty(tx, portal, at - DAY, at)):
        steps += 1
    return steps


def test_of_what_is_old_and_concluded_the_form_goes_and_the_rest_stays(database: Database) -> None:
    ids = received(database, 3 * DAY, 2 * DAY, DAY / 2)
    concluded(database, *ids)
    emptied(database)
    assert left(database) == ids[2:]
    first = next(inbox.received(database))
    assert (first.event, first.document, first.evaluation) == (
        "ONCRMDEALUPDATE",
        "deal:0",
        "main-1",
    )
    emptied(database, at=AT + DAY)
    assert left(database) == []


def test_what_waits_keeps_its_form_and_is_not_passed_over(database: Database) -> None:
    ids = received(database, *[3 * DAY] * 4)
    concluded(database, *ids[:2], ids[3])
    emptied(database)
    assert left(database) == ids[2:]
    concluded(database, ids[2])
    emptied(database)
    assert left(database) == []


def test_each_portals_forms_are_its_own(database: Database) -> None:
    ids, others = received(database, 3 * DAY, 3 * DAY), received(database, 3 * DAY, portal="side")
    concluded(database, *ids)
    emptied(database)
    assert left(database) == others
    concluded(database, *others)
    emptied(database, "side")
    assert left(database) == []


def test_what_is_new_in_another_portal_is_not_passed_over(database: Database) -> None:
    """Here too something may have been received before it, and be seen only now."""
    received(database, timedelta(0), portal="side")
    (mine,) = received(database, 3 * DAY)
    concluded(database, mine)
    emptied(database)
    assert mine in left(database)
    emptied(database, at=AT + 2 * DAY)
    assert mine not in left(database)


def test_a_clock_that_was_ahead_keeps_no_form(database: Database) -> None:
    concluded(database, *received(database, -400 * DAY, 3 * DAY))
    emptied(database)
    assert left(database) == []


def test_many_go_a_thousand_at_a_time(database: Database) -> None:
    concluded(database, *received(database, *[3 * DAY] * 2_500))
    assert emptied(database) == 3
    assert left(database) == []
    ids = received(database, 3 * DAY)
    assert emptied(database) == 1
    assert left(database) == ids


def test_nothing_is_emptied_where_nothing_was_received(database: Database) -> None:
    assert emptied(database) == 1
