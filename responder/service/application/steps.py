"""Puts the steps of a local application into the order of a driver's agenda."""

from collections.abc import Callable, Hashable

from responder.judge.context import Context
from responder.service.application.access import ApplicationAccess
from responder.service.application.application_events import ApplicationEvents
from responder.service.application.installer import Installer
from responder.service.application.portal_application import Application
from responder.stop.gate import Gate
from responder.store.applications.standing import Way


class ApplicationSteps:
    """What a driver does for the application of its portal, under one lease, before its rounds."""

    def __init__(
        self,
        its: Application,
        access: ApplicationAccess,
        context: Context,
        gate: Gate,
        *,
        address: Callable[[], str | None] | None = None,
    ) -> None:
        self._its = its
        self._access = access
        self._gate = gate
        self._breakers = context.client.breakers
        self._installer = Installer(its, context.client, access, gate)
        self._events = ApplicationEvents(
            context,
            gate,
            address=address or self._address,
            installation=self._registrable,
            poll_every=its.poll_every,
        )

    async def load(self) -> None:
        """Begin with what is stored: the way to call, then bucket and breakers."""
        await self._access.begin(self._gate)
        await self._installer.load()
        await self._gate.load_client()
        self._access.open_or_close()

    async def step(self) -> bool:
        """Run the steps that are due. Return False where nothing was."""
        await self._access.step()
        installed = await self._installer.step()
        return (self._is_used and await self._events.step()) or installed

    def announce(self) -> None:
        """Read the events that the portal kept soon: it said that there are some."""
        self._events.announce()

    def idle_seconds(self, at_most: float) -> float:
        """Return how long to wait when nothing else is due."""
        return self._events.idle_seconds(at_most) if self._is_used else at_most

    @property
    def _is_used(self) -> bool:
        """Return whether the portal can be called now, and is called by the application."""
        by_application = self._access.standing.way is Way.APPLICATION
        return by_application and self._breakers.of_portal is None

    def _registrable(self) -> Hashable:
        """Return what identifies the installation; None until every replica knows its events."""
        found = self._access.installation
        return found.installed_at if found is not None and self._access.may_register else None

    def _address(self) -> str | None:
        """Return where the portal sends events; None where nobody there would know them."""
        found = self._access.installation
        is_known = found is not None and bool(found.application_token_sha256)
        return self._its.events_at if is_known else None
