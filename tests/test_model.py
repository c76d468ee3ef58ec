"""Everything that may go wrong, in any order: what must never be never is (see `model_world`)."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from responder.runtime import gate
from tests.model_drivers import KILL, TERMINATE, Happening, Parts
from tests.model_watch import Policy
from tests.model_world import DEALS, RULES, World

INSTANCES, ITEM, TASKS = "bizproc.workflow.instances", "crm.item.get", "bizproc.task.list"
NOT_DONE = ("drop_before", "500", "503_limit", "429_operating", "401", "overload", "empty_error")
PERHAPS_DONE = ("act_then_drop", "act_then_500", "not_json", "truthy", "missing_part", "html_502")
UNREAD = ("500", "503_limit", "drop_before", "missing_part", "not_json", "401")
FAULTS = [
    *((KILL, fault) for fault in (*NOT_DONE, *PERHAPS_DONE)),
    *((TERMINATE, fault) for fault in PERHAPS_DONE),
    *((method, fault) for method in (INSTANCES, ITEM, TASKS) for fault in UNREAD),
    (ITEM, "wrong_id"),
    *(("batch", fault) for fault in ("503_limit", "act_then_drop", "drop_before", "html_502")),
]
FIELDS = [
    *(("stageSemanticId", value) for value in ("F", "P")),
    *(("opportunity", value) for value in ("500", "5000", "", "a lot", None)),
    *(("companyId", value) for value in (5, 17, None)),
]

policies = st.builds(
    Policy,
    enforced=st.sampled_from([True, True, True, False]),
    guard=st.booleans(),
    second=st.sampled_from(["kill", "terminate"]),
    per_hour=st.sampled_from([30, 30, 4, 2, 1, 0]),
    per_document=st.sampled_from([5, 5, 2, 1]),
)
deals = st.sampled_from(DEALS)
numbers = st.integers(0, 8)


def happening(name: str, *how: st.SearchStrategy[object]) -> st.SearchStrategy[Happening]:
    return st.builds(Happening, st.just(name), st.tuples(*how))


events = happening(
    "deliver",
    deals,
    st.sampled_from(["ONCRMDEALUPDATE", "ONCRMDEALUPDATE", "ONCRMDEALADD"]),
    st.integers(1, 3),
)
in_the_portal = st.one_of(
    happening("start_workflow", deals, st.sampled_from(["61", "62", "7"])),
    happening("end_workflow", numbers),
    st.builds(lambda deal, f: Happening("change_deal", (deal, *f)), deals, st.sampled_from(FIELDS)),
    happening("deny", deals),
)
of_ours = st.one_of(
    happening("pause"),
    happening("rearm", st.sampled_from(RULES)),
    happening("change_rules", policies),
    happening("set_clock", st.sampled_from([-3600.0, 3600.0])),
)
troubles = st.one_of(
    st.builds(lambda fault: Happening("fail", fault), st.sampled_from(FAULTS)),
    happening("be_late"),
    happening("drop_filters"),
)
times = happening("pass_time", st.sampled_from([1.1, 3.0, 11.0, 31.0, 61.0, 400.0, 3700.0]))
deaths = st.sampled_from(
    [
        Happening("crash"),
        Happening("sleep"),
        Happening("stumble", (False,)),
        Happening("stumble", (True,)),
    ]
)
amid = st.dictionaries(
    st.integers(0, 16),
    st.one_of(deaths, in_the_portal, of_ours, events, times),
    min_size=1,
    max_size=2,
)


class Model(RuleBasedStateMachine):
    """Anything happens, between rounds and within them."""

    played: ClassVar[Counter[str]] = Counter()

    folder: ClassVar[Path]
    migrated: ClassVar[Path]
    parts: ClassVar[Parts]

    @classmethod
    def placed(cls, folder: Path, migrated: Path, parts: Parts) -> "type[Model]":
        """Return a model that plays in a folder, with these parts."""
        return type("Placed", (cls,), {"folder": folder, "migrated": migrated, "parts": parts})

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self.world = World(self.folder, self.migrated, self.parts)

    def run(self, coroutine: Coroutine[object, object, object]) -> None:
        """Run in the one loop of this world."""
        try:
            self._runner.run(coroutine)
        except BaseException:
            self.world.broken = True
            raise

    @initialize(policy=policies, enforcing=st.sampled_from([True, True, True, False]))
    def begin(self, policy: Policy, enforcing: bool) -> None:
        self.run(self.world.begin(policy, enforcing=enforcing))

    @rule(event=events)
    def an_event_comes(self, event: Happening) -> None:
        self.run(self.world.happen(event))

    @rule(deal=deals, number=numbers)
    def a_robot_calls(self, deal: int, number: int) -> None:
        self.run(self.world.call_robot(deal, number))

    @rule(change=in_the_portal)
    def the_portal_changes(self, change: Happening) -> None:
        self.run(self.world.happen(change))

    @rule(change=of_ours)
    def somebody_changes_how_we_run(self, change: Happening) -> None:
        self.run(self.world.happen(change))

    @rule(trouble=troubles)
    def the_portal_will_misbehave(self, trouble: Happening) -> None:
        self.run(self.world.happen(trouble))

    @rule(time=times)
    def time_passes(self, time: Happening) -> None:
        self.run(self.world.happen(time))

    @rule(event=events)
    def an_event_is_driven(self, event: Happening) -> None:
        self.run(self.world.pass_time(1.1))
        self.run(self.world.happen(event))
        self.run(self.world.round({}))

    @rule(deal=deals, template=st.sampled_from(["61", "62"]), plan=st.one_of(st.just({}), amid))
    def a_workflow_starts_and_is_judged(
        self, deal: int, template: str, plan: dict[int, Happening]
    ) -> None:
        self.run(self.world.pass_time(1.1))
        self.run(self.world.start_workflow(deal, template))
        self.run(self.world.deliver(deal, "ONCRMDEALUPDATE", 1))
        self.run(self.world.round(plan))

    @rule(event=events, plan=amid)
    def something_happens_amid_a_round(self, event: Happening, plan: dict[int, Happening]) -> None:
        self.run(self.world.happen(event))
        self.run(self.world.pass_time(1.1))
        self.run(self.world.round(plan))

    @rule(plan=st.one_of(st.just({}), amid), later=st.one_of(st.just({}), amid))
    def a_storm_comes(self, plan: dict[int, Happening], later: dict[int, Happening]) -> None:
        self.run(self.world.pass_time(1.1))
        for deal in DEALS:
            self.run(self.world.deliver(deal, "ONCRMDEALUPDATE", 1))
        self.run(self.world.round(plan))
        self.run(self.world.round(later))

    @rule(plan=amid)
    def something_happens_amid_the_next_round(self, plan: dict[int, Happening]) -> None:
        self.run(self.world.round(plan))

    @rule(deal=deals)
    def a_deal_is_judged_that_may_not_be_read(self, deal: int) -> None:
        self.run(self.world.deny(deal))
        self.a_workflow_starts_and_is_judged(deal=deal, template="61", plan={})

    @rule(deal=deals, moment=st.integers(2, 9), seconds=st.sampled_from([31.0, 61.0]))
    def a_round_is_slow(self, deal: int, moment: int, seconds: float) -> None:
        plan = {moment: Happening("pass_time", (seconds,))}
        self.a_workflow_starts_and_is_judged(deal=deal, template="61", plan=plan)

    @rule(seconds=st.sampled_from([0.0, 3.0, 61.0]))
    def it_goes_on(self, seconds: float) -> None:
        for _ in range(2):
            self.run(self.world.pass_time(seconds))
            self.run(self.world.round({}))

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
        Model.played.update(
            runs=1,
            rounds=self.world.rounds,
            events=self.world.acknowledged,
            intents=watch.intents,
            calls=watch.calls,
            stopped=len(watch.stopped),
        )


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder in memory where there is one: nobody cuts the power here."""
    memory = Path("/dev/shm")  # noqa: S108
    monkeypatch.setattr(gate, "STUMBLES", (0.0,) * 4)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
        yield Path(made)
    structlog.reset_defaults()


