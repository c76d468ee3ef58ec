"""Runs every benchmark and prints one table: `python -m tests.bench`."""

import re
import subprocess
import sys

from tests.bench import latency, startup
from tests.bench.figures import Figure, show

ACK_RATIO = 0.45


def acknowledging() -> list[Figure]:
    """Compare durable acknowledgement with bare uvicorn, in a process that knows nothing else."""
    command = [sys.executable, "-m", "tests.bench.ack"]
    table = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    ratio = re.search(r"ratio: median ([0-9.]+)", table)
    assert ratio is not None, table
    return [Figure("durable ack / bare uvicorn", float(ratio[1]), "x", at_least=ACK_RATIO)]


def main() -> None:
    """Run them one after the other: they would disturb each other."""
    figures: list[Figure] = []
    for measure in (acknowledging, latency.measure, startup.measure):
        figures += measure()
    show(figures)


if __name__ == "__main__":
    main()
