"""Whoever reads what a command prints may stop reading: the command ends without a word."""

import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from responder.commands.cli import main
from responder.model import Outcome
from responder.store.database.database import Database
from tests.support.evaluations import deliver, kill, record
from tests.support.processes import LOST_DEAL, TOKEN

BROKEN_OFF = 141


@pytest.fixture
def place(tmp_path: Path, migrated_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with rules and a log, and the settings that name them."""
    path = tmp_path / "responder.db"
    path.write_bytes(migrated_file.read_bytes())
    database = Database(f"sqlite:///{path}")
    database.open()
    for number in range(3):
        record(database, kill(f"w{number}", Outcome.WOULD_KILL))
    database.write(deliver("deal:759", "deal:760"))
    database.close()
    (tmp_path / "rules.yaml").write_text(LOST_DEAL)
    monkeypatch.setenv("RESPONDER_DATABASE_URL", f"sqlite:///{path}")
    monkeypatch.setenv("RESPONDER_PORTALS__MAIN__URL", "http://127.0.0.1:1/rest/1/secret-0001/")
    monkeypatch.setenv("RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS", TOKEN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.store
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("--help", 0),
        ("decisions", 0),
        ("decisions --json", 0),
        ("decisions --follow", 0),
        ("decisions show main-1-1", 0),
        ("events", 0),
        ("explain", 0),
        ("rules", 0),
        ("status", 0),
        ("fields", 0),
        ("schema", 0),
        ("recipes", 0),
        ("docs rules", 0),
        ("deploy dashboard", 0),
        ("audit export", BROKEN_OFF),
        ("audit verify", BROKEN_OFF),
        ("check", BROKEN_OFF),
        ("backtest rules.yaml", BROKEN_OFF),
    ],
)
def test_a_command_ends_without_a_word_and_says_yes_to_nothing_that_was_not_heard(
    place: Path, line: str, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert place.is_dir()
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w") as nobody, redirect_stdout(nobody):
        with pytest.raises(SystemExit) as ended:
            main(line.split())
        assert (ended.value.code or 0) == code
    assert "Error" not in capfd.readouterr().err


@pytest.mark.service
@pytest.mark.parametrize("line", ["decisions | head -1", "docs rules | head -1", "fields | true"])
def test_in_a_shell_a_pipe_may_close(place: Path, line: str) -> None:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'"{sys.executable}" -m responder {line}'],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
