"""Builds the running service from the settings; the only module that builds objects."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from starlette.types import ASGIApp

from responder.adapters.metrics import Metrics
from responder.bitrix24.client.client import Client
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.fetch.templates import Templates
from responder.journal.notices import outbox
from responder.judge.context import Context
from responder.judge.rules_in_force import RulesInForce, wait_until_unchanged
from responder.model import Mode
from responder.receive.endpoint import Endpoint, other_routes
from responder.receive.refusal_counts import RefusalCounts
from responder.receive.refused_callers import RefusedRequests
from responder.receive.server.connections import OpenConnections, most_connections
from responder.receive.server.server import receivers
from responder.service import process_end, process_start
from responder.service.alarm_watch import AlarmWatch
from responder.service.application import stored_address
from responder.service.driver.agenda import Agenda
from responder.service.driver.assembly import Assembly
from responder.service.driver.driver import Driver
from responder.service.driver.poller import Poller
from responder.service.driver.waker import Waker
from responder.service.gauges import Gauges
from responder.service.health import Health
from responder.service.housekeeping import Housekeeping, Write, fenced
from responder.service.replicas.database_time import Clock
from responder.service.replicas.election import Leases
from responder.settings.settings import PortalSettings, Settings
from responder.settings.webhook_signature import keys_of
from responder.store.database.database import Database
from responder.store.group_commit import SharedCommit
from responder.store.leases import Lease

if TYPE_CHECKING:
    from responder.service.application.applications import Applications
    from responder.service.notifier.notifier import Notifier

STOP_SECONDS = 10.0
LEAVING_SECONDS = 2.0
RESOLVER_THREADS = 16
NOT_READY_SECONDS = 0.3  # /readyz is 503 already, while events are still received

log = structlog.get_logger()


def utc_now() -> datetime:
    """Return the present instant, in UTC."""
    return datetime.now(UTC)


class Service:
    """The whole of responder in one process: receiving, and a driver for each portal.

    Building one opens and migrates the database and reads the rules. It raises DatabaseError and
    RulesError for what a person must correct.
    """

    def __init__(self, settings: Settings, *, now: Callable[[], datetime] | None = None) -> None:
        self.settings = settings
        clock = Clock(utc_now)  # the default: our clock, corrected by the database's
        self.now = now = now or clock
        self.rules = RulesInForce.of(settings, now)
        self.metrics = Metrics()
        self.refused_requests = RefusedRequests(self.metrics)
        self.connections = OpenConnections(most_connections(len(settings.portals)), self.metrics)
        self.database = self._opened_database()
        self.notifier = self._notifier()
        self.commits = SharedCommit(self.database)
        self.leases = self._leases(clock)
        self.clients = {
            name: self._client(name, portal) for name, portal in settings.portals.items()
        }
        self.refusal_counts = RefusalCounts(self.commits.write, now)
        self.applications = self._applications()
        self.poller = self._poll()
        self.drivers = {name: self._driver(name) for name in settings.portals}
        self.waker = Waker(self.drivers, lambda: self.rules.ruleset)
        self.commits.on_commit = self.waker.stored
        self.leases.granted = self.waker.wake
        self.health = self._health()
        pages, apart = self._pages(), settings.admin_port is not None
        self.endpoint = self._endpoint(None if apart else pages)
        self.admin_side = other_routes(self.health.ready, self.metrics, pages) if apart else None
        self._stopping_at = 0.0

    def ports(self) -> Iterator[tuple[int, ASGIApp]]:
        """Yield each port with the application served on it, the one for events first."""
        yield self.settings.port, self.endpoint
        if self.admin_side is not None and self.settings.admin_port is not None:
            yield self.settings.admin_port, self.admin_side

    def _opened_database(self) -> Database:
        database = Database(self.settings.database_url.get_secret_value())
        database.open()
        database.lock_for_serving()
        database.migrate()
        return database

    def _leases(self, clock: Clock) -> Leases:
        return Leases(
            self.settings.portals,
            holder=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
            database=self.database,
            commits=self.commits,
            ruleset=self._rules_and_mode,
            clock=clock,
        )

    def _health(self) -> Health:
        return Health(
            self.settings,
            rules=self.rules,
            database=self.database,
            commits=self.commits,
            leases=self.leases,
            clients=self.clients,
            drivers=self.drivers,
            now=self.now,
        )

    def _endpoint(self, pages: ASGIApp | None) -> Endpoint:
        """Return the application that receives events, with these pages on the same port."""
        return Endpoint(
            self.settings.portals,
            accept=self.commits.add,
            ready=self.health.ready,
            metrics=self.metrics,
            now=self.now,
            shows_detail=self.settings.admin_port is None,
            pages=pages,
            application=self.applications.endpoint if self.applications else None,
            refused=self.refusal_counts.count,
        )

    def _applications(self) -> "Applications | None":
        """Return what serves local applications, or None where the settings name none."""
        if not any(portal.domain for portal in self.settings.portals.values()):
            return None
        from responder.service.application.applications import Applications

        return Applications(
            self.settings,
            database=self.database,
            commits=self.commits,
            clients=self.clients,
            metrics=self.metrics,
            now=self.now,
            wake=self._wake,
            refused=self.refusal_counts.count,
        )

    def _wake(self, portal: str) -> None:
        """Wake the driver of a portal; the database may name some that are not in the settings."""
        if portal in self.drivers:
            self.waker.wake(portal)

    def _pages(self) -> ASGIApp | None:
        """Return the pages, or None where there are no admins; imported only where there are."""
        if not self.settings.admins:
            return None
        from responder.service.pages.application import application
        from responder.service.pages.site import Commits, Site

        return application(
            Site(
                settings=self.settings,
                database=self.database,
                rules=self.rules,
                commits=Commits(self.commits.write),
                condition=self.health.portal,
                here=self.health.here,
                now=self.now,
                on_refused=self.refused_requests.count,
            )
        )

    def _client(self, name: str, portal: PortalSettings) -> Client:
        return Client(
            Portal(name, stored_address.of_settings(portal)),
            rate=portal.requests_per_second,
            burst=portal.burst,
            metrics=self.metrics,
            now=self.now,
            address=stored_address.webhook_fingerprint(portal),
            host=portal.host,
        )

    def _poll(self) -> Poller:
        return Poller(
            database=self.database,
            wake=lambda portal: self.waker.wake(portal),
            driven=self._driven,
            ruleset=lambda: self.rules.ruleset,
            sweep_every=self.settings.sweep_every,
            now=self.now,
        )

    def _driver(self, name: str) -> Driver:
        assembly = Assembly(sweep_every=self.settings.sweep_every, asks=True)
        steps = None if self.applications is None else self.applications.steps
        context = Context(
            client=self.clients[name],
            database=self.database,
            rules=self.rules,
            templates=Templates(),
            enforcing=self.settings.mode is Mode.ENFORCE,
            metrics=self.metrics,
            now=self.now,
        )

        def agenda(lease: Lease) -> Agenda:
            return assembly.build(context, lease, self.commits, self.leases.has_time, steps)

        return Driver(
            name, leases=self.leases, agenda=agenda, idle_seconds=self.poller.idle_seconds
        )

    def _rules_and_mode(self) -> str:
        """Return our rules' revision, and the mode unless it is enforce, as replicas compare it."""
        mode = "" if self.settings.mode is Mode.ENFORCE else f" {self.settings.mode.value}"
        return f"{self.rules.ruleset.revision}{mode}"

    async def run(self) -> None:
        """Drive every portal until cancelled; then let the rounds under way end."""
        # Names are resolved in these threads; a server that does not answer blocks one for long.
        asyncio.get_running_loop().set_default_executor(
            ThreadPoolExecutor(RESOLVER_THREADS + len(self.clients))
        )
        self.commits.start()
        leasing = asyncio.create_task(self.leases.run())
        tasks = [asyncio.create_task(driver.run()) for driver in self.drivers.values()]
        beside = [
            asyncio.create_task(self.poller.run()),
            asyncio.create_task(self._gauges().run()),
            asyncio.create_task(self._alarms().run()),
            asyncio.create_task(self._housekeeping().run()),
            asyncio.create_task(self.rules.watch()),
            asyncio.create_task(self.refusal_counts.run()),
        ]
        if self.applications is not None:
            beside.append(asyncio.create_task(self.applications.run()))
        if self.notifier is not None:
            beside.append(asyncio.create_task(self.notifier.run()))
        try:
            # Not `gather`, which would pass a cancellation on and cut off the calls under way. Nor
            # does it end with the drivers: events may still come, and the store stays open.
            await asyncio.wait(tasks)
            await asyncio.Event().wait()
        finally:
            for task in beside:
                task.cancel()
            await self._close(tasks, leasing)

    def stop(self) -> None:
        """Report not ready and let the rounds under way end, while events are still received."""
        self.health.draining = True
        self._stopping_at = self._stopping_at or time.monotonic()
        self.leases.stop()
        for driver in self.drivers.values():
            driver.stop()
        if self.applications is not None:
            self.applications.stop()

    def _driven(self) -> dict[str, Write]:
        """Return the portals that this process drives now, each with its function that writes."""
        return {
            name: fenced(self.commits, driver.lease)
            for name, driver in self.drivers.items()
            if driver.lease is not None
        }

    def _housekeeping(self) -> Housekeeping:
        return Housekeeping(
            database=self.database,
            driven=self._driven,
            keep_days=self.settings.keep_days,
            now=self.now,
        )

    def _gauges(self) -> Gauges:
        return Gauges(
            self.metrics,
            database=self.database,
            rules=self.rules,
            known=self.health.known,
            portals=self.settings.portals,
            driving=self._driven,
            sweeps=bool(self.settings.sweep_every),
            now=self.now,
        )

    def _alarms(self) -> AlarmWatch:
        return AlarmWatch(
            self.settings,
            database=self.database,
            driven=self._driven,
            known=self.health.known,
            here=self.health.here,
            now=self.now,
        )

    def _notifier(self) -> "Notifier | None":
        """Return the notifier, or None; whatever happens from now on is notified."""
        url, secret = self.settings.notify_url, self.settings.notify_secret
        if url is None or secret is None:
            return None
        from responder.service.notifier.notifier import Notifier
        from responder.service.notifier.webhook_sink import WebhookSink

        self.database.write(lambda tx: outbox.begin(tx, self.settings.portals))
        return Notifier(
            WebhookSink(url.get_secret_value(), keys_of(secret.get_secret_value())),
            database=self.database,
            driven=self._driven,
            metrics=self.metrics,
            now=self.now,
            base=self.settings.page_at(""),
        )

    async def _close(self, tasks: list[asyncio.Task[None]], leasing: asyncio.Task[None]) -> None:
        self.stop()
        left = self._stopping_at + STOP_SECONDS - time.monotonic()
        _, late = await asyncio.wait(tasks, timeout=max(0.0, left))
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.leases.close()
        with contextlib.suppress(TimeoutError):  # where the database does not answer
            async with asyncio.timeout(LEAVING_SECONDS):
                await leasing
        for client in self.clients.values():
            await client.portal.close()
        if self.applications is not None:
            await self.applications.close()
        await self.commits.close()
        self.database.close()


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[int]:
    """Receive and drive within this block; yield the port for events."""
    servers = receivers(
        service.ports(),
        host=service.settings.host,
        room=service.connections,
        on_refused=service.refused_requests.count,
        drain_seconds=int(STOP_SECONDS),
    )
    driving = asyncio.create_task(service.run())
    receiving = [asyncio.create_task(server.serve()) for server in servers]
    try:
        ports = [
            await one.listening_port(task) for one, task in zip(servers, receiving, strict=True)
        ]
        yield ports[0]
    finally:
        service.stop()
        await asyncio.sleep(NOT_READY_SECONDS)
        for server in servers:
            server.stop()
        await asyncio.wait(receiving)
        driving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await driving


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    process_start.set_on_signals(stopped)
    await asyncio.to_thread(wait_until_unchanged, settings.rules)
    service = await asyncio.to_thread(Service, settings)
    process_start.log_start(service.settings, service.rules, service.database)
    loop.add_signal_handler(signal.SIGHUP, service.rules.reload_now)
    async with serving(service) as port:
        process_start.set_on_signals(stopped)  # again: an unmodified uvicorn installed its own
        log.info("receiving", host=settings.host, port=port)
        await stopped.wait()
        log.info("stopping")
        process_end.end_later()
    log.info("stopped")
