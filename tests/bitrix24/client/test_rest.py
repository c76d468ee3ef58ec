"""Tests the calls to a portal, and what each answer means, over real sockets."""

import asyncio
import json
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responder.bitrix24.client import answers
from responder.bitrix24.client.answers import Answer, Command, FailureKind, is_done
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.sandbox import SandboxServer
from tests.bitrix24.raw_server import RawServer, response

pytestmark = pytest.mark.portal

T = TypeVar("T")
DEAL_759 = ("crm", "CCrmDocumentDeal", "DEAL_759")
KILL = "bizproc.workflow.kill"
TERMINATE = "bizproc.workflow.terminate"
BUSY, UNCERTAIN, PORTAL = FailureKind.BUSY, FailureKind.UNCERTAIN, FailureKind.PORTAL
METHOD, REJECTED = FailureKind.METHOD, FailureKind.REJECTED


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def server(running: SandboxServer) -> SandboxServer:
    running.sandbox.faults.clear()
    running.sandbox.workflows.clear()
    running.sandbox.killed.clear()
    running.sandbox.calls.clear()
    return running


def with_portal(url: str, use: Callable[[Portal], Awaitable[T]], *, seconds: float = 5) -> T:
    async def run() -> T:
        portal = Portal("main", url, connect_seconds=1, answer_seconds=seconds)
        try:
            return await use(portal)
        finally:
            await portal.close()

    return asyncio.run(run())


def call(
    url: str, method: str, params: dict[str, object] | None = None, *, seconds: float = 5
) -> Answer:
    return with_portal(
        url, lambda portal: portal.call(Command(method, params or {})), seconds=seconds
    )


def batch(url: str, *commands: Command) -> list[Answer]:
    return with_portal(url, lambda portal: portal.batch(commands))


def kind_of(answer: Answer) -> FailureKind | None:
    return answer.failure.kind if answer.failure else None


def code_of(answer: Answer) -> str | None:
    return answer.failure.code if answer.failure else None


