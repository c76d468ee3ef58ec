"""A local application of a sandbox that is served, and who calls for it."""

from collections.abc import Iterator

import httpx
import pytest

from responder.bitrix24.sandbox import Application, OAuthServer, Sandbox, SandboxServer
from tests.bitrix24.sandbox.application.client import ApplicationCaller, OAuthCaller


@pytest.fixture
def oauth(server: SandboxServer, application: Application) -> Iterator[OAuthCaller]:
    with (
        OAuthServer(server.sandbox) as serving,
        httpx.Client(base_url=serving.url, trust_env=False, timeout=5) as client,
    ):
        yield OAuthCaller(client, application)


@pytest.fixture
def extended(sandbox: Sandbox, app: ApplicationCaller) -> ApplicationCaller:
    """Return the caller of an application that has some offline events bound."""
    for event in ("ONCRMDEALADD", "ONCRMDEALUPDATE"):
        app.result("event.bind", {"event": event, "event_type": "offline"})
    sandbox.calls.clear()
    return app
