"""A stopped workflow is started anew once, when somebody asks, and the log says what came of it."""

from datetime import timedelta
from typing import cast

import pytest

from responder.bitrix24.fetch.stages import Stages
from responder.bitrix24.lists.paged import REMEMBERED_FOR
from responder.journal import restarts
from responder.journal.audit.integrity import check_log
from responder.journal.restarts import NotRestartable, Restart
from responder.judge.stop_lifecycle import OVER_WITHIN
from responder.stop import control
from responder.stop.gate import Gate
from responder.stop.restart.restarter import LAPSES_AFTER
from responder.store import limits
from responder.store.database.portal_tables import restarts as table
from tests.support.rounds import DEAL, PORTAL, Driving
from tests.support.sqlite_first import migrated_url as migrated_url
from tests.support.stories import Tell
from tests.support.stories import tell as tell

START = "bizproc.workflow.start"
RULES = """\
version: 1
rules:
  - id: lost-deal
    mode: enforce
    when: [deal.updated]
    if: {deal.stage_semantic_id: F, workflow.template_id: 61}
    then: kill
"""
ON_THE_DEAL = (*DEAL, "DEAL_1")


async def stopped(there: Driving) -> str:
    """Have the workflow of a deal killed that is open again afterwards; name the decision."""
    there.lost_deals([1])
    there.deliver([1])
    await there.come_to_rest()
    (decision,) = [str(one["id"]) for one in there.decisions() if one["outcome"] == "killed"]
    there.sandbox.add_item(2, 1, stageSemanticId="P")
    return decision


def ask(there: Driving, decision: str, *, anyway: bool = False) -> None:
    at = there.now()
    there.database.write(lambda tx: restarts.ask(tx, decision, anyway=anyway, by="anna", at=at))


async def carried_out(there: Driving) -> None:
    """Let the driver look for requests, and do what is due."""
    there.later(seconds=2)
    await there.until_idle()


def found(there: Driving, decision: str) -> Restart:
    one = there.database.read(lambda conn: restarts.find(conn, decision))
    assert one is not None
    return one


def found_id(there: Driving, decision: str) -> str:
    """Return the id of the workflow that a decision stopped."""
    (one,) = [one for one in there.decisions() if one["id"] == decision]
    return str(cast("dict[str, object]", one["workflow"])["id"])


def calls(there: Driving) -> int:
    return len(there.sandbox.calls_of(START))


def running(there: Driving) -> list[str]:
    return list(there.sandbox.workflows)


def holds(there: Driving) -> bool:
    """Say whether the log holds, and all rows beside it."""
    return check_log(there.database)[1] == []


def test_it_is_started_anew_once_and_the_log_says_who_asked(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        decision = await stopped(there)
        ask(there, decision)
        await carried_out(there)
        one = found(there, decision)
        assert (one.state, one.outcome, one.by) == ("done", "started", "anna")
        assert running(there) == [one.started_id]
        row = there.sandbox.workflows[str(one.started_id)]
        assert (row["TEMPLATE_ID"], row["DOCUMENT_ID"]) == ("61", "DEAL_1")
        with pytest.raises(NotRestartable, match=f"workflow {one.started_id} was started"):
            ask(there, decision)
        await there.drive()  # nor does another driver start it again
        await carried_out(there)
        assert calls(there) == len(one.numbers) - 2 == 1
        assert holds(there)

    tell(RULES, story)


def test_what_the_rules_would_condemn_at_once_is_started_only_anyway(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        decision = await stopped(there)
        there.sandbox.add_item(2, 1, stageSemanticId="F")
        ask(there, decision)
        await carried_out(there)
        one = found(there, decision)
        assert (one.outcome, one.detail) == (
            "refused",
            "rule lost-deal would condemn it again at once",
        )
        assert calls(there) == 0
        ask(there, decision, anyway=True)
        await carried_out(there)
        assert (found(there, decision).outcome, calls(there)) == ("started", 1)
        assert holds(there)

    tell(RULES, story)


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(days=1)])
@pytest.mark.parametrize("state", ["waiting", "called"])
def test_what_was_written_beside_the_log_starts_nothing(
    tell: Tell, state: str, ago: timedelta
) -> None:
    async def story(there: Driving) -> None:
        decision = await stopped(there)
        portal, seq, n = decision.rsplit("-", 2)
        at = there.now() - ago
        row = {"portal": portal, "seq": int(seq), "n": int(n), "by": "anna", "at": at}
        row |= {"state": state, "anyway": True, "entry": 1}
        row |= {"called_at": at} if state == "called" else {}
        there.database.write(lambda tx: tx.execute(table.insert().values(**row)))
        there.later(seconds=OVER_WITHIN.total_seconds())
        await carried_out(there)
        assert (calls(there), running(there)) == (0, [])
        assert found(there, decision).detail == "no entry of the log says that anna asked for it"
        assert check_log(there.database)[1] == [
            f"{PORTAL}: restart {decision}: no entry records it"
        ]
        ask(there, decision)
        await carried_out(there)
        assert found(there, decision).outcome == "started"
        assert holds(there)

    tell(RULES, story)


