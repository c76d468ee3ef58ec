"""Asks for the next pair of tokens and commits it, whatever becomes of whoever wanted it.

The answer to a refresh must not be lost once the request has left. So asking and committing are one
task, which goes on where the driver is stopped or loses its lease, and which the closing of the
process awaits. A pair that the store did not take is kept, and written later with or without the
lease: it replaces no other pair than the one it came of, and nobody else has it.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from responder.bitrix24.oauth.token_endpoint import Granted, TokenFailure
from responder.service.application.portal_application import Application, Writer
from responder.store.applications import installations
from responder.store.applications.installations import Installation
from responder.store.applications.standing import Tokens, sealed
from responder.store.database.database import Connection
from responder.store.database.engines import StoreUnavailable
from responder.store.leases import LeaseLost

# As long as the request of another replica may be under way, and its pair be uncommitted: more than
# the deadline of a request to the OAuth server.
MAY_TAKE = timedelta(seconds=30)
_SAVES_AT_THE_END, _REST_SECONDS = 5, 0.5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Pair:
    """A new pair of tokens, and the installation whose pair it replaces."""

    instead_of: Installation
    granted: Granted
    at: datetime


class Renewal:
    """The renewing of one portal's tokens in this process."""

    def __init__(self, its: Application) -> None:
        self._its = its
        self._unsaved: _Pair | None = None
        self._under_way: asyncio.Task[TokenFailure | None] | None = None
        self._sent_at: datetime | None = None
        self.is_stopping = False  # then nothing is sent any more

    @property
    def is_unsaved(self) -> bool:
        """Return whether there is a pair that is not committed yet."""
        return self._unsaved is not None

    def left_to_another(self, found: Installation, now: datetime) -> timedelta | None:
        """Return how long another process may still be waiting for its answer; None if it is not.

        A clock set back must not make that long.
        """
        sent_at = found.refresh_sent_at
        if sent_at is None or sent_at == self._sent_at:
            return None
        left = sent_at + MAY_TAKE - now
        return left if timedelta(0) < left <= MAY_TAKE else None

    async def run(
        self, found: Installation, refresh_token: str, writer: Writer
    ) -> TokenFailure | None:
        """Ask for the next pair of tokens, and commit it; return why there is none."""
        self._under_way = asyncio.create_task(self._renewed(found, refresh_token, writer))
        return await asyncio.shield(self._under_way)

    async def _renewed(
        self, found: Installation, refresh_token: str, writer: Writer
    ) -> TokenFailure | None:
        its, now = self._its, self._its.now()
        await writer.write(lambda tx: installations.refresh_sent(tx, found.portal, now))
        self._sent_at = now
        came = await its.endpoint.refresh(found.oauth_host, its.keys, refresh_token)
        if not isinstance(came, Granted):
            return came
        self._unsaved = _Pair(found, came, its.now())
        await self.save(writer)
        return None

    async def save(self, writer: Writer | None = None) -> None:
        """Commit the pair that is not committed yet, if any, whoever drives the portal now."""
        pair = self._unsaved
        if pair is None:
            return
        write = self._writing(pair)
        try:
            await (self._its.write(write) if writer is None else writer.write(write))
        except LeaseLost:
            await self._its.write(write)
            self._saved(pair)
            raise
        self._saved(pair)

    async def finish(self) -> None:
        """Await what is under way, and commit what it brought."""
        self.is_stopping = True
        if self._under_way is not None:
            await asyncio.gather(self._under_way, return_exceptions=True)
        for _ in range(_SAVES_AT_THE_END):
            with contextlib.suppress(StoreUnavailable):
                await self.save()
            if not self.is_unsaved:
                return
            await asyncio.sleep(_REST_SECONDS)
        log.error("a new pair of tokens could not be stored, and is lost", portal=self._its.name)

    def _writing(self, pair: _Pair) -> Callable[[Connection], bool]:
        its, found, granted = self._its, pair.instead_of, pair.granted
        tokens = Tokens(granted.access_token, granted.refresh_token)
        text = sealed(its.seal, found.portal, tokens)
        ends_at = pair.at + timedelta(seconds=granted.expires_in)

        def write(tx: Connection) -> bool:
            return installations.refreshed(
                tx, found.portal, text, instead=found.tokens, expires_at=ends_at, at=pair.at
            )

        return write

    def _saved(self, pair: _Pair) -> None:
        if self._unsaved is pair:
            self._unsaved = None
