"""Plays with a planted fault until it is found: soon where its seed is good, else in many runs.

How soon a seed finds a fault depends on the program, too. Where a test has become slow, or is new,
this prints each of the first 40 seeds that finds its fault sooner by a fifth than those before it:

    SEEDS=40 uv run pytest -n 0 -s tests/random -k an_impatient_retry
"""

import os
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.random.model_acts import Player
from tests.random.model_profiles import Profile, play

SOON = 8  # runs; with ten Hypothesis would begin with small ones


def found(
    folder: Path,
    migrated: Path,
    profile: Profile,
    words: str,
    *,
    runs: int,
    steps: int,
    seed: int,
) -> None:
    """Play until the fault is found, and see that it is the right one."""
    play_some = partial(play, folder, migrated, profile, steps=steps)
    print_good_seeds(play_some, words, int(os.environ.get("SEEDS", "0")))
    with pytest.raises(AssertionError, match=words):
        _play_each(partial(play_some, runs=SOON, seed=seed), partial(play_some, runs=runs))


def print_good_seeds(play_some: Callable[..., object], words: str, seeds: int) -> None:
    """Print which seeds find a fault, each with a fifth less of computing than those before it."""
    runs, least = SOON, float("inf")
    for seed in range(seeds):
        began = time.process_time()
        try:
            play_some(runs=runs, seed=seed)
        except AssertionError as error:
            seconds = time.process_time() - began
            if re.search(words, str(error)) and seconds < 0.8 * least:
                # the run that finds it is played again in the end
                runs, least = Player.played["runs"] - 1, seconds
                print(f"seed {seed}: {runs} runs, {seconds:.2f} s")  # noqa: T201


def _play_each(*plays: Callable[[], object]) -> None:
    for one in plays:
        one()