def test_what_came_back_after_it_was_stopped_is_not_started_a_second_time(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        decision = await stopped(there)
        there.sandbox.start_workflow(ON_THE_DEAL, 61, id=found_id(there, decision))
        ask(there, decision, anyway=True)
        await carried_out(there)
        one = found(there, decision)
        assert (one.outcome, calls(there)) == ("refused", 0)
        assert one.detail == f"workflow {one.workflow_id} runs: it came back after it was stopped"

    tell(RULES, story)


def test_a_pause_holds_no_restart(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        decision = await stopped(there)
        control.pause(there.database, [PORTAL], by="me", at=there.now())
        ask(there, decision)
        await carried_out(there)
        assert found(there, decision).outcome == "started"
        assert there.database.read(limits.paused) is not None

    tell(RULES, story)


@pytest.mark.parametrize("fault", ["act_then_drop", "act_then_500", "not_json", "drop_before"])
def test_in_doubt_it_says_what_began_since_and_never_calls_again(tell: Tell, fault: str) -> None:
    async def story(there: Driving) -> None:
        decision = await stopped(there)
        there.sandbox.start_workflow(ON_THE_DEAL, 7, id="was.there")
        there.sandbox.fail_next(START, fault)
        ask(there, decision)
        await carried_out(there)
        one = found(there, decision)
        assert (one.state, one.running) == ("called", ("was.there",))
        there.later(seconds=OVER_WITHIN.total_seconds())
        await carried_out(there)
        one = found(there, decision)
        assert one.outcome == "in_doubt"
        began = [name for name in running(there) if name != "was.there"]
        said = f"began since: {began[0]} (template 61)." if began else "Nothing is listed"
        assert said in str(one.detail)
        assert bool(began) is (fault != "drop_before")
        with pytest.raises(NotRestartable, match="is not known: look at the document"):
            ask(there, decision)
        assert calls(there) == 1
        assert holds(there)

    tell(RULES, story)


class DiesFirst(Gate):
    """A gate whose process ends once an intent is committed, before anything is sent."""

    def why_not_sent(self) -> str | None:
        raise SystemExit


class DiesAfterwards(Gate):
    """A gate whose process ends once the portal has answered, before that is written."""

    async def insist(self, work: object) -> None:
        del work
        raise SystemExit


@pytest.mark.parametrize("when", ["before the call", "after the call"])
def test_a_driver_that_dies_between_intent_and_outcome_leaves_it_in_doubt(
    tell: Tell, when: str
) -> None:
    async def story(there: Driving) -> None:
        decision = await stopped(there)
        there.gate = DiesFirst if when == "before the call" else DiesAfterwards
        await there.drive()
        ask(there, decision)
        there.later(seconds=2)
        with pytest.raises(SystemExit):
            await there.until_idle()
        assert found(there, decision).state == "called"
        there.gate = Gate
        await there.drive()
        there.later(seconds=OVER_WITHIN.total_seconds() + 1)
        await carried_out(there)
        one = found(there, decision)
        assert (one.outcome, calls(there)) == ("in_doubt", len(running(there)))
        assert calls(there) == (1 if when == "after the call" else 0)
        assert "before the portal's answer was written" in str(one.detail)
        assert holds(there)

    tell(RULES, story)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("denied", "ACCESS_DENIED: Access denied!"),
        ("scope", "insufficient_scope: The request requires higher privileges"),
        ("503_limit", "QUERY_LIMIT_EXCEEDED"),
        ("empty_error", "The business process is not found."),
        ("core_error", "ERROR_CORE: The business process is not found."),
    ],
)
def test_what_the_portal_refuses_is_said_and_may_be_asked_for_again(
    tell: Tell, fault: str, why: str
) -> None:
    async def story(there: Driving) -> None:
        decision = await stopped(there)
        there.sandbox.fail_next(START, fault)
        ask(there, decision)
        await carried_out(there)
        one = found(there, decision)
        assert one.outcome == "refused"
        assert why in str(one.detail)
        assert there.client.breakers.opened == {}
        ask(there, decision)
        await carried_out(there)
        assert (found(there, decision).outcome, calls(there)) == ("started", 2)
        assert holds(there)

    tell(RULES, story)


