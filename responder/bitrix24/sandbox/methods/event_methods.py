"""Implements the handlers of events: https://apidocs.bitrix24.com/api-reference/events/."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from responder.bitrix24.sandbox import php
from responder.bitrix24.sandbox.answers import Answer, RefusedError
from responder.bitrix24.sandbox.application.application_state import Application
from responder.bitrix24.sandbox.application.bindings import Binding, known_events
from responder.bitrix24.sandbox.state import State

LONGEST_HANDLER = 255  # the width of the column
SMART_PROCESSES = 128  # their entityTypeIds begin here


def names(state: State, params: Mapping[str, object]) -> Answer:
    """List the names of events: of the granted scopes, of one, or of all."""
    asked = upper(params)
    scopes: tuple[str, ...] | None = state.actor.scopes
    if not php.is_empty(asked.get("FULL")):
        scopes = None
    elif "SCOPE" in asked:
        scopes = (php.text(asked["SCOPE"]),)
    return Answer(value=list(known_events(scopes, _types(state))))


def bind(state: State, params: Mapping[str, object]) -> Answer:
    """Bind an online handler, or with `event_type=offline` put the event into the queue."""
    asked = upper(params)
    event, offline = _event(asked), _is_offline(asked)
    handler = "" if offline else php.text(asked.get("HANDLER"))
    auth_type = php.integer(asked.get("AUTH_TYPE"))
    _check_rights(state, offline=offline, auth_type=auth_type)
    if not offline:
        _check_address(state, handler)
    if event not in known_events(state.actor.scopes, _types(state)):
        raise RefusedError(400, "ERROR_EVENT_NOT_FOUND", "Event not found")
    added = application(state).bindings.add(
        event,
        handler=handler,
        auth_type=auth_type,
        connector=php.text(asked.get("AUTH_CONNECTOR")),
        options=php.mapping(asked.get("OPTIONS")),
    )
    if not added:
        text = "Unable to set event handler: Handler already binded"
        raise RefusedError(400, "ERROR_CORE", text)
    return Answer(value=True)


def unbind(state: State, params: Mapping[str, object]) -> Answer:
    """Unbind what has exactly this address; the result is how many handlers that were."""
    asked = upper(params)
    event, offline = _event(asked), _is_offline(asked)
    handler = "" if offline else php.text(asked.get("HANDLER"))
    if not offline and not handler:
        raise RefusedError(400, "ERROR_ARGUMENT", "Argument 'HANDLER' is null or empty")
    given = asked.get("AUTH_TYPE")
    auth_type = None if given in (None, "") else php.integer(given)
    _check_rights(state, offline=offline, auth_type=auth_type or 0)
    connector = php.text(asked.get("AUTH_CONNECTOR"))
    count = application(state).bindings.remove(event, handler, connector, auth_type)
    return Answer(value={"count": count})


def bound(state: State, _params: Mapping[str, object]) -> Answer:
    """List the handlers, the installation's among them; who is no administrator, their own."""
    handlers = application(state).bindings.all
    if not state.actor.admin:
        handlers = [one for one in handlers if str(one.auth_type) == state.actor.user_id]
    return Answer(value=[_row(one) for one in handlers])


def probe(state: State, params: Mapping[str, object]) -> Answer:
    """Let ONAPPTEST happen, with these parameters, for a handler that was bound to it."""
    state.happens("ONAPPTEST", {"QUERY": dict(params)}, user_id=php.integer(state.actor.user_id))
    return Answer(value=True)


def application(state: State) -> Application:
    """Return the application that calls."""
    assert state.application, "its token was accepted"
    return state.application


def upper(params: Mapping[str, object]) -> dict[str, object]:
    """Return parameters under the upper-case names that the module reads them by."""
    return {name.upper(): value for name, value in params.items()}


def _row(binding: Binding) -> dict[str, object]:
    if binding.offline:
        return {"event": binding.event, "connector_id": binding.connector, "offline": 1}
    return {
        "event": binding.event,
        "handler": binding.handler,
        "auth_type": str(binding.auth_type),
        "offline": 0,
    }


def _event(asked: Mapping[str, object]) -> str:
    event = php.text(asked.get("EVENT")).upper()
    if not event:
        raise RefusedError(400, "ERROR_ARGUMENT", "Argument 'EVENT' is null or empty")
    return event


def _is_offline(asked: Mapping[str, object]) -> bool:
    kind = php.text(asked.get("EVENT_TYPE")).lower() or "online"
    if kind not in ("online", "offline"):
        text = "Value must be one of {online, offline}: EVENT_TYPE"
        raise RefusedError(400, "ERROR_ARGUMENT", text)
    return kind == "offline"


def _types(state: State) -> list[int]:
    return [number for number in state.types if number == 31 or number >= SMART_PROCESSES]


def _check_rights(state: State, *, offline: bool, auth_type: int) -> None:
    of_another = auth_type and str(auth_type) != state.actor.user_id
    if (offline or of_another) and not state.actor.admin:
        raise RefusedError(403, "ACCESS_DENIED", "Access denied!")


def _check_address(state: State, handler: str) -> None:
    """Raise where the portal would refuse an address; a host has a dot, and not in front."""
    if not handler:
        raise RefusedError(400, "ERROR_ARGUMENT", "Argument 'HANDLER' is null or empty")
    url = urlsplit(handler)
    if url.scheme not in ("http", "https"):
        raise RefusedError(400, "ERROR_UNSUPPORTED_PROTOCOL", "Unsupported event handler protocol")
    host = url.hostname or ""
    is_near = state.loopback_handlers and host == "localhost"
    if len(handler) > LONGEST_HANDLER or (host.find(".") < 1 and not is_near):
        raise RefusedError(400, "ERROR_WRONG_HANDLER_URL", "Wrong handler URL")