# code, status (None: a command of a batch), method, kind
FAILURES: list[tuple[str, int | None, str, FailureKind]] = [
    ("QUERY_LIMIT_EXCEEDED", 302, KILL, UNCERTAIN),
    ("QUERY_LIMIT_EXCEEDED", 503, KILL, BUSY),
    ("QUERY_LIMIT_EXCEEDED", 200, KILL, BUSY),
    ("query_limit_exceeded", 503, KILL, BUSY),
    ("QUERY_LIMIT_EXCEEDED", None, KILL, BUSY),
    ("QUERY_LIMIT_EXCEEDED", 503, "batch", BUSY),
    ("OPERATION_TIME_LIMIT", 429, KILL, BUSY),
    ("OVERLOAD_LIMIT", 503, KILL, PORTAL),
    ("OVERLOAD_LIMIT", 401, KILL, PORTAL),
    ("NO_AUTH_FOUND", 401, KILL, PORTAL),
    ("INVALID_CREDENTIALS", 403, KILL, PORTAL),
    ("INVALID_CREDENTIALS", 403, "batch", PORTAL),
    ("expired_token", 401, KILL, PORTAL),
    ("EXPIRED_TOKEN", 401, KILL, PORTAL),
    ("user_access_error", 403, KILL, PORTAL),
    ("PORTAL_DELETED", 500, KILL, PORTAL),
    ("PORTAL_DELETED", 410, KILL, PORTAL),
    ("authorization_error", 401, KILL, PORTAL),
    ("invalid_token", 401, KILL, PORTAL),
    ("WRONG_AUTH_TYPE", 403, KILL, PORTAL),
    ("WRONG_AUTH_TYPE", 403, "im.notify.system.add", METHOD),
    ("PAYMENT_REQUIRED", 402, KILL, PORTAL),
    ("APPLICATION_NOT_FOUND", 404, KILL, PORTAL),
    ("NOT_INSTALLED", 403, KILL, PORTAL),
    ("INVALID_REQUEST", 400, KILL, PORTAL),
    ("ACCESS_DENIED", 401, "crm.item.get", REJECTED),
    ("ACCESS_DENIED", 401, KILL, METHOD),
    ("ACCESS_DENIED", 403, "batch", PORTAL),
    ("ACCESS_DENIED", 401, "profile", PORTAL),
    ("ACCESS_DENIED", 403, "profile", PORTAL),
    ("SOMETHING_NEW", 403, "profile", PORTAL),
    ("ACCESS_DENIED", 400, "crm.item.get", REJECTED),
    ("ACCESS_DENIED", None, "crm.item.get", REJECTED),
    ("ACCESS_DENIED", 403, "tasks.task.get", REJECTED),
    ("ACCESS_DENIED", 400, "crm.timeline.comment.add", REJECTED),
    ("ACCESS_DENIED", 403, KILL, METHOD),
    ("ACCESS_DENIED", None, KILL, METHOD),
    ("SOMETHING_NEW", 401, "batch", PORTAL),
    ("insufficient_scope", 403, "batch", PORTAL),
    ("ERROR_METHOD_NOT_FOUND", 404, "batch", PORTAL),
    ("SOMETHING_NEW", 429, "batch", BUSY),
    ("NOT_FOUND", 400, "batch", UNCERTAIN),
    ("", 400, "batch", UNCERTAIN),
    ("insufficient_scope", 403, KILL, METHOD),
    ("insufficient_scope", None, KILL, METHOD),
    ("ERROR_METHOD_NOT_FOUND", 404, KILL, METHOD),
    ("ERROR_BATCH_METHOD_NOT_ALLOWED", None, KILL, METHOD),
    ("METHOD_CONFIRM_WAITING", 401, KILL, METHOD),
    ("METHOD_CONFIRM_DENIED", 403, KILL, METHOD),
    ("allowed_only_intranet_user", 403, "crm.item.get", METHOD),
    ("WRONG_LICENSE", 403, "event.offline.get", REJECTED),
    ("WRONG_LICENSE", None, "event.offline.get", REJECTED),
    ("WRONG_LICENSE", 403, KILL, METHOD),
    ("INTERNAL_SERVER_ERROR", 500, KILL, UNCERTAIN),
    ("INTERNAL_SERVER_ERROR", None, KILL, UNCERTAIN),
    ("ERROR_UNEXPECTED_ANSWER", None, KILL, UNCERTAIN),
    ("WRONG_ENCODING", 200, KILL, UNCERTAIN),
    ("", 500, KILL, UNCERTAIN),
    ("ERROR_CORE", 500, KILL, UNCERTAIN),
    ("SOMETHING_NEW", 504, KILL, UNCERTAIN),
    ("ERROR_BATCH_LENGTH_EXCEEDED", None, KILL, REJECTED),
    ("ERROR_WRONG_WORKFLOW_ID", 400, KILL, REJECTED),
    ("NOT_FOUND", 400, "crm.item.get", REJECTED),
    ("NOT_FOUND", None, "crm.item.get", REJECTED),
    ("NOT_FOUND", 401, "crm.item.get", PORTAL),
    ("NOT_FOUND", 403, "crm.item.get", UNCERTAIN),
    ("NOT_FOUND", 429, "crm.item.get", BUSY),
    ("ERROR_NOT_FOUND", 400, "crm.item.get", REJECTED),
    ("ERROR_CORE", 400, KILL, REJECTED),
    ("ERROR_ARGUMENT", 400, KILL, REJECTED),
    ("ENTITY_TYPE_NOT_SUPPORTED", 400, "crm.item.get", REJECTED),
    ("SOMETHING_NEW", 401, KILL, PORTAL),
    ("SOMETHING_NEW", 403, "crm.item.get", REJECTED),
    ("SOMETHING_NEW", 403, "tasks.task.get", REJECTED),
    ("SOMETHING_NEW", 403, "crm.timeline.comment.add", REJECTED),
    ("SOMETHING_NEW", 403, KILL, METHOD),
    ("SOMETHING_NEW", 429, KILL, BUSY),
    ("", 400, KILL, REJECTED),
    ("", 200, KILL, REJECTED),
    ("", None, KILL, REJECTED),
    ("100", 400, "tasks.task.get", REJECTED),
]


@pytest.mark.parametrize(("code", "status", "method", "kind"), FAILURES)
def test_each_failure_has_its_kind(
    server: SandboxServer, code: str, status: int | None, method: str, kind: FailureKind
) -> None:
    server.sandbox.fail_next(method, ("error", status or 400, code, "A text."))
    if method == "batch" or status is None:
        answer, other = batch(server.url, Command(method, {}), Command("server.time", {}))
        assert (other == answer) is (method == "batch")
    else:
        answer = call(server.url, method)
    assert kind_of(answer) is kind
    assert (code_of(answer) or "").casefold() == code.casefold()
    assert answer.failure is not None
    assert answer.failure.text == "A text."
    assert answer.value is None


