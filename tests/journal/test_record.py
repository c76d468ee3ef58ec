"""The decision log: what is written is read back, once, whole, in the promised shape."""

import json
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from responder.journal import chain, open_stops
from responder.journal import record as journal
from responder.journal.audit.verify import verify
from responder.journal.entries import NewDecision
from responder.journal.reading import decisions
from responder.model import (
    Action,
    Condition,
    Mode,
    Names,
    Outcome,
    Reason,
    Traced,
    Unknown,
    Workflow,
)
from responder.store.database.database import Database
from responder.store.database.tables import entries, evidence
from responder.store.inbox import inbox, second_looks
from tests.support.evaluations import (
    AT,
    DEAL,
    LATER,
    MUCH_LATER,
    NONE,
    REVISION,
    condition,
    count,
    deliver,
    evaluation,
    kill,
    record,
    traced,
    workflow,
)
from tests.support.next_due import next_due

A, B = "65e5a449e8f135.00000001", "65e5a449e8f135.00000002"


def one(database: Database, decision_id: str) -> dict[str, object]:
    found = database.read(partial(decisions.one, decision_id=decision_id))
    assert found is not None
    return found


def test_a_decision_is_printed_in_the_promised_shape(database: Database) -> None:
    ids = database.write(deliver("deal:759", "deal:759", "deal:759"))
    names = Names(title="Acme", amount="52000.00", starter="Anna Petrova", waiting_for=("Boris",))
    condemned = replace(kill(), names=names)
    new = replace(evaluation(condemned, NONE), deliveries=tuple(ids), received_at=AT)
    recorded = database.write(lambda tx: journal.record(tx, new))
    assert recorded == journal.Recorded("main-1", ("main-1-1", "main-1-2"))
    killed, none = decisions.decisions(database)
    assert killed == {
        "id": "main-1-1",
        "evaluation": "main-1",
        "events": 3,
        "at": "2026-09-24T12:00:00.123Z",
        "portal": "main",
        "trigger": "event",
        "event": "ONCRMDEALUPDATE",
        "event_names": ["ONCRMDEALADD", "ONCRMDEALUPDATE"],
        "document": ["crm", "CCrmDocumentDeal", "DEAL_759"],
        "workflow": {
            "id": "65e5a449e8f135.21284909",
            "template_id": 61,
            "started": "2026-09-20T10:00:00+03:00",
            "started_by": "1",
            "template": {"name": "Approval"},
        },
        "names": {
            "title": "Acme",
            "amount": "52000.00",
            "starter": "Anna Petrova",
            "waiting_for": ["Boris"],
        },
        "rule": "lost-deal",
        "because": "A lost deal needs no approval.",
        "action": "kill",
        "reason": None,
        "mode": "enforce",
        "ruleset": REVISION,
        "conditions": [
            {
                "rule": "lost-deal",
                "path": "if.deal.stage_semantic_id",
                "test": "is F",
                "value": "F",
                "holds": True,
                "workflow": "65e5a449e8f135.21284909",
            }
        ],
        "facts": {"deal.stage_semantic_id": "F", "document.exists": True},
        "outcome": "waiting",
        "receipt": None,
        "verified_at": None,
        "detail": None,
        "concluded_at": None,
    }
    assert (none["action"], none["reason"], none["workflow"]) == ("none", "no_match", None)
    assert (none["outcome"], none["receipt"], none["mode"], none["rule"]) == (None,) * 4
    assert none["names"] is None
    assert none["conditions"][0]["why"] == "x"  # type: ignore[index]
    assert json.loads(json.dumps(killed)) == killed


def test_what_has_no_document_and_no_event_says_so(database: Database) -> None:
    new = replace(
        evaluation(NewDecision(reason=Reason.NO_RULE)),
        document=None,
        event=None,
        event_names=(),
        trigger="robot",
        facts={},
    )
    database.write(lambda tx: journal.record(tx, new))
    (found,) = decisions.decisions(database)
    assert (found["document"], found["event"], found["event_names"]) == (None, None, None)
    assert found["trigger"] == "robot"


def test_an_evaluation_concludes_its_deliveries_or_nothing_is_written(database: Database) -> None:
    ids = database.write(deliver("deal:759", "deal:759"))
    new = replace(evaluation(NONE), deliveries=tuple(ids))
    database.write(lambda tx: journal.record(tx, new))
    assert database.read(inbox.depth) == {}
    with pytest.raises(inbox.AlreadyConcluded):
        database.write(lambda tx: journal.record(tx, new))
    assert len(list(decisions.decisions(database))) == 1
    assert {each.evaluation for each in inbox.received(database)} == {"main-1"}


