"""The scenarios can fail: each of these parts, broken in the real program, is found by them.

See `broken_service`, which breaks it, and `test_takeover`, which plays the same on the program.
"""

from concurrent.futures import Future

from tests.replicas.conftest import Results
from tests.replicas.scenarios import Played


def found(played: "Future[Played]", words: str) -> bool:
    """Tell whether the scenario found something wrong, and for the right reason."""
    wrong = played.result().wrong
    assert wrong, "nothing was found"
    return any(words in one for one in wrong)


def test_a_build_without_fencing_is_found(played: Results) -> None:
    assert found(played["no fencing"], "while")


def test_a_build_that_retries_a_kill_blindly_is_found(played: Results) -> None:
    assert found(played["no look"], "asked for again after it had taken effect")


def test_a_build_whose_drivers_do_not_share_the_bucket_is_found(played: Results) -> None:
    assert found(played["no bucket"], "refused by the limit")