def test_a_request_may_be_given_less_time_than_others(server: SandboxServer) -> None:
    server.sandbox.fail_next("server.time", "hang")
    asked = Command("server.time", {})
    answer = with_portal(server.url, lambda portal: portal.call(asked, 0.2), seconds=60)
    assert (kind_of(answer), code_of(answer)) == (UNCERTAIN, "timeout")


def test_every_row_of_the_table_has_a_test() -> None:
    met = {answers.classify(code, status, method) for code, status, method, _ in FAILURES}
    assert [row for row in answers.TABLE if row not in met] == []


@pytest.mark.parametrize(
    ("code", "status", "denied"),
    [
        ("ACCESS_DENIED", 401, True),
        ("access_denied", 403, True),
        ("ACCESS_DENIED", None, True),
        ("ACCESS_DENIED", 400, False),
        ("insufficient_scope", 403, False),
    ],
)
def test_a_refusal_that_may_be_the_plans_is_marked(
    server: SandboxServer, code: str, status: int | None, denied: bool
) -> None:
    server.sandbox.fail_next("user.get", ("error", status or 400, code, ""))
    if status is None:
        answer, other = batch(server.url, Command("user.get", {}), Command("server.time", {}))
        assert not other.denied
    else:
        answer = call(server.url, "user.get")
    assert answer.denied is denied


def test_a_code_that_the_table_knows_has_one_spelling(server: SandboxServer) -> None:
    server.sandbox.fail_next("profile", ("error", 503, "query_limit_exceeded", ""))
    assert code_of(call(server.url, "profile")) == "QUERY_LIMIT_EXCEEDED"


def test_a_kill_that_the_portal_confirms_is_done(server: SandboxServer) -> None:
    workflow_id = server.sandbox.start_workflow(DEAL_759, 61)
    assert is_done(call(server.url, KILL, {"ID": workflow_id}))
    assert server.sandbox.killed == [workflow_id]


@pytest.mark.parametrize("method", [KILL, TERMINATE])
def test_a_result_that_is_merely_truthy_is_not_done(server: SandboxServer, method: str) -> None:
    ids = [server.sandbox.start_workflow(DEAL_759, 61) for _ in range(2)]
    server.sandbox.fail_next(method, "truthy", times=2)
    alone = call(server.url, method, {"ID": ids[0]})
    (in_batch,) = batch(server.url, Command(method, {"ID": ids[1]}))
    assert not is_done(alone)
    assert kind_of(alone) is kind_of(in_batch) is UNCERTAIN
    assert code_of(alone) == "wrong_type"


def test_an_unknown_workflow_is_a_refusal_with_an_empty_code(server: SandboxServer) -> None:
    answer = call(server.url, KILL, {"ID": "65e5a449e8f135.21284909"})
    assert (kind_of(answer), code_of(answer)) == (REJECTED, "")
    assert answer.failure is not None
    assert answer.failure.text == "The business process is not found."


@pytest.mark.parametrize(
    ("fault", "code", "killed"),
    [
        ("drop_before", "dropped", False),
        ("act_then_drop", "dropped", True),
        ("act_then_500", "INTERNAL_SERVER_ERROR", True),
        ("500", "INTERNAL_SERVER_ERROR", False),
        ("html_502", "http_502", False),
        ("redirect", "http_302", False),
        ("not_json", "not_json", True),
        ("big", "too_big", True),
        ("gzip_bomb", "encoded", True),
        ("hang", "timeout", False),
        ("missing_part", "wrong_type", True),
    ],
)
def test_a_call_whose_answer_is_lost_is_uncertain(
    server: SandboxServer, fault: str, code: str, killed: bool
) -> None:
    workflow_id = server.sandbox.start_workflow(DEAL_759, 61)
    server.sandbox.fail_next(KILL, fault)
    seconds = 0.3 if fault == "hang" else 10.0  # packing the bomb takes some of it
    answer = call(server.url, KILL, {"ID": workflow_id}, seconds=seconds)
    assert (kind_of(answer), code_of(answer)) == (UNCERTAIN, code)
    assert not is_done(answer)
    assert (server.sandbox.killed == [workflow_id]) is killed


def test_a_portal_that_does_not_listen_was_certainly_not_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    answer = call(f"http://127.0.0.1:{port}/rest/1/some-secret-0001/", KILL)
    assert (kind_of(answer), code_of(answer)) == (BUSY, "no_connection")


