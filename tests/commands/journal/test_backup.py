"""`backup` as it is typed: a whole copy of a log that is served, or none."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from responder.bitrix24.sandbox import SandboxServer
from responder.commands.cli import main
from responder.store.database.database import Database
from tests.commands.journal.test_migrate import full_of_deliveries
from tests.support import under_load
from tests.support.processes import event, eventually, running
from tests.support.under_load import QUICK, Load, numbers_of
from tests.support.whole_log import fill, run


def backup(file: Path | str, url: str, *words: str) -> Result:
    environment = {"RESPONDER_DATABASE_URL": url}
    return CliRunner().invoke(main, ["backup", str(file), *words], env=environment)


@pytest.fixture
def log(tmp_path: Path, migrated_file: Path) -> str:
    """Give a SQLite file with a log in it, in a folder of its own."""
    folder = tmp_path / "log"
    folder.mkdir()
    path = folder / "responder.db"
    path.write_bytes(migrated_file.read_bytes())
    database = Database(f"sqlite:///{path}")
    database.open()
    fill(database)
    database.close()
    return f"sqlite:///{path}"


def test_a_copy_is_told_portal_by_portal_and_nobody_else_may_read_it(
    log: str, tmp_path: Path
) -> None:
    file = tmp_path / "copy.db"
    done = backup(file, log)
    assert done.exit_code == 0, done.output
    first, second, last = done.stdout.splitlines()
    assert first.startswith("main: 10 entries, the last is 10 with hash ")
    assert second.startswith("other: 10 entries")
    assert last.startswith(f"{file}: ")
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.db", "log"]


def test_a_machine_gets_one_object(log: str, tmp_path: Path) -> None:
    told = json.loads(backup(tmp_path / "copy.db", log, "--json").stdout)
    assert {name: chain["seq"] for name, chain in told["chains"].items()} == {
        "main": 10,
        "other": 10,
    }
    assert (told["wrong"], told["bytes"]) == ([], (tmp_path / "copy.db").stat().st_size)


@pytest.mark.service
def test_a_log_that_is_served_under_load_is_copied_whole(tmp_path: Path) -> None:
    sandbox, _ = under_load.portal_with_deals()
    with SandboxServer(sandbox) as portal, running(tmp_path, portal.url, **QUICK) as service:
        load = Load(service, sandbox, pause_seconds=0.02)
        acknowledged: list[set[int]] = []
        with load.under_way():
            for number in range(4):
                wanted = len(load.acknowledged) + 150
                eventually(lambda wanted=wanted: len(load.acknowledged) >= wanted or None)  # type: ignore[misc]
                acknowledged.append(set(load.acknowledged))
                done = service.command("backup", f"copy{number}.db")
                assert done.returncode == 0, done.stderr
        assert load.unanswered == set()
        sizes = []
        for number, before in enumerate(acknowledged):
            url = f"sqlite:///{tmp_path / f'copy{number}.db'}"
            service.environment["RESPONDER_DATABASE_URL"] = url
            assert service.command("audit", "verify").returncode == 0
            held = numbers_of(url)
            assert before <= held
            sizes.append(len(held))
        assert sizes == sorted(sizes)


@pytest.mark.service
def test_with_a_sqlite_that_has_no_safe_write_ahead_log_nobody_waits_long_either(
    tmp_path: Path,
) -> None:
    (tmp_path / "old" / "pysqlite3").mkdir(parents=True)
    (tmp_path / "old" / "pysqlite3" / "__init__.py").write_text("raise ImportError('no wheel')")
    old = {"PYTHONPATH": str(tmp_path / "old")}
    sandbox, _ = under_load.portal_with_deals()
    with SandboxServer(sandbox) as portal, running(tmp_path, portal.url, **QUICK, **old) as service:
        if '"journal_mode": "truncate"' not in service.log.read_text():
            pytest.skip("this Python's own SQLite has a safe write-ahead log")
        load = Load(service, sandbox, pause_seconds=0.05)
        with load.under_way():
            eventually(lambda: len(load.acknowledged) > 100 or None)
            before = set(load.acknowledged)
            done = service.command("backup", "copy.db")
            assert done.returncode == 0, done.stderr
        assert load.unanswered == set()
        assert before <= numbers_of(f"sqlite:///{tmp_path / 'copy.db'}")


@pytest.mark.service
def test_a_copy_is_served_as_the_log_was(tmp_path: Path) -> None:
    sandbox, _ = under_load.portal_with_deals()
    with SandboxServer(sandbox) as portal, running(tmp_path, portal.url) as service:
        under_load.lost_deal(sandbox, 900)
        assert service.post(event("ONCRMDEALUPDATE", 900)) == 200
        service.settled(1)
        assert service.command("backup", "copy.db").returncode == 0
        service.end()
        for file in tmp_path.glob("responder.db*"):
            file.unlink()
        (tmp_path / "copy.db").rename(tmp_path / "responder.db")
        service.start()
        assert service.post(event("ONCRMDEALUPDATE", 900)) == 200
        first, second = service.settled(2)
        assert (first["outcome"], second["reason"]) == ("killed", "no_workflow")
        assert service.command("audit", "verify").returncode == 0


@pytest.mark.parametrize("there", ["copy.db", "copy.db-wal", "copy.db-journal"])
def test_nothing_is_overwritten_nor_mixed_with_what_another_file_left(
    log: str, tmp_path: Path, there: str
) -> None:
    (tmp_path / there).write_text("mine")
    done = backup(tmp_path / "copy.db", log)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{tmp_path / there} is there already" in done.stderr
    assert (tmp_path / there).read_text() == "mine"
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([there, "log"])


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("{tmp}/none/copy.db", "No such file or directory"),
        ("{tmp}/log", "is a directory"),
        ("{tmp}/log/responder.db", "is there already"),
        ("/", "is a directory"),
    ],
)
def test_a_place_where_it_cannot_be_is_said(log: str, tmp_path: Path, file: str, why: str) -> None:
    done = backup(file.format(tmp=tmp_path), log)
    assert (done.exit_code, done.stdout) == (2, "")
    assert why in done.stderr
    assert isinstance(done.exception, SystemExit)


def test_of_a_log_that_is_not_there_nothing_is_made(tmp_path: Path) -> None:
    done = backup(tmp_path / "copy.db", f"sqlite:///{tmp_path / 'none.db'}")
    assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_on_postgresql_it_says_what_does_it_there(emptied_postgres: str, tmp_path: Path) -> None:
    done = backup(tmp_path / "copy.db", emptied_postgres)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "pg_dump" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_does_not_hold_is_kept_only_where_that_is_wanted(
    log: str, tmp_path: Path
) -> None:
    database = Database(log)
    database.open()
    run(database, "UPDATE evidence SET content = '{}' WHERE portal = 'main' AND seq = 4")
    database.close()
    done = backup(tmp_path / "copy.db", log)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "main-4: its evidence was changed" in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log"]
    done = backup(tmp_path / "copy.db", log, "--broken-too")
    assert done.exit_code == 0
    assert "main-4: its evidence was changed" in done.stderr
    assert (tmp_path / "copy.db").exists()


def test_a_damaged_file_is_said(log: str, tmp_path: Path) -> None:
    path = Path(log.removeprefix("sqlite:///"))
    database = full_of_deliveries(log)
    database.close()
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2 // 4096 * 4096
    whole[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(whole)
    done = backup(tmp_path / "copy.db", log)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "the file: " in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log"]


def test_one_of_an_older_version_is_copied_before_it_is_migrated(log: str, tmp_path: Path) -> None:
    database = Database(log)
    database.open()
    run(database, "UPDATE alembic_version SET version_num = '0001'")
    database.close()
    done = backup(tmp_path / "copy.db", log)
    assert done.exit_code == 0, done.output
    assert "older" in done.stderr


@pytest.mark.service
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_one_that_is_ended_in_the_middle_leaves_no_file_of_that_name(
    log: str, tmp_path: Path, how: signal.Signals
) -> None:
    full_of_deliveries(log, 60_000).close()
    process = subprocess.Popen(
        [sys.executable, "-m", "responder", "backup", "copy.db"],
        cwd=tmp_path,
        env={**os.environ, "RESPONDER_DATABASE_URL": log},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    eventually(lambda: [f for f in tmp_path.glob(".copy.db*") if f.stat().st_size] or None)
    process.send_signal(how)
    _, said = process.communicate()
    assert process.returncode != 0
    assert b"Traceback" not in said
    assert not (tmp_path / "copy.db").exists()
    if how is signal.SIGINT:
        assert sorted(each.name for each in tmp_path.iterdir()) == ["log"]
    assert backup(tmp_path / "copy.db", log).exit_code == 0


@pytest.mark.service
def test_of_two_that_are_made_at_once_one_stays(log: str, tmp_path: Path) -> None:
    full_of_deliveries(log).close()
    codes: list[int] = []
    command = [sys.executable, "-m", "responder", "backup", "copy.db"]

    def one() -> None:
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "RESPONDER_DATABASE_URL": log},
            capture_output=True,
            check=False,
        )
        codes.append(done.returncode)

    both = [threading.Thread(target=one) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(codes) == [0, 2]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.db", "log"]
