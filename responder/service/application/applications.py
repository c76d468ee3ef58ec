"""Builds what one process has for local applications: receiving, pins, and the steps of drivers."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

import structlog
from starlette.types import ASGIApp

from responder.adapters.encryption import Seal
from responder.adapters.metrics import Metrics
from responder.bitrix24.client.client import Client
from responder.bitrix24.oauth.token_endpoint import TokenEndpoint
from responder.judge.context import Context
from responder.receive.application.application_endpoint import ApplicationEndpoint
from responder.receive.application.pins import Pins
from responder.service.application.access import ApplicationAccess
from responder.service.application.portal_application import Application
from responder.service.application.steps import ApplicationSteps
from responder.settings.settings import Settings
from responder.stop.gate import Gate
from responder.store.database.database import Database
from responder.store.database.engines import StoreUnavailable
from responder.store.group_commit import SharedCommit

SAVE_EVERY_SECONDS = 1.0
VERIFYING_ENDS_SECONDS = 1.0

log = structlog.get_logger()


class Applications:
    """The local applications of the settings, in one process."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        commits: SharedCommit,
        clients: Mapping[str, Client],
        metrics: Metrics,
        now: Callable[[], datetime],
        wake: Callable[[str], None],
        refused: Callable[[str | None, str], None],
        endpoint: TokenEndpoint | None = None,
    ) -> None:
        assert settings.secret_key is not None
        self._settings, self._secret_key = settings, settings.secret_key.get_secret_value()
        self._database, self._commits = database, commits
        self._wake, self._now = wake, now
        self._token_endpoint = endpoint or TokenEndpoint()
        self.pins = Pins(database, wake, now, portals=settings.portals)
        self.pins.load()
        self.endpoint: ASGIApp = self._receiving(metrics, refused)
        names = [name for name, given in settings.portals.items() if given.domain is not None]
        self._its = {name: self._application(name) for name in names}
        self._access = {name: ApplicationAccess(self._its[name], clients[name]) for name in names}

    def _receiving(
        self, metrics: Metrics, refused: Callable[[str | None, str], None]
    ) -> ApplicationEndpoint:
        return ApplicationEndpoint(
            self._settings.portals,
            secret_key=self._secret_key,
            pins=self.pins,
            accept=self._commits.add,
            write=self._commits.write,
            held=self._wake,
            metrics=metrics,
            now=self._now,
            refused=refused,
        )

    def _application(self, name: str) -> Application:
        return Application(
            name=name,
            given=self._settings.portals[name],
            events_at=self._settings.events_at(name),
            poll_every=self._settings.poll_every(name),
            seal=Seal(self._secret_key),
            endpoint=self._token_endpoint,
            database=self._database,
            write=self._commits.write,
            now=self._now,
            wake=partial(self._wake, name),
        )

    def steps(self, context: Context, gate: Gate) -> ApplicationSteps | None:
        """Return the steps for a portal's application, None where it has none."""
        its = self._its.get(context.portal)
        if its is None:
            return None
        return ApplicationSteps(its, self._access[context.portal], context, gate)

    async def run(self) -> None:
        """Keep the pins up to date, and store what the store did not take, until cancelled."""
        await asyncio.gather(self.pins.run(), self._keep_saving())

    async def _keep_saving(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY_SECONDS)
            await self.save_unsaved()

    async def save_unsaved(self) -> None:
        """Commit each pair of tokens that is not committed yet, whoever drives its portal now."""
        for name, access in self._access.items():
            try:
                await access.renewal.save()
            except StoreUnavailable:
                pass  # the drivers log it
            except Exception:
                # A fault of ours must not end the loop.
                log.exception("a new pair of tokens could not be stored", portal=name)

    @property
    def verifying(self) -> set[asyncio.Task[object]]:
        """Return the tasks that verify messages now."""
        return set().union(*(one.beside for one in self._its.values()))

    def stop(self) -> None:
        """Refresh nothing any more."""
        for access in self._access.values():
            access.renewal.is_stopping = True

    async def close(self) -> None:
        """Await the refreshes under way, and close the connections to OAuth servers."""
        await asyncio.gather(
            self._end_verifying(), *(access.renewal.finish() for access in self._access.values())
        )
        await self._token_endpoint.close()

    async def _end_verifying(self) -> None:
        """Let verifying end by itself if it soon does: a code may be used up by it just now."""
        beside = self.verifying
        if beside:
            await asyncio.wait(beside, timeout=VERIFYING_ENDS_SECONDS)
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
