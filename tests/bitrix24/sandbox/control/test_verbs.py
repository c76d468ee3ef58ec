"""Each verb does from outside what a test does with the sandbox in its hands."""

from urllib.parse import parse_qs

import pytest

from responder.bitrix24.sandbox import Application, Sandbox
from tests.bitrix24.sandbox.application.client import ApplicationCaller
from tests.bitrix24.sandbox.caller import DEAL, Caller, mapping, rows
from tests.bitrix24.sandbox.control.conftest import Visitor

INSTANCES = "bizproc.workflow.instances"
URL = "http://127.0.0.1:1/app"


def test_workflows_are_started_waited_for_and_ended(visitor: Visitor, caller: Caller) -> None:
    visitor.ask("template", template_id=61, name="Approval")
    started = "2026-11-01T10:00:00+00:00"
    workflow = visitor.ask("workflow", document=DEAL, template_id=61, started=started)
    visitor.ask("bizproc-task", workflow_id=workflow, user_id=9, name="Approve")
    [row] = caller.rows(INSTANCES, {"SELECT": ["ID", "STARTED"]})
    assert row == {"ID": workflow, "STARTED": "2026-11-01T13:00:00+03:00"}
    assert len(caller.rows("bizproc.task.list")) == 1
    assert caller.ids("bizproc.workflow.template.list") == ["61"]
    assert visitor.ask("end-workflow", workflow_id=workflow) is True
    assert visitor.ask("end-workflow", workflow_id=workflow) is False


def test_people_tasks_stages_and_items_are_added(
    visitor: Visitor, caller: Caller, sandbox: Sandbox
) -> None:
    visitor.ask("user", user_id=7, administrator=True, department=[2])
    assert sandbox.is_admin("7")
    visitor.ask("user", user_id=7, active=False)
    assert not sandbox.is_admin("7")
    assert caller.ids("user.get", {"FILTER": {"ACTIVE": False}}) == ["7"]
    visitor.ask("task", task_id=5, fields={"title": "A task"})
    assert 5 in sandbox.tasks
    visitor.ask("status", entity_id="DEAL_STAGE_9", status_id="C9:WON", semantics="S")
    assert sandbox.statuses[-1]["STATUS_ID"] == "C9:WON"
    visitor.ask("item", entity_type_id=2, item_id=5)
    visitor.ask("stage-change", entity_type_id=2, item_id=5, stage_id="C9:WON", change_type=3)
    history = mapping(caller.result("crm.stagehistory.list", {"entityTypeId": 2}))
    assert rows(history["items"])[0]["STAGE_ID"] == "C9:WON"
    assert visitor.ask("remove-item", entity_type_id=2, item_id=5) is True
    assert visitor.ask("remove-item", entity_type_id=2, item_id=5) is False


def test_lists_are_added(visitor: Visitor, caller: Caller, sandbox: Sandbox) -> None:
    sandbox.scopes = ("lists",)
    visitor.ask("iblock", iblock_id=164, name="Trips", list_type="bitrix_processes")
    visitor.ask("iblock-field", iblock_id=164, field_id="PROPERTY_1", name="Kind")
    properties = {"PROPERTY_1": "abroad"}
    visitor.ask("iblock-element", iblock_id=164, element_id=7, name="One", properties=properties)
    asked = {"IBLOCK_TYPE_ID": "bitrix_processes", "IBLOCK_ID": 164}
    [element] = caller.rows("lists.element.get", asked)
    assert list(mapping(element["PROPERTY_1"]).values()) == ["abroad"]


def test_faults_are_planned_and_forgotten(
    visitor: Visitor, caller: Caller, sandbox: Sandbox
) -> None:
    visitor.ask("fault", method="scope", fault="500")
    visitor.ask("fault", method="scope", fault=[418, "TEAPOT", "I am one"], times=2)
    assert [caller.refusal("scope")[0] for _ in range(2)] == [500, 418]
    visitor.ask("fault", method="token", fault="payment", server="oauth")
    visitor.ask("clear-faults")
    assert sandbox.faults.planned == 0
    caller.result("scope")
    assert mapping(visitor.ask("contents"))["faults"] == 0


