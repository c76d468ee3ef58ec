"""Rules that ask first, played by the real rounds: held, approved, judged afresh, or lapsed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from responder.journal import approvals
from responder.journal.audit import checkpoints
from responder.journal.reading import decisions
from responder.stop import control
from tests.random.model_drivers import PORTAL, Happening, Parts
from tests.random.model_watch import Policy
from tests.random.test_model import Model
from tests.random.test_model import folder as folder  # a fixture

pytestmark = pytest.mark.portal

ASKING = Policy(asking=True)
ENFORCING = Policy()
DAY = 86_400.0

Decision = dict[str, object]


class Play:
    """One world in which rules ask first: a deal with two condemned workflows, and more deals."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.world = model.world

    def begin(self, policy: Policy = ASKING, *, enforcing: bool = True) -> "Play":
        self.model.begin(policy=policy, enforcing=enforcing)
        return self

    def happen(self, name: str, *how: object) -> None:
        self.model.run(self.world.happen(Happening(name, how)))

    def event(self, deal: int = 1) -> None:
        """Let an event come and be judged."""
        self.rest(1.1)
        self.happen("deliver", deal, "ONCRMDEALUPDATE", 1)
        self.round()

    def round(self, times: int = 1) -> None:
        for _ in range(times):
            self.model.run(self.world.round({}))

    def rest(self, seconds: float) -> None:
        self.model.run(self.world.pass_time(seconds))

    def approve(self, *names: str) -> control.Approved:
        done = control.approve(self.world.database, names, by="anna", at=self.world.now())
        self.world.look_at_log(None)
        return done

    def asking(self) -> list[str]:
        found = self.world.database.read(lambda conn: approvals.pending(conn, [PORTAL]))
        return [one.decision_id for one in found]

    def decisions(self) -> list[Decision]:
        return [d for d in decisions.decisions(self.world.database) if d["workflow"]]

    def outcomes(self) -> list[object]:
        return [one["outcome"] for one in self.decisions()]

    def details(self) -> list[str]:
        return [str(one["detail"]) for one in self.decisions()]

    @property
    def stopped(self) -> int:
        return len(self.world.watch.stopped)


@pytest.fixture
def play(folder: Path, migrated_file: Path) -> Iterator[Play]:
    """Give a world to play in; it comes to rest and is checked in the end."""
    model = Model.placed(folder, migrated_file, Parts())()
    yield Play(model)
    model.teardown()


def test_what_asks_is_held_and_further_events_add_nothing(play: Play) -> None:
    play.begin().event()
    for _ in range(3):
        play.event()
    assert play.outcomes() == ["held", "held"]
    assert [one["mode"] for one in play.decisions()] == ["approve", "approve"]
    rest = [d for d in decisions.decisions(play.world.database) if d["action"] == "none"]
    assert {one["reason"] for one in rest} == {"unchanged"}
    assert play.stopped == 0


def test_what_is_approved_is_done_and_nothing_else(play: Play) -> None:
    play.begin().event()
    first, second = play.asking()
    assert play.approve(first).approved == (first,)
    play.round(2)
    assert play.outcomes() == ["killed", "held"]
    assert play.details()[0] == "approved by anna at 2026-09-21T14:13:21.100Z"
    assert play.asking() == [second]
    assert play.stopped == 1


def test_who_approved_it_is_part_of_the_proof(play: Play) -> None:
    play.begin().event()
    play.approve(*play.asking())
    play.round()
    entries = list(checkpoints.export(play.world.database, PORTAL))
    (first, _) = [entry["evidence"] for entry in entries if entry["kind"] == "intent"]
    assert '"approved":{"at":"2026-09-21T14:13:21.100Z","by":"anna","entry":2}' in str(first)


def test_what_no_longer_holds_is_cleared_although_it_was_approved(play: Play) -> None:
    play.begin().event()
    play.happen("change_deal", 1, "stageSemanticId", "P")
    play.approve(*play.asking())
    play.round()
    assert play.outcomes() == ["cleared", "killed"]
    assert play.details()[0].startswith("approved by anna at ")
    assert play.details()[0].endswith("; if.deal.stage_semantic_id is F no longer holds")


