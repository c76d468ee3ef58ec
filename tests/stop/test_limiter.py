"""What keeps new stops from being begun: the pause, a trip, each limit, each as a row."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from responder.adapters.metrics import Metrics
from responder.judge.plans import Hold, RunSets
from responder.model import Outcome
from responder.store import limits
from responder.store.database.database import Connection
from responder.store.database.tables import entries
from responder.store.limits import DOCUMENT, PAUSED, RUN, TRIPPED
from tests.stop.make import (
    PORTAL,
    Before,
    a_budget,
    a_plan,
    called_in_vain,
    condemned,
    found_running,
    pause,
    rearm,
    rules,
    stopped,
    trip,
    tripped,
    would_stop,
)

HOUR, DAY = timedelta(hours=1), timedelta(hours=24)
SECOND = timedelta(seconds=1)
FREE: str | None = None
PER_HOUR_2, PER_DOCUMENT_2 = "per_hour: 2", "per_document: 2"

# the rule's limit, what was before, how many are condemned on deal 1, and by what they are held
NEW = {
    "by default five on one document": ("", [], 5, FREE),
    "by default not six on one document": ("", [], 6, DOCUMENT),
    "as many as an hour may have": (PER_HOUR_2, [], 2, FREE),
    "one more than an hour may have": (PER_HOUR_2, [], 3, TRIPPED),
    "none at all": ("per_hour: 0", [], 1, TRIPPED),
    "none on any document": ("per_document: 0", [], 1, DOCUMENT),
    "some were stopped within the hour": (PER_HOUR_2, [stopped(1, "2")], 1, FREE),
    "too many were stopped within the hour": (PER_HOUR_2, [stopped(2, "2")], 1, TRIPPED),
    "an hour ago to the second": (PER_HOUR_2, [stopped(2, "2", ago=HOUR)], 1, TRIPPED),
    "longer ago than an hour": (PER_HOUR_2, [stopped(2, "2", ago=HOUR + SECOND)], 1, FREE),
    "another rule did it": (PER_HOUR_2, [stopped(2, "2", rule="other")], 1, FREE),
    "another rule did it on this document": (
        PER_DOCUMENT_2,
        [stopped(2, rule="other")],
        1,
        DOCUMENT,
    ),
    "on another document": (PER_DOCUMENT_2, [stopped(2, "2")], 1, FREE),
    "within a day on this document": (PER_DOCUMENT_2, [stopped(2, ago=DAY)], 1, DOCUMENT),
    "longer ago than a day": (PER_DOCUMENT_2, [stopped(2, ago=DAY + SECOND)], 1, FREE),
    "as many as a document may have": (PER_DOCUMENT_2, [stopped(1, ago=DAY)], 1, FREE),
    "everything is paused": ("", [pause], 1, PAUSED),
    "its rule is tripped": ("", [trip], 1, TRIPPED),
    "the pause is said before the trip": ("", [pause, trip], 1, PAUSED),
    "the rule was rearmed": ("", [trip, rearm], 1, FREE),
    "what was before it was rearmed is forgiven": (PER_HOUR_2, [stopped(2), rearm], 1, FREE),
    "on a document too": (PER_DOCUMENT_2, [stopped(2), rearm], 1, FREE),
    "what was after is not": (PER_HOUR_2, [stopped(2), rearm, stopped(2, "2")], 1, TRIPPED),
}


@pytest.mark.parametrize(("limit", "before", "number", "by"), NEW.values(), ids=NEW)
def test_what_holds_a_new_set(
    tx: Connection, limit: str, before: list[Before], number: int, by: str | None
) -> None:
    for one in before:
        one(tx)
    ruleset = rules(limit)
    holds = a_budget(tx, ruleset).hold_plan(a_plan(number, ruleset=ruleset))
    if by is FREE:
        assert holds == {}
        return
    hold = holds["the-rule"]
    assert isinstance(hold, Hold)
    assert hold.by == by
    assert ("the-rule" in tripped(tx)) == (by == TRIPPED or trip in before)


UNKNOWN_LIST, OF_LIST_23 = r"lists|Bitrix\Lists\BizprocDocumentLists|7", "list_23:7"
UNKNOWN_FEED, OF_FEED_23 = "lists|BizprocDocument|7", "feed_23:7"
ELEMENTS = [
    (UNKNOWN_LIST, OF_LIST_23, True),
    (OF_LIST_23, UNKNOWN_LIST, True),
    (OF_LIST_23, OF_LIST_23, True),
    (UNKNOWN_FEED, OF_FEED_23, True),
    (OF_FEED_23, UNKNOWN_FEED, True),
    (OF_LIST_23, OF_FEED_23, False),
    (UNKNOWN_LIST, OF_FEED_23, False),
    (UNKNOWN_LIST, "list_23:17", False),
    ("list_23:77", UNKNOWN_LIST, False),
    (UNKNOWN_LIST, "deal:7", False),
]


@pytest.mark.parametrize(("before", "now", "same"), ELEMENTS)
def test_an_element_is_one_document_whether_its_list_is_known_or_not(
    tx: Connection, before: str, now: str, same: bool
) -> None:
    ruleset = rules(PER_DOCUMENT_2)
    stopped(2, before)(tx)
    budget = a_budget(tx, ruleset)
    (holds,) = budget.hold_plans([a_plan(1, now, ruleset, "schedule")])
    assert ("the-rule" in holds) == same


@pytest.mark.parametrize(("before", "now", "same"), ELEMENTS)
def test_an_element_is_one_document_in_a_batch(
    tx: Connection, before: str, now: str, same: bool
) -> None:
    ruleset = rules(PER_DOCUMENT_2)
    plans = [a_plan(number, on, ruleset, "schedule") for number, on in ((2, before), (1, now))]
    first, second = a_budget(tx, ruleset).hold_plans(plans)
    assert first == {}
    assert ("the-rule" in second) == same


@pytest.mark.parametrize(("before", "now", "same"), ELEMENTS)
def test_an_element_is_one_document_for_a_rule_that_observes(
    tx: Connection, before: str, now: str, same: bool
) -> None:
    ruleset = rules(PER_DOCUMENT_2, mode="observe")
    would_stop(2, before, ago=SECOND)(tx)
    holds = a_budget(tx, ruleset).hold_plan(a_plan(1, now, ruleset, "schedule"))
    assert ("the-rule" in holds) == same


def test_however_many_elements_there_are_the_log_is_searched_once_for_their_names(
    tx: Connection,
) -> None:
    ruleset = rules("per_hour: 1000")
    plans = [a_plan(1, f"list_23:{number}", ruleset, "schedule") for number in range(1, 31)]
    searches: list[str] = []

    def hear(_conn: object, _cursor: object, sql: str, *_: object) -> None:
        searches.append(sql)

    event.listen(tx, "before_cursor_execute", hear)
    assert a_budget(tx, ruleset).hold_plans(plans) == [{}] * 30
    assert sum("LIKE" in sql for sql in searches) == 2


COUNTED = {
    "it was killed": (Outcome.KILLED, True),
    "it was terminated": (Outcome.TERMINATED, True),
    "nobody knows yet": (Outcome.IN_DOUBT, True),
    "an older portal says so of what it stopped": (Outcome.ALREADY_GONE, True),
    "it was never sent": (Outcome.WAITING, False),
    "the portal refused it": (Outcome.REFUSED, False),
    "it was given up, and still runs": (Outcome.GAVE_UP, False),
    "it was cleared": (Outcome.CLEARED, False),
    "somebody cancelled it": (Outcome.CANCELLED, False),
}


@pytest.mark.parametrize(("outcome", "counted"), COUNTED.values(), ids=COUNTED)
def test_what_may_have_stopped_something_counts(
    tx: Connection, outcome: Outcome, counted: bool
) -> None:
    ruleset = rules("per_hour: 1")
    stopped(1, "2", outcome=outcome)(tx)
    holds = a_budget(tx, ruleset).hold_plan(a_plan(1, ruleset=ruleset))
    assert ("the-rule" in holds) == counted


@pytest.mark.parametrize("limit", ["per_hour: 1", "per_document: 1"])
@pytest.mark.parametrize("becomes", [Outcome.HELD, Outcome.CLEARED, Outcome.GAVE_UP])
def test_a_stop_whose_answer_was_lost_counts_though_its_workflow_was_found_running(
    tx: Connection, limit: str, becomes: Outcome
) -> None:
    found_running(becomes)(tx)
    ruleset = rules(limit)
    assert "the-rule" in a_budget(tx, ruleset).hold_plan(a_plan(1, ruleset=ruleset))


def test_a_stop_that_is_called_again_counts_once(tx: Connection) -> None:
    ruleset = rules("per_document: 2")
    found_running(Outcome.KILLED)(tx)
    assert a_budget(tx, ruleset).hold_plan(a_plan(1, ruleset=ruleset)) == {}


def test_a_rearm_forgives_a_stop_that_was_found_running(tx: Connection) -> None:
    ruleset = rules("per_hour: 1, per_document: 1")
    found_running(Outcome.HELD)(tx)
    rearm(tx)
    assert a_budget(tx, ruleset).hold_plan(a_plan(1, ruleset=ruleset)) == {}


@pytest.mark.parametrize("limit", ["per_hour: 2", "per_document: 2"])
def test_what_is_left_of_a_begun_set_counts_once_though_it_was_called(
    tx: Connection, limit: str
) -> None:
    ruleset = rules(limit)
    (stop,) = condemned(tx, 1, ruleset=ruleset)
    limits.begin(tx, PORTAL, [(stop.rule, stop.set_name or "")], ruleset.revision)
    called_in_vain(tx, stop)
    assert a_budget(tx, ruleset).hold_plan(a_plan(1, ruleset=ruleset)) == {}


WHY = {
    PAUSED: ([pause], "", 1, "everything is paused by anna"),
    TRIPPED: (
        [stopped(2, "2")],
        PER_HOUR_2,
        1,
        "rule the-rule is tripped: 1 condemned at once and 2 within the last hour, per_hour is 2; "
        "`responder rearm the-rule`",
    ),
    DOCUMENT: (
        [stopped(1)],
        PER_DOCUMENT_2,
        2,
        "2 condemned on deal:1 and 1 stopped on it within 24 h, per_document is 2: rules fight, or "
        "the workflow restarts itself; `responder rearm the-rule`",
    ),
}


@pytest.mark.parametrize(("before", "limit", "number", "why"), WHY.values(), ids=WHY)
def test_a_hold_says_why_and_what_frees_it(
    tx: Connection, before: list[Before], limit: str, number: int, why: str
) -> None:
    for one in before:
        one(tx)
    ruleset = rules(limit)
    hold = a_budget(tx, ruleset).hold_plan(a_plan(number, ruleset=ruleset))["the-rule"]
    assert isinstance(hold, Hold)
    assert hold.why == why


def test_a_trip_is_an_entry_of_the_log_and_is_measured(tx: Connection) -> None:
    metrics, ruleset = Metrics(), rules("per_hour: 0")
    a_budget(tx, ruleset, metrics).hold_plan(a_plan(1, ruleset=ruleset))
    assert b'responder_rule_tripped{rule="the-rule"} 1.0' in metrics.render()
    bodies = [json.loads(body) for body in tx.execute(select(entries.c.body)).scalars()]
    assert bodies == [{"control": "trip", "rule": "the-rule", "why": tripped(tx)["the-rule"]}]


# the rule's limit, and by deal how many are condemned in one batch: which of them are held
BATCHES = {
    "together they are as many as an hour may have": ("per_hour: 4", {"1": 2, "2": 2}, []),
    "together they are too many": ("per_hour: 4", {"1": 2, "2": 2, "3": 1}, ["3"]),
    "the first that is too many trips for all that follow": (
        "per_hour: 4",
        {"1": 5, "2": 1},
        ["1", "2"],
    ),
    "what a document holds counts for no other": ("per_hour: 4", {"1": 6, "2": 4}, ["1", "2"]),
}


@pytest.mark.parametrize(("limit", "batch", "held"), BATCHES.values(), ids=BATCHES)
def test_what_was_begun_in_the_same_batch_counts(
    tx: Connection, limit: str, batch: dict[str, int], held: list[str]
) -> None:
    ruleset = rules(limit)
    budget = a_budget(tx, ruleset)
    found = [on for on, n in batch.items() if budget.hold_plan(a_plan(n, on, ruleset=ruleset))]
    assert found == held


def test_two_evaluations_of_one_document_in_a_batch_count_together(tx: Connection) -> None:
    ruleset = rules(PER_DOCUMENT_2)
    budget = a_budget(tx, ruleset)
    plans = [a_plan(1, ruleset=ruleset) for _ in range(3)]
    assert [len(budget.hold_plan(plan)) for plan in plans] == [0, 0, 1]


def test_what_waits_for_its_time_has_begun_nothing(tx: Connection) -> None:
    ruleset = rules("per_hour: 1", more="wait: 10m")
    budget = a_budget(tx, ruleset)
    assert [budget.hold_plan(a_plan(1, on, ruleset=ruleset)) for on in ("1", "2")] == [{}, {}]


def test_what_asks_first_is_held_against_no_limit_before_somebody_was_asked(
    tx: Connection,
) -> None:
    ruleset = rules("per_hour: 0", mode="approve")
    pause(tx)
    assert a_budget(tx, ruleset).hold_plan(a_plan(1, ruleset=ruleset)) == {}


# the rule's limit, what it would have done before, and how many it would stop on deal 1
OBSERVED = {
    "as many as an hour may have": (PER_HOUR_2, [would_stop(1, "2", ago=HOUR)], 1, None),
    "it would have tripped": (
        PER_HOUR_2,
        [would_stop(2, "2", ago=HOUR)],
        1,
        "enforced, the rule would have tripped: 1 condemned at once and 2 within the last hour, "
        "per_hour is 2",
    ),
    "longer ago than an hour": (PER_HOUR_2, [would_stop(2, "2", ago=HOUR + SECOND)], 1, None),
    "the document would have been held": (
        PER_DOCUMENT_2,
        [would_stop(2, rule="other", ago=DAY)],
        1,
        "enforced, the document would have been held: 1 condemned on deal:1 and 2 stopped on it "
        "within 24 h, per_document is 2: rules fight, or the workflow restarts itself",
    ),
    "as many as a document may have": (PER_DOCUMENT_2, [would_stop(1, ago=DAY)], 1, None),
    "on another document": (PER_DOCUMENT_2, [would_stop(2, "2", ago=DAY)], 1, None),
    "everything is paused": ("", [pause], 1, None),
    "it is tripped": ("", [trip], 1, None),
}


@pytest.mark.parametrize(("limit", "before", "number", "why"), OBSERVED.values(), ids=OBSERVED)
def test_an_observing_rule_says_what_would_have_held_it_and_nothing_trips(
    tx: Connection, limit: str, before: list[Before], number: int, why: str | None
) -> None:
    for one in before:
        one(tx)
    was = tripped(tx)
    ruleset = rules(limit, mode="observe")
    holds = a_budget(tx, ruleset).hold_plan(a_plan(number, ruleset=ruleset))
    assert holds == ({} if why is None else {"the-rule": why})
    assert tripped(tx) == was


def test_a_document_in_a_run_is_held_by_the_limit_of_a_run_where_it_stands_alone(
    tx: Connection,
) -> None:
    ruleset = rules("per_run: 2")
    in_a_run = a_plan(3, ruleset=ruleset, trigger="schedule")
    by_an_event = a_plan(3, ruleset=ruleset)
    assert a_budget(tx, ruleset).hold_plan(by_an_event) == {}
    hold = a_budget(tx, ruleset).hold_plan(in_a_run)["the-rule"]
    assert isinstance(hold, Hold)
    assert hold.by == TRIPPED


def a_run(number: int, *, running: int = 100, observed: bool = False, before: int = 0) -> RunSets:
    """Have a run condemn so many workflows by the first rule, some of which it did before."""
    some = {"the-rule": [f"w{n}" for n in range(number)]}
    return RunSets(
        acting={} if observed else some,
        observed=some if observed else {},
        running=running,
        before={"the-rule": [f"b{n}" for n in range(before)]},
    )


PER_RUN_2, PERCENT_10 = "per_run: 2", "percent_of_running: 10"
RUNS = {
    "as many as a run may have": (PER_RUN_2, "enforce", [], a_run(2), FREE),
    "one more than a run may have": (PER_RUN_2, "enforce", [], a_run(3), RUN),
    "with what it found before it is too much": (
        PER_RUN_2,
        "enforce",
        [],
        a_run(1, before=2),
        RUN,
    ),
    "as large a part as it may be": (PERCENT_10, "enforce", [], a_run(10), FREE),
    "a larger part": (PERCENT_10, "enforce", [], a_run(11), RUN),
    "a part of so few says nothing": (PERCENT_10, "enforce", [], a_run(19, running=19), FREE),
    "a part of twenty does": (PERCENT_10, "enforce", [], a_run(3, running=20), RUN),
    "no part at all": ("percent_of_running: 0", "enforce", [], a_run(1), RUN),
    "more than an hour may have": (PER_HOUR_2, "enforce", [], a_run(3), RUN),
    "with what it did within the hour": (PER_HOUR_2, "enforce", [stopped(2)], a_run(1), RUN),
    "everything is paused": ("", "enforce", [pause], a_run(1), PAUSED),
    "its rule is tripped": ("", "enforce", [trip], a_run(1), RUN),
    "the trip is said before the pause": ("", "enforce", [pause, trip], a_run(1), RUN),
    "who asks first may ask in a pause": ("", "approve", [pause], a_run(1), FREE),
    "who asks first may ask whatever was done": (
        PER_HOUR_2,
        "approve",
        [stopped(2)],
        a_run(1),
        FREE,
    ),
    "nobody is asked what is certainly too much": (PER_RUN_2, "approve", [], a_run(3), RUN),
    "nobody is asked for a tripped rule": ("", "approve", [trip], a_run(1), RUN),
}


@pytest.mark.parametrize(("limit", "mode", "before", "run", "by"), RUNS.values(), ids=RUNS)
def test_what_holds_the_set_of_a_run(
    tx: Connection, limit: str, mode: str, before: list[Before], run: RunSets, by: str | None
) -> None:
    for one in before:
        one(tx)
    holds = a_budget(tx, rules(limit, mode=mode)).hold_run(run)
    assert {rule: hold.by for rule, hold in holds.items() if isinstance(hold, Hold)} == (
        {} if by is FREE else {"the-rule": by}
    )
    assert ("the-rule" in tripped(tx)) == (by == RUN)


OBSERVED_RUNS: dict[str, tuple[str, list[Before], RunSets, str | None]] = {
    "as many as a run may have": (PER_RUN_2, [], a_run(2, observed=True), None),
    "it would have tripped": (
        PER_RUN_2,
        [],
        a_run(3, observed=True),
        "enforced, the rule would have tripped: 3 condemned in one run, per_run is 2",
    ),
    "so large a part would have": (
        PERCENT_10,
        [],
        a_run(6, observed=True, running=50),
        "enforced, the rule would have tripped: 6 condemned of 50 running, percent_of_running is "
        "10",
    ),
    "as many as an hour may have": (PER_HOUR_2, [], a_run(2, observed=True), None),
    "more than an hour may have": (
        PER_HOUR_2,
        [],
        a_run(3, observed=True),
        "enforced, the rule would have tripped: 3 condemned at once and 0 within the last hour, "
        "per_hour is 2",
    ),
    "with what it would have done within the hour": (
        PER_HOUR_2,
        [would_stop(2, "2", ago=HOUR)],
        a_run(1, observed=True),
        "enforced, the rule would have tripped: 1 condemned at once and 2 within the last hour, "
        "per_hour is 2",
    ),
    "with what it did within the hour": (
        PER_HOUR_2,
        [stopped(2, "2")],
        a_run(1, observed=True),
        "enforced, the rule would have tripped: 1 condemned at once and 2 within the last hour, "
        "per_hour is 2",
    ),
}


@pytest.mark.parametrize(
    ("limit", "before", "run", "why"), OBSERVED_RUNS.values(), ids=OBSERVED_RUNS
)
def test_a_run_of_an_observing_rule_says_what_would_have_held_it(
    tx: Connection, limit: str, before: list[Before], run: RunSets, why: str | None
) -> None:
    for one in before:
        one(tx)
    holds = a_budget(tx, rules(limit, mode="observe")).hold_run(run)
    assert holds == ({} if why is None else {"the-rule": why})
    assert tripped(tx) == {}


HELD_BY_TRIP = (
    "it would be held: rule the-rule is tripped: it did too much; `responder rearm the-rule`"
)
SHOWN = {
    "nothing holds it": ("enforce", [], None),
    "its rule is tripped": ("enforce", [trip], HELD_BY_TRIP),
    "everything is paused": ("enforce", [pause], "it would be held: everything is paused by anna"),
    "who asks first may ask in a pause": ("approve", [pause], None),
    "its rule observes": ("observe", [pause, trip], None),
}


@pytest.mark.parametrize(("mode", "before", "why"), SHOWN.values(), ids=SHOWN)
def test_a_run_that_only_shows_what_it_would_do_says_what_would_hold_it(
    tx: Connection, mode: str, before: list[Before], why: str | None
) -> None:
    for one in before:
        one(tx)
    holds = a_budget(tx, rules("", mode=mode)).hold_run(a_run(1, observed=True))
    assert holds == ({} if why is None else {"the-rule": why})


def test_a_document_of_a_run_that_only_observes_would_have_been_held_by_itself(
    tx: Connection,
) -> None:
    ruleset = rules(PER_DOCUMENT_2, mode="observe")
    budget, plan = a_budget(tx, ruleset), a_plan(3, ruleset=ruleset, trigger="schedule")
    assert budget.of_run(a_plan(2, ruleset=ruleset, trigger="schedule"), {}) == {}
    (why,) = budget.of_run(plan, {}).values()
    assert str(why).startswith("enforced, the document would have been held: 3 condemned on deal:1")
    assert budget.of_run(plan, {"the-rule": "the run"}) == {"the-rule": "the run"}


BY_PAUSE, BY_RUN = Hold(PAUSED, "paused"), Hold(RUN, "tripped")
LET_GO = {
    "nothing held it": ({}, [], False),
    "only words did": ({"the-rule": "so"}, [], False),
    "the pause still holds it": ({"the-rule": BY_PAUSE}, [pause], False),
    "the pause is over": ({"the-rule": BY_PAUSE}, [], True),
    "its rule is still tripped": ({"the-rule": BY_RUN}, [trip], False),
    "its rule was rearmed": ({"the-rule": BY_RUN}, [trip, rearm], True),
    "one of two was let go": ({"other": BY_PAUSE, "the-rule": BY_RUN}, [trip], True),
}


@pytest.mark.parametrize(("holds", "before", "released"), LET_GO.values(), ids=LET_GO)
def test_whether_a_run_is_held_as_it_was_when_it_asked(
    tx: Connection, holds: dict[str, Hold | str], before: list[Before], released: bool
) -> None:
    for one in before:
        one(tx)
    assert a_budget(tx).has_released(holds) is released


def test_what_is_held_of_a_run_is_not_let_go() -> None:
    run = RunSets(acting={"a": ["1"], "b": ["2"]}, observed={"c": ["3"]}, running=3, before={})
    assert run.not_held({"a": BY_RUN, "c": "words hold nothing"}) == {"b": ["2"], "c": ["3"]}


def test_what_a_run_condemned_in_several_tries_counts_once() -> None:
    run = RunSets(acting={}, observed={}, running=3, before={"a": ["1", "2"]})
    assert (run.in_all("a", ["2", "3"]), run.in_all("b", ["3"])) == (3, 1)
