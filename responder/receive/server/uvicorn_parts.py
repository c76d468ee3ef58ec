"""Checks whether uvicorn has the private parts that `deadlines` and `fast_server` are built on.

uvicorn's own HTTP protocol waits for slow clients for ever, reads what follows a request for an
upgrade as another request, and starts a task for each delivery; so private parts of it are
overridden. A uvicorn in which one of them has another name would start, and then fail on every
connection. So this is checked before anything listens, and where a part is missing, `plain_server`
serves with public parts alone.
"""

import asyncio
import dis
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import uvicorn

_HTTP = "uvicorn.protocols.http.httptools_impl"

# by class; the methods that asyncio calls are left out, for their names are fixed
PARTS: Mapping[str, frozenset[str]] = {
    "HttpToolsProtocol": frozenset(
        {"_start_asgi_task", "_unset_keepalive_if_required", "app", "cycle", "expect_100_continue",
         "flow", "headers", "loop", "on_body", "on_headers_complete", "on_message_begin",
         "on_message_complete", "on_response_complete", "parser", "pipeline", "server_state",
         "transport", "url"}
    ),
    "RequestResponseCycle": frozenset(
        {"body", "disconnected", "keep_alive", "message_event", "more_body", "response_complete",
         "response_started", "scope", "transport", "waiting_for_100_continue"}
    ),
    "FlowControl": frozenset({"pause_reading", "read_paused", "resume_reading", "write_paused"}),
    "ServerState": frozenset({"default_headers"}),
    "Server": frozenset(
        {"capture_signals", "config", "server_state", "servers", "started", "startup"}
    ),
}  # fmt: skip

# what uvicorn may use of the current request while it is one of ours (`fast_path.StoredRequest`)
OF_A_STORED_REQUEST = frozenset(
    {"disconnected", "keep_alive", "message_event", "response_complete"}
)
_OF_ITS_OWN_REQUEST = {"on_body", "on_message_complete"}  # which the parser is reading


def missing() -> list[str]:
    """Return the names of missing parts; call it within a running loop."""
    found = [] if hasattr(_module(_HTTP), "STATUS_LINE") else ["STATUS_LINE"]
    for owner, names in PARTS.items():
        try:
            made = attributes_of(owner)
        except Exception:  # noqa: BLE001 -- another name, other arguments, or any other change
            found.append(owner)
        else:
            found += [f"{owner}.{name}" for name in sorted(names - made)]
    if not found:
        others = used_of_the_cycle(_class(_HTTP, "HttpToolsProtocol")) - OF_A_STORED_REQUEST
        found += [f"StoredRequest.{name}" for name in sorted(others)]
    return found


def used_of_the_cycle(protocol: type) -> set[str]:
    """Return what a protocol's methods use of `self.cycle`, whichever request that is then."""
    return {
        str(used.argval)
        for name, method in inspect.getmembers(protocol, inspect.isfunction)
        if name not in _OF_ITS_OWN_REQUEST
        for step, used in pairwise(dis.get_instructions(method))
        if (step.opname, step.argval) == ("LOAD_ATTR", "cycle")
        and used.opname in ("LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR")
    }


def attributes_of(owner: str) -> set[str]:
    """Return the attributes of an object of this class, also those that its methods assign later.

    Raise whatever making the object raises.
    """
    made = _MAKERS[owner]()
    return {*dir(made), *_assigned_in_methods(type(made))}


def _assigned_in_methods(kind: type) -> Iterator[str]:
    for _, method in inspect.getmembers(kind, inspect.isfunction):
        for step in dis.get_instructions(method):
            if step.opname == "STORE_ATTR":
                yield str(step.argval)


def _module(name: str) -> object:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _class(module: str, name: str) -> Any:  # noqa: ANN401 -- a class, called or looked at
    made: Any = getattr(importlib.import_module(module), name)
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
    return uvicorn.Config(_never_called, ws="none", lifespan="off", log_config=None)


async def _never_called(_scope: object, _receive: object, _send: object) -> None:
    """Do nothing: an application that is never called."""


_MAKERS: Mapping[str, Callable[[], object]] = {
    "HttpToolsProtocol": _protocol,
    "RequestResponseCycle": _cycle,
    "FlowControl": _flow,
    "ServerState": _state,
    "Server": _server,
}
