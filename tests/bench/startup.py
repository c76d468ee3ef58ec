"""Measures how long the program takes until it is ready or a command has ended, and its memory.

Run it as `python -m tests.bench.startup`. What Python itself needs, and the imports alone, are
measured in the same rounds: they say how fast the machine is at this moment. Commands for authors
are run beside a rules file, those that read the log on one of a few decisions. Everything runs from
compiled modules, and without what is not in `requirements.lock`, as an installed program does; to
compile them costs a second, once.
"""

import argparse
import contextlib
import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from responder.rules.ruleset import load
from responder.store.database.database import Database
from tests.bench.figures import Figure, show
from tests.rules.make import a_workflow
from tests.support.past_log import PastRules
from tests.support.processes import LOST_DEAL, TOKEN, Running, write_rules

READY_SECONDS = 1.5
COMMAND_SECONDS = {
    "--help": 0.3,
    "check": 0.3,
    "test": 0.3,
    "decisions": 0.5,
    "events": 0.5,
    "explain main-1-1": 0.5,
    "audit verify": 0.5,
}
IDLE_MB = 100
SETTLE_SECONDS = 1.0
DEVELOPMENT_ALONE = ("pygments",)  # pytest needs it; Mako and httpx import it where it is
NOWHERE = "http://127.0.0.1:9/rest/1/hook-secret-0001/"  # an idle program calls no portal


def as_installed(place: Path) -> dict[str, str]:
    """Return an environment as an installed program has it: compiled modules stay so.

    What development alone installs is hidden where libraries would import it.
    """
    hiding = place / "hiding"
    hiding.mkdir()
    for name in DEVELOPMENT_ALONE:
        (hiding / f"{name}.py").write_text('raise ImportError("not installed")\n')
    unless = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    kept = {name: value for name, value in os.environ.items() if name not in unless}
    return {**kept, "PYTHONPYCACHEPREFIX": str(place), "PYTHONPATH": str(hiding)}


def service(place: Path, environment: dict[str, str]) -> Running:
    """Describe a program that has nothing to do."""
    write_rules(place, LOST_DEAL)
    settings = {
        "RESPONDER_PORTALS__MAIN__URL": NOWHERE,
        "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
    }
    running = Running(place, settings, f"sqlite:///{place / 'responder.db'}")
    running.environment.pop("PYTHONDONTWRITEBYTECODE", None)
    running.environment |= environment
    return running


def seconds_until_ready(running: Running) -> float:
    """Start the program and return the time until `/readyz` answers 200."""
    began = time.perf_counter()
    with running.log.open("ab") as log:
        running.process = subprocess.Popen(
            [sys.executable, "-m", "responder", "serve"],
            cwd=running.place,
            env=running.environment,
            stderr=log,
            stdout=log,
        )
    while running.process.poll() is None and time.perf_counter() - began < 60:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if running.get("/readyz")[0] == 200:
                return time.perf_counter() - began
        time.sleep(0.002)
    raise RuntimeError(f"it was not ready within a minute: {running.log.read_text()[-2000:]}")


def resident_mb(pid: int) -> float:
    """Return the memory of a process that is in RAM, in MB of a million bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    kilobytes = next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]
    return int(kilobytes) * 1024 / 1e6


def seconds_of(statement: str, environment: dict[str, str]) -> float:
    """Return how long a Python takes that runs one statement."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env=environment)
    return time.perf_counter() - began


def with_a_log(place: Path) -> None:
    """Write the rules, and a log in which they decided."""
    write_rules(place, LOST_DEAL)
    database = Database(f"sqlite:///{place / 'responder.db'}")
    database.open()
    database.migrate()
    past = PastRules(database, load(LOST_DEAL.encode(), file="rules.yaml"), now=datetime.now(UTC))
    past.happened({"deal.stage_semantic_id": "F"}, a_workflow("a"))
    past.unnamed("lead:7")
    database.close()


def seconds_of_command(line: str, place: Path, environment: dict[str, str]) -> float:
    """Return how long a command takes from its start to its end."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "responder", *line.split()],
        check=True,
        cwd=place,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def measure(rounds: int = 5) -> list[Figure]:
    """Start the program twice a round: with no database, then with the one it made."""
    steps = ("fresh", "existing", "imports", "python", *COMMAND_SECONDS)
    spent: dict[str, list[float]] = {name: [] for name in steps}
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as compiled, tempfile.TemporaryDirectory() as beside:
        environment = as_installed(Path(compiled))
        with_a_log(Path(beside))
        for number in range(rounds + 1):
            if number == 1:
                for values in (*spent.values(), memory):
                    values.clear()  # the first round compiled
            spent["python"].append(seconds_of("pass", environment))
            spent["imports"].append(seconds_of("import responder.service.app", environment))
            for line in COMMAND_SECONDS:
                spent[line].append(seconds_of_command(line, Path(beside), environment))
            one_round(environment, spent, memory)
    return figures({name: statistics.median(values) for name, values in spent.items()}, memory)


def one_round(
    environment: dict[str, str], spent: dict[str, list[float]], memory: list[float]
) -> None:
    """Start it without a database and with one, and note the time and what it then holds."""
    with tempfile.TemporaryDirectory() as place:
        running = service(Path(place), environment)
        for database in ("fresh", "existing"):
            spent[database].append(seconds_until_ready(running))
            time.sleep(SETTLE_SECONDS)
            assert running.process is not None
            memory.append(resident_mb(running.process.pid))
            running.end()


def figures(middle: dict[str, float], memory: list[float]) -> list[Figure]:
    """Name what was measured; where others had the processors, it says nothing."""
    busy = os.getloadavg()[0] > (os.cpu_count() or 1)
    timed = partial(Figure, unit="s", void=busy)
    return [
        timed("ready, fresh database", middle["fresh"], at_most=READY_SECONDS),
        timed("ready, existing database", middle["existing"], at_most=READY_SECONDS),
        Figure("  its imports alone", middle["imports"], "s"),
        Figure("  Python alone", middle["python"], "s"),
        Figure("  ready (existing) / imports", middle["existing"] / middle["imports"], "x"),
        Figure("memory idle, most seen", max(memory), "MB", at_most=IDLE_MB),
        *(
            timed(f"responder {line}", middle[line], at_most=most)
            for line, most in COMMAND_SECONDS.items()
        ),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    show(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
