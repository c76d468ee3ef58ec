"""Puts the steps of a local application into the order of a driver's agenda."""

from responder.judge.context import Context
from responder.service.application.access import Application, ApplicationAccess
from responder.service.application.installer import Installer
from responder.stop.gate import Gate


class ApplicationSteps:
    """What a driver does for the application of its portal, under one lease, before its rounds."""

    def __init__(
        self, its: Application, access: ApplicationAccess, context: Context, gate: Gate
    ) -> None:
        self._access = access
        self._gate = gate
        self._installer = Installer(its, context.client, access, gate)

    async def load(self) -> None:
        """Begin with what is stored: the way to call, then bucket and breakers."""
        await self._access.begin(self._gate)
        await self._gate.load_client()
        self._access.open_or_close()

    async def step(self) -> bool:
        """Run the steps that are due. Return False where nothing was."""
        await self._access.step()
        return await self._installer.step()
