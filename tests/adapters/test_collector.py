"""The garbage collector runs rarely while a command runs, and as usual in what goes on for long."""

import gc

import pytest

from responder.adapters.collector import collecting_rarely, leave_alone_what_is_loaded

pytestmark = pytest.mark.unit


def test_it_runs_rarely_until_the_end_and_then_as_before() -> None:
    usual = gc.get_threshold()
    with collecting_rarely():
        assert gc.get_threshold()[0] > 10 * usual[0]
    assert gc.get_threshold() == usual
    assert gc.isenabled()


def test_what_goes_on_for_long_is_collected_as_usual_but_for_what_was_loaded() -> None:
    usual = gc.get_threshold()
    try:
        with collecting_rarely():
            leave_alone_what_is_loaded()
            assert gc.get_threshold() == usual
            assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()
