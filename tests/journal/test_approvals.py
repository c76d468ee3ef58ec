"""What asks first, as it is kept: held until it is approved, and no other with it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from responder.journal import approvals, open_stops
from responder.journal import record as journal
from responder.journal.audit import checkpoints
from responder.journal.audit.verify import verify
from responder.journal.reading import decisions as log
from responder.journal.upkeep.prune import prune
from responder.model import Mode, Outcome
from responder.stop import control
from responder.store import limits
from responder.store.database.database import Connection, Database
from responder.store.database.tables import approvals as table
from responder.store.limits import APPROVAL
from tests.support.evaluations import AT, LATER, MUCH_LATER, REVISION, count, kill, record

LAPSES = AT + timedelta(hours=24)


def asked(
    database: Database, *workflows: str, rule: str = "lost-deal", together: str | None = None
) -> list[str]:
    """Condemn workflows by a rule that asks first; return the names of the decisions."""
    decisions = (replace(kill(name, rule=rule), mode=Mode.APPROVE) for name in workflows)
    made = record(database, *decisions).decisions

    def ask(tx: Connection) -> None:
        for name in made:
            approvals.add(tx, name, together)
            approvals.ask(tx, name, LAPSES, AT)

    database.write(ask)
    return list(made)


def names(database: Database, like: str | None = None) -> list[str]:
    found = database.read(lambda conn: approvals.pending(conn, ["main"], like=like))
    return [one.decision_id for one in found]


def approve(database: Database, *decisions: str, by: str = "anna") -> control.Approved:
    return control.approve(database, decisions, by=by, at=LATER)


def one(database: Database, name: str) -> dict[str, object]:
    found = database.read(partial(log.one, decision_id=name))
    assert found is not None
    return found


def test_what_asks_first_is_held_and_says_who_can_do_what(database: Database) -> None:
    (name,) = asked(database, "a")
    found = one(database, name)
    assert (found["outcome"], found["mode"]) == ("held", "approve")
    assert found["detail"] == (
        f"held until somebody approves it: `responder approve {name}`; "
        "lapses at 2026-09-25T12:00:00.123Z"
    )
    assert database.read(approvals.count_pending) == {"main": 1}


def test_what_is_approved_is_due_at_once_and_no_other_is(database: Database) -> None:
    first, second = asked(database, "a", "b")
    assert approve(database, first) == control.Approved(approved=(first,), refused={})
    (due,) = database.read(lambda conn: open_stops.due(conn, "main", LATER, Outcome.WAITING))
    assert due.decision_id == first
    assert due.approval is not None
    assert (due.approval.by, due.approval.at) == ("anna", LATER)
    assert names(database) == [second]
    assert verify(database, "main").bad is None


def test_what_a_rule_condemned_together_is_one_list(database: Database) -> None:
    here = asked(database, "a", "b")
    record(database, kill("x", Outcome.WOULD_KILL))
    other = asked(database, "c", rule="other-rule", together=here[0].rpartition("-")[0])
    later = asked(database, "d")
    assert names(database, here[0]) == here
    assert names(database, other[0]) == other
    assert names(database, later[0]) == later
    assert names(database, "main-999-1") == names(database, "nonsense") == []


def test_of_several_names_those_that_wait_are_found_in_their_order(database: Database) -> None:
    first, second, third = asked(database, "a", "b", "c")
    approve(database, second)

    def read(conn: Connection) -> list[str]:
        found = approvals.pending_among(conn, [third, second, "nonsense", first, third])
        return [one.decision_id for one in found]

    assert database.read(read) == [third, first]


def test_those_of_one_rule_are_listed_and_counted(database: Database) -> None:
    asked(database, "a")
    (other,) = asked(database, "b", rule="another")

    def read(conn: Connection) -> tuple[list[str], dict[str, int]]:
        found = approvals.pending(conn, ["main"], rule="another", most=5)
        return [one.decision_id for one in found], approvals.count_pending(conn, "another")

    assert database.read(read) == ([other], {"main": 1})


def test_what_a_run_condemned_is_one_list_over_all_documents(database: Database) -> None:
    first = asked(database, "a", together="sweep 1")
    second = asked(database, "b", together="sweep 1")
    third = asked(database, "c", together="sweep 2")
    assert names(database, second[0]) == [*first, *second]
    assert names(database, third[0]) == third


def test_approving_writes_who_approved_what_into_the_chain(database: Database) -> None:
    made = asked(database, "b", "a")
    approve(database, *reversed(made))
    entries = list(checkpoints.export(database, "main"))
    body = entries[-1]["body"]
    assert body == (f'{{"by":"anna","control":"approve","decisions":["{made[0]}","{made[1]}"]}}')


def test_an_approval_that_comes_second_says_so(database: Database) -> None:
    (name,) = asked(database, "a")
    approve(database, name)
    refused = approve(database, name, by="boris").refused
    assert "approved by anna at 2026-09-24T12:00:10.123Z already, and is waiting" in refused[name]


def test_an_approval_that_comes_too_late_is_refused(database: Database) -> None:
    (name,) = asked(database, "a")
    done = control.approve(database, [name], by="anna", at=LAPSES)
    assert done.approved == ()
    assert "it lapsed at 2026-09-25T12:00:00.123Z" in done.refused[name]
    before = LAPSES - timedelta(microseconds=1)
    assert control.approve(database, [name], by="anna", at=before).approved == (name,)


def test_what_does_not_ask_says_what_it_is(database: Database) -> None:
    waiting, would = record(database, kill("a"), kill("b", Outcome.WOULD_KILL)).decisions
    refused = approve(database, waiting, would).refused
    assert refused[waiting] == "it does not wait to be approved: it is waiting"
    assert refused[would] == "it does not wait to be approved: it is would_kill"


def test_of_two_who_approve_the_same_at_once_each_decision_has_one(database: Database) -> None:
    made = asked(database, *(f"w{number}" for number in range(20)))
    with ThreadPoolExecutor() as people:
        one = people.submit(approve, database, *made[:15], by="anna")
        other = people.submit(approve, database, *reversed(made[5:]), by="boris")
        done = [one.result().approved, other.result().approved]
    assert sorted(name for names in done for name in names) == sorted(made)
    assert verify(database, "main").bad is None


@pytest.mark.parametrize("name", ["main-999-1", "nonsense", "other-1-1"])
def test_one_unknown_name_approves_nothing(database: Database, name: str) -> None:
    (asking,) = asked(database, "a")
    with pytest.raises(LookupError):
        approve(database, asking, name)
    assert names(database) == [asking]
    assert verify(database, "main").bad is None


def test_neither_a_rearm_nor_a_resume_frees_what_asks(database: Database) -> None:
    made = asked(database, "a")
    control.rearm(database, ["main"], "lost-deal", known=["lost-deal"], by="anna", at=LATER)
    control.pause(database, ["main"], by="anna", at=LATER)
    assert control.resume(database, ["main"], by="anna", at=LATER) == 0
    assert names(database) == made


def test_what_asks_can_be_cancelled_and_is_not_approved_then(database: Database) -> None:
    (name,) = asked(database, "a")
    control.cancel(database, name, by="anna", at=LATER)
    assert "it is cancelled (cancelled by anna)" in approve(database, name).refused[name]
    assert names(database) == []


def test_what_was_asked_already_keeps_its_list_and_its_time(database: Database) -> None:
    (name,) = asked(database, "a", together="sweep 1")
    database.write(lambda tx: approvals.ask(tx, name, LAPSES + timedelta(hours=5), AT))
    (found,) = database.read(lambda conn: approvals.pending(conn, ["main"]))
    assert (found.together, found.lapses_at) == ("sweep 1", LAPSES)


def test_a_rule_that_asks_nobody_overtakes_one_that_asks(database: Database) -> None:
    (name,) = asked(database, "a")

    def overtake(workflow: str) -> bool:
        return database.write(
            lambda tx: approvals.clear_unapproved(tx, "main", workflow, "other-rule", LATER)
        )

    known = database.read(lambda conn: open_stops.known(conn, "main", ["a", "b"]))
    assert [one.workflow_id for one in known if one.hold == APPROVAL] == ["a"]
    assert not overtake("b")
    assert overtake("a")
    assert not overtake("a")
    found = one(database, name)
    assert found["outcome"] == "cleared"
    assert found["detail"] == "rule other-rule condemns it now, and asks nobody"
    record(database, kill("a"))


def test_what_was_approved_at_once_is_one_set(database: Database) -> None:
    made = [*asked(database, "a", "b"), *asked(database, "c")]
    approve(database, *made)
    due = database.read(lambda conn: open_stops.due(conn, "main", LATER))
    (name,) = {stop.set_name for stop in due}
    assert name is not None
    of_it = database.read(lambda conn: open_stops.of_set(conn, "main", "lost-deal", name))
    assert [stop.decision_id for stop in of_it] == made
    database.write(lambda tx: journal.intend(tx, "main", made[1], LATER, {}))
    left = database.read(lambda conn: open_stops.of_set(conn, "main", "lost-deal", name))
    assert [stop.decision_id for stop in left] == [made[0], made[2]]
    assert database.read(lambda conn: open_stops.of_set(conn, "main", "another", name)) == []


def test_what_asks_is_pruned_with_its_decision(database: Database) -> None:
    (name,) = asked(database, "a")
    control.cancel(database, name, by="anna", at=LATER)
    record(database, kill("b", Outcome.WOULD_KILL))
    assert count(database, table) == 1
    database.write(lambda tx: prune(tx, "main", MUCH_LATER, MUCH_LATER))
    assert count(database, table) == 0


def test_status_counts_what_waits_to_be_approved(database: Database) -> None:
    asked(database, "a", "b")
    held = database.read(lambda conn: limits.held(conn, "main"))
    assert (held, database.read(approvals.count_pending)) == (2, {"main": 2})


def test_what_is_approved_at_once_is_a_set_that_has_not_begun(database: Database) -> None:
    """It was of a set that had, when its rule asked nobody: that one goes on without it."""
    made = asked(database, "a", "b")
    database.write(lambda tx: limits.begin(tx, "main", [("lost-deal", "main-1")], REVISION))
    approve(database, *made)
    found = database.read(lambda conn: open_stops.of_set(conn, "main", "lost-deal", "approval 2"))
    assert [one.begun for one in found] == [False, False]
