"""Builds what one process has for local applications: receiving, pins, and the steps of drivers."""

from collections.abc import Callable, Mapping
from datetime import datetime

from starlette.types import ASGIApp

from responder.adapters.encryption import Seal
from responder.adapters.metrics import Metrics
from responder.bitrix24.client.client import Client
from responder.bitrix24.oauth.token_endpoint import TokenEndpoint
from responder.judge.context import Context
from responder.receive.application.application_endpoint import ApplicationEndpoint
from responder.receive.application.pins import Pins
from responder.service.application.access import Application, ApplicationAccess
from responder.service.application.steps import ApplicationSteps
from responder.settings.settings import Settings
from responder.stop.gate import Gate
from responder.store.database.database import Database
from responder.store.group_commit import SharedCommit


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
        secret_key = settings.secret_key.get_secret_value()
        verifiable = {
            name for name, given in settings.portals.items() if given.application_is_configured
        }
        self.pins = Pins(database, wake, now, verifiable=verifiable)
        self.pins.load()
        self.endpoint: ASGIApp = ApplicationEndpoint(
            settings.portals,
            secret_key=secret_key,
            pins=self.pins,
            accept=commits.add,
            write=commits.write,
            held=wake,
            metrics=metrics,
            now=now,
            refused=refused,
        )
        seal, self._token_endpoint = Seal(secret_key), endpoint or TokenEndpoint()
        self._its = {
            name: Application(
                name=name,
                given=given,
                events_at=settings.events_at(name),
                poll_every=settings.poll_every(name),
                seal=seal,
                endpoint=self._token_endpoint,
                database=database,
                write=commits.write,
                now=now,
            )
            for name, given in settings.portals.items()
            if given.domain is not None
        }
        self._access = {
            name: ApplicationAccess(one, clients[name]) for name, one in self._its.items()
        }

    def steps(self, context: Context, gate: Gate) -> ApplicationSteps | None:
        """Return the steps for a portal's application, None where it has none."""
        its = self._its.get(context.portal)
        if its is None:
            return None
        return ApplicationSteps(its, self._access[context.portal], context, gate)

    async def run(self) -> None:
        """Keep the pins up to date, until cancelled."""
        await self.pins.run()

    async def close(self) -> None:
        """Close the connections to OAuth servers."""
        await self._token_endpoint.close()