def test_a_drip_of_bytes_meets_the_deadline() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    with RawServer(head, *[b" "] * 100, pause=0.1) as raw:
        began = time.monotonic()
        answer = call(raw.url, "profile", seconds=0.3)
        assert time.monotonic() - began < 3
    assert (kind_of(answer), code_of(answer)) == (UNCERTAIN, "timeout")


def test_an_answer_of_unknown_length_is_cut_at_a_mebibyte() -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    with RawServer(head, *[b"x" * 65536] * 40) as raw:
        assert code_of(call(raw.url, "profile")) == "too_big"


@pytest.mark.parametrize(
    "told", [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b""]
)
def test_what_is_no_http_is_uncertain(told: bytes) -> None:
    with RawServer(told) as raw:
        assert (kind_of(call(raw.url, KILL)), code_of(call(raw.url, KILL))) == (
            UNCERTAIN,
            "dropped",
        )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"result":true,"error":""}', ""),
        (b'{"result":true,"error":null}', ""),
        (b'{"result":true,"error":0}', "0"),
        (b'{"result":true,"error":{"code":"X","message":"m"}}', "X"),
        (b'{"result":true,"error":[]}', "[]"),
        (b"[true]", "not_json"),
        (b"true", "not_json"),
        (b"", "not_json"),
        (b'{"result":NaN}', "not_json"),
        (b'{"result":true}\xff', "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"res":true}', "wrong_type"),
        (b'{"result":true,"total":"many"}', "wrong_type"),
        (b'{"result":true,"next":true}', "wrong_type"),
        (b'{"result":true,"total":-1}', "wrong_type"),
        (b'{"result":true,"next":1' + b"0" * 30 + b"}", "wrong_type"),
        (b'{"result":"true"}', "wrong_type"),
        (b'{"result":[true]}', "wrong_type"),
        (b'{"result":null}', "wrong_type"),
        (b'{"result":false}', "wrong_type"),
    ],
)
def test_nothing_but_true_without_an_error_says_that_a_kill_is_done(body: bytes, code: str) -> None:
    answer = answers.read(200, body, KILL, str)
    assert not is_done(answer)
    assert code_of(answer) == code


@pytest.mark.parametrize("status", [201, 204, 301, 400, 401, 403, 404, 500, 503])
def test_another_status_without_an_error_is_uncertain(status: int) -> None:
    answer = answers.read(status, b'{"result":true}', KILL, str)
    assert (kind_of(answer), code_of(answer)) == (UNCERTAIN, f"http_{status}")


def test_a_byte_order_mark_does_no_harm() -> None:
    assert is_done(answers.read(200, b'\xef\xbb\xbf{"result":true}', KILL, str))


ODD_NUMBERS = st.sampled_from([10**400, -(10**400), 1e308, -1e308, 0.1, 1e12, float("inf")])
SEVERAL = ["result", "error", "result_error", "result_total", "result_next", "result_time"]
NAMES = [*SEVERAL, "c0", "c1", "total", "next", "time", "duration", "finish", "operating"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ODD_NUMBERS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=12,
)


def written(value: object) -> bytes:
    return json.dumps(value).replace("Infinity", "1e999").encode()


BODIES = st.binary(max_size=60) | JSON.map(written)
TIMES = st.dictionaries(
    st.sampled_from(["duration", "finish", "operating", "operating_reset_at"]), JSON, min_size=1
)


@given(st.integers(100, 599), BODIES)
def test_no_answer_raises_or_is_done_by_mistake(status: int, body: bytes) -> None:
    alone = answers.read(status, body, KILL, str)
    parts = answers.read_batch(status, body, {"c0": KILL, "c1": "profile"}, str)
    assert list(parts) == ["c0", "c1"]
    if is_done(alone):
        content = json.loads(body)
        assert status == 200
        assert content["result"] is True
        assert "error" not in content
    if is_done(parts["c0"]):
        result = json.loads(body)["result"]
        assert result["result"]["c0"] is True
        assert "c0" not in (result["result_error"] or {})


@given(TIMES)
def test_times_are_numbers_that_can_be_reckoned_with_or_none(times: dict[str, object]) -> None:
    answer = answers.read(200, written({"result": True, "time": times}), KILL, str)
    assert is_done(answer)
    told = (answer.seconds, answer.finished_at, answer.operating, answer.operating_reset_at)
    for one in told:
        assert one is None or timedelta(seconds=one) < timedelta.max


