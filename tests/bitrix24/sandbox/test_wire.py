"""What the sandbox makes of requests, and the shape of its answers."""

import httpx
import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.bitrix24.sandbox.caller import DEAL, Caller, mapping

pytestmark = pytest.mark.portal

KILL = "bizproc.workflow.kill"
EMPTY_ID = "ERROR_WRONG_WORKFLOW_ID"
FORM = {"content-type": "application/x-www-form-urlencoded"}


def test_success_has_a_result_and_times(caller: Caller) -> None:
    answer = caller.call("server.time")
    assert set(answer) == {"result", "time"}
    assert {"start", "finish", "duration", "processing", "date_start", "date_finish"} < set(
        mapping(answer["time"])
    )
    assert mapping(answer["time"])["operating"] == 0.0


def test_an_error_has_a_code_and_a_text_and_nothing_else(caller: Caller) -> None:
    answer = caller.post("no.such.method")
    assert answer.status_code == 404
    assert answer.json() == {
        "error": "ERROR_METHOD_NOT_FOUND",
        "error_description": "Method not found!",
    }


def test_json_is_ascii_with_escaped_slashes(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.add_item(2, 759, title="Сделка 1/2")
    content = caller.post("crm.item.get", {"entityTypeId": 2, "id": 759}).content
    assert content.isascii()
    assert rb"1\/2" in content


@pytest.mark.parametrize("method", ["bizproc.workflow.KILL", "Bizproc.Workflow.Kill.json"])
def test_method_names_are_taken_in_any_case(sandbox: Sandbox, caller: Caller, method: str) -> None:
    workflow = sandbox.start_workflow(DEAL, 61)
    assert caller.result(method, {"ID": workflow}) is True
    assert [call.method for call in sandbox.calls] == [KILL]


def test_forms_and_json_and_queries_carry_parameters(sandbox: Sandbox, caller: Caller) -> None:
    ids = [sandbox.start_workflow(DEAL, 61) for _ in range(4)]
    client = caller.client
    for answer in (
        client.post(KILL, data={"ID": ids[0]}),
        client.post(KILL, json={"ID": ids[1]}),
        client.post(KILL, params={"ID": ids[2]}),
        client.get(KILL, params={"ID": ids[3]}),
    ):
        assert answer.json()["result"] is True
    assert sandbox.killed == ids


@pytest.mark.parametrize("body", [b"{'ID': 1}", b"", b'{"ID": ', b"\xff\xfe", b'"ID"', b"7"])
def test_unreadable_json_means_no_parameters(caller: Caller, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = caller.client.post(KILL, content=body, headers=headers)
    assert answer.json()["error"] == EMPTY_ID


def test_json_under_another_content_type_means_no_parameters(caller: Caller) -> None:
    answer = caller.client.post(
        KILL, content=b'{"ID": "x"}', headers={"content-type": "text/plain"}
    )
    assert answer.json()["error"] == EMPTY_ID


@pytest.mark.parametrize(
    ("form", "params"),
    [
        ("a=1&a=2", {"a": "2"}),
        ("a[b][c]=1&a%5Bb%5D%5Bd%5D=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[0]=1&a[1]=2", {"a": ["1", "2"]}),
        ("a[1]=1&a[3]=2&a[]=3", {"a": {"1": "1", "3": "2", "4": "3"}}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[b]=2&a=1", {"a": "1"}),
        ("a=%C3%A9+%26", {"a": "é &"}),
        ("a=&[b]=1", {"a": ""}),
    ],
)
def test_forms_nest_as_in_php(
    sandbox: Sandbox, caller: Caller, form: str, params: dict[str, object]
) -> None:
    caller.client.post("scope", content=form, headers=FORM)
    assert sandbox.calls[-1].params == params


def test_a_wrong_secret_or_user_is_refused_and_not_recorded(
    server: SandboxServer, caller: Caller
) -> None:
    right = httpx.URL(server.url)
    for path in ("/rest/1/wrong/profile", "/rest/2/sandbox-secret-0001/profile"):
        answer = caller.client.post(right.copy_with(path=path))
        assert (answer.status_code, answer.json()["error"]) == (403, "INVALID_CREDENTIALS")
    answer = caller.client.post(right.copy_with(path="/rest/profile"))
    assert (answer.status_code, answer.json()["error"]) == (401, "NO_AUTH_FOUND")
    assert server.sandbox.calls == []
    assert server.sandbox.http_requests == 3


def test_a_secret_may_be_replaced_while_it_is_served(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.secret = "another-secret-0002"
    assert caller.refusal("profile")[:2] == (403, "INVALID_CREDENTIALS")


def test_a_portal_may_not_tell_operating_time(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.tells_operating = False
    assert "operating" not in mapping(caller.call("scope")["time"])


def test_the_bucket_overflows_and_drains() -> None:
    now = [1_000_000.0]
    with SandboxServer(Sandbox(limits=True, burst=5, rate=2.0, clock=lambda: now[0])) as server:
        with httpx.Client(base_url=server.url, trust_env=False) as client:
            caller = Caller(client, server.sandbox)
            for _ in range(5):
                caller.batch({"a": "scope", "b": "scope"})
            limit = (503, "QUERY_LIMIT_EXCEEDED", "Too many requests")
            assert caller.refusal("scope") == limit
            now[0] += 1
            caller.result("scope")
            caller.result("scope")
            assert caller.refusal("scope") == limit
            now[0] += 60
            for _ in range(5):
                caller.result("scope")
            assert caller.refusal("scope") == limit
        assert server.sandbox.limited == 3


def test_without_limits_nothing_is_refused(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.burst = 1
    for _ in range(5):
        caller.result("scope")
    assert sandbox.limited == 0


def test_operating_time_is_told_and_blocks_its_method_alone(
    sandbox: Sandbox, caller: Caller
) -> None:
    sandbox.operating["scope"] = 480.5
    assert mapping(caller.call("scope")["time"])["operating"] == 480.5
    sandbox.limits = True
    assert caller.refusal("scope")[:2] == (429, "OPERATION_TIME_LIMIT")
    caller.result("profile")


def test_operating_time_adds_up_is_forgotten_by_the_minute_and_blocks_a_method() -> None:
    now = [1_200_000.0]
    sandbox = Sandbox(limits=True, burst=1000, clock=lambda: now[0])
    sandbox.takes["scope"] = 100.0
    with SandboxServer(sandbox) as server, httpx.Client(base_url=server.url) as client:
        caller = Caller(client, server.sandbox)
        told = mapping(caller.call("scope")["time"])
        assert (told["duration"], told["operating"]) == (100.0, 100.0)
        assert told["operating_reset_at"] == 1_200_600
        now[0] += 60
        for _ in range(4):
            told = mapping(caller.call("scope")["time"])
        assert (told["operating"], told["operating_reset_at"]) == (500.0, 1_200_600)
        assert caller.refusal("scope")[:2] == (429, "OPERATION_TIME_LIMIT")
        assert mapping(caller.call("profile")["time"])["operating"] == 0.0
        now[0] += 540
        told = mapping(caller.call("scope")["time"])
        assert (told["operating"], told["operating_reset_at"]) == (500.0, 1_200_660)
    assert sandbox.operating_time.most["scope"] == 500.0
