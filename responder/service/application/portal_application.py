"""Has what the service knows of a portal's local application, and how it commits for it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from responder.adapters.encryption import Seal
from responder.bitrix24.oauth.token_endpoint import ApplicationKeys, TokenEndpoint
from responder.settings.settings import PortalSettings
from responder.store.database.database import Connection, Database
from responder.store.group_commit import Commit

T = TypeVar("T")


class Writer(Protocol):
    """What commits for a portal: fenced by its lease (`write`)."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Commit `work`, if this process still drives the portal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What the service knows of a portal's local application beside its client.

    `events_at` is where the portal sends its events, None where it cannot reach us; `poll_every` is
    how often it is asked for those that it kept. `write` commits under no lease. `wake` wakes its
    driver, and `beside` has tasks that go on beside that.
    """

    name: str
    given: PortalSettings
    events_at: str | None
    poll_every: timedelta
    seal: Seal
    endpoint: TokenEndpoint
    database: Database
    write: Commit
    now: Callable[[], datetime]
    wake: Callable[[], None] = lambda: None
    beside: set[asyncio.Task[object]] = field(default_factory=set)

    @property
    def keys(self) -> ApplicationKeys:
        """Return the client id and secret of the settings."""
        given = self.given
        secret = given.client_secret.get_secret_value() if given.client_secret else ""
        return ApplicationKeys(given.client_id or "", secret)
