"""Profiles: what is played together, by which rules, in which portal; some look at one thing."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from tests.random import model_policies as some
from tests.random.model_acts import Anything, Due, Ends, Lets, Model, Player, Rests, Returns, Storms
from tests.random.model_deeds import DEALS, Scene
from tests.random.model_drivers import KILL, Happening, Parts
from tests.random.model_machines import Aging, Grouped, Linked, Listed
from tests.random.model_rules import EVERY, NIGHTLY, Policy, Rule

PLAIN, SMALL = Parts(), Scene()
STORM = Parts(few=1, a_batch=2)  # two documents are read by pages, and pass the gate in slices
SWEPT = Parts(sweep_every=timedelta(minutes=15))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A machine, and the world it plays in. Without `policies` it has its own."""

    machine: type[Player]
    policies: st.SearchStrategy[Policy] | None = None
    parts: Parts = PLAIN
    scene: Scene = SMALL

    def placed(self, folder: Path, migrated: Path) -> type[Player]:
        """Return the machine, to be played in a folder."""
        return self.machine.placed(
            folder, migrated, self.parts, scene=self.scene, policies=self.policies
        )


def play(
    folder: Path,
    migrated: Path,
    profile: Profile,
    *,
    runs: int,
    steps: int,
    seed: int | None = None,
    fixed: bool = True,
    shrink: bool = False,
) -> Counter[str]:
    """Play so many runs of so many steps, a seed's if one is given; return what was played."""
    Player.played.clear()
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
    machine = profile.placed(folder, migrated)
    placed = machine if seed is None else seeded(seed)(machine)
    run_state_machine_as_test(placed, settings=chosen)
    return Counter(Player.played)


class Moving(Player):
    """Storms of events, while what workflows ask goes from one user to the next."""

    @rule(
        between=st.dictionaries(
            st.integers(0, 3),
            some.happening("move_task", some.numbers, st.sampled_from(["5", "7"])),
            min_size=1,
            max_size=2,
        )
    )
    def a_storm_comes_while_tasks_move(self, between: dict[int, Happening]) -> None:
        for deal in DEALS:
            self.run(self.world.deliver(deal, "ONCRMDEALUPDATE", 1))
        self.go_on({}, between, most=4)

    @rule(number=some.numbers, user=some.users)
    def a_task_moves(self, number: int, user: str) -> None:
        self.run(self.world.move_task(number, user))


class Refused(Storms):
    """Events on a portal that now and then refuses a kill, for it is asked too much."""

    @rule(fault=st.sampled_from(["503_limit", "429_operating"]))
    def a_kill_will_be_refused(self, fault: str) -> None:
        self.run(self.world.fail(KILL, fault))

    @rule(deal=some.deals)
    def a_workflow_starts_and_an_event_comes(self, deal: int) -> None:
        self.run(self.world.start_workflow(deal, "61"))
        self.run(self.world.deliver(deal, "ONCRMDEALUPDATE", 1))
        self.go_on({}, {}, most=3)


class Lost(Storms):
    """Storms on a portal to which calls are lost on their way, so that nobody knows of them."""

    @rule(fault=st.sampled_from(["drop_before", "hang"]))
    def a_kill_will_be_lost(self, fault: str) -> None:
        self.run(self.world.fail(KILL, fault))

    @rule(seconds=st.sampled_from([61.0, 81.0]))
    def what_is_in_doubt_is_looked_for(self, seconds: float) -> None:
        self.run(self.world.pass_time(seconds))
        self.go_on({}, {}, most=4)


class Waits(Ends):
    """Runs are due, and workflows begin and end before what was condemned has waited."""

    @rule(number=some.numbers)
    def a_run_is_due_and_somebody_ends_before_its_wait_is_over(self, number: int) -> None:
        self.run(self.world.pass_time(301.0))
        self.go_on({}, {})
        self.run(self.world.end_workflow(number))
        self.run(self.world.pass_time(61.0))
        self.go_on({}, {})


class Kept(Due, Waits, Rests):
    """Runs are due while workflows begin and end."""


class Returning(Returns, Ends):
    """Runs are due, what they stop comes back, and workflows begin and end."""


def _guarded(when: tuple[str, ...]) -> st.SearchStrategy[Policy]:
    guard = Rule(id="keep-vip", then="leave", tests=(some.OF_VIP,), when=when)
    lost = some.a_rule(
        "lost-deal", when=[when], tests=[(some.LOST, some.OF_61)], sweep=[True, None]
    )
    return lost.map(lambda acting: Policy(file=(guard, acting)))


def _with_lists(guarded: object) -> st.SearchStrategy[Policy]:
    """Return files about elements of lists, with a guard or without, and with a rule for all."""
    when = guarded if isinstance(guarded, tuple) else ()
    guard = Rule(id="keep-open", then="leave", tests=(some.OPEN,), when=when)
    of_all = Rule(id="often", when=(EVERY, "robot"), tests=(some.OF_LEAVE,), per_document=1)
    guards, acting = st.just(guard) if isinstance(guarded, tuple) else None, some.leave_over
    return st.booleans().flatmap(
        lambda both: some.a_file(guards, acting, st.just(of_all) if both else None)
    )


