"""Measures what sharing a commit is worth, against a commit for each delivery.

Run it as `python -m tests.bench.commits`. Both write the same rows into the same kind of file,
durably (`synchronous=FULL`), for 64 that wait at once; rounds alternate.
"""

import argparse
import asyncio
import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from responder.store.database.database import Database
from responder.store.group_commit import SharedCommit
from responder.store.inbox import inbox
from tests.bench.figures import Figure, show

AT_ONCE = 64
SECONDS = 2.0
AT_LEAST = 4
FORM = b"event=ONCRMDEALUPDATE&data%5BFIELDS%5D%5BID%5D=759&ts=1736405807" * 6


def rows() -> Iterator[inbox.Row]:
    """Make deliveries of one deal after another."""
    for number in itertools.count(1):
        yield inbox.row(
            "main", datetime.now(UTC), "event", "ONCRMDEALUPDATE", f"deal:{number}", None, FORM
        )


async def shared(database: Database) -> float:
    """Return the deliveries a second where all of them share the next commit."""
    commit, source = SharedCommit(database), rows()
    commit.start()
    done = 0
    ends_at = time.monotonic() + SECONDS

    async def one() -> None:
        nonlocal done
        while time.monotonic() < ends_at:
            await commit.add(next(source))
            done += 1

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    await commit.close()
    return done / SECONDS


def single(database: Database) -> float:
    """Return the deliveries a second where each has a commit of its own."""
    source, lock = rows(), threading.Lock()
    ends_at = time.monotonic() + SECONDS

    def one(_number: int) -> int:
        done = 0
        while time.monotonic() < ends_at:
            with lock:  # a file has one writer; to let them fight for it would cost more
                database.write(partial(inbox.add, rows=[next(source)]))
            done += 1
        return done

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(one, range(AT_ONCE))) / SECONDS


def measure(rounds: int = 3) -> list[Figure]:
    """Measure both in turn."""
    together: list[float] = []
    apart: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'bench.db'}")
        database.open()
        database.migrate()
        for _ in range(rounds):
            together.append(asyncio.run(shared(database)))
            apart.append(single(database))
        database.close()
    ratio = statistics.median(a / b for a, b in zip(together, apart, strict=True))
    return [
        Figure("shared commit / a commit a request", ratio, "x", at_least=AT_LEAST),
        Figure("  shared, deliveries", statistics.median(together), "/s"),
        Figure("  a commit a request", statistics.median(apart), "/s"),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    show(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
