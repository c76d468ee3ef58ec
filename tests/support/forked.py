"""Starts the program as a process of its own, forked from one that has imported it already.

A start costs half a second of imports, and the suite starts the program some hundred times. A
process made here differs from one of the shell in nothing else: it has its own environment, folder,
files and signals, and dies by itself. One of so many is started as the shell would, and it alone
counts coverage, which makes a process slower by half.
"""

import itertools
import multiprocessing
import os
import pkgutil
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import responder

AS_THE_SHELL = "AS_THE_SHELL"  # among the environment: nothing may be inherited from another start
_ALONE = {AS_THE_SHELL, "PYTHONPATH"}  # the second names other modules than those imported here
EXECUTED = 64  # one process of so many: each costs as much as seven that are forked
_started = itertools.count()

_COUNTING = "COVERAGE_"
MOST_FILES = "MOST_FILES"  # among the environment: how many files the program may have open


@dataclass(frozen=True, slots=True)
class Start:
    """What a process is started with: as `python WORDS`, its output appended to files."""

    words: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    out: Path
    errors: Path


def uncounted(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which coverage is not counted."""
    return {name: value for name, value in environment.items() if not name.startswith(_COUNTING)}


class Forked:
    """A process that was forked, with the part of `subprocess.Popen` that tests use."""

    def __init__(self, start: Start) -> None:
        self._words = start.words
        sys.audit("subprocess.Popen", sys.executable, start.words, str(start.folder), None)
        self._process = _FORKS.Process(target=_be, args=(start,), daemon=True)
        with _no_coverage():  # the first start makes the process that the others are forked from
            self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Return how it ended, below 0 by a signal; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return how it ended; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Wait so many seconds for its end, and return how it ended."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._words, timeout)
        return self._process.exitcode

    def send_signal(self, how: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, how)

    def kill(self) -> None:
        """Kill it at once."""
        self.send_signal(signal.SIGKILL)


def launch(start: Start) -> "Forked | subprocess.Popen[bytes]":
    """Start a process: most by a fork; one of so many, and what needs it, as the shell does.

    Benchmarks have no forks: what they measure is the program as it is installed.
    """
    is_test = "PYTEST_VERSION" in os.environ
    if is_test and next(_started) % EXECUTED and not _ALONE & start.environment.keys():
        return Forked(start)
    with start.out.open("ab") as out, start.errors.open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, *start.words],
            cwd=start.folder,
            env=start.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            preexec_fn=partial(_allow_few_files, start.environment),
        )


def run(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float = 60
) -> "subprocess.CompletedProcess[str]":
    """Run `python WORDS` to its end, and return how it ended and what it wrote."""
    with tempfile.TemporaryDirectory(prefix="responder-run-") as kept:
        out, errors = Path(kept) / "out", Path(kept) / "errors"
        process = launch(Start(tuple(words), folder, environment, out, errors))
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(seconds)
            raise
        return subprocess.CompletedProcess(words, code, out.read_text(), errors.read_text())


def modules() -> Iterator[str]:
    """Yield the names of the program's modules, but those that are run and not imported."""
    for found in pkgutil.walk_packages(responder.__path__, "responder."):
        if not found.name.endswith("__main__") and ".migrations" not in found.name:
            yield found.name


# what the program imports only once it runs: a third of the time that such a start takes
_IMPORTED_LATE = (
    "alembic.command",
    "anyio._backends._asyncio",
    "certifi",
    "ctypes",
    "encodings.utf_8_sig",
    "httpcore",
    "psycopg",
    "pysqlite3.dbapi2",
    "sqlalchemy.dialects.postgresql.psycopg",
    "uvicorn.lifespan.off",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.auto",
    "uvloop",
)
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([*modules(), *_IMPORTED_LATE, "tests.support.forked"])


@contextmanager
def _no_coverage() -> Iterator[None]:
    counting = {name: value for name, value in os.environ.items() if name.startswith(_COUNTING)}
    for name in counting:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(counting)


def _be(start: Start) -> None:
    """Become the process: what the system does for one that is executed is done by hand."""
    os.environ.clear()
    os.environ.update(uncounted(start.environment))
    time.tzset()
    os.chdir(start.folder)
    for number, path in ((0, Path(os.devnull)), (1, start.out), (2, start.errors)):
        opened = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115 -- they last as long as it
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115
    _allow_few_files(start.environment)
    sys.argv = list(start.words)
    try:
        if start.words[0] == "-m":
            sys.argv = list(start.words[1:])
            runpy.run_module(start.words[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(start.words[0], run_name="__main__")
    except SystemExit:
        raise
    except BaseException:  # noqa: BLE001 -- as the interpreter does at the end of the main program
        traceback.print_exc()
        raise SystemExit(1) from None


def _allow_few_files(environment: Mapping[str, str]) -> None:
    if MOST_FILES in environment:
        most = int(environment[MOST_FILES])
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
