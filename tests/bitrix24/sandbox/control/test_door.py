"""The door of a sandbox: who may enter, and what is said to who may not, or asks wrongly."""

import httpx
import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.bitrix24.sandbox.control import open_door
from tests.bitrix24.sandbox.caller import Caller
from tests.bitrix24.sandbox.control.conftest import KEY, Visitor


def test_there_is_no_door_unless_it_is_opened(server: SandboxServer) -> None:
    url = f"{server.address}/__sandbox__/calls"
    answer = httpx.post(url, headers={"X-Sandbox-Key": ""}, trust_env=False)
    assert (answer.status_code, answer.json()["error"]) == (401, "NO_AUTH_FOUND")


def test_a_door_needs_a_key() -> None:
    with pytest.raises(ValueError, match="a door needs a key"):
        open_door(Sandbox(), "")


@pytest.mark.parametrize("headers", [{"X-Sandbox-Key": "other"}, {"X-Sandbox-Key": ""}])
def test_another_key_is_refused_before_anything_is_read(
    visitor: Visitor, sandbox: Sandbox, headers: dict[str, str]
) -> None:
    for verb in ("item", "no-such-verb"):
        answer = visitor.client.post(verb, json={}, headers=headers)
        assert answer.status_code == 403
        assert KEY not in answer.text
    assert sandbox.items == {}


def test_only_a_post_is_answered(visitor: Visitor) -> None:
    assert visitor.client.get("calls").status_code == 405


def test_an_unknown_verb_is_told_the_known_ones(visitor: Visitor) -> None:
    answer = visitor.client.post("kill")
    assert answer.status_code == 404
    assert "end-workflow" in answer.json()["error"]


@pytest.mark.parametrize(
    ("verb", "params", "said"),
    [
        ("item", {"item_id": 5}, "entity_type_id: Missing required argument"),
        ("item", {"entity_type_id": "deal", "item_id": 5}, "entity_type_id: Input should be"),
        ("item", {"entity_type_id": 2, "item_id": 5, "x": 1}, "x: Unexpected keyword argument"),
        ("workflow", {"document": ["crm", "A"], "template_id": 61}, "document.2: Field required"),
        (
            "workflow",
            {"document": ["a", "b", "c"], "template_id": 1, "started": "2026-11-01T00:00"},
            "started: Input should have timezone info",
        ),
        ("switches", {"values": {"secret": "x"}}, "values.secret: Extra inputs"),
        ("fault", {"method": "scope", "fault": "drop"}, "no fault 'drop'; there are: "),
        ("bizproc-task", {"workflow_id": "x", "user_id": 1, "name": "n"}, "no workflow x"),
        ("iblock-field", {"iblock_id": 1, "field_id": "A", "name": "n"}, "there is no list 1"),
        (
            "iblock-element",
            {"iblock_id": 1, "element_id": 1, "name": "n", "properties": {"published": 1}},
            "no property of a list: published",
        ),
        ("install", {}, "this portal has no application"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    visitor: Visitor, verb: str, params: dict[str, object], said: str
) -> None:
    [mistake] = visitor.mistakes(verb, **params)
    assert mistake.startswith(said)


@pytest.mark.parametrize(
    ("body", "said"),
    [(b"{", "the body is no JSON"), (b"[1]", "the body is no JSON object"), (b"\xff", "the body")],
)
def test_a_body_that_is_no_object_is_refused(visitor: Visitor, body: bytes, said: str) -> None:
    answer = visitor.client.post("item", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(said)


def test_what_comes_through_the_door_is_no_call(
    visitor: Visitor, caller: Caller, sandbox: Sandbox
) -> None:
    visitor.ask("item", entity_type_id=2, item_id=759, fields={"stageId": "LOSE"})
    assert (sandbox.calls, sandbox.http_requests) == ([], 0)
    item = caller.result("crm.item.get", {"entityTypeId": 2, "id": 759})
    assert item == {"item": {"id": 759, "entityTypeId": 2, "stageId": "LOSE"}}