def test_what_nobody_approves_lapses_after_a_day_and_is_asked_again(play: Play) -> None:
    play.begin().event()
    play.rest(DAY - 10)
    play.round()
    assert play.outcomes() == ["held", "held"]
    play.rest(10)
    play.round()
    assert play.outcomes() == ["cancelled", "cancelled"]
    assert set(play.details()) == {"lapsed: nobody approved it within a day"}
    refused = play.approve("main-1-1").refused
    assert "it is cancelled (lapsed: nobody approved it within a day)" in refused["main-1-1"]
    play.event()
    assert play.outcomes() == ["cancelled", "cancelled", "held", "held"]


def test_it_lapses_although_the_portal_is_shut(play: Play) -> None:
    play.begin().event()
    play.happen("fail", "batch", "401")
    play.event()
    play.happen("fail", "profile", "401")
    play.rest(DAY)
    play.round()
    assert play.outcomes() == ["cancelled", "cancelled"]


def test_what_was_approved_is_held_by_a_pause_and_goes_on_without_another_approval(
    play: Play,
) -> None:
    play.begin().event()
    play.happen("pause")
    play.approve(*play.asking())
    play.round()
    assert play.outcomes() == ["held", "held"]
    assert play.asking() == []
    assert "everything is paused by somebody" in play.details()[0]
    play.rest(3600)
    play.happen("pause")
    play.round()
    assert play.outcomes() == ["killed", "killed"]


def test_an_approval_that_comes_to_nothing_for_a_day_lapses(play: Play) -> None:
    play.begin().event()
    play.happen("pause")
    play.approve(*play.asking())
    play.round()
    play.rest(DAY)
    play.happen("pause")
    play.round()
    assert play.outcomes() == ["cancelled", "cancelled"]
    assert play.details()[0].endswith(
        "; lapsed: it could not be carried out within a day of its approval"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Disabled(Policy):
    """The same rules, switched off."""

    @property
    def text(self) -> str:
        """Write it as rules.yaml."""
        return super(Disabled, self).text.replace("    when:", "    disabled: x\n    when:")


@dataclass(frozen=True, slots=True, kw_only=True)
class InOfficeHours(Policy):
    """The same rules, which act on Mondays and Fridays alone, from two to three o'clock."""

    @property
    def text(self) -> str:
        """Write it as rules.yaml."""
        hours = '{timezone: UTC, days: [mon, fri], from: "14:00", to: "15:00"}'
        text = super(InOfficeHours, self).text.replace("    when:", "    during: office\n    when:")
        return text.replace("rules:", f"calendars: {{office: {hours}}}\nrules:")


def test_what_is_approved_after_hours_is_done_when_they_open_again(play: Play) -> None:
    play.begin(InOfficeHours(asking=True, approved_seconds=5 * DAY)).event()
    assert play.outcomes() == ["held", "held"]
    play.rest(6 * 3600)
    play.approve(*play.asking())
    play.round()
    assert play.outcomes() == ["waiting", "waiting"]
    play.rest(4 * DAY - 6 * 3600)
    play.round()
    assert play.outcomes() == ["killed", "killed"]


def test_nobody_is_asked_after_hours(play: Play) -> None:
    play.begin(InOfficeHours(asking=True)).rest(6 * 3600)
    play.event()
    assert play.outcomes() == ["waiting", "waiting"]
    play.rest(4 * DAY - 6 * 3600)
    play.round()
    assert play.outcomes() == ["held", "held"]


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (Policy(enforced=False), "rule lost-deal is in mode observe now"),
        (Disabled(asking=True), "rule lost-deal no longer condemns it"),
    ],
)
def test_what_its_rule_wants_no_more_is_cleared(play: Play, policy: Policy, why: str) -> None:
    play.begin().event()
    play.model.run(play.world.change_rules(policy))
    play.approve(*play.asking())
    play.round()
    assert play.outcomes()[:2] == ["cleared", "cleared"]
    assert why in play.details()[0]


