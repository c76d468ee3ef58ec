"""Keeps a lane's bucket and breakers in the store, so that the next driver goes on with them."""

import structlog

from responder.bitrix24.client.client import Breaker
from responder.judge.context import Context
from responder.stop.gate import Gate
from responder.store import leases
from responder.store.database.database import Connection

log = structlog.get_logger()


class KeptLane:
    """The lane of one portal, as the store knows it."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context = context
        self._gate = gate

    async def load(self) -> None:
        """Go on where the last driver was: its bucket, its open breakers of the same address."""
        address = self._context.client.address

        bucket = await self._context.read(leases.bucket)
        rows = await self._context.read(leases.breakers)
        same = [row for row in rows if None in (row.address, address) or row.address == address]
        self._context.client.resume(
            bucket,
            [
                Breaker(
                    method=row.method,
                    code=row.code,
                    opened_at=row.opened_at,
                    probe_at=row.probe_at,
                )
                for row in same
            ],
        )
        if len(same) < len(rows):
            self._context.client.breakers_changed = True  # so that the others' rows go too
            log.warning(
                "breakers are closed, for the address is another", portal=self._context.portal
            )

    async def keep(self) -> None:
        """Copy breakers that opened or closed to the store."""
        if not self._context.client.breakers_changed:
            return
        breakers = dict(self._context.client.breakers)

        def write(tx: Connection) -> None:
            for row in leases.breakers(tx, self._context.portal):
                if row.method not in breakers:
                    leases.close_breaker(tx, self._context.portal, row.method)
            for breaker in breakers.values():
                leases.open_breaker(
                    tx,
                    self._context.portal,
                    breaker.method,
                    code=breaker.code,
                    at=breaker.opened_at,
                    probe_at=breaker.probe_at,
                    address=self._context.client.address,
                )

        await self._gate.write(write)
        self._context.client.breakers_changed = False
