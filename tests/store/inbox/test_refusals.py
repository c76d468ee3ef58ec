"""What was refused is counted by hour, portal and reason, and forgotten after two days."""

from datetime import timedelta
from functools import partial

from sqlalchemy import func, select

from responder.store.database.database import Database
from responder.store.database.tables import refusals as table
from responder.store.inbox import refusals
from responder.store.inbox.refusals import NOBODYS, Refused
from tests.support.evaluations import AT

HOUR = timedelta(hours=1)
NOON = AT.replace(minute=0, second=0, microsecond=0)
TOKEN, KEY = "a wrong application token", "a wrong url_key"


def lately(database: Database, hours: float) -> dict[str, list[Refused]]:
    return database.read(lambda conn: refusals.lately(conn, AT + hours * HOUR))


def test_counts_add_up_and_the_most_frequent_comes_first(database: Database) -> None:
    noted = [
        (0, {("main", TOKEN): 2, ("main", KEY): 1}),
        (0.1, {("main", KEY): 4}),
        (3, {(NOBODYS, TOKEN): 7, ("main", TOKEN): 1}),
    ]
    for hours, counts in noted:
        database.write(partial(refusals.note, counts=counts, at=AT + hours * HOUR))
    found = lately(database, 4)
    assert {type(one.count) for some in found.values() for one in some} == {int}
    assert found == {
        NOBODYS: [
            Refused(portal="", why=TOKEN, count=7, last_at=AT + 3 * HOUR, since=NOON + 3 * HOUR)
        ],
        "main": [
            Refused(portal="main", why=KEY, count=5, last_at=AT + 0.1 * HOUR, since=NOON),
            Refused(portal="main", why=TOKEN, count=3, last_at=AT + 3 * HOUR, since=NOON),
        ],
    }


def test_a_day_later_it_is_not_lately_and_two_days_later_it_is_gone(database: Database) -> None:
    database.write(lambda tx: refusals.note(tx, {("main", TOKEN): 1}, AT))
    assert lately(database, 25) == {}
    database.write(lambda tx: refusals.note(tx, {("main", KEY): 1}, AT + 50 * HOUR))
    rows = database.read(
        lambda conn: conn.execute(select(func.count()).select_from(table)).scalar()
    )
    assert rows == 1
