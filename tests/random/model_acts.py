"""What a play is made of: a state machine for each kind of act, to be put together as is wanted."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import ClassVar, Self

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.random import model_policies as some
from tests.random.model_deeds import DEALS, RULES, Scene
from tests.random.model_drivers import Happening, Parts, Plan
from tests.random.model_rules import Policy
from tests.random.model_world import World

ENFORCING = st.sampled_from([*[True] * 6, False])


class Player(RuleBasedStateMachine):
    """Plays in a world of its own, which comes to rest and is looked at in the end."""

    played: ClassVar[Counter[str]] = Counter()

    folder: ClassVar[Path]
    migrated: ClassVar[Path]
    parts: ClassVar[Parts]
    scene: ClassVar[Scene] = Scene()
    policies: ClassVar[st.SearchStrategy[Policy]] = some.usual

    @classmethod
    def placed(
        cls,
        folder: Path,
        migrated: Path,
        parts: Parts,
        *,
        scene: Scene | None = None,
        policies: st.SearchStrategy[Policy] | None = None,
    ) -> type[Self]:
        """Return a machine that plays in a folder, with these parts, by such rules."""
        members: dict[str, object] = {"folder": folder, "migrated": migrated, "parts": parts}
        if scene is not None:
            members["scene"] = scene
        if policies is not None:
            members["policies"] = policies
            begin = initialize(policy=policies, enforcing=ENFORCING)
            members["begin"] = begin(lambda self, policy, enforcing: self.set_up(policy, enforcing))
        return type("Placed", (cls,), members)

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self.world = World(self.folder, self.migrated, self.parts, self.scene)

    def run(self, coroutine: Coroutine[object, object, object]) -> None:
        """Run in the one loop of this world."""
        try:
            self._runner.run(coroutine)
        except BaseException:
            self.world.broken = True
            raise

    def set_up(self, policy: Policy, enforcing: bool) -> None:
        """Begin."""
        self.run(self.world.begin(policy, enforcing=enforcing))

    def go_on(self, plan: Plan, between: Plan, most: int = 12) -> None:
        """Let the driver work until it is idle."""
        self.run(self.world.pass_time(1.1))
        self.run(self.world.go_on(plan, between, most))

    def teardown(self) -> None:
        """Let it come to rest and check everything, unless something is wrong already."""
        try:
            if not self.world.broken and self.world.driver is not None:
                self.run(self.world.settle())
        finally:
            self._count()
            self._runner.run(self.world.end())
            self._runner.close()

    def _count(self) -> None:
        watch = self.world.watch
        Player.played.update(
            runs=1,
            rounds=self.world.rounds,
            events=self.world.acknowledged,
            intents=watch.intents,
            calls=watch.calls,
            stopped=len(watch.stopped),
        )


class Events(Player):
    """Events come and are judged, while the portal changes."""

    @rule(event=some.events)
    def an_event_comes(self, event: Happening) -> None:
        self.run(self.world.happen(event))

    @rule(deal=some.deals, number=some.numbers)
    def a_robot_calls(self, deal: int, number: int) -> None:
        self.run(self.world.call_robot(deal, number))

    @rule(change=some.in_the_portal)
    def the_portal_changes(self, change: Happening) -> None:
        self.run(self.world.happen(change))

    @rule(time=some.times)
    def time_passes(self, time: Happening) -> None:
        self.run(self.world.happen(time))

    @rule(event=some.events)
    def an_event_is_driven(self, event: Happening) -> None:
        self.run(self.world.pass_time(1.1))
        self.run(self.world.happen(event))
        self.run(self.world.round({}))

    @rule(
        deal=some.deals,
        template=st.sampled_from(["61", "62"]),
        plan=st.one_of(st.just({}), some.amid),
    )
    def a_workflow_starts_and_is_judged(
        self, deal: int, template: str, plan: dict[int, Happening]
    ) -> None:
        self.run(self.world.pass_time(1.1))
        self.run(self.world.start_workflow(deal, template))
        self.run(self.world.deliver(deal, "ONCRMDEALUPDATE", 1))
        self.run(self.world.round(plan))

    @rule(event=some.events, plan=some.amid)
    def something_happens_amid_a_round(self, event: Happening, plan: dict[int, Happening]) -> None:
        self.run(self.world.happen(event))
        self.run(self.world.pass_time(1.1))
        self.run(self.world.round(plan))

    @rule(plan=st.one_of(st.just({}), some.amid), later=st.one_of(st.just({}), some.amid))
    def a_storm_comes(self, plan: dict[int, Happening], later: dict[int, Happening]) -> None:
        self.run(self.world.pass_time(1.1))
        for deal in DEALS:
            self.run(self.world.deliver(deal, "ONCRMDEALUPDATE", 1))
        self.run(self.world.round(plan))
        self.run(self.world.round(later))

    @rule(deal=some.deals)
    def a_deal_is_judged_that_may_not_be_read(self, deal: int) -> None:
        self.run(self.world.deny(deal))
        self.a_workflow_starts_and_is_judged(deal=deal, template="61", plan={})

    @rule(deal=some.deals, moment=st.integers(2, 9), seconds=st.sampled_from([31.0, 61.0]))
    def a_round_is_slow(self, deal: int, moment: int, seconds: float) -> None:
        plan = {moment: Happening("pass_time", (seconds,))}
        self.a_workflow_starts_and_is_judged(deal=deal, template="61", plan=plan)

    @rule(seconds=st.sampled_from([0.0, 3.0, 61.0]))
    def it_goes_on(self, seconds: float) -> None:
        for _ in range(2):
            self.run(self.world.pass_time(seconds))
            self.run(self.world.round({}))


class Troubles(Player):
    """The portal misbehaves, and processes die, sleep and take over."""

    @rule(change=some.of_ours)
    def somebody_changes_how_we_run(self, change: Happening) -> None:
        self.run(self.world.happen(change))

    @rule(trouble=some.troubles)
    def the_portal_will_misbehave(self, trouble: Happening) -> None:
        self.run(self.world.happen(trouble))

    @rule(plan=some.amid)
    def something_happens_amid_the_next_round(self, plan: dict[int, Happening]) -> None:
        self.run(self.world.round(plan))

    @rule(enforcing=st.sampled_from([True, True, False]))
    def it_is_restarted(self, enforcing: bool) -> None:
        self.run(self.world.restart(enforcing=enforcing))

    @rule()
    def another_process_takes_over(self) -> None:
        assert self.world.driver is not None
        self.run(self.world.replace_driver(enforcing=self.world.driver.enforcing))

    @rule()
    def a_process_that_lost_its_lease_goes_on(self) -> None:
        self.run(self.world.wake_zombie())


class Due(Player):
    """Sweeps and schedules are due, or asked for."""

    @rule(
        seconds=st.sampled_from([301.0, 301.0, 901.0]),
        plan=some.amid_runs,
        between=some.between_requests,
    )
    def a_run_is_due(
        self, seconds: float, plan: dict[int, Happening], between: dict[int, Happening]
    ) -> None:
        self.run(self.world.pass_time(seconds))
        self.go_on(plan, between)

    @rule(plan=some.amid_runs, between=some.between_requests)
    def the_night_comes(self, plan: dict[int, Happening], between: dict[int, Happening]) -> None:
        self.run(self.world.pass_time(self.world.until_night() + 1.0))
        self.go_on(plan, between)

    @rule(name=st.sampled_from([*RULES, None]), plan=some.amid_runs, between=some.between_requests)
    def somebody_asks_for_a_sweep(
        self, name: str | None, plan: dict[int, Happening], between: dict[int, Happening]
    ) -> None:
        self.run(self.world.ask_for_sweep(name))
        self.go_on(plan, between)


class Returns(Player):
    """Workflows that were stopped write themselves back."""

    @rule(
        seconds=st.sampled_from([301.0, 901.0]),
        between=st.dictionaries(st.integers(4, 7), some.comebacks, min_size=1, max_size=2),
    )
    def what_is_stopped_comes_back_at_once(
        self, seconds: float, between: dict[int, Happening]
    ) -> None:
        self.run(self.world.pass_time(seconds))
        self.go_on({}, between)

    @rule(number=some.numbers, rounds=st.integers(0, 2))
    def what_was_stopped_comes_back(self, number: int, rounds: int) -> None:
        self.run(self.world.come_back(number))
        for _ in range(rounds):
            self.run(self.world.pass_time(2.1))
            self.run(self.world.round({}))


class Ends(Player):
    """Workflows begin and end."""

    @rule(change=some.beginning_and_ending)
    def a_workflow_begins_or_ends(self, change: Happening) -> None:
        self.run(self.world.happen(change))


class Rests(Player):
    """What waits is waited for."""

    @rule(seconds=st.sampled_from([0.0, 11.0, 61.0]), between=some.between_requests)
    def it_comes_to_rest(self, seconds: float, between: dict[int, Happening]) -> None:
        self.run(self.world.pass_time(seconds))
        self.go_on({}, between)


class Runs(Due, Returns, Ends, Rests):
    """All that runs meet, in a portal where people work."""

    @rule(number=some.numbers, user=some.users)
    def a_task_goes_to_the_next_user(self, number: int, user: str) -> None:
        self.run(self.world.move_task(number, user))

    @rule(fault=st.sampled_from(some.FAULTS_OF_RUNS))
    def what_runs_read_will_fail(self, fault: tuple[str, str]) -> None:
        self.run(self.world.fail(*fault))

    @rule(change=st.one_of(some.in_the_portal, some.in_deals, some.in_links, some.in_lists))
    def the_portal_is_worked_in(self, change: Happening) -> None:
        self.run(self.world.happen(change))


class Lets(Player):
    """Runs are made while all is paused, and what they found is let go."""

    @rule(runs=st.integers(1, 3))
    def runs_are_made_while_all_is_paused(self, runs: int) -> None:
        if not self.world.watch.paused:
            self.run(self.world.pause())
        for _ in range(runs):
            self.run(self.world.pass_time(301.0))
            self.go_on({}, {})
            self.run(self.world.start_workflow(1, "61"))
        self.run(self.world.pause())
        self.go_on({}, {})


class People(Lets):
    """People approve, cancel, pause, rearm and change the rules."""

    @rule(deed=some.of_people)
    def somebody_does_something(self, deed: Happening) -> None:
        self.run(self.world.happen(deed))

    @rule(data=st.data())
    def somebody_writes_other_rules(self, data: st.DataObject) -> None:
        self.run(self.world.change_rules(data.draw(self.policies)))

    @rule(number=st.integers(1, 6), seconds=st.sampled_from([61.0, 301.0]))
    def what_is_asked_is_approved(self, number: int, seconds: float) -> None:
        self.run(self.world.pass_time(seconds))
        self.go_on({}, {})
        self.run(self.world.approve(number))
        self.go_on({}, {})


class Storms(Player):
    """Much comes at once, while the portal changes between two requests."""

    @rule(between=some.between_requests, name=st.sampled_from(["ONCRMDEALUPDATE", "ONCRMDEALADD"]))
    def a_storm_comes_while_people_work(self, between: dict[int, Happening], name: str) -> None:
        for deal in DEALS:
            self.run(self.world.deliver(deal, name, 1))
        self.go_on({}, between)


class Model(Events, Troubles):
    """Anything happens, between rounds and within them."""

    @initialize(policy=some.usual, enforcing=ENFORCING)
    def begin(self, policy: Policy, enforcing: bool) -> None:
        self.set_up(policy, enforcing)


class Anything(Events, Troubles, Runs, People, Storms):
    """All of it together."""
