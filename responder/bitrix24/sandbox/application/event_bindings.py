"""Tells an application what happened: by handlers that are sent it, and by its offline queue.

Nothing is sent while the application is not installed, and nothing is sent twice: whoever does not
hear an event has lost it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from responder.bitrix24.sandbox import php
from responder.bitrix24.sandbox.application.application_state import Application
from responder.bitrix24.sandbox.application.bindings import Binding, names_of
from responder.bitrix24.sandbox.application.tokens import HOPS, Grant

PING = "ONOFFLINEEVENT"
PING_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event on its way to a handler; its body is a form with tokens in it."""

    event: str
    url: str
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that happened in the portal.

    `user_id` is who acted: 0 is nobody, None is not even said. `ours` is what the application did
    itself, by a call with this `connector`. `hops` is how many events may yet follow each other.
    """

    event: str
    data: Mapping[str, object] | None
    user_id: int | None = 0
    ours: bool = False
    connector: str = ""
    hops: int = HOPS


class Events:
    """Tells an application what happened, and remembers when each of its handlers was pinged."""

    def __init__(self) -> None:
        self._pinged: dict[int, float] = {}

    def tell(self, application: Application, happening: Happening) -> list[Outgoing]:
        """Put it into the queue, and return what is to be sent."""
        if application.deleted or not application.installed or happening.hops <= 0:
            return []
        bindings = application.bindings
        names = names_of(happening.event, happening.data)
        online = [one for name in names for one in bindings.online(name)]
        queued = [
            one
            for name in names
            for one in bindings.queued(name)
            if not _is_own_change(application, one, happening)
        ]
        for one in queued:
            application.offline.put(one.event, happening.data, happening.user_id, one.connector)
        told = [_online(application, one, happening) for one in online]
        return told + (self._pings(application, happening) if queued else [])

    def _pings(self, application: Application, happening: Happening) -> list[Outgoing]:
        """Return the pings of the queue. One within the window of the last is never made up for."""
        pings = []
        for binding in application.bindings.online(PING):
            seconds = php.integer(binding.options.get("minTimeout", PING_SECONDS))
            last = self._pinged.get(binding.id)
            now = application.clock()
            if last is None or now - last >= seconds:
                self._pinged[binding.id] = now
                user = str(happening.user_id or 0)
                grant = application.tokens.issue(user) if happening.user_id else None
                body = application.event_body(PING, None, grant, binding.id)
                pings.append(Outgoing(PING, binding.handler, body))
        return pings


def _is_own_change(application: Application, binding: Binding, happening: Happening) -> bool:
    """Return whether the application's own change is kept from it.

    The module compares connectors, so that two empty ones are equal; the documentation has such
    changes come back.
    """
    if not happening.ours or binding.connector != happening.connector:
        return False
    return bool(binding.connector) or not application.offline.by_the_docs


def _online(application: Application, binding: Binding, happening: Happening) -> Outgoing:
    """Return an event with tokens of who acted, or of the user that the handler is bound for."""
    user_id = binding.auth_type or happening.user_id or 0
    grant: Grant | None = None
    if user_id:
        grant = application.tokens.for_event(str(user_id), hops=happening.hops - 1)
    body = application.event_body(binding.event, happening.data, grant, binding.id)
    return Outgoing(binding.event, binding.handler, body)