def test_the_head_of_the_chain_is_locked_before_decisions_are(emptied_postgres: str) -> None:
    """Whoever approves or cancels locks in this order too, so none waits for the other."""
    database = Database(emptied_postgres)
    database.open()
    name = record(database, kill(A), kill(B)).decisions[0]
    locks: list[str] = []

    def hear(*told: object) -> None:
        statement = str(told[2])
        if "FOR UPDATE" in statement:
            locks.append("chains" if "FROM chains" in statement else "decisions")

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        database.write(lambda tx: journal.intend(tx, "main", name, LATER, {}))
        first = locks[0]
        locks.clear()
        database.write(lambda tx: journal.conclude(tx, name, Outcome.KILLED, at=MUCH_LATER))
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
        database.close()
    assert (first, locks[0]) == ("chains", "chains")


def test_a_stop_goes_from_condemned_to_killed_and_verified(database: Database) -> None:
    name = record(database, kill(A)).decisions[0]
    (stop,) = database.read(lambda c: open_stops.due(c, "main", LATER))
    assert (stop.decision_id, stop.document, stop.workflow_id) == (name, DEAL, A)
    assert (stop.outcome, stop.action, stop.tries, stop.calls) == (
        Outcome.WAITING,
        Action.KILL,
        0,
        0,
    )
    assert (stop.condemned_at, stop.due_at) == (AT, AT)
    assert stop.event_names == ("ONCRMDEALADD", "ONCRMDEALUPDATE")

    database.write(lambda tx: journal.intend(tx, "main", name, LATER, {"row": {"ID": A}}))
    (stop,) = database.read(lambda c: open_stops.open_stops(c, "main"))
    assert (stop.outcome, stop.calls, stop.called_at) == (Outcome.IN_DOUBT, 1, LATER)

    verify_at = LATER + timedelta(seconds=2)
    database.write(
        lambda tx: journal.conclude(
            tx, name, Outcome.KILLED, at=LATER, receipt=True, detail="done", verify_at=verify_at
        )
    )
    assert database.read(lambda c: open_stops.open_stops(c, "main")) == []
    assert database.read(lambda c: open_stops.to_verify(c, "main", LATER)) == []
    assert database.read(lambda c: next_due(c, "main")) == verify_at
    (stop,) = database.read(lambda c: open_stops.to_verify(c, "main", verify_at))
    assert (stop.decision_id, stop.outcome) == (name, Outcome.KILLED)

    database.write(lambda tx: journal.verify_later(tx, name, MUCH_LATER))
    assert database.read(lambda c: open_stops.to_verify(c, "main", verify_at)) == []
    database.write(lambda tx: journal.verified(tx, name, MUCH_LATER))
    assert database.read(lambda c: open_stops.to_verify(c, "main", MUCH_LATER)) == []
    told = one(database, name)
    assert (told["outcome"], told["receipt"], told["detail"]) == ("killed", True, "done")
    assert told["verified_at"] == "2026-09-24T13:00:00.123Z"
    assert told["concluded_at"] == "2026-09-24T12:00:10.123Z"


def test_a_workflow_that_came_back_is_not_shown_as_verified(database: Database) -> None:
    name = record(database, kill(A)).decisions[0]
    database.write(
        lambda tx: journal.conclude(tx, name, Outcome.KILLED, at=AT, receipt=True, verify_at=LATER)
    )
    database.write(lambda tx: journal.verified(tx, name, LATER, absent=False))
    assert one(database, name)["verified_at"] is None
    assert database.read(lambda c: open_stops.to_verify(c, "main", MUCH_LATER)) == []
    record(database, kill(A))


def test_what_is_settled_stays_settled(database: Database) -> None:
    name = record(database, kill(A)).decisions[0]
    database.write(lambda tx: journal.conclude(tx, name, Outcome.CLEARED, at=LATER))
    writes = count(database, entries)
    for again in (
        lambda tx: journal.conclude(tx, name, Outcome.KILLED, at=LATER),
        lambda tx: journal.intend(tx, "main", name, LATER, {}),
        lambda tx: journal.postpone(
            tx, name, Outcome.WAITING, at=AT, due_at=LATER, tries=1, detail=None
        ),
    ):
        with pytest.raises(journal.NotOpen):
            database.write(again)
    assert count(database, entries) == writes
    assert one(database, name)["outcome"] == "cleared"


@pytest.mark.parametrize(
    "name", ["", "main", "main-1", "main-1-9", "main-x-1", "main-1-9999999999"]
)
def test_what_is_no_decision_is_not_found(database: Database, name: str) -> None:
    with pytest.raises(journal.NotOpen):
        database.write(lambda tx: journal.conclude(tx, name, Outcome.KILLED, at=AT))
    assert database.read(partial(decisions.one, decision_id=name)) is None


def test_an_intent_of_another_portal_is_refused(database: Database) -> None:
    name = record(database, kill(A)).decisions[0]
    with pytest.raises(journal.NotOpen):
        database.write(lambda tx: journal.intend(tx, "other", name, AT, {}))


