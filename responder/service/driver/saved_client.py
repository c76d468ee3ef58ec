"""Keeps a lane's bucket and breakers in the store, so that the next driver goes on with them."""

import structlog

from responder.bitrix24.client.client import Breaker
from responder.judge.context import Means
from responder.store import leases
from responder.store.database.database import Connection

log = structlog.get_logger()


class KeptLane:
    """The lane of one portal, as the store knows it."""

    def __init__(self, means: Means) -> None:
        self.portal = means.portal
        self._gate = means.gate
        self._lane = means.lane
        self._database = means.database

    async def load(self) -> None:
        """Go on where the last driver was: its bucket, its open breakers of the same address."""
        address = self._lane.address

        def read(conn: Connection) -> tuple[tuple[float, float] | None, list[leases.Breaker]]:
            return leases.bucket(conn, self.portal), leases.breakers(conn, self.portal)

        bucket, rows = await self._database.reading(read)
        same = [row for row in rows if None in (row.address, address) or row.address == address]
        self._lane.resume(
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
            self._lane.breakers_changed = True  # so that the others' rows go too
            log.warning("breakers are closed, for the address is another", portal=self.portal)

    async def keep(self) -> None:
        """Copy breakers that opened or closed to the store."""
        if not self._lane.breakers_changed:
            return
        breakers = dict(self._lane.breakers)

        def write(tx: Connection) -> None:
            for row in leases.breakers(tx, self.portal):
                if row.method not in breakers:
                    leases.close_breaker(tx, self.portal, row.method)
            for breaker in breakers.values():
                leases.open_breaker(
                    tx,
                    self.portal,
                    breaker.method,
                    code=breaker.code,
                    at=breaker.opened_at,
                    probe_at=breaker.probe_at,
                    address=self._lane.address,
                )

        await self._gate.write(write)
        self._lane.breakers_changed = False
