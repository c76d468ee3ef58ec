"""Shares the tests of the whole suite out among processes, so that none waits and none is idle.

A process is given a file at a time, in the order of the list. Half of the long files wait most of
their time, for processes, leases and portals, and the many short ones compute. Were the long ones
all begun first, the processors would be idle while all wait, and short of time thereafter. So only
those begin that take longest, half of which compute, and the others come among the short ones.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

_TESTS = Path(__file__).parents[1]
# where the paths begin
_BEGIN = (
    "process/test_time.py",
    "store/database/test_tables_scans.py",
    "replicas/test_takeover.py",
    "random/test_model.py",
    "service/driver/test_round_storm.py",
)
_TAKE_LONG = (
    "bitrix24/lists/test_row_warnings.py",
    "commands/journal/test_backup.py",
    "commands/journal/test_migrate.py",
    "process/",
    "replicas/",
    "rules/test_english_sentences.py",
    "service/application/offline/test_offline_reader.py",
    "service/application/offline/test_taking_reader.py",
    "service/driver/test_round_storm",
    "service/pages/login/",
    "service/pages/test_browser.py",
    "service/replicas/test_election.py",
    "store/test_group_commit.py",
)
_AMONG = 0.7  # of the short ones: at the end no process is left alone with a long one
_TOGETHER = {"tests/replicas/test_broken_builds.py": "tests/replicas/test_takeover.py"}

Files = list[list[pytest.Item]]


class Sharing(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
    """Gives out files, but two together whose tests ask for the same scenarios."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return _TOGETHER.get(file, file)


def scheduling(config: pytest.Config, log: Producer) -> Sharing | None:
    """Return who shares the tests out, where files are what is shared out."""
    return Sharing(config, log) if config.option.dist == "loadfile" else None


def ordered(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the tests in the order in which their files are to be begun."""
    files = [list(tests) for _, tests in groupby(items, key=lambda item: item.path)]
    first = [file for path in _BEGIN for file in files if _is(file, path)]
    rest = [file for file in files if not _is(file, *_BEGIN)]
    long = [file for file in rest if _is(file, *_TAKE_LONG)]
    short = [file for file in rest if not _is(file, *_TAKE_LONG)]
    return [item for file in (*first, *_among(short, long)) for item in file]


def _among(short: Files, long: Files) -> Iterator[list[pytest.Item]]:
    """Yield the short ones, and the long ones among them at equal distances."""
    given = 0
    for number, file in enumerate(short):
        while given < len(long) and given * _AMONG * len(short) <= number * len(long):
            yield long[given]
            given += 1
        yield file
    yield from long[given:]


def _is(file: list[pytest.Item], *paths: str) -> bool:
    return file[0].path.relative_to(_TESTS).as_posix().startswith(paths)
