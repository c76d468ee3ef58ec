"""Kills the program two hundred times under load on each database, and counts what must never be.

Run it as `python -m tests.bench.crashes`; `--kills 20` says how often. It is what the tests of
crashes play, with the same load. A shorter play has a rule with a limit that what is condemned goes
far beyond.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.ack import postgres
from tests.bench.figures import Figure, show
from tests.support.siege import Siege, besiege, not_intended

KILLS = 200
PER_HOUR = 100
SHARE_WITH_A_LIMIT = 10  # of so many kills one is under a rule with that limit


@contextmanager
def _databases(place: Path) -> Iterator[dict[str, str]]:
    with postgres() as url:
        yield {"SQLite": f"sqlite:///{place / 'responder.db'}", "PostgreSQL": url}


def _besieged(name: str, url: str, *, kills: int, per_hour: int | None = None) -> Siege:
    seed = time.time_ns()
    with tempfile.TemporaryDirectory() as place:
        found = besiege(Path(place), url, kills=kills, seed=seed, per_hour=per_hour)
    print(f"{name}, killed {kills} times (seed {seed}): {found}")  # noqa: T201
    for wrong in found.wrong:
        print(wrong)  # noqa: T201
    return found


def _figures(where: str, found: Siege) -> list[Figure]:
    unintended = len(not_intended(found.left, found.sandbox))
    return [
        Figure(f"{where}: acknowledged", len(found.load.acknowledged), "", at_least=1),
        Figure("  lost", len(found.lost), "", at_most=0),
        Figure("  kills", len(found.sandbox.killed), "", at_least=1),
        Figure("  without an intent", unintended, "", at_most=0),
        Figure("  second kills of one id", len(found.killed_again), "", at_most=0),
        Figure("  what the log says against itself", len(found.wrong), "", at_most=0),
    ]


def _beyond_the_limit(found: Siege) -> list[Figure]:
    beyond = max(0, len(found.sandbox.killed) - PER_HOUR)
    condemned = len(found.load.condemned)
    allowed = f"{PER_HOUR} kills an hour allowed"
    return [
        Figure(f"{allowed}: condemned", condemned, "", at_least=PER_HOUR + 1),
        Figure("  kills beyond the limit", beyond, "", at_most=0),
    ]


def measure(kills: int = KILLS) -> list[Figure]:
    """Kill it on both databases, and then under a limit."""
    figures = []
    few = max(2, kills // SHARE_WITH_A_LIMIT)
    with tempfile.TemporaryDirectory() as place, _databases(Path(place)) as urls:
        for name, url in urls.items():
            found = _besieged(name, url, kills=kills)
            figures += _figures(f"{name}, killed {kills} times under load", found)
        limited = f"sqlite:///{Path(place) / 'limited.db'}"
        figures += _beyond_the_limit(_besieged("SQLite", limited, kills=few, per_hour=PER_HOUR))
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS)
    show(measure(parser.parse_args().kills))


if __name__ == "__main__":
    main()