USUAL = Profile(machine=Model)
STORMY = Profile(machine=Model, parts=STORM, scene=Scene(kind="cloud"))
ANYTHING = Profile(
    machine=Anything,
    policies=some.any_policy,
    parts=SWEPT,
    scene=Scene(
        templates=("61", "61", "62"),
        of_vip=(2,),
        waiting=("5", "9", "9"),
        starters=("1", "7", "9", "0"),
        ages=(0.0, 0.0, 30.0, 76.0),
        lists=True,
    ),
)
ANYTHING_STORMY = replace(
    ANYTHING,
    parts=replace(STORM, sweep_every=SWEPT.sweep_every),
    scene=replace(ANYTHING.scene, crowd=51, kind="cloud"),
)
GUARDS = Profile(
    machine=Due,
    policies=st.sampled_from(some.WHENS).flatmap(_guarded),
    parts=SWEPT,
    scene=Scene(templates=("61",), of_vip=(1, 2)),
)
KEPT = Profile(
    machine=Kept,
    policies=some.a_file(
        some.a_rule(
            "one-each",
            when=[(EVERY,), ("deal.updated",), (EVERY, "deal.updated")],
            tests=[(some.OF_BOTH,)],
            keep=["newest", "oldest"],
            count=[*some.COUNTS],
            per=[*some.PERS],
            wait=[60, 60, 0],
        )
    ),
    parts=SWEPT,
)
SCHEDULED = Profile(
    machine=Returning,
    policies=st.permutations(
        [
            Rule(id="often", when=(EVERY,), tests=(some.LOST, some.OF_61)),
            Rule(id="nightly", when=(NIGHTLY,), tests=(some.OF_BOTH,)),
        ]
    ).map(lambda rules: Policy(file=tuple(rules))),
    parts=SWEPT,
)
ASKED = Profile(
    machine=Moving,
    policies=some.a_file(
        some.a_rule(
            "lost-deal",
            when=[("deal.updated", "deal.added")],
            tests=[(some.OF_61,)],
            unless=[(some.FOR_VIP,)],
        )
    ),
    parts=STORM,
    scene=Scene(templates=("61",), waiting=("5", "7"), crowd=51),
)
PROVED = replace(ASKED, parts=PLAIN, scene=Scene(templates=("61",), waiting=("9",)))
SLICED = Profile(
    machine=Storms,
    policies=some.a_file(
        some.a_rule("lost-deal", when=[("deal.updated",)], tests=[(some.OF_61,)], per_hour=[5, 4])
    ),
    parts=STORM,
    scene=Scene(templates=("61", "61", "61")),
)
REFUSED = Profile(
    machine=Refused,
    policies=some.a_file(
        some.a_rule("lost-deal", when=[("deal.updated",)], tests=[(some.OF_61,)], per_document=[3])
    ),
    scene=Scene(templates=("61",)),
)
LOST = replace(SLICED, machine=Lost)
PAUSED = Profile(
    machine=Lets,
    policies=some.a_file(
        some.a_rule("often", when=[(EVERY,)], tests=[(some.OF_61,)], per_run=[4, 5])
    ),
    parts=SWEPT,
    scene=Scene(templates=("61",)),
)
LISTS = Profile(
    machine=Listed,
    policies=st.sampled_from([*some.GUARDED_LISTS, "no guard"]).flatmap(_with_lists),
    parts=SWEPT,
    scene=Scene(templates=(), lists=True),
)
GROUPS = Profile(
    machine=Grouped,
    policies=some.a_file(
        some.a_rule(
            "one-each",
            when=[(EVERY,), (EVERY, "deal.updated")],
            tests=[(some.OF_BOTH,)],
            keep=["newest", "oldest"],
            count=[*some.COUNTS],
            per=[per for per in some.PERS if any("." in path for path in per)],
            wait=[60, 60, 0],
        )
    ),
    parts=SWEPT,
    scene=Scene(templates=("61", "61"), starters=("1", "7", "9", "8", "0")),
)
LINKS = Profile(
    machine=Linked,
    policies=some.a_file(
        some.a_rule(
            "lost-deal",
            when=[("deal.updated",)],
            tests=[(some.OF_61,), (some.OF_61, some.OF_CHIEFS), (some.OF_61, some.ORPHANED)],
            unless=[(some.OF_BANKS,), (some.OF_BANKS,), (some.MADE_BY_LEAVERS,), ()],
        )
    ),
    scene=Scene(templates=("61",)),
)
WORKED = Profile(
    machine=Aging,
    policies=some.a_file(
        some.a_rule(
            "stale",
            when=[("deal.updated",), ("deal.updated", EVERY)],
            tests=[(some.OF_BOTH, some.OLD), (some.OF_BOTH, some.OLDER)],
            unless=[(), (some.BY_LEAVERS,)],
        )
    ),
    parts=SWEPT,
    scene=Scene(starters=("1", "1", "9", "8"), ages=(0.0, 30.0, 76.0, 80.0, 100.0, 7.0)),
)
PROFILES = {name: found for name, found in globals().items() if isinstance(found, Profile)}
