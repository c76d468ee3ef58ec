"""Calls with an access token (BITRIX24-APP §1, §2): where it stands, whose it is, what it may."""

import httpx
import pytest

from responder.bitrix24.sandbox import Application, Sandbox, SandboxServer
from tests.bitrix24.sandbox.application.client import ApplicationCaller, refused
from tests.bitrix24.sandbox.caller import DEAL, Caller, mapping

KILL = "bizproc.workflow.kill"


@pytest.mark.parametrize("name", ["auth", "access_token"])
@pytest.mark.parametrize("place", ["params", "data", "json"])
def test_a_token_is_taken_from_query_form_and_json(
    app: ApplicationCaller, name: str, place: str
) -> None:
    """§2, calls: the parameter is `auth` or `access_token`."""
    given = {name: app.tokens["access"]}
    answered = (
        app.client.post("profile", params=given)
        if place == "params"
        else app.client.post("profile", data=given)
        if place == "data"
        else app.client.post("profile.json", json=given)
    )
    assert mapping(mapping(answered.json())["result"])["ID"] == "1"


def test_the_header_wins_over_the_parameter(
    app: ApplicationCaller, sandbox: Sandbox, application: Application
) -> None:
    """§2, calls: `Authorization: Bearer` is read too, and wins."""
    sandbox.add_user(7)
    bearer = application.tokens.issue("7").access_token
    headers = {"Authorization": f"Bearer {bearer}"}
    answered = app.client.post("profile", json={"auth": app.tokens["access"]}, headers=headers)
    assert mapping(mapping(answered.json())["result"])["ID"] == "7"
    refused_by_it = app.client.post(
        "profile", json={"auth": app.tokens["access"]}, headers={"Authorization": "Bearer x"}
    )
    assert refused(refused_by_it) == (401, "invalid_token")


def test_a_call_without_a_token_has_no_authorisation(app: ApplicationCaller) -> None:
    """§2, calls; BITRIX24 §7.2: NO_AUTH_FOUND."""
    assert refused(app.client.post("profile")) == (401, "NO_AUTH_FOUND")


def test_a_portal_without_an_application_knows_no_token(server: SandboxServer) -> None:
    """§2, calls: a token of elsewhere."""
    answered = httpx.post(f"{server.address}/rest/profile?auth=x", trust_env=False)
    assert refused(answered) == (401, "invalid_token")


def test_an_access_token_ends_after_an_hour(
    app: ApplicationCaller, sandbox: Sandbox, application: Application
) -> None:
    """§2: access 3600 s; 401 `expired_token` after that, and nothing is done."""
    now = sandbox.clock()
    sandbox.clock = lambda: now + 3599
    workflow = sandbox.start_workflow(DEAL, 61)
    app.result("profile")
    sandbox.clock = lambda: now + 3601
    assert app.refusal(KILL, {"ID": workflow})[:2] == (401, "expired_token")
    assert sandbox.killed == []
    assert app.sandbox.calls_of(KILL) == []
    app.use(application)
    assert app.result(KILL, {"ID": workflow}) is True


