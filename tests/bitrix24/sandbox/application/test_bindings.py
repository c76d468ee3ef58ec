"""Handlers of events (BITRIX24-APP §3): binding, unbinding, listing, and what is refused."""

import pytest

from responder.bitrix24.sandbox import Application, Sandbox
from tests.bitrix24.sandbox.application.client import ApplicationCaller

URL = "https://one.sandbox.invalid/app?portal=main"
OTHER = "https://two.sandbox.invalid/app"
DEAL = "ONCRMDEALUPDATE"


def test_a_handler_is_bound_listed_and_unbound(
    app: ApplicationCaller, application: Application
) -> None:
    """§3, event.get: online and offline rows differ, and the installation's row is among them."""
    assert app.result("event.bind", {"event": "onCrmDealUpdate", "handler": URL}) is True
    assert app.result("event.bind", {"event": DEAL, "event_type": "offline"}) is True
    assert app.rows("event.get") == [
        {
            "event": "ONAPPINSTALL",
            "handler": application.install_url,
            "auth_type": "0",
            "offline": 0,
        },
        {"event": DEAL, "handler": URL, "auth_type": "0", "offline": 0},
        {"event": DEAL, "connector_id": "", "offline": 1},
    ]
    assert app.result("event.unbind", {"event": DEAL, "handler": URL[:-1]}) == {"count": 0}
    assert app.result("event.unbind", {"event": DEAL, "handler": URL}) == {"count": 1}
    assert app.result("event.unbind", {"event": DEAL, "event_type": "offline"}) == {"count": 1}
    assert [row["event"] for row in app.rows("event.get")] == ["ONAPPINSTALL"]


@pytest.mark.parametrize("params", [{"handler": URL}, {"event_type": "offline"}])
def test_a_handler_is_bound_but_once(app: ApplicationCaller, params: dict[str, str]) -> None:
    """§3: unique by event, handler, user and connector; again is ERROR_CORE."""
    app.result("event.bind", {"event": DEAL, **params})
    text = "Unable to set event handler: Handler already binded"
    assert app.refusal("event.bind", {"event": DEAL, **params}) == (400, "ERROR_CORE", text)
    app.result("event.bind", {"event": DEAL, **params, "auth_connector": "ours"})
    app.result("event.bind", {"event": "ONCRMDEALADD", **params})


def test_without_a_user_all_users_handlers_are_unbound(app: ApplicationCaller) -> None:
    """§3, event.unbind: `auth_type` omitted is all."""
    for auth_type in (0, 1, 7):
        app.result("event.bind", {"event": DEAL, "handler": URL, "auth_type": auth_type})
    asked = {"event": DEAL, "handler": URL}
    assert app.result("event.unbind", {**asked, "auth_type": 7}) == {"count": 1}
    assert app.result("event.unbind", asked) == {"count": 2}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"event": "ONCRMDEALUPDATED", "handler": URL}, "ERROR_EVENT_NOT_FOUND"),
        ({"event": "ONUSERADD", "handler": URL}, "ERROR_EVENT_NOT_FOUND"),
        ({"handler": URL}, "ERROR_ARGUMENT"),
        ({"event": DEAL}, "ERROR_ARGUMENT"),
        ({"event": DEAL, "handler": URL, "event_type": "later"}, "ERROR_ARGUMENT"),
        ({"event": DEAL, "handler": "https://host/"}, "ERROR_WRONG_HANDLER_URL"),
        ({"event": DEAL, "handler": "https://.host/"}, "ERROR_WRONG_HANDLER_URL"),
        ({"event": DEAL, "handler": URL + "x" * 255}, "ERROR_WRONG_HANDLER_URL"),
        ({"event": DEAL, "handler": "ftp://one.sandbox.invalid/"}, "ERROR_UNSUPPORTED_PROTOCOL"),
    ],
)
def test_a_wrong_binding_is_refused(
    app: ApplicationCaller, params: dict[str, str], code: str
) -> None:
    """§3, errors of event.bind: an event of a scope that was not granted is not found either."""
    assert app.refusal("event.bind", params)[:2] == (400, code)


def test_localhost_is_refused_where_the_switch_is_off(
    app: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§3: a host has a dot; `localhost` is let through for tests."""
    near = {"event": DEAL, "handler": "http://localhost:1/"}
    app.result("event.bind", near)
    app.result("event.unbind", near)
    sandbox.loopback_handlers = False
    assert app.refusal("event.bind", near)[1] == "ERROR_WRONG_HANDLER_URL"
    app.result("event.bind", {"event": DEAL, "handler": "http://127.0.0.1:1/"})


def test_who_is_no_administrator_binds_and_sees_but_their_own(
    app: ApplicationCaller, sandbox: Sandbox, application: Application
) -> None:
    """§3: offline, or another's auth_type, as non-admin is 403 ACCESS_DENIED; lists its own."""
    sandbox.add_user(7)
    app.use(application, "7")
    for params in ({"event_type": "offline"}, {"handler": URL, "auth_type": 1}):
        refusal = app.refusal("event.bind", {"event": DEAL, **params})
        assert refusal[:2] == (403, "ACCESS_DENIED")
    app.result("event.bind", {"event": DEAL, "handler": OTHER, "auth_type": 7})
    assert [row["handler"] for row in app.rows("event.get")] == [OTHER]


def test_a_connector_is_a_matter_of_the_plan(app: ApplicationCaller, sandbox: Sandbox) -> None:
    """§3: WRONG_LICENSE 403 (connector)."""
    sandbox.features.discard("rest_auth_connector")
    params = {"event": DEAL, "event_type": "offline", "auth_connector": "ours"}
    assert app.refusal("event.bind", params)[:2] == (403, "WRONG_LICENSE")


def test_events_are_listed_by_scope(
    app: ApplicationCaller, sandbox: Sandbox, application: Application
) -> None:
    """§3: by default of the granted scopes; types of the CRM have events of their own."""
    sandbox.add_item(147, 1)
    application.scopes = ("task",)
    granted = app.result("events")
    assert isinstance(granted, list)
    assert "ONTASKADD" in granted
    assert "ONAPPTEST" in granted
    assert DEAL not in granted
    of_crm = app.result("events", {"SCOPE": "crm"})
    assert isinstance(of_crm, list)
    assert {"ONCRMDEALMOVETOCATEGORY", "ONCRMDYNAMICITEMADD_147"} <= set(of_crm)
    everything = app.result("events", {"FULL": True})
    assert isinstance(everything, list)
    assert set(everything) >= {*granted, *of_crm}