def play(
    folder: Path,
    migrated: Path,
    *,
    parts: Parts | None = None,
    runs: int,
    steps: int,
    fixed: bool = True,
    shrink: bool = False,
) -> Counter[str]:
    """Play so many runs of so many steps; return what was played."""
    Model.played.clear()
    phases = [Phase.generate, *([Phase.shrink] if shrink else [])]
    chosen = settings(
        max_examples=runs,
        stateful_step_count=steps,
        derandomize=fixed,
        database=None,
        deadline=None,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    world = Model.placed(folder, migrated, parts or Parts())
    run_state_machine_as_test(world, settings=chosen)
    return Counter(Model.played)


@pytest.fixture
def model(folder: Path, migrated_file: Path) -> Iterator[Model]:
    """Give a model to play by hand; it comes to rest and is checked in the end."""
    made = Model.placed(folder, migrated_file, Parts())()
    yield made
    made.teardown()


AN_EVENT = ("ONCRMDEALUPDATE", 1)
STORMY = Parts(few=1, a_batch=2)  # two documents are read by pages, and pass the gate in slices


def test_two_rules_together_stop_no_more_on_a_document_than_it_allows(model: Model) -> None:
    model.begin(policy=Policy(per_document=1), enforcing=True)
    model.an_event_is_driven(event=Happening("deliver", (1, *AN_EVENT)))
    assert len(model.world.watch.stopped) == 1


@pytest.mark.parametrize("moment", range(14))
def test_a_process_that_sleeps_in_a_round_calls_nothing_when_it_wakes(
    model: Model, moment: int
) -> None:
    model.begin(policy=Policy(), enforcing=True)
    plan = {moment: Happening("sleep")}
    model.something_happens_amid_a_round(event=Happening("deliver", (1, *AN_EVENT)), plan=plan)
    model.time_passes(time=Happening("pass_time", (61.0,)))
    for opportunity in ("stageSemanticId", "opportunity"):
        model.the_portal_changes(change=Happening("change_deal", (1, opportunity, "5000")))
    model.it_goes_on(seconds=3.0)
    stopped = list(model.world.watch.stopped)
    model.a_process_that_lost_its_lease_goes_on()
    assert model.world.watch.stopped == stopped


def test_a_clock_set_back_after_a_rearm_lifts_no_limit(model: Model) -> None:
    model.begin(policy=Policy(per_hour=1), enforcing=True)
    model.an_event_is_driven(event=Happening("deliver", (1, *AN_EVENT)))
    model.time_passes(time=Happening("pass_time", (3.0,)))
    model.somebody_changes_how_we_run(change=Happening("rearm", ("lost-deal",)))
    model.somebody_changes_how_we_run(change=Happening("set_clock", (-3600.0,)))
    for deal in (2, 3):
        model.an_event_is_driven(event=Happening("deliver", (deal, *AN_EVENT)))
    assert len(model.world.watch.stopped) == 3


def test_whatever_happens_nothing_is_lost_and_nothing_is_stopped_wrongly(
    folder: Path, migrated_file: Path
) -> None:
    played = play(folder, migrated_file, runs=50, steps=25)
    print(dict(played))  # noqa: T201 - how much it was
    assert played["stopped"] > 0


def test_whatever_happens_amid_storms_nothing_is_lost_and_nothing_is_stopped_wrongly(
    folder: Path, migrated_file: Path
) -> None:
    played = play(folder, migrated_file, parts=STORMY, runs=50, steps=25)
    print(dict(played))  # noqa: T201
    assert played["stopped"] > 0


@pytest.mark.long
@pytest.mark.parametrize("parts", [Parts(), STORMY])
def test_whatever_happens_for_long_nothing_is_lost_and_nothing_is_stopped_wrongly(
    folder: Path, migrated_file: Path, parts: Parts
) -> None:
    played = play(folder, migrated_file, parts=parts, runs=3000, steps=50, fixed=False, shrink=True)
    print(dict(played))  # noqa: T201
