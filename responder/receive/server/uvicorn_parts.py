"""Looks whether uvicorn has the private parts that `protocol` and `fast_server` are built on.

Its own HTTP protocol waits for slow clients for ever, takes what follows a request for an upgrade
for another request, and starts a task for each delivery; so parts of it are overridden that are
nobody's business but its own. A uvicorn in which one of them has another name would start, and then
fail on every connection. So this is asked before anything listens, and where a part is missing,
`plain_server` serves by what uvicorn promises to keep.
"""

import asyncio
import dis
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import uvicorn

_HTTP = "uvicorn.protocols.http.httptools_impl"

# by whose they are; what asyncio itself asks a protocol for has no other name in any uvicorn
PARTS: Mapping[str, frozenset[str]] = {
    "HttpToolsProtocol": frozenset(
        {"_start_asgi_task", "_unset_keepalive_if_required", "app", "cycle", "expect_100_continue",
         "flow", "headers", "loop", "on_body", "on_headers_complete", "on_message_begin",
         "on_message_complete", "on_response_complete", "parser", "pipeline", "server_state",
         "transport", "url"}
    ),
    "RequestResponseCycle": frozenset(
        {"body", "disconnected", "keep_alive", "message_event", "more_body", "on_response",
         "response_complete", "response_started", "scope", "transport", "waiting_for_100_continue"}
    ),
    "FlowControl": frozenset({"pause_reading", "read_paused", "resume_reading", "write_paused"}),
    "ServerState": frozenset({"default_headers"}),
    "Server": frozenset(
        {"capture_signals", "config", "server_state", "servers", "started", "startup"}
    ),
}  # fmt: skip


def missing() -> list[str]:
    """Name the parts that are not there; to be asked within a running loop."""
    found = [] if hasattr(_module(_HTTP), "STATUS_LINE") else ["STATUS_LINE"]
    for owner, names in PARTS.items():
        try:
            made = made_of(owner)
        except Exception:  # noqa: BLE001 -- another name, other arguments: whatever is not as it was
            found.append(owner)
        else:
            found += [f"{owner}.{name}" for name in sorted(names - made)]
    return found


def made_of(owner: str) -> set[str]:
    """Name all that an object of this class has, or is given later by the methods of the class.

    Raise whatever keeps it from being made.
    """
    made = _MAKERS[owner]()
    return {*dir(made), *_given_later(type(made))}


def _given_later(kind: type) -> Iterator[str]:
    for _, method in inspect.getmembers(kind, inspect.isfunction):
        for step in dis.get_instructions(method):
            if step.opname == "STORE_ATTR":
                yield str(step.argval)


def _module(name: str) -> object:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _class(module: str, name: str) -> Callable[..., Any]:
    made: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return made


def _protocol() -> object:
    return _class(_HTTP, "HttpToolsProtocol")(_config(), _state(), {}, asyncio.get_running_loop())


def _cycle() -> object:
    made = _class(_HTTP, "RequestResponseCycle")
    return made(**dict.fromkeys(inspect.signature(made).parameters))


def _flow() -> object:
    return _class("uvicorn.protocols.http.flow_control", "FlowControl")(None)


def _state() -> object:
    return _class("uvicorn.server", "ServerState")()


def _server() -> object:
    return uvicorn.Server(_config())


def _config() -> uvicorn.Config:
    return uvicorn.Config(_unasked, ws="none", lifespan="off", log_config=None)


async def _unasked(_scope: object, _receive: object, _send: object) -> None:
    """Be an application that is never asked."""


_MAKERS: Mapping[str, Callable[[], object]] = {
    "HttpToolsProtocol": _protocol,
    "RequestResponseCycle": _cycle,
    "FlowControl": _flow,
    "ServerState": _state,
    "Server": _server,
}
