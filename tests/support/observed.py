"""What can be seen of a running program from outside: log, memory, open files, metrics."""

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from tests.support.processes import Running, eventually

MINUTE = timedelta(seconds=59)  # the log's instants are those of writing, a moment later


def process_file(service: Running, name: str) -> Path:
    """Name a file or folder that says something of the program's process."""
    assert service.process is not None
    return Path("/proc") / str(service.process.pid) / name


def most_memory_kib(service: Running) -> int:
    """Return the most memory that the process ever held."""
    found = re.search(r"VmHWM:\s+(\d+)", process_file(service, "status").read_text())
    assert found
    return int(found[1])


def sockets(service: Running) -> int:
    """Return how many sockets the process has open."""
    kinds = []
    for one in process_file(service, "fd").iterdir():
        try:
            kinds.append(str(one.readlink()))
        except OSError:  # it was closed meanwhile
            continue
    return sum(kind.startswith("socket:") for kind in kinds)


def metric(service: Running, name: str) -> float:
    """Return the value of a metric."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", service.get("/metrics")[1].decode(), re.M)
    return float(found[1]) if found else 0


def all_closed(service: Running) -> None:
    """Wait until no connection is open but the one that asks."""
    eventually(lambda: metric(service, "responder_connections") == 1 or None)


def said(service: Running) -> Iterator[tuple[str, str, datetime]]:
    """Give level, text with its kind, and instant of each line of the log that is a warning.

    To its kind belongs what it is about: deliveries refused for two reasons are two alarms.
    """
    for line in map(json.loads, service.log.read_text().splitlines()):
        if line["level"] not in ("debug", "info"):
            text = " ".join(
                str(line.get(key) or "") for key in ("event", "kind", "portal", "about")
            )
            yield line["level"], text, datetime.fromisoformat(line["at"])


def is_quiet(service: Running) -> None:
    """Fail if an error was logged, or anything else more than once a minute and kind."""
    instants: dict[str, list[datetime]] = defaultdict(list)
    for level, text, at in said(service):
        assert level == "warning", service.log.read_text()[-5000:]
        instants[text].append(at)
    for text, times in instants.items():
        gaps = [b - a for a, b in itertools.pairwise(times)]
        assert all(gap > MINUTE for gap in gaps), (text, times)
    assert "Traceback" not in service.log.read_text()
