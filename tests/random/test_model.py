"""Everything that may go wrong, in any order: what must never be never is (see `model_world`)."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from responder.bitrix24.lists import workflows
from responder.stop import gate
from tests.random.model_acts import Anything
from tests.random.model_acts import Model as Model
from tests.random.model_drivers import Happening, Parts
from tests.random.model_facts import Is
from tests.random.model_policies import CHEAP, OF_61, OF_62, OF_LEAVE, OPEN
from tests.random.model_policies import amid as amid
from tests.random.model_policies import deals as deals
from tests.random.model_policies import happening as happening
from tests.random.model_policies import numbers as numbers
from tests.random.model_profiles import ANYTHING, LISTS, PROFILES, SCHEDULED, play
from tests.random.model_rules import EVERY, NIGHTLY, Policy, Rule


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder in memory where there is one: nobody cuts the power here."""
    memory = Path("/dev/shm")  # noqa: S108
    monkeypatch.setattr(gate, "STUMBLES", (0.0,) * 4)
    monkeypatch.setattr(workflows, "PAGES_ON_TRUST", 2)  # few workflows are on one
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
        yield Path(made)
    structlog.reset_defaults()


@pytest.fixture
def model(folder: Path, migrated_file: Path) -> Iterator[Model]:
    """Give a model to play by hand; it comes to rest and is checked in the end."""
    made = Model.placed(folder, migrated_file, Parts())()
    yield made
    made.teardown()


ASKED = Rule(id="keep-asked", then="leave", tests=(Is(fact="waiting_for.id", values=("5", "7")),))
AN_EVENT = ("ONCRMDEALUPDATE", 1)


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


def test_a_run_that_began_before_our_clock_is_set_back_is_carried_out(
    folder: Path, migrated_file: Path
) -> None:
    model = SCHEDULED.placed(folder, migrated_file)()
    model.set_up(Policy(file=(Rule(id="often", when=(EVERY,), tests=(OF_61,)),)), True)
    model.go_on({}, {})  # from now on it counts
    model.run(model.world.pass_time(301.0))
    model.run(model.world.round({}))
    assert model.world.watch.stopped == []
    model.run(model.world.set_clock(-3600.0))
    model.go_on({}, {})
    assert len(model.world.watch.stopped) == 3
    model.teardown()


def test_a_stop_is_finished_though_its_workflow_came_back_before_anybody_looked(
    model: Model,
) -> None:
    model.begin(policy=Policy(per_document=1), enforcing=True)
    stops_late_and_comes_back(model)
    model.go_on({}, {})
    assert model.world.watch.stopped == ["w.1", "w.1"]


def test_a_stop_of_which_nobody_saw_that_it_was_done_counts_when_the_rules_have_changed(
    model: Model,
) -> None:
    model.begin(policy=Policy(per_document=1), enforcing=True)
    stops_late_and_comes_back(model)
    small = Rule(id="small-deal", when=("deal.updated",), tests=(OF_62, CHEAP), per_document=1)
    model.run(model.world.change_rules(Policy(file=(small,))))
    model.an_event_is_driven(event=Happening("deliver", (1, *AN_EVENT)))
    model.go_on({}, {})
    assert model.world.watch.stopped == ["w.1"]


def stops_late_and_comes_back(model: Model) -> None:
    """Let a call be lost, and take effect unseen, before its workflow writes itself back."""
    ended = model.world.running.index("w.2")
    model.run(model.world.end_workflow(ended))
    model.run(model.world.be_late())
    model.an_event_is_driven(event=Happening("deliver", (1, *AN_EVENT)))
    model.run(model.world.pass_time(61.0))
    assert model.world.watch.stopped == ["w.1"]
    model.run(model.world.come_back(0))
    model.run(model.world.start_workflow(1, "62"))
    model.run(model.world.pass_time(61.0))


