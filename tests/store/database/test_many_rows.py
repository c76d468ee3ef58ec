"""Many rows at once: each gets its values, and who is stopped meanwhile keeps no locks."""

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from responder.model import Mode
from responder.store.database.database import Database
from responder.store.database.many_rows import RowInsert, RowUpdate
from responder.store.database.tables import deliveries, refusals
from responder.store.inbox import inbox
from tests.support.evaluations import AT
from tests.support.processes import eventually

LATER = AT + timedelta(hours=1)
ROWS: list[dict[str, object]] = [
    {"portal": "main", "why": why, "hour": AT, "count": 1, "last_at": AT}
    for why in ("token", "unknown", "headers")
]


def test_each_row_gets_its_own_values_and_what_all_get(database: Database) -> None:
    counted = RowUpdate(
        refusals, ("portal", "why"), ("last_at",), also={"count": refusals.c.count + 1}
    )
    new = [
        {"portal": "main", "why": "token", "last_at": LATER},
        {"portal": "main", "why": "headers", "last_at": LATER + timedelta(microseconds=1)},
        {"portal": "other", "why": "unknown", "last_at": LATER},
    ]
    insert = RowInsert(refusals)
    database.write(lambda tx: insert.run(tx, []))
    database.write(lambda tx: insert.run(tx, ROWS))
    database.write(lambda tx: counted.run(tx, new))
    database.write(lambda tx: counted.run(tx, []))
    found = select(refusals.c.why, refusals.c.count, refusals.c.last_at)
    assert set(database.read(lambda conn: [tuple(row) for row in conn.execute(found)])) == {
        ("token", 2, LATER),
        ("unknown", 1, AT),
        ("headers", 2, LATER + timedelta(microseconds=1)),
    }


def test_values_are_stored_as_their_columns_store_them(database: Database) -> None:
    """Texts without what only one of the databases can store, and nothing as nothing."""
    some = [inbox.row("main", AT, "event", "ONCRMDEALUPDATE", "deal:1", None, b"x")] * 2
    database.write(lambda tx: inbox.add(tx, some))
    first, second = (one.id for one in inbox.received(database))
    new: list[dict[str, object]] = [
        {"id": first, "event": "a\x00\ud800'{}"},
        {"id": second, "event": None},
    ]
    told = RowUpdate(deliveries, ("id",), ("event",), also={})
    database.write(lambda tx: told.run(tx, new))
    kinds = RowInsert(refusals)  # texts of several classes
    database.write(lambda tx: kinds.run(tx, [ROWS[0] | {"why": Mode.OBSERVE}, ROWS[1]]))
    found = select(refusals.c.why).order_by("why")
    assert database.read(lambda conn: list(conn.execute(found).scalars())) == ["observe", "unknown"]
    assert [one.event for one in inbox.received(database)] == ["a\ufffd\ufffd'{}", None]


STOPPED = """
import os, signal, sys
from psycopg import adapters
from psycopg.types.string import StrDumper
from responder.model import Mode
from responder.store.database.database import Database
from tests.store.database.test_many_rows import ROWS, refusals

class Last(str): pass

class Stopping(StrDumper):
    def dump(self, text):
        os.kill(os.getpid(), signal.SIGSTOP)
        return super().dump(str(text))

adapters.register_dumper(Last, Stopping)
many = [row | {"why": Last("last") if row is ROWS[-1] else row["why"]} for row in ROWS]
update = "UPDATE refusals SET count = 2 WHERE why = %s"
ways = {
    "insert": lambda tx: tx.execute(refusals.insert(), many),
    "update": lambda tx: tx.exec_driver_sql(update, [(row["why"],) for row in many]),
}
database = Database(sys.argv[1])
database.open()
database.write(ways[sys.argv[2]])
"""


@pytest.mark.service
@pytest.mark.parametrize("way", ["insert", "update"])
def test_who_is_stopped_in_the_middle_of_many_rows_keeps_no_lock(
    postgres_url: str, tmp_path: Path, way: str
) -> None:
    """Else nobody could take over from a machine that sleeps, for as long as it does."""
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED)
    process = subprocess.Popen([sys.executable, script, postgres_url, way])
    stat = Path(f"/proc/{process.pid}/stat")
    address = make_url(postgres_url).set(drivername="postgresql").render_as_string(False)
    try:
        eventually(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "T" or None)
        with psycopg.connect(address) as other:
            other.execute("SET lock_timeout = '10s'")
            other.execute("LOCK TABLE refusals")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(20)
