"""People and the webhook in the sandbox."""

from responder.bitrix24.sandbox import Sandbox
from tests.bitrix24.sandbox.caller import Caller, mapping


def test_profile_tells_whether_we_are_an_administrator(sandbox: Sandbox, caller: Caller) -> None:
    assert mapping(caller.result("profile"))["ADMIN"] is True
    sandbox.admin = False
    assert mapping(caller.result("profile"))["ADMIN"] is False


def test_an_inactive_user_is_an_empty_array(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.add_user(1, active=False)
    assert caller.result("profile") == caller.result("user.current") == []


def test_users_are_text_but_active(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.add_user(7, department=(2, 3))
    sandbox.add_user(12, active=False)
    [user] = caller.rows("user.get", {"FILTER": {"ID": 7}})
    assert (user["ID"], user["ACTIVE"], user["UF_DEPARTMENT"]) == ("7", True, [2, 3])
    assert caller.ids("user.get", {"FILTER": {"ACTIVE": False}}) == ["12"]
    assert caller.ids("user.get", {"FILTER": {"ID": [7, 12]}}) == ["7", "12"]
    assert caller.ids("user.get", {"ID": 12}) == ["12"]


def test_a_hidden_user_is_never_listed(sandbox: Sandbox, caller: Caller) -> None:
    """BITRIX24 §9b.16: integrators, bots, mail and replica users are never returned."""
    sandbox.add_user(77, hidden=True)
    answer = caller.call("user.get", {"FILTER": {"ID": 77}})
    assert answer["result"] == []
    assert "total" not in answer
    assert caller.ids("user.get") == ["1"]
    sandbox.add_user(1, hidden=True)
    assert mapping(caller.result("profile"))["ID"] == "1"
    assert mapping(caller.result("user.current"))["ID"] == "1"


def test_departments_with_a_hole_are_a_map(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.add_user(7, department={"0": 2, "2": 3})
    [user] = caller.rows("user.get", {"FILTER": {"ID": 7}})
    assert user["UF_DEPARTMENT"] == {"0": 2, "2": 3}
    assert caller.ids("user.get", {"FILTER": {"UF_DEPARTMENT": 3}}) == ["7"]


def test_a_filter_of_users_stands_alone_and_selects_fields(
    sandbox: Sandbox, caller: Caller
) -> None:
    sandbox.add_user(7)
    asked = {"ID": 1, "filter": {"id": 7}, "SELECT": ["ID", "ACTIVE", "NO_SUCH"]}
    assert caller.rows("user.get", asked) == [{"ID": "7", "ACTIVE": True}]


def test_users_are_paged(sandbox: Sandbox, caller: Caller) -> None:
    for number in range(2, 61):
        sandbox.add_user(number)
    answer = caller.call("user.get", {"sort": "ID", "order": "DESC"})
    assert (answer["total"], answer["next"]) == (60, 50)
    assert caller.ids("user.get", {"sort": "ID", "order": "DESC"})[0] == "60"


def test_scope_lists_what_the_webhook_was_given(sandbox: Sandbox, caller: Caller) -> None:
    assert caller.result("scope") == ["bizproc", "crm", "user_brief", "task"]
    sandbox.scopes = ("crm",)
    assert caller.result("scope") == mapping(caller.result("app.info"))["SCOPE"] == ["crm"]


def test_a_method_without_its_scope_is_refused(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.scopes = ()
    for method in ("bizproc.workflow.kill", "crm.item.get", "user.current", "tasks.task.get"):
        assert caller.refusal(method)[:2] == (403, "insufficient_scope")
    assert caller.result("scope") == []


def test_method_get_tells_what_exists_and_may_be_called(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.scopes = ("crm",)
    for name, exists, available in (
        ("crm.item.get", True, True),
        ("bizproc.workflow.kill", True, False),
        ("server.time", True, True),
        ("no.such.method", False, False),
    ):
        told = caller.result("method.get", {"name": name})
        assert told == {"isExisting": exists, "isAvailable": available}


def test_a_plan_may_lack_a_method(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.absent_methods.add("bizproc.workflow.kill")
    assert caller.refusal("bizproc.workflow.kill")[:2] == (404, "ERROR_METHOD_NOT_FOUND")
    told = caller.result("method.get", {"name": "bizproc.workflow.kill"})
    assert told == {"isExisting": False, "isAvailable": False}


def test_the_portals_clock_can_be_read(caller: Caller) -> None:
    assert str(caller.result("server.time")).endswith("+03:00")
