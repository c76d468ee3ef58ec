"""`migrate` as it is typed: what it refuses, what it prints, and what a kill leaves behind."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.commands.cli import main
from responder.journal.audit.verify import verify
from responder.store.database.database import Database
from responder.store.database.tables import deliveries, entries
from responder.store.inbox import inbox
from tests.support.evaluations import AT, count, record
from tests.support.processes import event, running
from tests.support.whole_log import fill, run

PASSWORD = "hunter2-hunter2"
ROWS = 8_000
LONG = 40_000  # the copy goes on for a second, so that a signal meets it on a busy machine too


def migrate(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["migrate", *words], env=environment)


@pytest.fixture
def old(tmp_path: Path, migrated_file: Path) -> str:
    """Give a SQLite file with a log in it."""
    path = tmp_path / "old.db"
    path.write_bytes(migrated_file.read_bytes())
    database = Database(f"sqlite:///{path}")
    database.open()
    fill(database)
    database.close()
    return f"sqlite:///{path}"


@pytest.fixture
def new(tmp_path: Path) -> str:
    """Name a SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path / 'new.db'}"


def test_it_says_what_was_copied_and_what_to_do_now(old: str, new: str) -> None:
    done = migrate(old, new)
    assert done.exit_code == 0
    main_line, other_line, last = done.stdout.splitlines()
    assert main_line.startswith("main: 10 entries, the last is 10 with hash ")
    assert other_line.startswith("other: 10 entries")
    assert " rows are the same in both, in " in last
    assert "entries                    20 of 20 rows\n" in done.stderr
    assert "FROM can still be read. It refuses all writes" in done.stderr


def test_a_machine_gets_one_object(old: str, new: str) -> None:
    done = migrate("--json", "env:OLD_URL", "env:NEW_URL", OLD_URL=old, NEW_URL=new)
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert (told["rows"]["entries"], told["wrong"]) == (20, [])
    assert {name: chain["seq"] for name, chain in told["chains"].items()} == {
        "main": 10,
        "other": 10,
    }


def test_the_service_s_own_url_is_taken_from_where_it_reads_it(old: str, new: str) -> None:
    done = migrate("env:RESPONDER_DATABASE_URL", new, RESPONDER_DATABASE_URL=old)
    assert done.exit_code == 0


def test_a_log_that_does_not_hold_ends_with_1_and_nothing_is_copied(old: str, new: str) -> None:
    database = Database(old)
    database.open()
    run(database, "UPDATE evidence SET content = '{}' WHERE portal = 'main' AND seq = 4")
    database.close()
    done = migrate(old, new)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "main-4: its evidence was changed" in done.stderr
    done = migrate(old, new, "--broken-too")
    assert done.exit_code == 0
    assert "does not verify: main-4: its evidence was changed" in done.stderr


def test_a_database_that_has_something_in_it_is_refused(old: str, new: str) -> None:
    database = Database(new)
    database.open()
    database.migrate()
    database.close()
    full_of_deliveries(new, 1).close()
    done = migrate(old, new)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Nothing was copied: TO is not empty: there are rows in " in done.stderr


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("sqlite:///{tmp}/none.db", "sqlite:///{tmp}/new.db", "FROM: there is no database at"),
        ("sqlite:///{tmp}", "sqlite:///{tmp}/new.db", "FROM: there is no database at"),
        ("{old}", "{old}", "FROM and TO are the same file."),
        ("{old}", "sqlite:///{tmp}/none/new.db", "cannot be opened: No such file or directory"),
        ("{old}", "sqlite:///{tmp}", "cannot be opened: Is a directory"),
        ("{old}", "sqlite:///{tmp}/text", "file is not a database"),
        ("sqlite:///{tmp}/text", "sqlite:///{tmp}/new.db", "file is not a database"),
        ("{old}", "mysql://root:{password}@host/db", "TO: the database URL must begin with"),
        ("{old}", "{password}", "TO: the database URL cannot be read"),
        ("env:NOT_THERE", "{old}", "FROM: there is no variable NOT_THERE."),
        ("{old}", "postgresql://u:{password}@more@127.0.0.1:1/db", "TO: in a password, write @"),
        ("{old}", "postgresql://u:1/{password}@127.0.0.1:1/db", "TO: in a password, write @"),
        ("{old}", "postgresql://u:{password}@127.0.0.1:1/db", "Nothing was copied: the store is"),
        ("{old}", "postgresql://127.0.0.1:1/db?password={password}", "Nothing was copied: the"),
    ],
)
def test_what_cannot_be_meant_is_said_without_a_password(
    old: str, tmp_path: Path, source: str, target: str, why: str
) -> None:
    (tmp_path / "text").write_text("no database" * 1000)
    names = {"tmp": tmp_path, "old": old, "password": PASSWORD}
    done = migrate(source.format(**names), target.format(**names))
    assert (done.exit_code, done.stdout) == (2, "")
    assert why in done.stderr
    assert PASSWORD not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.service
