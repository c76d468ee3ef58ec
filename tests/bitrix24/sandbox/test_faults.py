"""Faults on demand: what was done, what the caller saw, and how often."""

import httpx
import pytest

from responder.bitrix24.sandbox import Sandbox
from responder.bitrix24.sandbox.faults import ANSWER_LOST, NOTHING_DONE, Fault
from tests.bitrix24.sandbox.caller import DEAL, Caller, mapping

KILL = "bizproc.workflow.kill"


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("500", 500, "INTERNAL_SERVER_ERROR"),
        ("503_limit", 503, "QUERY_LIMIT_EXCEEDED"),
        ("429_operating", 429, "OPERATION_TIME_LIMIT"),
        ("401", 401, "NO_AUTH_FOUND"),
        ("overload", 503, "OVERLOAD_LIMIT"),
        ("empty_error", 400, ""),
        (("error", 418, "TEAPOT", "I am one"), 418, "TEAPOT"),
    ],
)
def test_a_refusal_does_nothing_alone_or_in_a_batch(
    sandbox: Sandbox, caller: Caller, fault: Fault, status: int, code: str
) -> None:
    workflow = sandbox.start_workflow(DEAL, 61)
    sandbox.fail_next(KILL, fault, times=2)
    assert caller.refusal(KILL, {"ID": workflow})[:2] == (status, code)
    parts = caller.batch({"a": f"{KILL}?ID={workflow}", "b": "scope"})
    assert mapping(mapping(parts["result_error"])["a"])["error"] == code
    assert "b" in mapping(parts["result"])
    assert sandbox.killed == []
    assert caller.result(KILL, {"ID": workflow}) is True


def test_an_older_module_may_refuse_what_it_has_done(sandbox: Sandbox, caller: Caller) -> None:
    first, second = (sandbox.start_workflow(DEAL, 61) for _ in range(2))
    sandbox.fail_next(KILL, "act_then_empty_error", times=2)
    assert caller.refusal(KILL, {"ID": first})[:2] == (400, "")
    parts = caller.batch({"a": f"{KILL}?ID={second}"})
    assert mapping(mapping(parts["result_error"])["a"])["error"] == ""
    assert sandbox.killed == [first, second]


@pytest.mark.parametrize("fault", ["drop_before", "act_then_drop"])
@pytest.mark.parametrize("batched", [False, True])
def test_a_dropped_line_gives_no_answer(
    sandbox: Sandbox, caller: Caller, fault: str, batched: bool
) -> None:
    first, second = (sandbox.start_workflow(DEAL, 61) for _ in range(2))
    sandbox.fail_next(KILL, fault)
    commands = {"a": f"{KILL}?ID={first}", "b": f"{KILL}?ID={second}"}
    with pytest.raises(httpx.RemoteProtocolError):
        caller.batch(commands) if batched else caller.post(KILL, {"ID": first})
    done = [first, second] if batched else [first]
    assert sandbox.killed == (done if fault == "act_then_drop" else [])
    assert len(sandbox.calls_of(KILL)) == len(done)


@pytest.mark.parametrize(
    ("fault", "status"), [("html_502", 502), ("redirect", 302), ("act_then_500", 500)]
)
@pytest.mark.parametrize("batched", [False, True])
def test_a_broken_gateway_answers_for_the_whole_request(
    sandbox: Sandbox, caller: Caller, fault: str, status: int, batched: bool
) -> None:
    workflow = sandbox.start_workflow(DEAL, 61)
    sandbox.fail_next(KILL, fault)
    commands = {"halt": 0, "cmd": {"a": f"{KILL}?ID={workflow}"}}
    answer = caller.post("batch", commands) if batched else caller.post(KILL, {"ID": workflow})
    assert answer.status_code == status
    assert bool(sandbox.killed) is (fault in ANSWER_LOST)
    assert (workflow in sandbox.workflows) is (fault in NOTHING_DONE)


def test_an_answer_that_is_no_json(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.fail_next("scope", "not_json")
    answer = caller.post("scope")
    assert (answer.status_code, answer.content[:3]) == (200, b"<br")


def test_a_big_answer(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.fail_next("scope", "big")
    assert len(caller.post("scope").content) > 2 << 20


def test_a_small_answer_that_unpacks_to_a_big_one(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.fail_next("scope", "gzip_bomb")
    with caller.client.stream("POST", "scope") as answer:
        assert int(answer.headers["content-length"]) < 1 << 20
        assert sum(map(len, answer.iter_bytes())) > 32 << 20


@pytest.mark.parametrize("fault", ["hang", "act_then_hang"])
def test_a_hanging_answer_never_comes(sandbox: Sandbox, caller: Caller, fault: str) -> None:
    workflow = sandbox.start_workflow(DEAL, 61)
    sandbox.fail_next(KILL, fault)
    with pytest.raises(httpx.ReadTimeout):
        caller.client.post(KILL, json={"ID": workflow}, timeout=0.1)
    assert bool(sandbox.killed) is (fault == "act_then_hang")


def test_a_dripping_answer_never_ends(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.fail_next("scope", "drip")
    with caller.client.stream("POST", "scope", timeout=1) as answer:
        parts = answer.iter_raw()
        assert [next(parts) for _ in range(3)] == [b" ", b" ", b" "]


def test_a_truthy_answer_is_not_true(sandbox: Sandbox, caller: Caller) -> None:
    workflow = sandbox.start_workflow(DEAL, 61)
    sandbox.fail_next(KILL, "truthy")
    answer = caller.result(KILL, {"ID": workflow})
    assert (answer, type(answer)) == (1, int)
    assert sandbox.killed == [workflow]


def test_an_answer_for_another_id(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.add_item(2, 759)
    sandbox.start_workflow(DEAL, 61, id="a")
    sandbox.fail_next("*", "wrong_id", times=2)
    item = caller.result("crm.item.get", {"entityTypeId": 2, "id": 759})
    assert item == {"item": {"id": 760, "entityTypeId": 2}}
    assert caller.ids("bizproc.workflow.instances") == ["a0"]


def test_a_part_that_is_missing(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.fail_next("scope", "missing_part", times=2)
    assert set(caller.call("scope")) == {"time"}
    parts = caller.batch({"a": "scope", "b": "profile"})
    assert list(mapping(parts["result"])) == ["b"]
    assert parts["result_error"] == []


def test_a_whole_batch_can_fail(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.fail_next("batch", "503_limit")
    workflow = sandbox.start_workflow(DEAL, 61)
    commands = {"cmd": {"a": f"{KILL}?ID={workflow}"}}
    assert caller.refusal("batch", commands)[:2] == (503, "QUERY_LIMIT_EXCEEDED")
    assert sandbox.killed == []
    assert len(sandbox.calls_of(KILL)) == 1


def test_faults_strike_in_order_as_often_as_planned(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.fail_next("scope", "500")
    sandbox.fail_next("Scope", "overload")
    assert caller.refusal("scope")[0] == 500
    caller.result("profile")
    assert caller.refusal("scope")[0] == 503
    caller.result("scope")


def test_planned_faults_can_be_forgotten(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.fail_next("scope", "500", times=9)
    sandbox.faults.clear()
    caller.result("scope")


def test_a_misspelt_fault_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="no fault 'drop'"):
        sandbox.fail_next("scope", "drop")
