"""Plays the scenarios of takeovers in the background, since each waits mostly for a lease to end.

They begin with the first test of this folder; those that ask what came of them are run last.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from xdist import is_xdist_worker

from tests.conftest import Postgres
from tests.replicas.scenarios import (
    Place,
    Played,
    one_is_killed,
    the_bucket_is_nearly_full,
    the_driver_is_stopped,
)
from tests.support.processes import PROGRAM

BROKEN = str(Path(__file__).parent / "broken_service.py")
SCENARIOS: dict[str, tuple[tuple[str, ...], Callable[[Place], Played]]] = {
    "killed": (PROGRAM, lambda place: one_is_killed(place, events=300)),
    "stopped": (PROGRAM, lambda place: the_driver_is_stopped(place, seconds=6)),
    "bucket": (PROGRAM, lambda place: the_bucket_is_nearly_full(place, seconds=4)),
    "no fencing": ((BROKEN, "fencing"), lambda place: the_driver_is_stopped(place, seconds=6)),
    "no look": ((BROKEN, "look"), lambda place: one_is_killed(place, events=120, replicas=2)),
    "no bucket": ((BROKEN, "bucket"), lambda place: the_bucket_is_nearly_full(place, seconds=20)),
}
AT_ONCE = 3
Results = dict[str, "Future[Played]"]


def _is_ours(item: pytest.Item) -> bool:
    return item.nodeid.startswith("tests/replicas/")


def _asks(item: pytest.Item) -> bool:
    return "played" in getattr(item, "fixturenames", ())


@pytest.hookimpl(tryfirst=True)  # before the order of all files is made
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that wait for a scenario after the others of this folder."""
    places = [place for place, item in enumerate(items) if _is_ours(item)]
    ours = sorted((items[place] for place in places), key=_asks)
    for place, item in zip(places, ours, strict=True):
        items[place] = item


@pytest.fixture(scope="session", autouse=True)
def _begun(request: pytest.FixtureRequest) -> None:
    """Begin to play as soon as a test of this folder runs, if some test asks for it.

    Of several processes, among which the tests are shared out, the one plays that has those tests.
    """
    if not is_xdist_worker(request) and any(_asks(item) for item in request.session.items):
        request.getfixturevalue("played")


@pytest.fixture(scope="session")
def played(
    postgres: Postgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Results]:
    """Begin to play every scenario; a test waits for the one it asks for."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(
                play,
                Place(
                    folder=tmp_path_factory.mktemp(name.replace(" ", "-")),
                    database_url=postgres.url(postgres.create(like=migrated_template)),
                    program=program,
                ),
            )
            for name, (program, play) in SCENARIOS.items()
        }
