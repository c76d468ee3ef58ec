"""One of several replicas is killed or stopped while it drives: another takes over, all is well.

Everything is real: the programs, PostgreSQL, the portal's HTTP and its request limit, the signals.
"""

from pathlib import Path

import pytest

from tests.replicas.cluster import TAKEOVER_SECONDS
from tests.replicas.conftest import Results
from tests.replicas.scenarios import Place, Played, one_is_killed, the_driver_is_stopped

BUSY_SECONDS = 3.0  # more, where other tests take the processors meanwhile


@pytest.fixture
def place(tmp_path: Path, postgres_url: str) -> Place:
    return Place(folder=tmp_path, database_url=postgres_url)


def is_well(played: Played) -> None:
    """Assert that nothing is wrong, and that the next driver was there in time."""
    assert played.wrong == []
    assert played.takeover_seconds <= TAKEOVER_SECONDS + BUSY_SECONDS


def test_one_of_three_is_killed_and_nothing_is_lost_or_killed_twice(played: Results) -> None:
    is_well(played["killed"].result())


def test_a_driver_that_was_stopped_past_its_lease_commits_nothing(played: Results) -> None:
    is_well(played["stopped"].result())


def test_the_next_driver_does_not_exceed_what_the_last_one_left_of_the_bucket(
    played: Results,
) -> None:
    is_well(played["bucket"].result())


@pytest.mark.long
def test_one_of_three_is_killed_in_the_middle_of_two_thousand_events(place: Place) -> None:
    is_well(one_is_killed(place, events=2000))


@pytest.mark.long
def test_a_driver_that_was_stopped_for_a_minute_commits_nothing(place: Place) -> None:
    is_well(the_driver_is_stopped(place, seconds=62))
