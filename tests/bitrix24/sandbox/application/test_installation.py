"""Installing, reinstalling and deleting (BITRIX24-APP §1): messages, and what goes with them."""

import pytest

from responder.bitrix24.sandbox import Application, Sandbox
from responder.bitrix24.sandbox.php import nest
from tests.bitrix24.sandbox.application.client import ApplicationCaller, parsed

TOP = (
    "event=ONAPPINSTALL&event_handler_id=12&data%5BVERSION%5D=1&data%5BACTIVE%5D=Y"
    "&data%5BINSTALLED%5D=Y&data%5BLANGUAGE_ID%5D=en&ts=1764266400&auth%5Baccess_token%5D="
)


def test_the_installation_message_is_a_form_with_encoded_brackets() -> None:
    """§1, body: the fields and their order, all strings, with both tokens."""
    sandbox = Sandbox(clock=lambda: 1_764_266_400.0)
    sandbox.reached_at(portal="http://127.0.0.1:8010", oauth="http://127.0.0.1:8011")
    application = sandbox.add_application(scopes=("crm", "bizproc"))
    message = application.installation_message()
    assert message.startswith(TOP)
    auth = parsed(message)["auth"]
    assert list(auth) == [
        "access_token",
        "expires",
        "expires_in",
        "scope",
        "domain",
        "server_endpoint",
        "status",
        "client_endpoint",
        "member_id",
        "user_id",
        "refresh_token",
        "application_token",
    ]
    assert (auth["expires"], auth["expires_in"]) == ("1764270000", "3600")
    assert (auth["scope"], auth["status"], auth["user_id"]) == ("crm,bizproc", "L", "1")
    assert auth["domain"] == "127.0.0.1:8010"
    assert auth["server_endpoint"] == "http://127.0.0.1:8011/rest/"
    assert auth["client_endpoint"] == "http://127.0.0.1:8010/rest/"
    application.scope_separator = " "
    assert parsed(application.installation_message())["auth"]["scope"] == "crm bizproc"


def test_the_frames_form_is_another_one(application: Application) -> None:
    """§1, with interface: query `DOMAIN, PROTOCOL, LANG, APP_SID`; newer forms have three more."""
    opening = application.opening()
    assert list(nest(opening.query)) == ["DOMAIN", "PROTOCOL", "LANG", "APP_SID"]
    older = ["AUTH_ID", "AUTH_EXPIRES", "REFRESH_ID", "member_id", "status", "PLACEMENT"]
    newer = ["SERVER_ENDPOINT", "APPLICATION_TOKEN", "APPLICATION_SCOPE"]
    assert list(nest(opening.body)) == older + newer
    application.older_form = True
    assert list(nest(application.opening("7").body)) == older


def test_an_interface_is_not_installed_before_it_says_so(
    sandbox: Sandbox, app: ApplicationCaller
) -> None:
    """§1: INSTALLED is N until installFinish; binding works till then, but no event is sent."""
    application = sandbox.add_application(with_interface=True)
    app.use(application)
    handler = {"event": "ONCRMDEALADD", "handler": "http://127.0.0.1:1/"}
    assert app.result("event.bind", handler) is True
    app.result("event.bind", {"event": "ONCRMDEALADD", "event_type": "offline"})
    assert sandbox.happens("ONCRMDEALADD", {"FIELDS": {"ID": 5}}, user_id=1) == []
    assert application.offline.rows == []
    application.finish_installation()
    assert len(sandbox.happens("ONCRMDEALADD", {"FIELDS": {"ID": 5}}, user_id=1)) == 1
    assert len(application.offline.rows) == 1


def test_an_application_without_interface_is_installed_at_once() -> None:
    """§1: API-only, or without an install URL: INSTALLED is Y at once."""
    assert Sandbox().add_application().installed
    assert Sandbox().add_application(with_interface=True, install_url="").installed


def test_reinstalling_gives_tokens_of_another_administrator(
    sandbox: Sandbox, app: ApplicationCaller, application: Application
) -> None:
    """§1, lost it: Reinstall fires it again, tokens of whoever pressed; the token stays."""
    before = application.application_token
    auth = parsed(application.reinstall(9))["auth"]
    assert (auth["user_id"], auth["application_token"]) == ("9", before)
    app.tokens["access"] = auth["access_token"]
    profile = app.result("profile")
    assert isinstance(profile, dict)
    assert (profile["ID"], profile["ADMIN"]) == ("9", True)
    sandbox.administrators.discard("9")
    assert app.refusal("bizproc.workflow.instances")[:2] == (403, "ACCESS_DENIED")


def test_reinstalling_is_silent_once_its_handler_is_unbound(
    app: ApplicationCaller, application: Application
) -> None:
    """§3: the install row appears in event.get: unbound, Reinstall is silent."""
    handler = {"event": "ONAPPINSTALL", "handler": application.install_url}
    assert app.result("event.unbind", handler) == {"count": 1}
    assert application.reinstall(1) is None


def test_deleting_takes_handlers_queue_and_tokens_with_it(
    sandbox: Sandbox, extended: ApplicationCaller, application: Application
) -> None:
    """§1: ONAPPUNINSTALL only if bound, auth without tokens; handlers and the queue go."""
    address = "http://127.0.0.1:1/app"
    extended.result("event.bind", {"event": "ONAPPUNINSTALL", "handler": address})
    sandbox.happens("ONCRMDEALADD", {"FIELDS": {"ID": 5}})
    message = parsed(application.uninstall(clean=True))
    assert message["data"] == {"LANGUAGE_ID": "en", "CLEAN": "1"}
    assert message["auth"]["application_token"] == application.application_token
    assert not {"access_token", "refresh_token", "user_id"} & set(message["auth"])
    assert application.bindings.all == []
    assert application.offline.rows == []
    assert sandbox.happens("ONCRMDEALADD", {"FIELDS": {"ID": 5}}) == []


def test_deleting_is_silent_where_nobody_listens(application: Application) -> None:
    """§1: ONAPPUNINSTALL comes only if bound."""
    assert application.uninstall() is None


@pytest.mark.parametrize("user_id", [None, 7])
def test_who_saves_the_form_is_whose_tokens_come(user_id: int | None) -> None:
    """§1, API-only: the user is the administrator who saved the form."""
    sandbox = Sandbox()
    application = sandbox.add_application(user_id=user_id)
    auth = parsed(application.installation_message())["auth"]
    assert auth["user_id"] == str(user_id or 1)
    assert sandbox.is_admin(auth["user_id"])