def test_switches_are_set_and_told(visitor: Visitor, sandbox: Sandbox) -> None:
    values = {"limits": True, "features": [], "scopes": ["crm"], "zombie_days": 37}
    told = mapping(visitor.ask("switches", values=values))
    assert {name: told[name] for name in values} == values
    assert (sandbox.limits, sandbox.features, sandbox.scopes) == (True, set(), ("crm",))
    assert sandbox.zombie_days == 37
    assert mapping(visitor.ask("switches", values={}))["burst"] == 50


def test_the_clock_is_set_forward(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.clock = lambda: 1_764_266_400.0
    assert visitor.ask("forward", seconds=3600) == "2025-11-27T22:00:00+03:00"
    visitor.ask("forward", seconds=3600)
    assert sandbox.clock() == 1_764_266_400 + 7200


def test_calls_are_read_by_parts(visitor: Visitor, caller: Caller) -> None:
    for method in ("scope", "profile", "scope"):
        caller.result(method, {"a": method})
    told = mapping(visitor.ask("calls", after=1))
    assert told["total"] == 3
    assert [call["method"] for call in rows(told["calls"])] == ["profile", "scope"]
    assert mapping(visitor.ask("calls", method="profile"))["total"] == 1


@pytest.fixture
def bound(app: ApplicationCaller) -> ApplicationCaller:
    for event in ("ONCRMDEALUPDATE", "ONAPPUNINSTALL"):
        app.result("event.bind", {"event": event, "handler": URL})
    app.result("event.bind", {"event": "ONCRMDEALUPDATE", "event_type": "offline"})
    return app


@pytest.mark.usefixtures("bound")
def test_what_happens_is_returned_unless_it_is_delivered(visitor: Visitor) -> None:
    asked = {"event": "ONCRMDEALUPDATE", "data": {"FIELDS": {"ID": 5}}, "user_id": 1}
    [told] = rows(visitor.ask("happen", **asked, deliver=False))
    assert (told["event"], told["url"]) == ("ONCRMDEALUPDATE", URL)
    assert parse_qs(str(told["body"]))["data[FIELDS][ID]"] == ["5"]
    [delivered] = rows(visitor.ask("happen", **asked))
    assert delivered == {"event": "ONCRMDEALUPDATE", "url": URL}
    contents = mapping(visitor.ask("contents"))
    assert rows(contents["offline"])[0]["data"] == {"FIELDS": {"ID": 5}}
    assert len(rows(contents["handlers"])) == 4


def test_an_application_is_installed_expired_and_deleted(
    visitor: Visitor, bound: ApplicationCaller, application: Application
) -> None:
    application.install_url = URL
    [told] = rows(visitor.ask("install", user_id=9, deliver=False))
    assert parse_qs(str(told["body"]))["auth[user_id]"] == ["9"]
    visitor.ask("expire-tokens")
    assert bound.refusal("scope")[1] == "expired_token"
    [told] = rows(visitor.ask("uninstall", deliver=False))
    assert parse_qs(str(told["body"]))["event"] == ["ONAPPUNINSTALL"]
    assert application.deleted


def test_nothing_is_delivered_to_another_machine(
    visitor: Visitor, application: Application
) -> None:
    assert application.install_url.startswith("https://responder.sandbox.invalid/")
    assert visitor.mistakes("install") == ["the sandbox sends nothing to responder.sandbox.invalid"]


def test_requests_of_the_oauth_server_are_told_without_their_secrets(
    visitor: Visitor, application: Application
) -> None:
    params = {"client_id": application.client_id, "client_secret": application.client_secret}
    url = f"{application.addresses.oauth}/token/"
    visitor.client.post(url, data=params, params={"grant_type": "refresh_token"})
    [told] = rows(visitor.ask("oauth-calls"))
    assert told["endpoint"] == "token"
    assert told["in_address"] == ["grant_type"]
    assert told["names"] == ["grant_type", "client_id", "client_secret"]
    assert application.client_secret not in str(told)
