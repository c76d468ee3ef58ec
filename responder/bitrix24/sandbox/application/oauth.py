"""Serves the OAuth server that applications get their tokens from, as an ASGI application.

A token endpoint, `app.info` of the OAuth server, and the page of the portal at which a browser
agrees to an application. Requests are counted and kept, and never printed: the secret is in them.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from responder.bitrix24.sandbox import php, wire
from responder.bitrix24.sandbox.answers import Answer, BrokenLineError, RefusedError
from responder.bitrix24.sandbox.application.application_state import Application
from responder.bitrix24.sandbox.application.tokens import Grant
from responder.bitrix24.sandbox.faults import MISSING, REFUSALS, Fault, Faults, Refusal

TOKEN = "token"  # noqa: S105 - the name of an endpoint
APP_INFO = "app.info"
AUTHORIZE = "authorize"
# With and without the prefix under which they are served at the portal's own port.
_PATHS = {
    "/oauth/token": TOKEN,
    "/rest/app.info": APP_INFO,
    "/oauth/rest/app.info": APP_INFO,
    "/oauth/authorize": AUTHORIZE,
}
# The codes come in mixed case; a status may say that all is well.
OAUTH_REFUSALS: dict[str, Refusal] = {
    "invalid_request": Refusal(400, "invalid_request", "Invalid request"),
    "invalid_grant": Refusal(400, "invalid_grant", "Invalid grant"),
    "invalid_client": Refusal(401, "invalid_client", "Invalid client"),
    "wrong_client": Refusal(200, "wrong_client", "Wrong client"),
    "invalid_scope": Refusal(400, "invalid_scope", "Invalid scope"),
    "insufficient_scope": Refusal(403, "insufficient_scope", "Insufficient scope"),
    "payment": Refusal(401, "PAYMENT_REQUIRED", "Payment required"),
    "not_installed": Refusal(401, "NOT_INSTALLED", "Application not installed"),
    "500": REFUSALS["500"],
    "503_limit": REFUSALS["503_limit"],
    "expired_token": REFUSALS["expired_token"],
    "invalid_token": REFUSALS["invalid_token"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthCall:
    """A request as it came: of the token endpoint, of `app.info`, or of the page in the browser.

    `query` is what stood in the address, where logs and proxies see it.
    """

    endpoint: str
    http_method: str
    at: float
    params: Mapping[str, object] = field(repr=False)
    query: Mapping[str, object] = field(repr=False)


class OAuth:
    """The OAuth server of one portal; `application` returns the one that it knows."""

    def __init__(
        self,
        application: Callable[[], Application | None],
        clock: Callable[[], float],
        lock: threading.RLock,
    ) -> None:
        self._application = application
        self._clock = clock
        self._lock = lock
        self._faults = Faults(OAUTH_REFUSALS)
        self.calls: list[OAuthCall] = []

    def fail_next(self, endpoint: str, fault: Fault, times: int = 1) -> None:
        """Plan a fault for the next requests of `token` or `app.info`."""
        with self._lock:
            self._faults.plan(endpoint, fault, times)

    def clear_faults(self) -> None:
        """Forget every fault that has not struck yet."""
        with self._lock:
            self._faults.clear()

    def calls_of(self, endpoint: str) -> list[OAuthCall]:
        """Return the requests of one endpoint so far."""
        with self._lock:
            return [call for call in self.calls if call.endpoint == endpoint]

    async def __call__(self, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        """Serve one HTTP request."""
        await self.serve(await wire.inquiry(scope, receive), scope, receive, send)

    async def serve(
        self, asked: wire.Inquiry, scope: wire.Scope, receive: wire.Receive, send: wire.Send
    ) -> None:
        """Serve a request that was read already."""
        try:
            reply = self.answer(asked)
        except BrokenLineError as line:
            await wire.send_broken(line.fault, scope, receive, send)
        else:
            await wire.send_reply(reply, send)

    def answer(self, asked: wire.Inquiry) -> wire.Reply:
        """Answer a request of one of the endpoints."""
        endpoint = _PATHS.get(asked.path.removesuffix("/").removesuffix(".json"))
        if endpoint is None:
            return wire.error(404, "ERROR_NOT_FOUND", "Not found")
        with self._lock:
            self.calls.append(
                OAuthCall(
                    endpoint=endpoint,
                    http_method=asked.http_method,
                    at=self._clock(),
                    params=asked.params,
                    query=asked.query,
                )
            )
            if endpoint == AUTHORIZE:
                return self._authorized(asked.params)
            return self._answered(endpoint, asked)

    def _answered(self, endpoint: str, asked: wire.Inquiry) -> wire.Reply:
        act = self._token if endpoint == TOKEN else self._app_info
        try:
            answer = self._faults.strike(endpoint, lambda: Answer(value=act(asked.params)))
        except RefusedError as refusal:
            return wire.error(refusal.status, refusal.code, refusal.text)
        return wire.encode(200, {} if answer.value is MISSING else answer.value)

    def _token(self, params: Mapping[str, object]) -> object:
        application = self._client(params)
        kind = params.get("grant_type")
        if kind == "refresh_token":
            grant = application.tokens.refresh(php.text(params.get("refresh_token")))
        elif kind == "authorization_code":
            grant = application.tokens.redeem(php.text(params.get("code")))
        else:
            raise OAUTH_REFUSALS["invalid_request"].error()
        if grant is None:
            raise OAUTH_REFUSALS["invalid_grant"].error()
        answer = _tokens(application, grant)
        if kind == "authorization_code":  # its answer may lack them
            del answer["expires"], answer["user_id"]
        return answer

    def _client(self, params: Mapping[str, object]) -> Application:
        application = self._application()
        client_id, secret = params.get("client_id"), params.get("client_secret")
        if not client_id or not secret:
            raise OAUTH_REFUSALS["invalid_request"].error()
        if application is None or client_id != application.client_id:
            raise OAUTH_REFUSALS["wrong_client"].error()
        if application.deleted or secret != application.client_secret:
            raise OAUTH_REFUSALS["invalid_client"].error()
        return application

    def _app_info(self, params: Mapping[str, object]) -> object:
        application = self._application()
        token = php.text(params.get("auth") or params.get("access_token"))
        access = application.tokens.access(token) if application else None
        if application is None or access is None:
            raise REFUSALS["invalid_token"].error()
        if application.tokens.has_expired(access):
            raise REFUSALS["expired_token"].error()
        return {
            "result": {
                "client_id": application.client_id,
                "scope": "app",
                "expires": access.expires,
                "user_id": php.integer(access.user_id),
                "install": _install(application),
            }
        }

    def _authorized(self, params: Mapping[str, object]) -> wire.Reply:
        """Send the browser back with a code. A failure is a page: it never goes anywhere."""
        application = self._application()
        known = application and not application.deleted and application.authorizing_user
        if not application or not known or params.get("client_id") != application.client_id:
            page = b"<html><body>The application is not available to you.</body></html>"
            return wire.Reply(status=200, body=page, headers=((b"content-type", b"text/html"),))
        answer = {
            "code": application.tokens.code(known),
            "state": php.text(params.get("state")),
            "domain": application.domain,
            "member_id": application.member_id,
            "scope": application.scope_separator.join(application.scopes),
            "server_domain": urlsplit(application.addresses.oauth).netloc,
        }
        joint = "&" if urlsplit(application.handler_url).query else "?"
        location = f"{application.handler_url}{joint}{urlencode(answer)}"
        return wire.Reply(status=302, body=b"", headers=((b"location", location.encode()),))


def _tokens(application: Application, grant: Grant) -> dict[str, object]:
    """Return the answer of the token endpoint; its `domain` is that of the OAuth server."""
    return {
        "access_token": grant.access_token,
        "expires": grant.expires,
        "expires_in": application.tokens.access_seconds,
        "scope": "app",  # whatever was granted
        "domain": urlsplit(application.addresses.oauth).netloc,
        "server_endpoint": application.server_endpoint,
        "status": "L",
        "client_endpoint": application.client_endpoint,
        "member_id": application.member_id,
        "user_id": php.integer(grant.user_id),
        "refresh_token": grant.refresh_token,
    }


def _install(application: Application) -> dict[str, object]:
    return {
        "installed": application.installed,
        "version": str(application.version),
        "status": "L",
        "scope": ",".join(application.scopes),
        "domain": application.domain,
        "uri": application.handler_url,
        "client_endpoint": application.client_endpoint,
        "member_id": application.member_id,
        "member_type": "BITRIX24_NET",
    }
