"""A whole database, moved into another: everything arrives, or nothing does."""

from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, MetaData, Table, insert, select, text

from responder.journal import record as journal
from responder.journal.audit.verify import verify
from responder.journal.upkeep.transfer import Moved, NotMovable, NotTheSame, move
from responder.store.database import upgrade
from responder.store.database.database import SCHEMA, Database, revision
from responder.store.database.engines import DatabaseError, sqlite_module
from responder.store.database.portal_tables import leases, replicas
from responder.store.database.tables import deliveries, metadata
from tests.support.evaluations import NONE, count, deliver, evaluation
from tests.support.whole_log import NOW, OLD, erased, fill, pruned, run, settle

RULES = "version: 1\nrules: []\n"
COPIED = [table for table in metadata.sorted_tables if table not in (leases, replicas)]


def story(database: Database) -> None:
    """Write a log with entries of every kind, some erased and some pruned, and one more row."""
    database.write(deliver("deal:1", None, "deal:2"))
    fill(database)
    erased(database, "main-2-1")
    settle(database)
    pruned(database, OLD, NOW, most=4)
    revision = sha256(RULES.encode()).hexdigest()
    run(database, f"INSERT INTO rulesets VALUES ('{revision}', '{RULES}', 5)")  # noqa: S608
    database.write(_something_everywhere)


def _something_everywhere(tx: Connection) -> None:
    for table in metadata.sorted_tables:
        if tx.execute(select(table).limit(1)).first() is None:
            tx.execute(text(_row_of(table)))


def _row_of(table: Table) -> str:
    """Write a statement that fills every column: numbers with 1, texts with what needs care."""
    texts = ("TEXT", "VARCHAR")
    kinds = [str(column.type.compile()) for column in table.columns]
    values = ["'ü ''%s'' \u2028'" if kind in texts else "1" for kind in kinds]
    values = ["false" if k == "BOOLEAN" else v for k, v in zip(kinds, values, strict=True)]
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    return f"INSERT INTO {table.name} ({names}) VALUES ({', '.join(values)})"  # noqa: S608


