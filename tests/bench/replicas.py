"""Measures three replicas of which one is killed in the middle of two thousand events.

Run it as `python -m tests.bench.replicas`. Programs, PostgreSQL and signals are real; the portal
has the limit that every portal has. What is measured besides, on two replicas that rest: how
long an event takes to its kill when it comes to the replica that drives, and when to the other.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.bench.figures import Figure, show
from tests.conftest import Postgres
from tests.replicas.cluster import TAKEOVER_SECONDS, Replica, cluster
from tests.replicas.scenarios import Place, Played, one_is_killed
from tests.support.processes import event
from tests.support.under_load import QUICK, lost_deal

RATE, BURST = 2.0, 50
REST_SECONDS = 0.3


@contextmanager
def postgres() -> Iterator[tuple[Postgres, Path]]:
    """Run a PostgreSQL of our own; its folder is left to the user it runs as."""
    with tempfile.TemporaryDirectory(prefix="responder-bench-") as folder:
        server = Postgres(Path(folder) / "data")
        try:
            yield server, Path(folder)
        finally:
            server.stop()


def killed(server: Postgres, folder: Path, events: int) -> Played:
    """Play the scenario that the tests play."""
    place = Place(folder=folder / "killed", database_url=server.url(server.create()))
    return one_is_killed(place, events=events, rate=RATE, burst=BURST)


def latencies(server: Postgres, folder: Path, events: int) -> tuple[float, float]:
    """Return the milliseconds from event to kill, sent to the driver and to the other."""
    sandbox = Sandbox()
    url = server.url(server.create())
    with (
        SandboxServer(sandbox) as portal,
        cluster(folder / "resting", url, portal.url, environment=QUICK) as replicas,
    ):
        driver = replicas.driven()
        (other,) = (one for one in replicas.replicas if one is not driver)
        spent: dict[str, list[float]] = {driver.name: [], other.name: []}
        for number in range(2 * events + 2):
            replica = (driver, other)[number % 2]
            spent[replica.name].append(_seconds_to_kill(sandbox, replica, 1 + number))
            time.sleep(REST_SECONDS)
        first, second = (1000 * statistics.median(spent[one.name][1:]) for one in (driver, other))
    return first, second


def _seconds_to_kill(sandbox: Sandbox, replica: Replica, number: int) -> float:
    condemned = lost_deal(sandbox, number)
    began = time.monotonic()
    if replica.post(event("ONCRMDEALUPDATE", number)) != 200:
        raise RuntimeError("the event was not acknowledged")
    while condemned in sandbox.workflows:
        time.sleep(0.001)
    return time.monotonic() - began


def _count(played: Played, words: str) -> int:
    return sum(words in wrong for wrong in played.wrong)


def measure(events: int = 2_000, singles: int = 20) -> list[Figure]:
    """Kill one of three, then send single events to two that rest."""
    with postgres() as (server, folder):
        played = killed(server, folder, events)
        here, elsewhere = latencies(server, folder, singles)
    for wrong in played.wrong:
        print(wrong)  # noqa: T201
    return [
        Figure("3 replicas, one killed: acknowledged", played.acknowledged, ""),
        Figure("  lost", _count(played, "lost"), "", at_most=0),
        Figure("  killed twice, or twice asked for", _twice(played), "", at_most=0),
        Figure("  refused by the limit", played.limited, "", at_most=0),
        Figure("  anything else that is wrong", _rest(played), "", at_most=0),
        Figure("  takeover", played.takeover_seconds, "s", at_most=TAKEOVER_SECONDS),
        Figure("event to kill at the driver, p50", here, "ms"),
        Figure("event to kill at another, p50", elsewhere, "ms"),
    ]


def _twice(played: Played) -> int:
    return _count(played, "killed") + _count(played, "asked for again")


def _rest(played: Played) -> int:
    return len(played.wrong) - _count(played, "lost") - _twice(played) - _count(played, "refused")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=2_000)
    show(measure(parser.parse_args().events))


if __name__ == "__main__":
    main()
