"""Measures what long commands cost those who deliver events meanwhile.

Run it as `python -m tests.bench.beside`. The log has 20,000 stops that are held as one run's set.
A hundred deliveries a second come while each command runs, of a deal that no rule names.
"""

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.journal import record as journal
from responder.model import Outcome
from responder.store import limits, rulesets
from responder.store.database.database import Connection, Database
from tests.bench.backlog import acknowledge
from tests.bench.figures import Figure, percentile, show
from tests.support.evaluations import REVISION, evaluation, kill
from tests.support.evaluations import RULES as RULES_THEN
from tests.support.processes import Running, running
from tests.support.under_load import QUICK, RULES

HELD, OF_EVALUATION = 20_000, 200
MOST_MS = 1_000.0
FREED_SECONDS = 180


def hold(url: str) -> None:
    """Write a log with so many stops that a run condemned and that are held as its set."""
    database = Database(url)
    database.open()
    now = datetime.now(UTC)

    def write(tx: Connection, start: int) -> None:
        some = [kill(f"w{start + place}", Outcome.HELD) for place in range(OF_EVALUATION)]
        made = replace(evaluation(*some), at=now, trigger="sweep", set_name="a run")
        journal.record(tx, made)
        tx.exec_driver_sql("UPDATE decisions SET hold = 'run', due_at = NULL WHERE hold IS NULL")

    database.write(lambda tx: rulesets.keep(tx, REVISION, RULES_THEN, now))
    for start in range(0, HELD, OF_EVALUATION):
        database.write(partial(write, start=start))
    database.write(lambda tx: limits.trip(tx, "main", "lost-deal", now, "too many"))
    database.close()


class Acknowledged:
    """Deliveries that come until the block ends, and how many milliseconds each took."""

    def __init__(self, service: Running) -> None:
        self.spent: list[float] = []
        self._service = service
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._deliver)

    def _deliver(self) -> None:
        while not self._ended.is_set():
            self.spent += acknowledge(self._service, 50)  # which asserts that each is a 200

    def __enter__(self) -> "Acknowledged":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def told(service: Running, *words: str) -> None:
    """Run a command, which must not fail."""
    done = service.command(*words)
    if done.returncode:
        raise RuntimeError(f"{words}: {done.stderr}")


def rearm(service: Running) -> None:
    """Rearm the rule, and wait until the service has cleared all that was held."""
    told(service, "rearm", "lost-deal")
    database = Database(service.database_url)
    database.open()
    ended = threading.Event()
    for _ in range(4 * FREED_SECONDS):
        if not database.read(lambda conn: limits.freed(conn, "main", most=1)):
            break
        ended.wait(0.25)
    else:
        raise RuntimeError("not all was cleared")
    database.close()


def commands(new_rules: Path) -> Iterator[tuple[str, Sequence[str] | None]]:
    """Name each command, and say how it is called; None is the rearm."""
    evaluations = [f"main-{1 + place}-1" for place in range(HELD // OF_EVALUATION)]
    yield f"rearm of {HELD:,} held stops", None
    yield "audit verify", ("audit", "verify")
    yield "audit export", ("audit", "export")
    yield f"audit erase of {len(evaluations)}", ("audit", "erase", *evaluations)
    yield "backtest", ("backtest", str(new_rules))


@contextmanager
def held() -> Iterator[tuple[Running, Path]]:
    """Run the program on such a log."""
    quiet = {**QUICK, "RESPONDER_LOG_LEVEL": "error", "RESPONDER_SWEEP_EVERY": "0"}
    with (
        SandboxServer(Sandbox()) as portal,
        tempfile.TemporaryDirectory() as place,
        running(
            Path(place), portal.url, rules=RULES.replace("updated", "deleted"), **quiet
        ) as service,
    ):
        service.end()
        hold(service.database_url)
        service.start()
        new_rules = Path(place) / "new.yaml"
        new_rules.write_text(RULES, encoding="utf-8")
        yield service, new_rules


def measure() -> list[Figure]:
    """Measure one command after the other."""
    figures = []
    with held() as (service, new_rules):
        acknowledge(service, 200)
        for what, words in commands(new_rules):
            with Acknowledged(service) as found:
                if words is None:
                    rearm(service)
                else:
                    told(service, *words)
            p99 = percentile(found.spent, 99)
            figures.append(Figure(f"ack p99 beside {what}", p99, "ms", at_most=MOST_MS))
    return figures


if __name__ == "__main__":
    show(measure())