TEXTS = st.text(st.sampled_from("a Я[]=&%\0\ud83d\ude00"), max_size=4) | st.text(max_size=4)
PARAMS = st.recursive(
    TEXTS | st.integers() | st.floats() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@given(PARAMS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_parameter_raises_and_what_cannot_be_sent_stops_no_other(
    server: SandboxServer, value: object
) -> None:
    odd = Command("server.time", {"odd": value})
    alone, (first, second) = with_portal(server.url, lambda portal: both(portal, odd))
    assert second.failure is None
    for answer in (alone, first):
        assert code_of(answer) in (None, "unsendable")


async def both(portal: Portal, odd: Command) -> tuple[Answer, list[Answer]]:
    return await portal.call(odd), await portal.batch([odd, Command("server.time", {})])


def deep(depth: int) -> object:
    nested: list[object] = []
    for _ in range(depth):
        nested = [nested]
    return nested


@pytest.mark.parametrize(
    "value", ["a\ud800", float("nan"), float("inf"), [10**5000], b"", deep(9999)]
)
def test_what_no_json_can_hold_is_not_sent(server: SandboxServer, value: object) -> None:
    # a body that is no JSON is read as no parameters: a list without its filter, say
    answer = call(server.url, "server.time", {"FILTER": {"ID": value}})
    assert (kind_of(answer), code_of(answer)) == (REJECTED, "unsendable")
    assert server.sandbox.calls == []


def test_a_batch_of_which_nothing_can_be_sent_is_not_sent(server: SandboxServer) -> None:
    before = server.sandbox.http_requests
    (answer,) = batch(server.url, Command("server.time", {"ID": "\ud800"}))
    assert (kind_of(answer), code_of(answer)) == (REJECTED, "unsendable")
    assert server.sandbox.http_requests == before


def test_a_list_comes_with_its_total_and_next(server: SandboxServer) -> None:
    for number in range(51):
        server.sandbox.start_workflow(("crm", "CCrmDocumentDeal", f"DEAL_{number}"), 61)
    alone = call(server.url, "bizproc.workflow.instances")
    (in_batch,) = batch(server.url, Command("bizproc.workflow.instances", {}))
    for answer in (alone, in_batch):
        assert isinstance(answer.value, list)
        assert len(answer.value) == 50
        assert (answer.total, answer.next, answer.failure) == (51, 50, None)


def test_an_answer_tells_the_operating_time_of_its_method(server: SandboxServer) -> None:
    server.sandbox.operating["server.time"] = 12.5
    alone = call(server.url, "server.time")
    (in_batch,) = batch(server.url, Command("server.time", {}))
    for answer in (alone, in_batch):
        assert answer.operating == 12.5
        assert answer.operating_reset_at is not None
        assert answer.operating_reset_at > time.time()


def test_a_batch_answers_each_command_in_its_place(server: SandboxServer) -> None:
    workflow_id = server.sandbox.start_workflow(DEAL_759, 61)
    before = server.sandbox.http_requests
    first, second, third = batch(
        server.url,
        Command(KILL, {"ID": "unknown.1"}),
        Command(KILL, {"ID": workflow_id}),
        Command("scope", {}),
    )
    assert (kind_of(first), code_of(first)) == (REJECTED, "")
    assert is_done(second)
    assert third.value == ["bizproc", "crm", "user_brief", "task"]
    assert server.sandbox.http_requests == before + 1


def test_parameters_arrive_in_a_batch_as_they_do_alone(server: SandboxServer) -> None:
    params: dict[str, object] = {
        "FILTER": {
            "ENTITY": "Bitrix\\Crm\\Integration\\BizProc\\Document\\Quote",
            "ID": "a&b=c?%41",
        },
        "SELECT": ["ID", "STARTED"],
        "text": "Grüße +1 100%",
    }
    batch(server.url, Command("server.time", params), Command("server.time", {"n": 5, "y": True}))
    call(server.url, "server.time", params)
    sent, typed, alone = server.sandbox.calls
    assert sent.params == alone.params == params
    assert typed.params == {"n": "5", "y": "1"}


def test_a_part_that_is_missing_is_uncertain(server: SandboxServer) -> None:
    workflow_id = server.sandbox.start_workflow(DEAL_759, 61)
    server.sandbox.fail_next(KILL, "missing_part")
    missing, other = batch(
        server.url, Command(KILL, {"ID": workflow_id}), Command("server.time", {})
    )
    assert (kind_of(missing), code_of(missing)) == (UNCERTAIN, "missing_part")
    assert other.failure is None


@pytest.mark.parametrize("fault", ["act_then_drop", "drop_before", "html_502", "big", "not_json"])
def test_a_batch_that_fails_whole_is_uncertain_in_every_part(
    server: SandboxServer, fault: str
) -> None:
    server.sandbox.fail_next("batch", fault)
    parts = batch(server.url, Command("scope", {}), Command("profile", {}))
    assert [kind_of(part) for part in parts] == [UNCERTAIN, UNCERTAIN]


@pytest.mark.parametrize(
    "result",
    [
        b"[]",
        b"true",
        b"{}",
        b'{"result":{"c0":true}}',
        b'{"result":[true],"result_error":[]}',
        b'{"result":{"c0":true},"result_error":"none"}',
        b'{"result":{"c0":true},"result_error":[["x"]]}',
    ],
)
def test_a_batch_of_another_shape_is_uncertain(result: bytes) -> None:
    body = b'{"result":' + result + b"}"
    parts = answers.read_batch(200, body, {"c0": KILL}, str)
    assert (kind_of(parts["c0"]), code_of(parts["c0"])) == (UNCERTAIN, "wrong_type")


@pytest.mark.parametrize("error", ["", None, {}, [], {"error": ""}, "NOT_FOUND", False])
def test_a_part_with_an_error_is_not_done_whatever_its_result(error: object) -> None:
    body = json.dumps({"result": {"result": {"c0": True}, "result_error": {"c0": error}}})
    parts = answers.read_batch(200, body.encode(), {"c0": KILL}, str)
    assert kind_of(parts["c0"]) is REJECTED


def test_an_empty_batch_calls_nobody_and_a_long_one_is_a_mistake(server: SandboxServer) -> None:
    before = server.sandbox.http_requests
    assert batch(server.url) == []
    with pytest.raises(ValueError, match="at most 50"):
        batch(server.url, *[Command("profile", {})] * 51)
    assert server.sandbox.http_requests == before


def test_a_redirect_is_not_followed() -> None:
    with (
        RawServer(response(b'{"result":true}')) as elsewhere,
        RawServer(response(b"", "302 Found", f"Location: {elsewhere.url}")) as raw,
    ):
        assert code_of(call(raw.url, KILL)) == "http_302"
        assert elsewhere.connections == 0


def test_a_proxy_of_the_environment_never_sees_a_call(
    server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(response(b'{"result":true}')) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert call(server.url, "server.time").failure is None
        assert proxy.connections == 0


def test_cookies_are_not_kept() -> None:
    with RawServer(response(b'{"result":1}', "200 OK", "Set-Cookie: PHPSESSID=1")) as raw:

        async def twice(portal: Portal) -> list[Answer]:
            return [await portal.call(Command("profile", {})) for _ in range(2)]

        assert [answer.value for answer in with_portal(raw.url, twice)] == [1, 1]


def test_the_secret_stands_in_no_text_repr_or_log(
    server: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = server.sandbox.secret
    told = f"see {server.url}profile and rest%2F1%2F{secret} and {secret}"
    server.sandbox.fail_next("profile", ("error", 400, f"X{secret}", told))
    server.sandbox.fail_next("scope", "drop_before")

    async def use(portal: Portal) -> list[object]:
        return [
            portal,
            portal._transport,
            await portal.call(Command("profile", {})),
            await portal.call(Command("scope", {})),
            await portal.batch([Command("server.time", {})]),
        ]

    shown = repr(with_portal(server.url, use))
    assert "see ***profile and *** and ***" in shown
    assert secret not in shown
    # The sandbox serves in this process; what its server logs is the portal's side.
    ours = [record for record in caplog.records if not record.name.startswith("uvicorn")]
    assert ours != []
    assert all(secret not in caplog.handler.format(record) for record in ours)


def test_a_text_of_the_portal_is_one_short_line(server: SandboxServer) -> None:
    server.sandbox.fail_next("profile", ("error", 400, "E" * 900, "a\nb\x1b[31m " + "c" * 900))
    failure = call(server.url, "profile").failure
    assert failure is not None
    assert len(failure.text) == 200
    assert failure.text.startswith("a b [31m c")
    assert len(failure.code) == 64