def test_a_running_service_is_not_moved_and_one_that_was_is_served_from_there(
    tmp_path: Path, bare_postgres_url: str
) -> None:
    sandbox = Sandbox()
    sandbox.add_item(2, 759, stageSemanticId="F")
    with SandboxServer(sandbox) as portal, running(tmp_path, portal.url) as service:
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        service.settled(1)
        done = service.command("migrate", "env:RESPONDER_DATABASE_URL", bare_postgres_url)
        assert done.returncode == 2
        assert "is served by another process" in done.stderr
        service.end()
        done = service.command("migrate", "env:RESPONDER_DATABASE_URL", bare_postgres_url)
        assert done.returncode == 0, done.stderr
        service.database_url = service.environment["RESPONDER_DATABASE_URL"] = bare_postgres_url
        service.start()
        assert service.post(event("ONCRMDEALUPDATE", 760)) == 200
        events = [decision["events"] for decision in service.settled(2)]
        assert events == [1, 1]
        done = service.command("migrate", bare_postgres_url, f"sqlite:///{tmp_path / 'back.db'}")
        assert done.returncode == 2
        assert "FROM is being served by " in done.stderr


def full_of_deliveries(url: str, rows: int = ROWS) -> Database:
    """Open a log that takes a while to copy."""
    database = Database(url)
    database.open()
    row = inbox.row("main", AT, "event", "ONCRMDEALUPDATE", "deal:1", None, b"x" * 400)
    database.write(lambda tx: inbox.add(tx, [row] * rows))
    record(database)
    return database


def interrupted(how: signal.Signals, *words: str) -> tuple[int, str]:
    """Run it, and send it a signal when it is in the middle; return how it ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "responder", "migrate", *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("decisions"):
            assert process.poll() is None
        process.send_signal(how)
        return process.wait(), process.stderr.read()


@pytest.mark.service
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_one_that_was_killed_in_the_middle_left_nothing_and_may_be_repeated(
    request: pytest.FixtureRequest, old: str, new: str, kind: str
) -> None:
    target = new if kind == "sqlite" else request.getfixturevalue("bare_postgres_url")
    database = full_of_deliveries(old, LONG)
    assert interrupted(signal.SIGKILL, old, target)[0] == -signal.SIGKILL
    assert migrate(old, target).exit_code == 0
    moved = Database(target)
    moved.open()
    assert (count(moved, deliveries), count(moved, entries)) == (LONG, 21)
    assert verify(moved, "main") == verify(database, "main")
    moved.close()
    database.close()


@pytest.mark.service
def test_one_that_was_stopped_by_hand_says_that_nothing_was_copied(old: str, new: str) -> None:
    full_of_deliveries(old, LONG).close()
    code, said = interrupted(signal.SIGINT, old, new)
    assert code == 1
    assert said.endswith("Stopped. Nothing was copied, and TO is as empty as it was.\n")


@pytest.mark.service
def test_a_terminal_sees_how_far_it_is_within_a_table(old: str, new: str) -> None:
    full_of_deliveries(old).close()
    terminal, given = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "responder", "migrate", old, new],
        stderr=given,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    os.close(given)
    seen = os.read(terminal, 65_536).decode()
    os.close(terminal)
    assert done.returncode == 0
    assert "\rdeliveries " in seen
    assert f"{ROWS:,} of {ROWS:,} rows\r\n" in seen


def test_a_server_that_is_lost_in_the_commit_leaves_it_open(old: str, postgres_url: str) -> None:
    database = Database(postgres_url)
    database.open()
    run(
        database,
        "CREATE FUNCTION lost() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'",
        "CREATE CONSTRAINT TRIGGER lost AFTER INSERT ON chains DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION lost()",
    )
    database.close()
    done = migrate(old, postgres_url)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "TO broke off while it was committing: " in done.stderr
    assert "It has all of it or nothing, and FROM takes nothing more. Run the same" in done.stderr


@pytest.mark.service
def test_a_disk_that_is_full_is_said_and_nothing_is_copied(old: str, tmp_path: Path) -> None:
    limited = (
        "import resource, signal; resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536));"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from responder.commands.cli import main; main()"
    )
    # the limit would hold for what measures this process, too
    unmeasured = {name: v for name, v in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", limited, "migrate", old, f"sqlite:///{tmp_path / 'new.db'}"],
        env=unmeasured,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "Nothing was copied: " in done.stderr
    assert "disk" in done.stderr
    assert "Traceback" not in done.stderr