@pytest.mark.parametrize("moment", range(8))
def test_a_run_that_is_due_ends_with_the_schedule_that_set_it_off(
    folder: Path, migrated_file: Path, moment: int
) -> None:
    model = SCHEDULED.placed(folder, migrated_file)()
    scheduled = Rule(id="often", when=(EVERY,), tests=(OF_61,))
    on_events = replace(scheduled, when=("deal.updated",), sweep=False)
    model.set_up(Policy(file=(scheduled,)), True)
    model.go_on({}, {})
    model.run(model.world.pass_time(301.0))
    other_rules = Happening("change_rules", (Policy(file=(on_events,)),))
    model.run(model.world.round({moment: other_rules}))
    model.go_on({}, {})
    assert model.world.watch.stopped == []
    model.teardown()


def test_an_element_has_one_limit_whether_its_list_is_known_or_not(
    folder: Path, migrated_file: Path
) -> None:
    often = Rule(id="often", when=(EVERY,), tests=(OF_LEAVE,), per_document=1)
    over = Rule(id="leave-over", when=(NIGHTLY,), tests=(OF_LEAVE,), unless=(OPEN,))
    model = LISTS.placed(folder, migrated_file)()
    model.set_up(Policy(file=(over, often)), True)
    for between in ({}, {}, {0: Happening("start_on_element", ("7", "72"))}):
        model.run(model.world.pass_time(301.0))
        model.go_on({}, between)
    model.teardown()


def test_what_several_runs_condemned_is_not_joined_to_a_set_that_has_begun(
    folder: Path, migrated_file: Path
) -> None:
    often = Rule(id="often", when=(EVERY,), tests=(OF_61,))
    small = Rule(id="small-deal", when=("deal.updated",), tests=(OF_62, CHEAP))
    model = ANYTHING.placed(folder, migrated_file)()
    assert isinstance(model, Anything)
    model.set_up(Policy(file=(ASKED, small, often)), True)
    model.a_workflow_starts_and_is_judged(deal=1, plan={16: Happening("pause")}, template="61")
    model.runs_are_made_while_all_is_paused(runs=1)
    model.runs_are_made_while_all_is_paused(runs=3)
    model.the_portal_will_misbehave(trouble=Happening("be_late"))
    model.runs_are_made_while_all_is_paused(runs=1)
    refused = Happening("fail", ("bizproc.workflow.kill", "503_limit"))
    model.the_portal_will_misbehave(trouble=refused)
    paused = {13: Happening("sleep"), 8: Happening("pause")}
    model.a_workflow_starts_and_is_judged(deal=2, plan=paused, template="62")
    model.a_workflow_starts_and_is_judged(deal=1, plan={}, template="61")
    model.runs_are_made_while_all_is_paused(runs=1)
    model.teardown()


def shares(runs: int) -> list[tuple[str, int]]:
    """Share out so many runs: most to the profiles in which everything meets.

    Few calls come of the one in which they are lost.
    """
    parts = {"USUAL": 3, "STORMY": 3, "ANYTHING": 6, "ANYTHING_STORMY": 3, "LOST": 2}
    whole = sum(parts.get(name, 1) for name in PROFILES)
    return [(name, -(-runs * parts.get(name, 1) // whole)) for name in PROFILES]


@pytest.mark.parametrize(("profile", "runs"), shares(55))
def test_whatever_happens_nothing_is_lost_and_nothing_is_stopped_wrongly(
    folder: Path, migrated_file: Path, profile: str, runs: int
) -> None:
    played = play(folder, migrated_file, PROFILES[profile], runs=runs, steps=15)
    print(profile, dict(played))  # noqa: T201 - how much it was
    assert played["calls"] > 0


@pytest.mark.long
@pytest.mark.parametrize(("profile", "runs"), shares(1500))
def test_whatever_happens_for_long_nothing_is_lost_and_nothing_is_stopped_wrongly(
    folder: Path, migrated_file: Path, profile: str, runs: int
) -> None:
    played = play(
        folder,
        migrated_file,
        PROFILES[profile],
        runs=runs,
        steps=40,
        fixed=False,
        shrink=True,
    )
    print(profile, dict(played))  # noqa: T201
