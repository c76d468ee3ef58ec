"""Settings → the running service; the only place that builds objects."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import structlog
import uvicorn

from responder.bitrix24.lookup import Templates
from responder.bitrix24.portal import Portal
from responder.model import Mode
from responder.runtime import quick, slow
from responder.runtime.driver import Driver
from responder.runtime.gate import Gate
from responder.runtime.housekeeping import Housekeeping, Write, fenced
from responder.runtime.lane import Lane
from responder.runtime.means import Means
from responder.runtime.metrics import Metrics
from responder.runtime.reload import RulesInForce
from responder.runtime.rounds import Rounds
from responder.runtime.runner import Runner
from responder.runtime.web import Web
from responder.settings import PortalSettings, Settings
from responder.store import inbox, limits
from responder.store.commits import SharedCommit, StoreUnavailable
from responder.store.database import Database
from responder.store.lanes import Lease

STOP_SECONDS = 10.0
RED_SECONDS = 0.3  # /readyz says that we stop, while we still receive
GAUGES_SECONDS = 2.0

log = structlog.get_logger()


def utc_now() -> datetime:
    """Return this instant."""
    return datetime.now(UTC)


class Service:
    """The whole of responder in one process: receiving, and a driver for each portal.

    Building one opens and migrates the database and reads the rules. It raises DatabaseError and
    RulesError for what a person must mend.
    """

    def __init__(self, settings: Settings, *, now: Callable[[], datetime] = utc_now) -> None:
        self.settings = settings
        self.now = now
        self.rules = RulesInForce(settings.rules, portals=settings.portals, now=now)
        self.metrics = Metrics()
        self.database = Database(settings.database_url.get_secret_value())
        self.database.open()
        self.database.lock_for_serving()
        self.database.migrate()
        self.commits = SharedCommit(self.database)
        self.commits.on_commit = self._wake
        self.lanes = {name: self._lane(name, portal) for name, portal in settings.portals.items()}
        self.drivers = {name: self._driver(name) for name in settings.portals}
        self.web = Web(
            settings.portals,
            accept=self.commits.add,
            ready=self.ready,
            metrics=self.metrics,
            now=now,
        )
        self.draining = False
        self._stopping_at = 0.0

    def _lane(self, name: str, portal: PortalSettings) -> Lane:
        return Lane(
            Portal(name, portal.url.get_secret_value()),
            rate=portal.requests_per_second,
            burst=portal.burst,
            metrics=self.metrics,
            now=self.now,
        )

    def _driver(self, name: str) -> Driver:
        templates = Templates()

        def rounds(lease: Lease) -> Rounds:
            gate = Gate(
                portal=name,
                lease=lease,
                lane=self.lanes[name],
                commits=self.commits,
                rules=self.rules,
                metrics=self.metrics,
                now=self.now,
            )
            means = Means(
                gate=gate,
                lane=self.lanes[name],
                database=self.database,
                rules=self.rules,
                templates=templates,
                enforcing=self.settings.mode is Mode.ENFORCE,
                metrics=self.metrics,
                now=self.now,
            )
            return Rounds(means, Runner(means, self.settings.sweep_every))

        return Driver(
            name,
            holder=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
            commits=self.commits,
            rounds=rounds,
            alone=self.database.dialect == "sqlite",
        )

    def _wake(self) -> None:
        for driver in self.drivers.values():
            driver.wake()

    async def ready(self) -> tuple[bool, dict[str, object]]:
        """Say whether we can receive, and how the portals and the rules are."""
        writable, current = await self._store_ready()
        tripped, paused = await self._withheld() if writable else ([], None)
        detail: dict[str, object] = {
            "store": {"writable": writable, "schema_is_current": current},
            "rules": {
                "revision": self.rules.ruleset.revision,
                "since": _instant(self.rules.since),
                "error": self.rules.error,
            },
            "portals": {name: self._portal_detail(name) for name in self.lanes},
            "tripped": sorted({trip.rule for trip in tripped}),
            "paused": paused,
            "draining": self.draining,
        }
        return writable and current and not self.draining, detail

    async def _store_ready(self) -> tuple[bool, bool]:
        try:
            await self.commits.write(self.database.touch)
            return True, await asyncio.to_thread(self.database.schema_is_current)
        except StoreUnavailable:
            return False, False

    async def _withheld(self) -> tuple[list[limits.Trip], bool]:
        """Read what keeps rules from acting."""
        return await self.database.reading(
            lambda conn: (limits.tripped(conn), limits.paused(conn) is not None)
        )

    def _portal_detail(self, name: str) -> dict[str, object]:
        lane, driver = self.lanes[name], self.drivers[name]
        return {
            "breaker": lane.shut.code if lane.shut else None,
            "methods": {method: b.code for method, b in lane.breakers.items() if method},
            "driving": driver.lease is not None,
            "webhook_silent": lane.silent,
        }

    async def run(self) -> None:
        """Drive every portal until cancelled; then let the rounds under way end."""
        self.commits.start()
        tasks = [asyncio.create_task(driver.run()) for driver in self.drivers.values()]
        beside = [
            asyncio.create_task(self._keep_gauges()),
            asyncio.create_task(self._housekeeping().run()),
            asyncio.create_task(self.rules.watch()),
        ]
        try:
            # Not `gather`, which would pass a cancellation on and cut off the calls under way. Nor
            # does it end with the drivers: events may still come, and the store stays open.
            await asyncio.wait(tasks)
            await asyncio.Event().wait()
        finally:
            for task in beside:
                task.cancel()
            await self._close(tasks)

    def stop(self) -> None:
        """Be no longer ready, and let the rounds under way end; what is sent is still received."""
        self.draining = True
        self._stopping_at = self._stopping_at or time.monotonic()
        for driver in self.drivers.values():
            driver.stop()

    def _housekeeping(self) -> Housekeeping:
        def driven() -> dict[str, Write]:
            return {
                name: fenced(self.commits, driver.lease)
                for name, driver in self.drivers.items()
                if driver.lease is not None
            }

        return Housekeeping(
            database=self.database,
            driven=driven,
            keep_days=self.settings.keep_days,
            now=self.now,
        )

    async def _close(self, tasks: list[asyncio.Task[None]]) -> None:
        self.stop()
        left = self._stopping_at + STOP_SECONDS - time.monotonic()
        _, late = await asyncio.wait(tasks, timeout=max(0.0, left))
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for lane in self.lanes.values():
            await lane.portal.close()
        await self.commits.close()
        self.database.close()

    async def _keep_trips(self) -> None:
        """Tell of each rule whether it is tripped, whoever tripped or rearmed it."""
        tripped = {trip.rule for trip in await self.database.reading(limits.tripped)}
        for rule in {rule.id for rule in self.rules.ruleset.rules if rule.acts} | tripped:
            self.metrics.rule_tripped.labels(rule).set(rule in tripped)

    async def _keep_gauges(self) -> None:
        """Measure the inbox from time to time."""
        while True:
            with contextlib.suppress(StoreUnavailable):
                depth = await self.database.reading(inbox.depth)
                now = self.now()
                oldest = [at for _, at in depth.values()]
                age = max(((now - at).total_seconds() for at in oldest), default=0.0)
                self.metrics.inbox_waiting.set(sum(count for count, _ in depth.values()))
                self.metrics.inbox_oldest_age.set(max(0.0, age))
                await self._keep_trips()
            self.metrics.rules_load_failed.set(self.rules.error is not None)
            await asyncio.sleep(GAUGES_SECONDS)


class Server(uvicorn.Server):
    """uvicorn without its signals: it would end the process with the signal's own exit code."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`."""
        yield


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[int]:
    """Receive and drive within this block; gives the port that is listened on."""
    config = slow.server_config(
        service.web,
        host=service.settings.host,
        port=service.settings.port,
        drain_seconds=int(STOP_SECONDS),
        speaks=quick.speaking_for(service.web),
    )
    server = Server(config)
    driving = asyncio.create_task(service.run())
    receiving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            if receiving.done():
                raise OSError(f"cannot listen on {config.host}:{config.port}")
            await asyncio.sleep(0.005)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        service.stop()
        await asyncio.sleep(RED_SECONDS)
        server.should_exit = True
        await asyncio.wait([receiving])
        driving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await driving


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    slow.allow_many_sockets()
    service = await asyncio.to_thread(Service, settings)
    _say_what_runs(service)
    loop.add_signal_handler(signal.SIGHUP, service.rules.look_now)
    async with serving(service) as port:
        log.info("receiving", host=settings.host, port=port)
        await stopped.wait()
        log.info("stopping")
    log.info("stopped")


def _say_what_runs(service: Service) -> None:
    log.info(
        "started",
        mode=service.settings.mode.value,
        portals=sorted(service.settings.portals),
        rules=service.rules.ruleset.revision,
        database=service.database.dialect,
        journal_mode=service.database.journal_mode,
        library=service.database.library_version,
    )


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
