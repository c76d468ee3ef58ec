"""Runs every benchmark, one after the other, and prints one table: `python -m tests.bench`.

`python -m tests.bench storm pages` runs those alone. Each runs in a process of its own, so that
what one leaves behind (memory, threads, warm caches) is not measured with the next.
"""

import argparse
import importlib
import json
import subprocess
import sys
from dataclasses import asdict

from tests.bench.figures import Figure, show

CHAPTERS = (
    "ack",
    "commits",
    "latency",
    "startup",
    "rules",
    "sweep",
    "kept_events",
    "storm",
    "replicas",
    "crashes",
    "fairness",
    "backlog",
    "judging",
    "beside",
    "backtest",
    "pages",
)


def measured(chapter: str) -> list[Figure]:
    """Run one chapter in a process of its own."""
    command = [sys.executable, "-m", "tests.bench", "--inside", chapter]
    told = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if told.returncode:
        return [Figure(f"{chapter}: could not be measured", told.returncode, "", at_most=0)]
    *words, figures = told.stdout.splitlines()
    for line in words:
        print(line, file=sys.stderr)  # noqa: T201
    return [Figure(**one) for one in json.loads(figures)]


def inside(chapter: str) -> None:
    """Be the process that measures one chapter; its last line has the figures."""
    figures: list[Figure] = importlib.import_module(f"tests.bench.{chapter}").measure()
    print(json.dumps([asdict(figure) for figure in figures]))  # noqa: T201


def main() -> None:
    """Run what is asked for, or all; print the table, and exit with 1 unless all are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help=", ".join(CHAPTERS))
    parser.add_argument("--inside", choices=CHAPTERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        inside(given.inside)
        return
    unknown = set(given.chapters) - set(CHAPTERS)
    if unknown:
        parser.error(f"there is no chapter {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    for chapter in given.chapters or CHAPTERS:
        print(f"measuring: {chapter}", file=sys.stderr, flush=True)  # noqa: T201
        figures += measured(chapter)
    show(figures)
    sys.exit(any(figure.verdict in ("MISSED", "void") for figure in figures))


if __name__ == "__main__":
    main()
