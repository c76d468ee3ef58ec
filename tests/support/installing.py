"""Drives a portal by its local application, in this process: a sandbox with an OAuth server."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from starlette.types import Message

from responder.adapters.transport import Response
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.oauth.token_endpoint import (
    ApplicationKeys,
    Granted,
    TokenEndpoint,
    TokenFailure,
)
from responder.bitrix24.sandbox import Application, OAuthServer, Sandbox, SandboxServer
from responder.bitrix24.sandbox.faults import Fault
from responder.service.application.applications import Applications
from responder.settings.settings import Settings, load
from responder.store.applications import held_messages, installations
from responder.store.applications.held_messages import Held
from responder.store.applications.installations import Installation
from responder.store.database.database import Database
from responder.store.group_commit import SharedCommit
from tests.support.rounds import PORTAL, RULES, Driving

T = TypeVar("T")

SECRET_KEY = "a-secret-key-for-tests-that-is-long-enough"
INSTALLER = 1


class HeldBack:
    """An answer of the OAuth server that has come, and is under way until it is released."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.release = asyncio.Event()


class WatchedEndpoint(TokenEndpoint):
    """A token endpoint before whose next answer something happens; it waits a second at most."""

    def __init__(self) -> None:
        super().__init__(connect_seconds=1, answer_seconds=1)
        self.before: Callable[[], object] | None = None
        self.held_back: HeldBack | None = None
        self.is_silent = False  # it does not answer anything, for ever

    async def post(
        self, host: str, path: str, fields: Mapping[str, str]
    ) -> Response | TokenFailure:
        """Post a form, or wait for ever."""
        if self.is_silent:
            await asyncio.Event().wait()
        return await super().post(host, path, fields)

    async def refresh(self, host: str, keys: ApplicationKeys, token: str) -> Granted | TokenFailure:
        """Send a refresh token."""
        self._begin()
        return await self._hold_back(await super().refresh(host, keys, token))

    async def exchange(self, host: str, keys: ApplicationKeys, code: str) -> Granted | TokenFailure:
        """Send a code."""
        self._begin()
        return await self._hold_back(await super().exchange(host, keys, code))

    def _begin(self) -> None:
        before, self.before = self.before, None
        if before is not None:
            before()

    async def _hold_back(self, came: Granted | TokenFailure) -> Granted | TokenFailure:
        if self.held_back is not None:
            self.held_back.came.set()
            await self.held_back.release.wait()
        return came


class Installing(Driving):
    """One driver of one portal, which is called by its application once that is installed."""

    oauth: OAuthServer
    settings: Settings
    applications: Applications
    endpoint: WatchedEndpoint

    @property
    def application(self) -> Application:
        """Return the application as the portal has it."""
        assert self.sandbox.application is not None
        return self.sandbox.application

    def restart(self, **changed: str | None) -> None:
        """Begin again as another process would, with changed settings."""
        self.agenda = None
        self.commits = SharedCommit(self.database)
        self.portal = Portal(PORTAL, self.server.url)
        self.client = self._client()
        self.configure(**changed)

    def configure(self, **changed: str | None) -> None:
        """Take settings: those of the application, changed as it is said; None takes one out."""
        application = self.application
        portal = {
            "DOMAIN": f"127.0.0.1:{self.server.port}",
            "CLIENT_ID": application.client_id,
            "CLIENT_SECRET": application.client_secret,
        }
        given: dict[str, str | None] = {
            f"PORTALS__MAIN__{name}": value for name, value in portal.items()
        }
        given |= {"SECRET_KEY": SECRET_KEY, **changed}
        environ = {f"RESPONDER_{name}": value for name, value in given.items() if value}
        self.settings = load(environ, env_file=None)
        self.endpoint = WatchedEndpoint()
        self.applications = Applications(
            self.settings,
            database=self.database,
            commits=self.commits,
            clients={PORTAL: self.client},
            metrics=self.metrics,
            now=self.now,
            wake=lambda _: None,
            refused=self.refused,
            endpoint=self.endpoint,
        )
        self.steps = self.applications.steps

    def refused(self, portal: str | None, why: str) -> None:
        """Note a refused delivery."""
        self.failures.append(f"{portal}: {why}")

    async def post(self, body: str, query: str = "", *, portal: str = PORTAL) -> int:
        """Send a form to the application's address, and return the status."""
        return (await self.ask("POST", body, query, portal=portal))[0]

    async def ask(
        self, method: str, body: str = "", query: str = "", *, portal: str = PORTAL
    ) -> tuple[int, bytes]:
        """Ask the application's address, and return status and body."""
        sent: list[Message] = []
        scope = {
            "type": "http",
            "method": method,
            "path": f"/app/{portal}",
            "root_path": "/app",
            "query_string": query.encode(),
            "headers": [(b"content-type", b"application/x-www-form-urlencoded")],
        }

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body.encode(), "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.applications.endpoint(scope, receive, send)
        return sent[0]["status"], sent[1]["body"]

    async def install(self) -> None:
        """Receive the installation message, verify it, and know the pin."""
        assert await self.post(self.application.installation_message()) == 200
        await self.settle()

    async def until_idle(self, most: int = 400) -> int:
        """Do rounds until nothing is due, and no message is being verified."""
        count = await super().until_idle(most)
        while True:
            tasks = self.applications.verifying
            if tasks:
                await asyncio.wait(tasks)
            more = await super().until_idle(most)
            count += more
            if not tasks and not more:
                return count

    async def settle(self) -> None:
        """Let the driver verify what is held, and the receiving side read what is pinned."""
        self.later(seconds=6)
        await self.until_idle()
        await self.applications.pins.reload()

    def fail_oauth(self, endpoint: str, fault: Fault, times: int = 1) -> None:
        """Let the OAuth server answer otherwise."""
        self.sandbox.oauth.fail_next(endpoint, fault, times)

    @property
    def breaker(self) -> str | None:
        """Return the code of the whole portal's breaker, if it is open."""
        opened = self.client.breakers.of_portal
        return None if opened is None else opened.code

    @property
    def installed(self) -> Installation | None:
        """Return what is stored of the application."""
        return self.database.read(lambda conn: installations.installed(conn, PORTAL))

    @property
    def held(self) -> list[Held]:
        """Return the messages that are held."""
        return self.database.read(lambda conn: held_messages.held(conn, PORTAL, self.now()))

    @property
    def refreshes(self) -> int:
        """Count the requests to the token endpoint."""
        return len(self.sandbox.oauth.calls_of("token"))

    async def close(self) -> None:
        """Let go of everything."""
        await self.applications.close()
        await super().close()


@contextmanager
def installing(database: Database, place: Path, rules: str = RULES) -> Iterator[Installing]:
    """Serve a portal with an application and its OAuth server, and give a driver for it."""
    path = place / "rules.yaml"
    path.write_text(rules, encoding="utf-8")
    sandbox = Sandbox()
    sandbox.add_template(61, "Approval")
    sandbox.add_application(user_id=INSTALLER)
    with SandboxServer(sandbox) as server, OAuthServer(sandbox) as oauth:
        there = Installing(server, database, path)
        there.oauth = oauth
        there.configure()
        yield there


def play(there: Installing, story: Callable[[Installing], Coroutine[object, object, T]]) -> T:
    """Play a story with a driver, and let it end."""

    async def all_of_it() -> T:
        await there.drive()
        try:
            return await story(there)
        finally:
            await there.close()

    return asyncio.run(all_of_it())


def logged(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was logged, wherever another test of this process has sent the log."""
    written = capsys.readouterr()
    return written.out + written.err
