"""What keeps a set that waited from being begun, or finished: each reason as a row."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from responder.journal import approvals
from responder.journal import record as journal
from responder.journal.open_stops import Stop
from responder.judge.plans import Hold
from responder.judge.recheck.recheck import Recheck, progress_of
from responder.judge.stop_lifecycle import Seen, step
from responder.model import Mode, Outcome
from responder.rules.ruleset import Ruleset
from responder.store import limits
from responder.store.database.database import Connection
from responder.store.limits import DOCUMENT, PAUSED, TRIPPED
from tests.judge.make import NOW, a_condemning_rule, a_recheck, approved
from tests.stop.make import (
    PORTAL,
    STANDS,
    Before,
    a_budget,
    a_plan,
    called,
    condemned,
    pause,
    rules,
    still,
    stopped,
    trip,
    tripped,
)

SET = "main-run-7"
OTHER_RULES = "0" * 64


def a_set(
    tx: Connection,
    parts: dict[str, int],
    ruleset: Ruleset,
    *,
    begun: Sequence[str] = (),
    by: str | None = None,
) -> dict[str, list[Stop]]:
    """Write a set that waits, by deals; on some of them one more was called, and is gone."""
    waiting = {on: condemned(tx, n, on, ruleset=ruleset, set_name=SET) for on, n in parts.items()}
    first = [stop for on in begun for stop in condemned(tx, 1, on, ruleset=ruleset, set_name=SET)]
    for stop in first:
        called(tx, stop, NOW - timedelta(minutes=1), Outcome.IN_DOUBT)
    if first:
        limits.begin(tx, PORTAL, [("the-rule", SET)], by or ruleset.revision)
    for stop in first:
        journal.conclude(tx, stop.decision_id, Outcome.KILLED, at=NOW)
    return waiting


ALL = ("1", "2")
TWO_EACH = {"1": 2, "2": 2}
FIVE_ON_1, FIVE_ON_2 = (stopped(5, on, rule="other") for on in ALL)
# the rule's limit, the set by deals, where it was begun, what is at hand, what was before it, and
# which deals are held by what
SETS = {
    "as many as an hour may have": ("per_hour: 4", (), ALL, [], {}),
    "one more than an hour may have": ("per_hour: 3", (), ALL, [], dict.fromkeys(ALL, TRIPPED)),
    "it is too much, however little is at hand": (
        "per_hour: 3",
        (),
        ("1",),
        [],
        dict.fromkeys(ALL, TRIPPED),
    ),
    "with what was done within the hour it is too much": (
        "per_hour: 4",
        (),
        ALL,
        [stopped(1, "3")],
        dict.fromkeys(ALL, TRIPPED),
    ),
    "everything is paused": ("", (), ("1",), [pause], dict.fromkeys(ALL, PAUSED)),
    "its rule is tripped": ("", (), ("1",), [trip], dict.fromkeys(ALL, TRIPPED)),
    "one of its documents has had too much": ("", (), ALL, [FIVE_ON_1], {"1": DOCUMENT}),
    "each of them has": ("", (), ALL, [FIVE_ON_1, FIVE_ON_2], dict.fromkeys(ALL, DOCUMENT)),
    "what has begun is finished though it is too much": ("per_hour: 1", ALL, ALL, [], {}),
    "what has begun is finished though its rule is tripped": ("", ALL, ALL, [trip], {}),
    "what has begun is finished on its document": ("per_document: 1", ALL, ALL, [], {}),
    "what has begun is held by the pause": ("", ALL, ("1",), [pause], dict.fromkeys(ALL, PAUSED)),
    "where it has not begun a document may have had too much": (
        "",
        ("1",),
        ALL,
        [FIVE_ON_2],
        {"2": DOCUMENT},
    ),
    "where it has begun that is no matter": ("", ("1",), ALL, [FIVE_ON_1], {}),
}


@pytest.mark.parametrize(("limit", "begun", "hand", "before", "held"), SETS.values(), ids=SETS)
def test_what_holds_a_set_that_waited(
    tx: Connection,
    limit: str,
    begun: Sequence[str],
    hand: Sequence[str],
    before: list[Before],
    held: dict[str, str],
) -> None:
    ruleset = rules(limit)
    waiting = a_set(tx, TWO_EACH, ruleset, begun=begun)
    for one in before:
        one(tx)
    at_hand = [still(stop) for on in hand for stop in waiting[on]]
    found = a_budget(tx, ruleset).hold_all(at_hand)
    expected = {s.decision_id: by for on, by in held.items() for s in waiting[on]}
    assert {decision: hold.by for decision, (_, hold) in found.items()} == expected
    assert ("the-rule" in tripped(tx)) == (TRIPPED in held.values() or trip in before)


def test_what_was_begun_by_other_rules_is_begun_anew_or_not_at_all(tx: Connection) -> None:
    ruleset = rules()
    waiting = a_set(tx, TWO_EACH, ruleset, begun=ALL, by=OTHER_RULES)
    trip(tx)
    held = a_budget(tx, ruleset).hold_all([still(stop) for stop in waiting["1"]])
    assert {hold.by for _, hold in held.values()} == {TRIPPED}
    assert len(held) == 4


def test_what_is_left_of_a_begun_set_counts_for_its_rule(tx: Connection) -> None:
    ruleset = rules("per_hour: 5")
    a_set(tx, TWO_EACH, ruleset, begun=ALL)  # two are gone, four will be
    assert a_budget(tx, ruleset).hold_plan(a_plan(1, "3", ruleset)).keys() == {"the-rule"}


def test_what_waits_of_a_set_that_has_not_begun_counts_for_nothing(tx: Connection) -> None:
    ruleset = rules("per_hour: 5")
    a_set(tx, TWO_EACH, ruleset)
    assert a_budget(tx, ruleset).hold_plan(a_plan(5, "3", ruleset)) == {}


def test_two_sets_of_a_rule_in_one_batch_count_together(tx: Connection) -> None:
    ruleset = rules("per_hour: 3")
    first = condemned(tx, 2, "1", ruleset=ruleset, set_name="one")
    second = condemned(tx, 2, "2", ruleset=ruleset, set_name="two")
    held = a_budget(tx, ruleset).hold_all([still(stop) for stop in (*first, *second)])
    assert set(held) == {stop.decision_id for stop in second}


def test_a_set_that_goes_on_counts_on_the_documents_it_comes_to(tx: Connection) -> None:
    """It was counted to its rule when it began; on a document it is new."""
    ruleset = rules("per_hour: 5, per_document: 2")
    waiting = a_set(tx, {"1": 1, "2": 2}, ruleset, begun=["1"])
    budget = a_budget(tx, ruleset)
    assert budget.hold_all([still(stop) for on in ALL for stop in waiting[on]]) == {}
    hold = budget.hold_plan(a_plan(1, "2", ruleset))["the-rule"]
    assert isinstance(hold, Hold)
    assert hold.by == DOCUMENT


def test_a_stop_of_a_version_that_knew_no_sets_is_one_by_itself(tx: Connection) -> None:
    ruleset = rules("per_hour: 1")
    stops = [replace(one, set_name=None) for one in condemned(tx, 2, ruleset=ruleset)]
    held = a_budget(tx, ruleset).hold_all([still(stop) for stop in stops])
    assert list(held) == [stops[1].decision_id]


def cleared(stop: Stop) -> Recheck:
    taken = step(Outcome.WAITING, Seen.SPARED, progress_of(stop), NOW, "not condemned any more")
    return replace(STANDS, stop=stop, step=taken, verdict=None)


def unread(stop: Stop) -> Recheck:
    taken = step(Outcome.WAITING, Seen.UNREADABLE, progress_of(stop), NOW, "the list broke")
    return replace(STANDS, stop=stop, step=taken, verdict=None)


def unapproved(stop: Stop) -> Recheck:
    asking = a_recheck(replace(STANDS.stop, asks=True), a_condemning_rule(mode="approve"))
    return replace(asking, stop=replace(stop, asks=True))


def observed(stop: Stop) -> Recheck:
    return replace(STANDS, stop=replace(stop, shadow=True))


NOT_ASKED = {
    "it is cleared": cleared,
    "it could not be read": unread,
    "nobody has approved it": unapproved,
    "it is only observed": observed,
}


@pytest.mark.parametrize("of", NOT_ASKED.values(), ids=NOT_ASKED)
def test_what_would_not_be_called_is_held_by_nothing(
    tx: Connection, of: Callable[[Stop], Recheck]
) -> None:
    pause(tx)
    (stop,) = condemned(tx, 1)
    assert a_budget(tx).hold_all([of(stop)]) == {}


# what becomes of the second of two stops, where a rule may stop one in an hour
SET_OF_TWO = {
    "it is cleared now": (cleared, False),
    "it could not be read and still waits": (unread, True),
    "it stands": (still, True),
}


@pytest.mark.parametrize(("second", "held"), SET_OF_TWO.values(), ids=SET_OF_TWO)
def test_a_set_is_what_still_waits_of_it(
    tx: Connection, second: Callable[[Stop], Recheck], held: bool
) -> None:
    ruleset = rules("per_hour: 1")
    stops = condemned(tx, 2, ruleset=ruleset)
    found = a_budget(tx, ruleset).hold_all([still(stops[0]), second(stops[1])])
    assert set(found) == ({stop.decision_id for stop in stops} if held else set())


def test_an_approved_stop_is_held_by_the_pause_like_any_other(tx: Connection) -> None:
    (stop,) = condemned(tx, 1)
    pause(tx)
    one = replace(unapproved(stop), stop=replace(stop, asks=True, approval=approved(1)))
    assert [hold.by for _, hold in a_budget(tx).hold_all([one]).values()] == [PAUSED]


# the rule's limit, how many several runs condemned, how many each counted, and what is held
OF_RUNS = {
    "as many as a run may have": ("per_run: 3", [(1, 50), (2, 50)], None),
    "together they are too many": (
        "per_run: 2",
        [(1, 50), (2, 50)],
        "3 condemned in one run, per_run is 2",
    ),
    "of the fewest that ran": (
        "percent_of_running: 10",
        [(1, 100), (2, 20)],
        "3 condemned of 20 running, percent_of_running is 10",
    ),
    "nobody knows how many ran": ("percent_of_running: 10", [(3, None)], None),
}


@pytest.mark.parametrize(("limit", "runs", "why"), OF_RUNS.values(), ids=OF_RUNS)
def test_what_several_runs_condemned_while_it_was_held_is_one_run(
    tx: Connection, limit: str, runs: list[tuple[int, int | None]], why: str | None
) -> None:
    ruleset = rules(limit)
    stops = [
        stop
        for n, running in runs
        for stop in condemned(
            tx, n, ruleset=ruleset, trigger="sweep", set_name=SET, running=running
        )
    ]
    held = a_budget(tx, ruleset).hold_all([still(stop) for stop in stops])
    assert len(held) == (0 if why is None else len(stops))
    assert tripped(tx) == ({} if why is None else {"the-rule": why})


def test_what_people_approved_of_a_run_is_no_run(tx: Connection) -> None:
    ruleset = rules("per_run: 1", mode="approve")
    stops = condemned(
        tx, 2, ruleset=ruleset, mode=Mode.APPROVE, trigger="sweep", set_name=SET, running=50
    )
    for stop in stops:
        approvals.ask(tx, stop.decision_id, NOW + timedelta(hours=1), NOW)
    approvals.approve(tx, PORTAL, [stop.decision_id for stop in stops], "anna", NOW)
    agreed = [still(journal.open_stop(tx, stop.decision_id)) for stop in stops]
    assert a_budget(tx, ruleset).hold_all(agreed) == {}
