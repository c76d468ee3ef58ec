"""Knows by what each portal's application is recognised, as the database has it.

The driver of a portal pins the application token and the member id when an installation was proved,
and any replica may receive the events. So each reads all pins every half second: an event that is
sent by a portal because its driver registered for it comes later than that, since the driver waits
a second. The same read wakes drivers whose portals have an installation message to be verified.
"""

import asyncio
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from responder.settings.settings import PortalSettings
from responder.store.applications import held_messages, installations
from responder.store.applications.installations import Installation, State, token_digest
from responder.store.database.database import Connection, Database
from responder.store.database.engines import StoreUnavailable

READ_EVERY_SECONDS = 0.5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pin:
    """By what the events of an application are known."""

    token_sha256: str
    member_id: str
    state: State


class Pins:
    """The pins of all portals, by name. `wake` is called for each portal with something to do.

    An installation counts where the settings in `portals` name it: its events must not be taken for
    those of another portal, to which the settings were changed. Messages to portals whose
    application is not configured yet wait without waking anybody.
    """

    def __init__(
        self,
        database: Database,
        wake: Callable[[str], None],
        now: Callable[[], datetime],
        *,
        portals: Mapping[str, PortalSettings],
    ) -> None:
        self._database = database
        self._wake = wake
        self._now = now
        self._portals = portals
        self._verifiable = {
            name for name, given in portals.items() if given.application_is_configured
        }
        self._pins: dict[str, Pin] = {}
        self.full: set[str] = set()  # portals with no room for another message until the next read

    def load(self) -> None:
        """Read the pins before the first event is received."""
        self._pins = self._database.read(self._read)

    async def run(self) -> None:
        """Read the pins twice a second, until cancelled; what is known stays while that fails."""
        while True:
            await asyncio.sleep(READ_EVERY_SECONDS)
            try:
                await self.reload()
            except StoreUnavailable:
                pass  # the drivers log it
            except Exception:
                # A fault of ours must not end the loop.
                log.exception("reading what is pinned of applications failed")

    async def reload(self) -> None:
        """Read the pins, and wake the drivers of portals whose pin changed or that must verify."""

        def read(conn: Connection) -> tuple[dict[str, Pin], set[str], set[str]]:
            now = self._now()
            return self._read(conn), held_messages.due(conn, now), held_messages.full(conn, now)

        pins, due, self.full = await self._database.reading(read)
        names = pins.keys() | self._pins.keys()
        changed = {name for name in names if pins.get(name) != self._pins.get(name)}
        self._pins = pins
        for portal in (due & self._verifiable) | changed:
            self._wake(portal)

    def is_pinned(self, portal: str, token: bytes | None) -> bool:
        """Return whether this is the application token of a portal, in constant time."""
        pin = self._pins.get(portal)
        known = "" if pin is None else pin.token_sha256
        return hmac.compare_digest(known, token_digest(token or b"")) and pin is not None

    def member_id(self, portal: str) -> bytes | None:
        """Return the pinned member id of a portal."""
        pin = self._pins.get(portal)
        return None if pin is None else pin.member_id.encode()

    def _read(self, conn: Connection) -> dict[str, Pin]:
        return {
            one.portal: Pin(one.application_token_sha256, one.member_id, one.state)
            for one in installations.every(conn)
            if one.portal in self._portals and _is_named(one, self._portals[one.portal])
        }


def _is_named(one: Installation, given: PortalSettings) -> bool:
    """Return whether settings name an installation; a client id that is not set yet may be it."""
    return (
        one.domain == given.domain
        and given.client_id in (None, one.client_id)
        and given.member_id in (None, one.member_id)
    )