@pytest.mark.parametrize("fault", ["act_then_empty_error", "act_then_core_error"])
def test_an_error_after_it_had_begun_is_a_doubt(tell: Tell, fault: str) -> None:
    async def story(there: Driving) -> None:
        decision = await stopped(there)
        there.sandbox.fail_next(START, fault)
        ask(there, decision)
        await carried_out(there)
        one = found(there, decision)
        assert (one.outcome, calls(there)) == ("in_doubt", 1)
        assert running(there)[0] in str(one.detail)

    tell(RULES, story)


@pytest.mark.parametrize("what", ["document", "template", "breaker", "time", "list"])
def test_without_all_that_it_needs_nothing_is_called(tell: Tell, what: str) -> None:
    said = {
        "document": "the document does not exist any more",
        "template": "the portal does not list template 61",
        "breaker": "the portal is not called for now: INVALID_CREDENTIALS",
        "time": "nothing took it up within five minutes",
        "list": "what runs on the document could not be read",
    }

    async def story(there: Driving) -> None:
        decision = await stopped(there)
        ask(there, decision, anyway=True)
        match what:
            case "document":
                del there.sandbox.items[2, 1]
            case "template":
                there.sandbox.add_template(61, "Approval", auto_execute=8)
                there.later(seconds=REMEMBERED_FOR.total_seconds())
            case "breaker":
                there.client.breakers.open("", "INVALID_CREDENTIALS", timedelta(minutes=1))
            case "time":
                there.later(seconds=LAPSES_AFTER.total_seconds())
            case _:
                there.sandbox.fail_next("bizproc.workflow.instances", "500", times=9)
        await carried_out(there)
        one = found(there, decision)
        assert (one.outcome, calls(there)) == ("refused", 0)
        assert said[what] in str(one.detail)
        assert holds(there)

    tell(RULES, story)


def test_nothing_is_called_without_the_lease(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        decision = await stopped(there)
        ask(there, decision)
        there.leased = False
        await carried_out(there)
        assert (found(there, decision).state, calls(there)) == ("waiting", 0)

    tell(RULES, story)


def test_a_fault_of_ours_ends_it_and_holds_up_nothing_else(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        decision = await stopped(there)
        del there.sandbox.items[2, 1]["stageSemanticId"]
        there.sandbox.add_item(2, 1, stageId="NEW", categoryId=0)
        there.templates.stages["DEAL_STAGE"] = cast("Stages", "nonsense")
        ask(there, decision)
        there.lost_deals([2])
        there.deliver([2])
        await carried_out(there)
        assert found(there, decision).detail == "a fault of ours kept it from being started"
        assert len(there.sandbox.killed) == 2
        assert calls(there) == 0
        assert holds(there)

    tell(RULES, story)
