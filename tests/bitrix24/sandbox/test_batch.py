"""Batches in the sandbox: always 200, empty parts are lists, fifty commands."""

from collections.abc import Sequence
from urllib.parse import quote, urlencode

import pytest

from responder.bitrix24.sandbox import Sandbox
from tests.bitrix24.sandbox.caller import DEAL, ELEMENT, Caller, mapping


def test_each_part_is_an_object_or_an_empty_list(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.start_workflow(DEAL, 61)
    parts = caller.batch({"a": "bizproc.workflow.instances", "b": "bizproc.workflow.kill?ID=x"})
    assert set(mapping(parts["result"])) == set(mapping(parts["result_time"])) == {"a"}
    assert parts["result_total"] == {"a": 1}
    assert parts["result_next"] == []
    assert parts["result_error"] == {
        "b": {"error": "", "error_description": "The business process is not found."}
    }


def test_a_batch_answers_200_when_every_command_failed(caller: Caller) -> None:
    parts = caller.batch({"a": "no.such.method"})
    assert parts["result"] == parts["result_total"] == parts["result_time"] == []
    assert mapping(mapping(parts["result_error"])["a"])["error"] == "ERROR_METHOD_NOT_FOUND"


@pytest.mark.parametrize("nothing", [{}, [], None, "scope"])
def test_a_batch_of_nothing_is_all_empty(caller: Caller, nothing: object) -> None:
    assert set(map(str, caller.batch(nothing).values())) == {"[]"}


@pytest.mark.parametrize(
    ("commands", "result"),
    [
        (["scope", "scope"], ["S", "S"]),
        ({"0": "scope", "1": "no.such.method", "2": "scope"}, {"0": "S", "2": "S"}),
        ({"7": "scope"}, {"7": "S"}),
    ],
)
def test_numeric_keys_become_a_list_unless_there_are_gaps(
    sandbox: Sandbox, caller: Caller, commands: object, result: object
) -> None:
    sandbox.scopes = ("S",)
    flat = str(caller.batch(commands)["result"]).replace("['S']", "'S'")
    assert flat == str(result)


def test_next_and_total_stand_apart(sandbox: Sandbox, caller: Caller) -> None:
    for _ in range(60):
        sandbox.start_workflow(ELEMENT, 61)
    method = "bizproc.workflow.instances"
    parts = caller.batch({"first": method, "second": f"{method}?start=50"})
    assert parts["result_total"] == {"first": 60, "second": 60}
    assert parts["result_next"] == {"first": 50}


def test_commands_beyond_fifty_are_refused_one_by_one(caller: Caller) -> None:
    parts = caller.batch({f"c{number}": "scope" for number in range(53)})
    errors = mapping(parts["result_error"])
    assert len(mapping(parts["result"])) == 50
    assert list(errors) == ["c50", "c51", "c52"]
    assert mapping(errors["c50"])["error"] == "ERROR_BATCH_LENGTH_EXCEEDED"


def test_a_batch_in_a_batch_is_refused(caller: Caller) -> None:
    errors = mapping(caller.batch({"a": "batch?cmd[x]=scope"})["result_error"])
    assert mapping(errors["a"])["error"] == "ERROR_BATCH_METHOD_NOT_ALLOWED"


def test_commands_that_are_no_text_are_skipped(caller: Caller) -> None:
    parts = caller.batch({"a": {"method": "scope"}, "b": 7, "c": "scope"})
    assert list(mapping(parts["result"])) == ["c"]
    assert parts["result_error"] == []


@pytest.mark.parametrize(("halt", "ran"), [(0, True), ("0", True), (1, False), ("false", False)])
def test_halt_stops_at_the_first_refusal(caller: Caller, halt: object, ran: bool) -> None:
    parts = caller.batch({"a": "no.such.method", "b": "scope"}, halt=halt)
    assert (parts["result"] != []) is ran


def test_commands_are_encoded_once_in_json_and_twice_in_a_form(
    sandbox: Sandbox, caller: Caller
) -> None:
    odd = "A&B=C %41+é"
    sandbox.start_workflow(("lists", "BizprocDocument", odd), 61, id="odd")
    sandbox.start_workflow(DEAL, 61)
    query = urlencode({"FILTER[DOCUMENT_ID]": odd, "SELECT[0]": "ID", "SELECT[1]": "DOCUMENT_ID"})
    command = f"bizproc.workflow.instances?{query}"
    expected = {"a": [{"ID": "odd", "DOCUMENT_ID": odd}]}
    assert caller.batch({"a": command})["result"] == expected
    answer = caller.client.post("batch", data={"cmd[a]": command, "halt": "0"})
    assert mapping(answer.json()["result"])["result"] == expected


def test_a_command_may_refer_to_earlier_results(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.start_workflow(DEAL, 61, id="a")
    find, kill = "bizproc.workflow.instances", "bizproc.workflow.kill?ID=$result[find][0][ID]"
    assert mapping(caller.batch({"find": find, "kill": kill})["result"])["kill"] is True
    assert sandbox.killed == ["a"]


@pytest.mark.parametrize("path", ["[find][0][ID]", "[gone][0][ID]"])
def test_a_reference_that_leads_nowhere_gives_what_was_reached(
    sandbox: Sandbox, caller: Caller, path: str
) -> None:
    first = "scope" if "gone" in path else "bizproc.workflow.instances"
    kill = f"bizproc.workflow.kill?ID=$result{path}"
    errors = mapping(caller.batch({"find": first, "kill": kill})["result_error"])
    code = "" if "gone" in path else "ERROR_WRONG_WORKFLOW_ID"
    assert mapping(errors["kill"])["error"] == code
    assert sandbox.killed == []


def test_calls_of_a_batch_are_recorded_with_its_number(sandbox: Sandbox, caller: Caller) -> None:
    caller.result("scope")
    caller.batch({"a": "scope", "b": f"Method.Get?name={quote('crm.item.get')}"})
    seen: Sequence[object] = [(call.method, call.batch) for call in sandbox.calls]
    assert seen == [("scope", None), ("scope", 2), ("method.get", 2)]
    assert sandbox.calls[2].params == {"name": "crm.item.get"}
    assert sandbox.http_requests == 2