def everything(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Read every row of every table, as it stands there."""

    def read(conn: Connection) -> dict[str, list[tuple[object, ...]]]:
        return {
            table.name: sorted((tuple(row) for row in conn.execute(select(table))), key=repr)
            for table in COPIED
        }

    return database.read(read)


def nothing_stands_in(database: Database) -> bool:
    there = database.read(revision)
    return there is None or all(not count(database, table) for table in COPIED)


def moved(source: Database, target: Database, *, broken_too: bool = False) -> Moved:
    return move(source, target, progress=lambda *_: None, broken_too=broken_too)


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Open an empty database of each kind, without any tables."""
    new = request.param == "sqlite"
    url = (
        f"sqlite:///{tmp_path / 'new.db'}" if new else request.getfixturevalue("bare_postgres_url")
    )
    opened = Database(url)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def file(tmp_path: Path, migrated_file: Path) -> Iterator[Database]:
    """Open a SQLite file with the schema in it."""
    path = tmp_path / "old.db"
    path.write_bytes(migrated_file.read_bytes())
    opened = Database(f"sqlite:///{path}")
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def new_file(tmp_path: Path) -> Iterator[Database]:
    """Open an empty SQLite file, without any tables."""
    opened = Database(f"sqlite:///{tmp_path / 'new.db'}")
    opened.open()
    yield opened
    opened.close()


def test_everything_arrives_in_a_database_of_either_kind(
    database: Database, target: Database
) -> None:
    story(database)
    before = everything(database)
    assert all(before.values()), "a table without a row proves nothing"
    heard: list[tuple[str, int, int]] = []
    found = move(database, target, progress=lambda *said: heard.append(said))
    assert everything(target) == before == everything(database)
    assert dict(found.rows) == {name: len(rows) for name, rows in before.items()}
    assert [(name, rows) for name, rows, total in heard if rows == total] == list(
        found.rows.items()
    )
    assert (found.schema, target.schema_is_current(), found.wrong) == (SCHEMA, True, [])
    for one in found.chains:
        assert one == verify(database, one.portal) == verify(target, one.portal)
    assert [(one.portal, one.pruned, one.erased) for one in found.chains] == [
        ("main", 4, 1),
        ("other", 0, 0),
    ]
    assert (count(target, leases), count(target, replicas)) == (0, 0)


def test_the_copy_goes_on_where_the_old_one_was(database: Database, target: Database) -> None:
    ids = database.write(deliver("deal:1", "deal:2", "deal:3"))
    last = deliveries.c.id == ids[-1]
    database.write(lambda tx: tx.execute(deliveries.delete().where(last)))
    fill(database)
    moved(database, target)
    assert target.write(deliver("deal:4")) == [*ids[:2], ids[-1] + 1]
    target.write(lambda tx: journal.record(tx, evaluation(NONE)))
    found = verify(target, "main")
    assert (found.bad, found.entries) == (None, 11)


def test_an_empty_log_can_be_moved_too(file: Database, new_file: Database) -> None:
    assert set(moved(file, new_file).rows.values()) == {0}
    assert new_file.write(deliver("deal:1")) == [1]


def test_a_database_that_is_not_empty_is_refused_and_left_alone(
    file: Database, database: Database
) -> None:
    fill(file)
    run(database, "INSERT INTO switches VALUES ('pause', 1, 'anna')")
    before = everything(database)
    with pytest.raises(NotMovable, match="TO is not empty: there are rows in switches"):
        moved(file, database)
    assert everything(database) == before


def test_one_that_was_migrated_and_has_no_rows_is_taken(file: Database, database: Database) -> None:
    fill(file)
    run(database, "INSERT INTO leases VALUES ('main', '', 7, 0)")
    moved(file, database)
    assert everything(database) == everything(file)


def test_tables_without_a_version_are_not_empty(file: Database, new_file: Database) -> None:
    run(new_file, "CREATE TABLE entries (portal TEXT)")
    with pytest.raises(NotMovable, match="TO is not empty: it has a table entries"):
        moved(file, new_file)


@pytest.mark.parametrize("table", ["leases", "replicas"])
@pytest.mark.parametrize("side", ["FROM", "TO"])
def test_nothing_is_taken_from_or_given_to_a_service_that_is_alive(
    emptied_postgres: str, file: Database, side: str, table: str
) -> None:
    columns = {"leases": "'main', 'host:1', 1", "replicas": "'host:1', ''"}[table]
    alive = Database(emptied_postgres)
    alive.open()
    run(alive, "DELETE FROM leases", "DELETE FROM replicas")
    run(alive, f"INSERT INTO {table} VALUES ({columns}, {1 << 60})")  # noqa: S608
    old, new = (alive, file) if side == "FROM" else (file, alive)
    with pytest.raises(NotMovable, match=f"{side} is being served by host:1"):
        moved(old, new)
    run(alive, f"DELETE FROM {table}")  # noqa: S608
    alive.close()


def test_a_file_that_is_served_is_neither_taken_nor_given(
    file: Database, new_file: Database
) -> None:
    serving = Database(f"sqlite:///{file.path}")
    serving.lock_for_serving()
    for old, new in ((file, new_file), (new_file, file)):
        with pytest.raises(DatabaseError, match="is served by another process"):
            moved(old, new)
    serving.close()


def _write(database: Database, statement: str) -> Callable[[], object]:
    """Write as another process would, which does not wait."""
    if database.path is not None:
        path = database.path

        def to_file() -> None:
            # of the same library: two in one process do not see each other's locks
            connection = sqlite_module().connect(path, timeout=0, isolation_level=None)
            try:
                connection.execute(statement)
            finally:
                connection.close()

        return to_file
    url = database.writer.url.set(drivername="postgresql")

    def to_server() -> None:
        with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
            connection.execute("SET lock_timeout = 50")
            connection.execute(statement.encode())

    return to_server


def test_nobody_can_write_in_either_meanwhile(database: Database, new_file: Database) -> None:
    fill(database)
    statement = "INSERT INTO switches VALUES ('pause', 1, 'anna')"
    writes = _write(database, statement)

    def told(*_: object) -> None:
        with pytest.raises(Exception, match=r"locked|lock timeout"):
            writes()

    move(database, new_file, progress=told)
    with pytest.raises(Exception, match="this log was moved to the file "):
        writes()


def test_a_log_of_an_older_version_arrives_with_the_schema_of_this_one(
    bare_database_url: str, tmp_path: Path
) -> None:
    old, new = Database(bare_database_url), Database(f"sqlite:///{tmp_path / 'new.db'}")
    old.open()
    new.open()
    old.write(partial(upgrade.upgrade, to="0001"))
    run(old, "INSERT INTO runs VALUES ('main', 'sweep', 1)")
    old.write(deliver("deal:1"))
    moved(old, new)
    assert new.schema_is_current()
    assert (count(new, deliveries), old.read(revision)) == (1, "0001")
    assert new.write(deliver("deal:2")) == [1, 2]
    with pytest.raises(NotMovable, match="TO has it already"):
        moved(old, new)
    old.close()
    new.close()


def test_a_newer_empty_schema_takes_no_older_log(file: Database, tmp_path: Path) -> None:
    old = Database(f"sqlite:///{tmp_path / 'older.db'}")
    old.open()
    with pytest.raises(NotMovable, match="FROM holds nothing of responder"):
        moved(old, file)
    old.write(partial(upgrade.upgrade, to="0001"))
    with pytest.raises(NotMovable, match=f"FROM has the schema 0001 and TO {SCHEMA} already"):
        moved(old, file)
    old.close()


@pytest.mark.parametrize(
    ("version", "why"),
    [("9999", "was made by a newer responder"), ("ae10", "belongs to another program")],
)
def test_a_schema_that_is_not_ours_to_read_is_refused(
    file: Database, database: Database, version: str, why: str
) -> None:
    change = f"UPDATE alembic_version SET version_num = '{version}'"  # noqa: S608
    run(file, change)
    with pytest.raises(NotMovable, match=f"FROM {why}"):
        moved(file, database)
    run(file, change.replace(version, SCHEMA))
    run(database, change)
    try:
        with pytest.raises(NotMovable, match=f"TO {why}"):
            moved(file, database)
    finally:
        run(database, change.replace(version, SCHEMA))


def test_a_schema_that_another_hand_changed_is_refused(file: Database, new_file: Database) -> None:
    run(file, "ALTER TABLE trips ADD COLUMN more TEXT")
    with pytest.raises(NotMovable, match="FROM's trips has not the columns"):
        moved(file, new_file)
    assert nothing_stands_in(new_file)


def test_a_log_that_does_not_hold_is_copied_only_on_demand(
    file: Database, new_file: Database
) -> None:
    fill(file)
    run(
        file,
        "UPDATE evidence SET content = '{}' WHERE portal = 'main' AND seq = 4",
        "INSERT INTO rulesets VALUES ('0123456789abcdef', 'version: 1', 0)",
    )
    wrong = [
        "main-4: its evidence was changed",
        "the kept text of ruleset 0123456789abcdef was changed",
    ]
    with pytest.raises(NotTheSame) as refused:
        moved(file, new_file)
    assert str(refused.value).splitlines() == wrong
    assert nothing_stands_in(new_file)
    assert moved(file, new_file, broken_too=True).wrong == wrong
    assert everything(new_file) == everything(file)


def test_what_the_other_kind_cannot_hold_is_named_and_nothing_is_copied(
    file: Database, bare_postgres_url: str
) -> None:
    run(file, "INSERT INTO trips VALUES ('main', 'a' || char(0), 1, 'x')")
    target = Database(bare_postgres_url)
    target.open()
    with pytest.raises(NotMovable, match=r"^trips: .*NUL"):
        moved(file, target)
    assert nothing_stands_in(target)
    target.close()


def test_what_a_database_changes_on_its_way_is_seen(file: Database, new_file: Database) -> None:
    new_file.migrate()
    run(
        new_file,
        "CREATE TRIGGER slip AFTER INSERT ON trips"
        " BEGIN UPDATE trips SET why = 'another' WHERE rule = new.rule; END",
    )
    run(file, "INSERT INTO trips VALUES ('main', 'lost-deal', 1, 'x')")
    with pytest.raises(NotTheSame, match="trips: 1 rows were read; the 1 in"):
        moved(file, new_file)
    assert nothing_stands_in(new_file)


def test_what_ends_in_the_middle_leaves_it_empty_and_may_be_repeated(
    file: Database, target: Database
) -> None:
    story(file)

    def told(table: str, *_: object) -> None:
        if table == "entries":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move(file, target, progress=told)
    assert nothing_stands_in(target)
    moved(file, target)
    assert everything(target) == everything(file)


def test_how_far_it_is_is_told_page_by_page(file: Database, new_file: Database) -> None:
    rows = [
        {"portal": "main", "rule": f"rule-{n}", "at": 1, "why": "x" * n} for n in range(1, 1_202)
    ]
    trips = Table("trips", MetaData(), autoload_with=file.writer)
    file.write(lambda tx: tx.execute(insert(trips), rows))
    heard: list[tuple[object, ...]] = []
    move(file, new_file, progress=lambda *said: heard.append(said))
    assert heard == [("trips", 500, 1201), ("trips", 1000, 1201), ("trips", 1201, 1201)]
    assert everything(new_file) == everything(file)
