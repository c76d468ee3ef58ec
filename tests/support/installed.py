"""Drives a sandbox portal by a local application that is installed, round by round.

What its administrator did is done already: the application is in the portal, and pinned.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from responder.adapters.encryption import Seal
from responder.bitrix24.client.addresses import ApplicationAddress
from responder.bitrix24.oauth.token_endpoint import TokenEndpoint
from responder.bitrix24.sandbox import Application as SandboxApplication
from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.bitrix24.sandbox.answers import Answer
from responder.judge.context import Context
from responder.service.application.access import ApplicationAccess
from responder.service.application.portal_application import Application
from responder.service.application.steps import ApplicationSteps
from responder.settings.settings import PortalSettings
from responder.stop.gate import Gate
from responder.store.applications import installations
from responder.store.applications.installations import Installation, State, token_digest
from responder.store.applications.standing import Tokens, sealed
from responder.store.database.database import Database
from responder.store.inbox import inbox
from tests.support.rounds import PORTAL, RULES, Driving

SECRET_KEY = "a-secret-key-of-the-tests-0000000001"
AN_HOUR = timedelta(hours=1)
GET, LIST, CLEAR = "event.offline.get", "event.offline.list", "event.offline.clear"
CHANGED = "ONCRMDEALUPDATE"
EXTENDED = "rest_offline_extended"


class DrivingByApplication(Driving):
    """One driver of one portal, which it calls by its application."""

    events_at: str | None = None
    address: Callable[[], str | None] | None = None  # instead of what the installation says
    poll_every = timedelta(seconds=60)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.portal.address = ApplicationAddress(self.host, "")
        self.endpoint = TokenEndpoint()
        self.install()

    @property
    def host(self) -> str:
        """Return the portal's host, with its port."""
        return self.server.address.partition("//")[2]

    @property
    def there(self) -> SandboxApplication:
        """Return the application, as the portal has it."""
        assert self.sandbox.application is not None
        return self.sandbox.application

    def install(self) -> None:
        """Pin the application, as if its installation had been proved a minute ago."""
        found = installation(self.server, self.now())
        self.database.write(lambda tx: installations.pin(tx, found))

    async def drive(self) -> None:
        """Take the lease and begin."""
        self.steps = self._steps
        await super().drive()

    def _steps(self, context: Context, gate: Gate) -> ApplicationSteps:
        its = Application(
            name=PORTAL,
            given=settings_of(self.server),
            events_at=self.events_at,
            poll_every=self.poll_every,
            seal=Seal(SECRET_KEY),
            endpoint=self.endpoint,
            database=self.database,
            write=self.commits.write,
            now=self.now,
        )
        access = ApplicationAccess(its, self.client)
        return ApplicationSteps(its, access, context, gate, address=self.address)

    async def close(self) -> None:
        """Let go of everything."""
        await self.endpoint.close()
        await super().close()

    def change(self, *numbers: int, event: str = CHANGED) -> None:
        """Let deals change, and say nothing to anybody: what is bound offline is kept."""
        for number in numbers:
            self.sandbox.happens(event, {"FIELDS": {"ID": number}}, user_id=7)

    def bind(self, *events: str) -> None:
        """Bind events offline, as a driver before this one has."""
        for event in events:
            self.there.bindings.add(event)

    def lose_deal_in_between(self, number: int) -> None:
        """Let a deal be lost, whose events say that it changed."""
        self.sandbox.add_item(2, number, stageSemanticId="F")
        self.change(number)

    def before(self, method: str, happens: Callable[[], object]) -> None:
        """Let something happen in the portal right before it carries out the next such call."""
        assert isinstance(self.sandbox, BusySandbox)
        self.sandbox.before[method] = happens

    @property
    def kept(self) -> list[str]:
        """Return the events that the portal keeps."""
        return [row.event for row in self.there.offline.rows]

    def received(self) -> Counter[str | None]:
        """Count the deliveries by their documents, waiting or not."""
        return Counter(one.document for one in inbox.received(self.database))

    @property
    def killed(self) -> int:
        """Count the workflows that were killed."""
        return self.outcomes()["killed"]

    def calls(self) -> list[str]:
        """Return the methods that were called, in order, and forget them."""
        names = [call.method for call in self.sandbox.calls]
        self.sandbox.calls.clear()
        return names


def documents(numbers: range) -> set[str]:
    """Return the names of deals."""
    return {f"deal:{number}" for number in numbers}


def installation(server: SandboxServer, now: datetime) -> Installation:
    """Return the installation of a sandbox's application, with new tokens."""
    application = server.sandbox.application
    assert application is not None
    grant = application.tokens.issue(application.user_id)
    seal = Seal(SECRET_KEY)
    return Installation(
        portal=PORTAL,
        state=State.INSTALLED,
        reason=None,
        domain=server.address.partition("//")[2],
        member_id=application.member_id,
        client_id=application.client_id,
        oauth_host=server.address.partition("//")[2],
        user_id=application.user_id,
        application_token_sha256=token_digest(application.application_token),
        key_mark=seal.mark,
        tokens=sealed(seal, PORTAL, Tokens(grant.access_token, grant.refresh_token)),
        expires_at=datetime.fromtimestamp(grant.expires, UTC),
        installed_at=now - timedelta(minutes=1),
        refreshed_at=now,
    )


def settings_of(server: SandboxServer) -> PortalSettings:
    """Return the settings of a portal with its application."""
    application = server.sandbox.application
    assert application is not None
    return PortalSettings.model_validate(
        {
            "domain": server.address.partition("//")[2],
            "client_id": application.client_id,
            "client_secret": application.client_secret,
        }
    )


class BusySandbox(Sandbox):
    """A portal in which something happens right before a call is carried out (`before`)."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, Callable[[], object]] = {}

    def _carry_out(self, method: str, params: Mapping[str, object]) -> Answer:
        happens = self.before.pop(method, None)
        if happens is not None:
            happens()
        return super()._carry_out(method, params)


@contextmanager
def driving_by_application(
    database: Database, place: Path, rules: str = RULES, *, extended: bool = True
) -> Iterator[DrivingByApplication]:
    """Serve a portal with an application, and give a driver for it."""
    path = place / "rules.yaml"
    path.write_text(rules, encoding="utf-8")
    sandbox = BusySandbox()
    sandbox.add_template(61, "Approval")
    sandbox.add_application()
    (sandbox.features.add if extended else sandbox.features.discard)(EXTENDED)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    with SandboxServer(sandbox) as server:
        yield DrivingByApplication(server, database, path)
    structlog.reset_defaults()