def test_a_postponed_stop_is_due_later_and_leaves_no_entry(database: Database) -> None:
    name = record(database, kill(A)).decisions[0]
    before = count(database, entries)
    database.write(
        lambda tx: journal.postpone(
            tx,
            name,
            Outcome.WAITING,
            at=LATER,
            due_at=MUCH_LATER,
            tries=3,
            detail="the portal is busy",
        )
    )
    assert count(database, entries) == before
    assert database.read(lambda c: open_stops.due(c, "main", LATER)) == []
    assert database.read(lambda c: next_due(c, "main")) == MUCH_LATER
    (stop,) = database.read(lambda c: open_stops.due(c, "main", MUCH_LATER))
    assert (stop.tries, one(database, name)["detail"]) == (3, "the portal is busy")
    with pytest.raises(ValueError, match="final"):
        database.write(
            lambda tx: journal.postpone(
                tx, name, Outcome.KILLED, at=LATER, due_at=None, tries=0, detail=None
            )
        )


def test_of_some_workflows_those_are_named_that_are_due_soon(database: Database) -> None:
    record(database, kill(A), kill(B))
    soon = partial(open_stops.due_among, portal="main", workflow_ids=[A, "another"])
    assert database.read(partial(soon, before=LATER)) == {A}
    assert database.read(partial(soon, before=AT)) == set()


def test_a_workflow_has_one_open_stop(database: Database) -> None:
    first = record(database, kill(A)).decisions[0]
    with pytest.raises(journal.AlreadyOpen):
        record(database, kill(B), kill(A))
    with pytest.raises(journal.AlreadyOpen):
        record(database, kill(B), kill(B))
    record(database, kill(A), portal="other")
    database.write(lambda tx: journal.conclude(tx, first, Outcome.CLEARED, at=LATER))
    record(database, kill(A))


def test_decisions_are_filtered_and_come_oldest_first(database: Database) -> None:
    record(database, kill(A), NONE)
    record(database, kill(B, Outcome.WOULD_KILL, rule="other"))
    newer = replace(evaluation(kill(B)), at=MUCH_LATER)
    database.write(lambda tx: journal.record(tx, newer))

    def names(**filters: object) -> list[object]:
        return [each["id"] for each in decisions.decisions(database, **filters)]  # type: ignore[arg-type]

    assert names() == ["main-1-1", "main-1-2", "main-2-1", "main-3-1"]
    assert names(workflow=B) == ["main-2-1", "main-3-1"]
    assert names(rule="other") == ["main-2-1"]
    assert names(outcome="waiting") == ["main-1-1", "main-3-1"]
    assert names(since=LATER) == ["main-3-1"]
    assert names(workflow="nobody") == []


def test_the_tenth_page_is_asked_for_as_the_second_is(database: Database) -> None:
    for _ in range(10):
        record(database, *[NONE] * 100)
    sent: list[str] = []

    def hear(*told: object) -> None:
        sent.append(str(told[2]))

    event.listen(Engine, "before_cursor_execute", hear)
    assert len(list(decisions.decisions(database))) == 1000
    event.remove(Engine, "before_cursor_execute", hear)
    assert len({sql for sql in sent if "ORDER BY decisions.at" in sql}) == 2


def test_a_long_log_is_read_page_by_page(database: Database) -> None:
    for _ in range(3):
        record(database, *(kill(f"{n}", Outcome.WOULD_KILL) for n in range(111)))
    names = [each["id"] for each in decisions.decisions(database)]
    assert len(names) == len(set(names)) == 333


def test_a_follower_sees_every_change_once(database: Database) -> None:
    cursor: dict[str, int] = {}

    def news() -> list[tuple[object, object]]:
        nonlocal cursor
        found, cursor = database.read(lambda c: decisions.changed_since(c, cursor))
        return [(each["id"], each["outcome"]) for each in found]

    assert news() == []
    name = record(database, kill(A), NONE).decisions[0]
    record(database, NONE, portal="other")
    assert news() == [("main-1-1", "waiting"), ("main-1-2", None), ("other-1-1", None)]
    assert news() == []
    database.write(lambda tx: journal.intend(tx, "main", name, AT, {}))
    assert news() == [("main-1-1", "in_doubt")]
    database.write(lambda tx: journal.conclude(tx, name, Outcome.KILLED, at=LATER))
    assert news() == [("main-1-1", "killed")]
    assert database.read(chain.heads) == cursor


def test_a_follower_reads_a_long_past_in_steps(database: Database) -> None:
    def write_many(tx: object) -> None:
        for _ in range(250):
            journal.record(tx, evaluation(NONE))  # type: ignore[arg-type]

    database.write(write_many)
    cursor: dict[str, int] = {}
    seen: list[object] = []
    while True:
        found, new = database.read(lambda c, at=cursor: decisions.changed_since(c, at))  # type: ignore[misc]
        seen += [each["id"] for each in found]
        if new == cursor:
            break
        cursor = new
    assert len(seen) == len(set(seen)) == 250