def test_a_token_may_expire_between_two_commands_of_a_batch(
    app: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§2, calls: `expired_token`, planned for a call or for single commands of a batch."""
    sandbox.fail_next("scope", "expired_token", times=2)
    assert app.refusal("scope")[:2] == (401, "expired_token")
    parts = app.batch({"a": "profile", "b": "scope", "c": "scope"})
    assert set(mapping(parts["result"])) == {"a", "c"}
    assert mapping(mapping(parts["result_error"])["b"])["error"] == "expired_token"
    sandbox.fail_next("batch", "expired_token")
    assert refused(app.post("batch", {"cmd": {"a": "profile"}})) == (401, "expired_token")


def test_a_dismissed_installer_cannot_call(app: ApplicationCaller, sandbox: Sandbox) -> None:
    """§1: a dismissed installer is `authorization_error`."""
    sandbox.add_user(1, active=False)
    assert app.refusal("profile")[:2] == (401, "authorization_error")


def test_the_scopes_are_those_of_the_application(
    app: ApplicationCaller, caller: Caller, application: Application
) -> None:
    """§1: calls run within the application's scopes, not the webhook's."""
    application.scopes = ("crm",)
    assert app.result("scope") == ["crm"]
    assert app.refusal(KILL, {"ID": "x"})[:2] == (403, "insufficient_scope")
    assert caller.refusal(KILL, {"ID": "x"})[:2] == (400, "")
    assert app.result("method.get", {"name": KILL}) == {"isExisting": True, "isAvailable": False}


def test_the_rights_are_those_of_the_tokens_user(
    app: ApplicationCaller, sandbox: Sandbox, application: Application
) -> None:
    """§1: kill and instances need an administrator; calls run as the token's user."""
    sandbox.add_user(7)
    app.use(application, "7")
    assert mapping(app.result("profile"))["ADMIN"] is False
    assert app.refusal("bizproc.workflow.instances")[:2] == (403, "ACCESS_DENIED")
    sandbox.add_administrator(7)
    assert app.rows("bizproc.workflow.instances") == []


def test_a_deleted_application_is_not_found(
    app: ApplicationCaller, application: Application
) -> None:
    """§2, calls: APPLICATION_NOT_FOUND is a deleted one."""
    application.uninstall()
    assert app.refusal("profile")[:2] == (401, "APPLICATION_NOT_FOUND")


@pytest.mark.parametrize("method", ["events", "event.get", "event.bind", "event.offline.get"])
def test_events_refuse_a_webhook(caller: Caller, method: str) -> None:
    """§3: application only, webhooks 403 WRONG_AUTH_TYPE."""
    assert caller.refusal(method)[:2] == (403, "WRONG_AUTH_TYPE")


def test_the_portals_own_app_info_has_another_shape(
    app: ApplicationCaller, caller: Caller, application: Application
) -> None:
    """§1: the portal's own app.info is `{ID, CODE, VERSION, STATUS, INSTALLED, ..}`."""
    told = mapping(app.result("app.info"))
    assert (told["CODE"], told["STATUS"], told["INSTALLED"]) == (application.client_id, "L", True)
    assert set(mapping(caller.result("app.info"))) == {"SCOPE", "LICENSE"}


def test_a_feature_is_there_or_not(app: ApplicationCaller, sandbox: Sandbox) -> None:
    """§4: `feature.get {CODE}` answers `{"value": "Y"}`."""
    code = {"CODE": "rest_offline_extended"}
    assert app.result("feature.get", code) == {"value": "Y"}
    sandbox.features.clear()
    assert app.result("feature.get", code) == {"value": "N"}


def test_a_connector_needs_its_feature_on_any_call(
    app: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§4: `auth_connector` needs `rest_auth_connector`, else WRONG_LICENSE."""
    app.result("scope", {"auth_connector": "ours"})
    sandbox.features.discard("rest_auth_connector")
    assert app.refusal("scope", {"auth_connector": "ours"})[:2] == (403, "WRONG_LICENSE")


def test_a_call_is_recorded_without_its_token(
    app: ApplicationCaller, caller: Caller, sandbox: Sandbox
) -> None:
    """§2: tokens are secrets, so no record of calls has them."""
    app.result("profile", {"a": "b"})
    caller.result("profile")
    assert [(call.params, call.application) for call in sandbox.calls] == [
        ({"a": "b"}, True),
        ({}, False),
    ]


def test_operating_time_is_counted_apart_from_the_webhooks(
    app: ApplicationCaller, caller: Caller, sandbox: Sandbox
) -> None:
    """§8: operating time is per method and per application or webhook; the rate is shared."""
    sandbox.limits = True
    sandbox.operating["scope"] = 500
    assert caller.refusal("scope")[1] == "OPERATION_TIME_LIMIT"
    app.result("scope")
    sandbox.burst = 1
    assert app.refusal("scope")[1] == "QUERY_LIMIT_EXCEEDED"
    assert caller.refusal("profile")[1] == "QUERY_LIMIT_EXCEEDED"
