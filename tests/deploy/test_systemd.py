"""The systemd unit: valid, hardened, and a service that works under all that it forbids."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from responder.adapters.package_texts import DEPLOY, DOCS
from responder.service.app import NOT_READY_SECONDS, STOP_SECONDS
from tests.deploy.replicas import OTHER_RULES, RULES, lost_deal
from tests.support.confined import confined
from tests.support.forked import uncounted
from tests.support.processes import FORM, event, eventually, free_port

UNIT = DEPLOY.text("systemd")
PROGRAM = "/opt/responder/bin/responder"
ANALYZE = shutil.which("systemd-analyze")
WORST_EXPOSURE = 15  # of 100; a service that says nothing has 96

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def values(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def value(name: str) -> str:
    (found,) = values(name)
    return found


def analyze(*words: str) -> "subprocess.CompletedProcess[str]":
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *words], capture_output=True, text=True, check=False)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Write the unit for a program that this machine has."""
    file = tmp_path / "responder.service"
    file.write_text(UNIT.replace(PROGRAM, sys.executable))
    return file


@needs_systemd
def test_systemd_has_nothing_to_say_of_it(unit: Path) -> None:
    done = analyze("verify", "--man=no", str(unit))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_it_is_hardened(unit: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={WORST_EXPOSURE}", str(unit))
    assert done.returncode == 0, done.stdout


def test_it_is_given_the_time_that_it_takes_to_end_and_begun_again_for_ever() -> None:
    assert int(value("TimeoutStopSec")) > STOP_SECONDS + NOT_READY_SECONDS
    assert value("Restart") == "always"
    assert int(value("RestartSec")) >= 1  # else systemd gives up after five times in ten seconds


def test_the_page_on_deploying_has_the_same_installation_as_its_head() -> None:
    steps = re.findall(r"^#   ((?:useradd|python3|install|ln|responder deploy) .*)$", UNIT, re.M)
    assert len(steps) == 5
    assert [one for one in steps if f"    {one}\n" not in DOCS.text("deploying")] == []


def calls(names: Collection[str]) -> set[str]:
    """Return the system calls of a filter's words, with those of all sets within."""
    found: set[str] = set()
    for name in names:
        if name.startswith("@"):
            shown = analyze("syscall-filter", name).stdout.splitlines()[1:]
            found |= calls([line.strip() for line in shown if not line.strip().startswith("#")])
        else:
            found.add(name)
    return found - {""}


def allowed() -> set[str]:
    plus, minus = (one.split() for one in values("SystemCallFilter"))
    assert minus[0].startswith("~")
    denied = calls([one.removeprefix("~") for one in minus])
    return (calls(plus) - denied) | {"execve"}


@contextmanager
def serving(etc: Path, state: Path, port: int) -> "Iterator[subprocess.Popen[bytes]]":
    words = value("ExecStart").removeprefix(PROGRAM).split()
    command = confined(
        [sys.executable, "-m", "responder", *words], writable=[state], calls=allowed()
    )
    with (etc / "log").open("wb") as log:
        environment = uncounted({"PYTHONDONTWRITEBYTECODE": "1"})
        process = subprocess.Popen(command, cwd=etc, env=environment, stdout=log, stderr=log)
    try:
        eventually(lambda: ask(port, "GET", "/readyz") == 200 or None, seconds=60, why=log_of(etc))
        yield process
    finally:
        process.terminate()
        process.wait(30)


def log_of(etc: Path) -> Callable[[], str]:
    return lambda: (etc / "log").read_text()[-3000:]


def ask(port: int, method: str, path: str, body: str | None = None) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request(method, path, body, FORM)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@needs_systemd
def test_it_works_under_all_that_the_unit_forbids(tmp_path: Path) -> None:
    etc, state, port = tmp_path / "etc", tmp_path / "state", free_port()
    etc.mkdir()
    state.mkdir()
    (etc / "rules.yaml").write_text(RULES)
    with lost_deal() as (sandbox, settings):
        lines = [
            f"RESPONDER_DATABASE_URL=sqlite:///{state}/responder.db",
            f"RESPONDER_PORT={port}",
            *(f"{name}={value}" for name, value in settings.items()),
        ]
        (etc / ".env").write_text("\n".join(lines))
        with serving(etc, state, port) as process:
            assert ask(port, "POST", "/events", event("ONCRMDEALUPDATE", 759)) == 200
            eventually(lambda: sandbox.killed or None, seconds=30, why=log_of(etc))
            (etc / "rules.yaml").write_text(OTHER_RULES)
            assert value("ExecReload") == "/bin/kill -HUP $MAINPID"
            process.send_signal(signal.SIGHUP)
            eventually(lambda: "rules taken up" in log_of(etc)() or None, why=log_of(etc))
            responder = [sys.executable, "-m", "responder"]
            shown = subprocess.run(
                [*responder, "decisions"], cwd=etc, env={}, capture_output=True, check=True
            )
            assert b"killed" in shown.stdout
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        (etc / ".env").write_text("RESPONDER_PORT=none\n")
        wrong = subprocess.run([*responder, "serve"], cwd=etc, env={}, check=False)
        assert str(wrong.returncode) == value("RestartPreventExitStatus")
