"""A log that was moved away: nobody writes into the old database, whoever slept meanwhile."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from responder.bitrix24.sandbox import SandboxServer
from responder.commands.cli import main
from responder.store import leases
from responder.store.database import move_mark
from responder.store.database.database import Database
from responder.store.database.tables import metadata
from responder.store.inbox import inbox
from tests.commands.journal.test_migrate import full_of_deliveries
from tests.conftest import Postgres
from tests.process.test_crash_points import end_lease
from tests.support import under_load
from tests.support.evaluations import AT
from tests.support.processes import Running, event, eventually, running
from tests.support.under_load import QUICK, Load, numbers_of
from tests.support.whole_log import fill, run

PASSWORD = "hunter2-hunter2"


@pytest.fixture
def portal() -> Iterator[SandboxServer]:
    """Serve a portal with deals that events tell of."""
    sandbox, _ = under_load.portal_with_deals()
    with SandboxServer(sandbox) as server:
        yield server


@pytest.fixture
def other_postgres_url(postgres: Postgres) -> Iterator[str]:
    """Give another empty database, whose address has a password in it."""
    name = postgres.create()
    yield postgres.url(name).replace("postgres@", f"postgres:{PASSWORD}@")
    postgres.drop(name)


def name_of(url: str) -> str:
    return url.split("?")[0].rsplit("/", 1)[1]


def migrate(*words: str) -> Result:
    return CliRunner().invoke(main, ["migrate", *words])


@contextmanager
def opened(url: str) -> Iterator[Database]:
    database = Database(url)
    database.open()
    try:
        yield database
    finally:
        database.close()


def depth(url: str) -> int:
    with opened(url) as database:
        return len(list(inbox.received(database)))


def migrate_until_nobody_serves(service: Running, target: str) -> None:
    """Migrate as soon as the frozen service's lease is over."""

    def tried() -> bool | None:
        done = service.command("migrate", "env:RESPONDER_DATABASE_URL", target)
        # a service may be stopped in the middle of a transaction, which holds its locks for a while
        served = any(why in done.stderr for why in ("is being served by", "lock timeout"))
        assert done.returncode == 0 or served, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done.returncode == 0 or None

    eventually(tried, seconds=60)


