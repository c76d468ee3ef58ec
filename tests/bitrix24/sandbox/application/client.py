"""Who calls the sandbox as an application does: with an access token, at `/rest/<method>`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import httpx

from responder.bitrix24.sandbox import Application
from responder.bitrix24.sandbox.php import nest
from tests.bitrix24.sandbox.caller import Caller, mapping


@dataclass(frozen=True, slots=True)
class ApplicationCaller(Caller):
    """Calls methods with the access token it has in the JSON body."""

    tokens: dict[str, str] = field(default_factory=dict)

    def post(self, method: str, params: Mapping[str, object] | None = None) -> httpx.Response:
        return self.client.post(method, json={**(params or {}), "auth": self.tokens["access"]})

    def use(self, application: Application, user_id: str = "1") -> None:
        """Take the tokens of a user."""
        grant = application.tokens.issue(user_id)
        self.tokens.update(access=grant.access_token, refresh=grant.refresh_token)


@dataclass(frozen=True, slots=True)
class OAuthCaller:
    """Calls the token endpoint, by form POST unless told otherwise."""

    client: httpx.Client
    application: Application

    def refresh(self, token: str, *, by: str = "POST", **changed: str) -> httpx.Response:
        return self.ask(by=by, grant_type="refresh_token", refresh_token=token, **changed)

    def ask(self, *, by: str = "POST", **params: str) -> httpx.Response:
        given = {
            "client_id": self.application.client_id,
            "client_secret": self.application.client_secret,
            **params,
        }
        if by == "GET":
            return self.client.get("/oauth/token/", params=given)
        return self.client.post("/oauth/token/", data=given)


def parsed(body: str | None) -> dict[str, dict[str, str]]:
    """Parse the body of an event; what stands at its top is under ""."""
    assert body is not None
    form = nest(body)
    nested = {name: value for name, value in form.items() if isinstance(value, dict)}
    flat = {name: value for name, value in form.items() if isinstance(value, str)}
    return cast("dict[str, dict[str, str]]", {**nested, "": flat})


def answer(response: httpx.Response) -> dict[str, object]:
    assert response.status_code == 200, response.text
    return mapping(response.json())


def refused(response: httpx.Response) -> tuple[int, object]:
    return (response.status_code, mapping(response.json())["error"])
