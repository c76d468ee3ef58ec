"""Rules that ask first, with everything that may go wrong, in any order (see `model_world`).

What must never be: that anything is done which is not approved by its own name before the intent,
or more than a day before it, or that the rules do not condemn at that moment.
"""

from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.random.model_drivers import Happening
from tests.random.model_profiles import Profile, play
from tests.random.model_watch import Policy
from tests.random.test_model import Model, amid, deals, happening, numbers
from tests.random.test_model import folder as folder  # a fixture

policies = st.builds(
    Policy,
    asking=st.sampled_from([True, True, True, False]),
    waiting=st.sampled_from([False, False, True]),
    guard=st.booleans(),
    second=st.sampled_from(["kill", "terminate"]),
    per_hour=st.sampled_from([30, 30, 4, 2, 1]),
    per_document=st.sampled_from([5, 5, 2]),
)
people = st.one_of(
    happening("approve", st.integers(1, 6)),
    happening("approve", st.integers(1, 6)),
    happening("cancel", numbers),
    happening("pause"),
    happening("change_rules", policies),
)
amid_a_round: st.SearchStrategy[dict[int, Happening]] = st.one_of(
    st.just({}), amid, st.dictionaries(st.integers(0, 16), people, min_size=1, max_size=2)
)


class Asking(Model):
    """Most rules ask first, and people answer at any moment."""

    @initialize(policy=policies)
    def begin(self, policy: Policy) -> None:
        """Begin with rules that ask, most of the time."""
        self.run(self.world.begin(policy, enforcing=True))

    @rule(deed=people)
    def somebody_does_something(self, deed: Happening) -> None:
        """Approve, cancel, pause or change the rules between two rounds."""
        self.run(self.world.happen(deed))

    @rule(deal=deals, number=st.integers(1, 6), plan=amid_a_round)
    def what_is_asked_is_approved(self, deal: int, number: int, plan: dict[int, Happening]) -> None:
        """Have something condemned, approve some of all that waits, and go on."""
        self.run(self.world.pass_time(1.1))
        self.run(self.world.deliver(deal, "ONCRMDEALUPDATE", 1))
        self.run(self.world.round({}))
        self.run(self.world.happen(Happening("approve", (number,))))
        self.run(self.world.round(plan))

    @rule(number=st.integers(1, 6), seconds=st.sampled_from([3600.0, 86_401.0]))
    def what_is_approved_comes_late(self, number: int, seconds: float) -> None:
        """Approve something while everything is paused, and resume much later."""
        for deed in (Happening("pause"), Happening("approve", (number,))):
            self.run(self.world.happen(deed))
        self.run(self.world.round({}))
        self.run(self.world.pass_time(seconds))
        self.run(self.world.happen(Happening("pause")))
        self.run(self.world.round({}))

    @rule(deal=deals, policy=policies)
    def the_rules_change_while_something_waits(self, deal: int, policy: Policy) -> None:
        """Have something condemned, change the rules, and come back when it is due."""
        self.run(self.world.deliver(deal, "ONCRMDEALUPDATE", 1))
        self.run(self.world.round({}))
        self.run(self.world.change_rules(policy))
        self.run(self.world.pass_time(61.0))
        for _ in range(2):
            self.run(self.world.round({}))

    @rule(seconds=st.sampled_from([3600.0, 80_000.0, 86_401.0]))
    def a_long_time_passes(self, seconds: float) -> None:
        """Let what nobody approved lapse, or almost."""
        self.run(self.world.pass_time(seconds))
        self.run(self.world.round({}))


ASKING = Profile(machine=Asking)


def test_nothing_that_asks_first_is_done_without_an_approval_of_its_own(
    folder: Path, migrated_file: Path
) -> None:
    played = play(folder, migrated_file, ASKING, runs=20, steps=20)
    print(dict(played))  # noqa: T201 - how much it was
    assert played["stopped"] > 0


@pytest.mark.long
def test_for_long_nothing_that_asks_first_is_done_without_an_approval_of_its_own(
    folder: Path, migrated_file: Path
) -> None:
    played = play(folder, migrated_file, ASKING, runs=1000, steps=40, fixed=False, shrink=True)
    print(dict(played))  # noqa: T201