def test_a_service_that_slept_through_the_move_takes_nothing_and_says_where_it_went(
    portal: SandboxServer, tmp_path: Path, postgres_url: str, other_postgres_url: str
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    with running(old, portal.url, database_url=postgres_url, **QUICK) as frozen:
        load = Load(frozen, portal.sandbox, pause_seconds=0.005)
        with load.under_way():
            eventually(lambda: len(load.acknowledged) > 100 or None)
            assert frozen.process is not None
            frozen.process.send_signal(signal.SIGSTOP)
            migrate_until_nobody_serves(frozen, other_postgres_url)
            before = depth(postgres_url)
            frozen.process.send_signal(signal.SIGCONT)
            with running(new, portal.url, database_url=other_postgres_url, **QUICK) as service:
                eventually(lambda: len(load.unanswered) > 50 or None)
                status, body = frozen.get("/readyz")
                place = f"this log was moved to {name_of(other_postgres_url)} on "
                assert (status, place in json.loads(body)["store"]["error"]) == (503, True)
                eventually(lambda: place in frozen.log.read_text() or None)
                assert service.post(event("ONCRMCONTACTADD", 1, ts=1_000_000)) == 200
                assert PASSWORD not in frozen.log.read_text() + body.decode()
                with opened(postgres_url) as left, opened(other_postgres_url) as now:
                    assert left.read(lambda c: leases.driver(c, "main")) is None
                    eventually(lambda: now.read(lambda c: leases.driver(c, "main")))
        assert depth(postgres_url) == before
        assert load.acknowledged <= numbers_of(other_postgres_url)
        frozen.end()


def test_a_moved_log_is_read_and_says_so_but_nothing_writes_into_it(
    portal: SandboxServer, tmp_path: Path, database_url: str, other_postgres_url: str
) -> None:
    with running(tmp_path, portal.url, database_url=database_url) as service:
        assert service.post(event("ONCRMCONTACTADD", 1, ts=1)) == 200
        service.settled(1)
        service.end()
        done = service.command("migrate", "env:RESPONDER_DATABASE_URL", other_postgres_url)
        assert done.returncode == 0, done.stderr
        place = f"this log was moved to {name_of(other_postgres_url)} on "
        for words in (["serve"], ["pause"], ["audit", "erase", "main-1-1"]):
            done = service.command(*words)
            assert (done.returncode, place in done.stderr) == (2, True), done.stderr
            assert "Traceback" not in done.stderr
            assert PASSWORD not in done.stderr
        done = service.command("decisions")
        assert (done.returncode, "main-1-1" in done.stdout) == (0, True)
        assert place in done.stderr.lower()
        assert service.command("audit", "verify").returncode == 0


@pytest.fixture
def log(tmp_path: Path, migrated_file: Path) -> str:
    """Give a SQLite file with a log in it."""
    path = tmp_path / "old.db"
    path.write_bytes(migrated_file.read_bytes())
    with opened(f"sqlite:///{path}") as database:
        fill(database)
        row = inbox.row("main", AT, "event", "ONCRMDEALUPDATE", "deal:1", None, b"x=1")
        database.write(lambda tx: inbox.add(tx, [row]))
    return f"sqlite:///{path}"


def committing_slowly(url: str) -> None:
    """Have a commit in a new database take as long as a lock is held that its backend waits for."""
    with opened(url) as database:
        run(
            database,
            "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END'",
            "CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON chains DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION slowly()",
        )


def end_all_others(postgres: Postgres, name: str) -> None:
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    with psycopg.connect(host=postgres.socket_folder, user="postgres", dbname="postgres") as ending:
        ending.execute(others, [name])


def is_committing(postgres: Postgres, name: str) -> bool | None:
    with psycopg.connect(host=postgres.socket_folder, user="postgres", dbname=name) as asking:
        found = asking.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND wait_event = 'PgSleep'", [name]
        )
        return found.fetchone() is not None or None


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_after_a_crash_in_the_commit_the_same_migrate_goes_on(
    request: pytest.FixtureRequest, log: str, postgres: Postgres, postgres_url: str, kind: str
) -> None:
    source = log
    if kind == "postgresql":
        source = request.getfixturevalue("other_postgres_url")
        assert migrate(log, source).exit_code == 0
    committing_slowly(postgres_url)
    process = subprocess.Popen(
        [sys.executable, "-m", "responder", "migrate", source, postgres_url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    name = name_of(postgres_url)
    eventually(lambda: is_committing(postgres, name), seconds=60)
    process.kill()
    process.wait()
    end_all_others(postgres, name)
    with opened(source) as database:
        with pytest.raises(Exception, match=f"this log was moved to {name} on "):
            run(database, "DELETE FROM deliveries")
        assert len(list(inbox.received(database))) == 1
    with opened(postgres_url) as database:
        assert list(inbox.received(database)) == []
        run(database, "DROP FUNCTION slowly CASCADE")
    done = migrate(source, postgres_url)
    assert done.exit_code == 0, done.stderr
    assert depth(postgres_url) == 1
    done = migrate(source, postgres_url)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "TO has it already: `responder audit verify` on TO says that it holds." in done.stderr


def test_a_log_that_was_moved_to_one_place_is_moved_to_another_only_where_that_is_said(
    log: str, tmp_path: Path
) -> None:
    first, second = f"sqlite:///{tmp_path / 'first.db'}", f"sqlite:///{tmp_path / 'second.db'}"
    assert migrate(log, first).exit_code == 0
    done = migrate(log, second)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"FROM was moved to the file {tmp_path / 'first.db'} before" in done.stderr
    assert "--again" in done.stderr
    assert migrate(log, second, "--again").exit_code == 0
    assert depth(second) == 1
    with opened(log) as database, pytest.raises(Exception, match=r"the file .*second\.db"):
        run(database, "DELETE FROM deliveries")


def migrate_with_little_room(
    source: str, target: str, room: int
) -> subprocess.CompletedProcess[str]:
    """Migrate where no file may be longer than this."""
    limited = (
        f"import resource, signal; resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}));"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from responder.commands.cli import main; main()"
    )
    # the limit would hold for what measures this process, too
    unmeasured = {name: v for name, v in os.environ.items() if not name.startswith("COVERAGE")}
    return subprocess.run(
        [sys.executable, "-c", limited, "migrate", source, target],
        env=unmeasured,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_copy_that_could_not_be_committed_leaves_the_log_as_it_was(
    log: str, tmp_path: Path
) -> None:
    full_of_deliveries(log, 1_500).close()
    done = migrate_with_little_room(log, f"sqlite:///{tmp_path / 'new.db'}", 600_000)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Nothing was copied: ")
    assert "FROM" not in done.stderr
    with opened(log) as database:
        run(database, "DELETE FROM deliveries")


def room_for_the_mark_alone(log: str, copy: Path) -> int:
    """Return how long a file's write-ahead log may be so that it takes a mark, and not it back."""
    copy.write_bytes(Path(log.removeprefix("sqlite:///")).read_bytes())
    ahead, tables = copy.with_name(f"{copy.name}-wal"), [*metadata.tables, "alembic_version"]
    with opened(f"sqlite:///{copy}") as database:
        database.write(lambda tx: move_mark.mark(tx, tables, "nowhere"))
        marked = ahead.stat().st_size
        database.write(move_mark.unmark)
        return (marked + ahead.stat().st_size) // 2


def test_where_not_even_the_mark_can_be_taken_back_it_says_so_and_goes_on_later(
    log: str, tmp_path: Path
) -> None:
    room = room_for_the_mark_alone(log, tmp_path / "tried.db")
    full_of_deliveries(log, 1_500).close()
    new = f"sqlite:///{tmp_path / 'new.db'}"
    done = migrate_with_little_room(log, new, room)
    assert done.returncode == 2
    assert "FROM takes nothing until the same command has gone through" in done.stderr
    with opened(log) as database, pytest.raises(Exception, match="this log was moved to "):
        run(database, "DELETE FROM deliveries")
    assert migrate(log, new).exit_code == 0
    assert depth(new) == 1_501


def test_a_sleeping_service_keeps_its_file(portal: SandboxServer, tmp_path: Path) -> None:
    with running(tmp_path, portal.url) as service:
        assert service.process is not None
        end_lease(service)
        service.process.send_signal(signal.SIGSTOP)
        done = service.command("migrate", "env:RESPONDER_DATABASE_URL", "sqlite:///new.db")
        service.process.send_signal(signal.SIGCONT)
        assert done.returncode == 2
        # it may have been stopped in the middle of a transaction
        assert re.search("is served by another process|database is locked", done.stderr)
        assert service.post(event("ONCRMCONTACTADD", 1)) == 200