def test_facts_that_could_not_be_read_say_why(database: Database) -> None:
    new = replace(
        evaluation(NONE), facts={"deal.opportunity": Unknown("no access"), "deal.title": None}
    )
    database.write(lambda tx: journal.record(tx, new))
    (found,) = decisions.decisions(database)
    assert found["facts"] == {"deal.opportunity": {"unknown": "no access"}, "deal.title": None}


def test_erased_evidence_leaves_a_readable_decision(database: Database) -> None:
    record(database, kill(A))
    database.write(lambda tx: tx.execute(evidence.delete()))
    (found,) = decisions.decisions(database)
    assert found["facts"] is None
    assert found["workflow"] == {"id": A, "template_id": 61}
    assert found["conditions"][0]["value"] is None  # type: ignore[index]
    assert found["conditions"][0]["holds"] is True  # type: ignore[index]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(json_values, st.text(st.characters(), max_size=20))
def test_whatever_a_portal_sends_can_be_recorded_read_and_verified(
    database: Database, value: object, words: str
) -> None:
    decision = NewDecision(
        workflow=Workflow(
            id=words, facts={"workflow.template_id": value, "workflow.started": words, words: value}
        ),
        rule="rule",
        because=words,
        action=Action.KILL,
        mode=Mode.OBSERVE,
        traced=traced(condition(value, why=words)),
        outcome=Outcome.WOULD_KILL,
        detail=words,
    )
    new = replace(evaluation(decision), facts={"deal.title": value, words: value}, event=words)
    name = database.write(lambda tx: journal.record(tx, new)).decisions[0]
    told = one(database, name)
    assert json.loads(json.dumps(told)) == told
    assert verify(database, "main").bad is None


@pytest.mark.parametrize(
    "value",
    [10**5000, -(10**4000), float("nan"), float("inf"), b"x", AT, 1e300, 2**64],
    ids=["huge", "long", "nan", "infinite", "bytes", "instant", "float", "over 64 bits"],
)
def test_values_that_json_has_no_word_for_are_kept_as_text(
    database: Database, value: object
) -> None:
    new = replace(evaluation(NONE), facts={"deal.title": value})
    database.write(lambda tx: journal.record(tx, new))
    (found,) = decisions.decisions(database)
    json.dumps(found)
    assert verify(database, "main").bad is None


def test_a_value_nested_without_end_is_cut(database: Database) -> None:
    value: object = "core"
    for _ in range(900):
        value = [value]
    new = replace(evaluation(NONE), facts={"deal.title": value})
    database.write(lambda tx: journal.record(tx, new))
    (found,) = decisions.decisions(database)
    assert "nested too deeply" in json.dumps(found["facts"])


def test_a_thousand_decisions_of_one_evaluation_are_one_entry(database: Database) -> None:
    recorded = record(database, *(kill(f"workflow-{n}") for n in range(1000)))
    assert len(recorded.decisions) == 1000
    assert count(database, entries) == 1
    assert len(database.read(lambda c: open_stops.open_stops(c, "main"))) == 1000


def test_control_stands_in_the_chain(database: Database) -> None:
    database.write(lambda tx: journal.control(tx, "main", AT, {"pause": True, "by": "anna"}))
    assert count(database, entries) == 1
    assert verify(database, "main").bad is None


def test_what_is_due_next_is_the_earliest_of_all(database: Database) -> None:
    assert database.read(lambda c: next_due(c, "main")) is None
    database.write(
        lambda tx: second_looks.schedule(tx, "main", "deal:1", "event", None, ("A",), MUCH_LATER)
    )
    assert database.read(lambda c: next_due(c, "main")) == MUCH_LATER
    record(database, kill(A))
    assert database.read(lambda c: next_due(c, "main")) == AT


def test_a_condition_of_no_workflow_has_no_such_key(database: Database) -> None:
    plain = Condition(rule="r", path="if.x", test="is 1", value=2, holds=False)
    record(database, NewDecision(reason=Reason.NO_MATCH, traced=(Traced(None, (plain,)),)))
    (found,) = decisions.decisions(database)
    assert found["conditions"] == [
        {"rule": "r", "path": "if.x", "test": "is 1", "value": 2, "holds": False}
    ]


def test_a_template_id_that_is_no_number_stays_text(database: Database) -> None:
    odd = Workflow(id=A, facts={**workflow(A).facts, "workflow.template_id": "007"})
    record(database, replace(kill(A), workflow=odd))
    (found,) = decisions.decisions(database)
    assert found["workflow"]["template_id"] == "007"  # type: ignore[index]