def test_what_was_approved_is_done_although_its_rule_asks_no_more(play: Play) -> None:
    play.begin().event()
    play.model.run(play.world.change_rules(ENFORCING))
    play.approve(*play.asking())
    play.round()
    assert play.outcomes() == ["killed", "killed"]


def test_a_rule_that_asks_no_more_condemns_anew_what_is_held(play: Play) -> None:
    play.begin().event()
    play.model.run(play.world.change_rules(ENFORCING))
    play.event()
    assert play.outcomes() == ["cleared", "cleared", "killed", "killed"]
    assert play.details()[0] == "rule lost-deal condemns it now, and asks nobody"
    assert [one["mode"] for one in play.decisions()][2:] == ["enforce", "enforce"]


def test_what_waits_is_asked_for_once_its_rule_begins_to_ask(play: Play) -> None:
    play.begin(Policy(waiting=True)).event()
    assert play.outcomes() == ["waiting", "waiting"]
    play.model.run(play.world.change_rules(Policy(waiting=True, asking=True)))
    play.rest(61)
    play.round()
    assert play.outcomes() == ["held", "held"]
    play.approve(*play.asking())
    play.round()
    assert play.outcomes() == ["killed", "killed"]


def test_what_waits_and_asks_is_not_done_because_its_rule_asks_no_more(play: Play) -> None:
    play.begin(Policy(waiting=True, asking=True)).event()
    play.model.run(play.world.change_rules(Policy(waiting=True)))
    play.rest(61)
    play.round(2)
    assert play.outcomes()[:2] == ["cleared", "cleared"]
    assert "rule lost-deal is in mode enforce now" in play.details()[0]
    assert play.stopped == 0


def test_a_rule_with_a_wait_asks_when_the_wait_is_over(play: Play) -> None:
    play.begin(Policy(waiting=True, asking=True)).event()
    assert play.outcomes() == ["waiting", "waiting"]
    assert (
        "does not wait to be approved: it is waiting"
        in play.approve("main-1-1").refused["main-1-1"]
    )
    play.rest(61)
    play.round()
    assert play.outcomes() == ["held", "held"]
    play.rest(DAY - 62)
    assert play.approve("main-1-1").approved == ("main-1-1",)


def test_where_nothing_is_enforced_nobody_is_asked(play: Play) -> None:
    play.begin(enforcing=False).event()
    assert play.outcomes() == ["would_kill", "would_kill"]
    assert [one["mode"] for one in play.decisions()] == ["observe", "observe"]


def test_a_list_over_the_limit_is_approved_and_not_begun(play: Play) -> None:
    play.begin(Policy(asking=True, per_hour=2))
    for deal in (1, 2, 3):
        play.event(deal)
    of_one_rule = [str(d["id"]) for d in play.decisions() if d["rule"] == "lost-deal"]
    play.approve(*of_one_rule)
    play.round()
    assert play.stopped == 0
    detail = next(str(d["detail"]) for d in play.decisions() if d["rule"] == "lost-deal")
    assert "3 condemned at once and 0 within the last hour, per_hour is 2" in detail
    play.happen("rearm", "small-deal")
    assert len(play.asking()) == 3


def test_two_of_a_list_within_the_limit_are_done(play: Play) -> None:
    play.begin(Policy(asking=True, per_hour=2))
    for deal in (1, 2, 3):
        play.event(deal)
    of_one_rule = [str(d["id"]) for d in play.decisions() if d["rule"] == "lost-deal"]
    play.approve(*of_one_rule[:2])
    play.round()
    assert play.stopped == 2


def test_what_ended_meanwhile_is_gone_and_what_was_cancelled_stays_so(play: Play) -> None:
    play.begin().event()
    gone, cancelled = play.asking()
    play.approve(gone, cancelled)
    play.happen("end_workflow", 0)
    control.cancel(play.world.database, cancelled, by="boris", at=play.world.now())
    play.world.look_at_log(None)
    play.round()
    assert play.outcomes() == ["already_gone", "cancelled"]
    assert play.details()[0].startswith("approved by anna at ")
