"""Holds a local application of the portal: its keys, its tokens, its handlers, its messages."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from responder.bitrix24.sandbox import php
from responder.bitrix24.sandbox.application.bindings import INSTALLED_EVENT, Bindings
from responder.bitrix24.sandbox.application.offline_queue import OfflineQueue
from responder.bitrix24.sandbox.application.tokens import Grant, Tokens

UNINSTALLED_EVENT = "ONAPPUNINSTALL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """The addresses under which the portal and its OAuth server are reached."""

    portal: str = "https://portal.sandbox.invalid"
    oauth: str = "https://oauth.sandbox.invalid"


@dataclass(frozen=True, slots=True)
class Opening:
    """A form that the browser posts into the application's frame, each time it is opened."""

    query: str
    body: str


class Application:
    """A local application, as an administrator sees it in the form, and the portal keeps it.

    One with an interface and an install URL is not `installed` before `finish_installation`.
    """

    def __init__(
        self,
        number: int,
        *,
        scopes: Sequence[str],
        clock: Callable[[], float],
        member_id: str,
        appoint: Callable[[str], None],
        user_id: str,
        handler_url: str,
        install_url: str,
        with_interface: bool,
    ) -> None:
        self.number = number
        self.title = "Responder"
        self.client_id = f"local.5a2db0c5{number:06x}.{number:08d}"
        self.client_secret = f"SandboxClientSecret{number:031d}"
        self.member_id = member_id
        self.scopes = tuple(scopes)
        self.handler_url = handler_url
        self.install_url = install_url
        self.user_id = user_id
        self.with_interface = with_interface
        self.installed = not (with_interface and install_url)
        self.deleted = False
        self.version = 1
        self.authorizing_user: str | None = user_id  # who is at the browser; None: has no access
        self.addresses = Addresses()
        self.scope_separator = ","  # captures have commas, the documentation has spaces
        self.older_form = False  # the frame's form without SERVER_ENDPOINT and APPLICATION_TOKEN
        self.clock = clock
        self._appoint = appoint
        self.tokens = Tokens(clock)
        self.bindings = Bindings()
        self.offline = OfflineQueue(clock)
        if install_url:
            self.bindings.add(INSTALLED_EVENT, handler=install_url)

    @property
    def application_token(self) -> str:
        """Return the constant proof in every event: a new secret or portal makes a new one."""
        return _md5(f"{self.member_id}|{self.client_id}|{self.client_secret}|sandbox")

    @property
    def domain(self) -> str:
        """Return the portal's host."""
        return urlsplit(self.addresses.portal).netloc

    @property
    def client_endpoint(self) -> str:
        """Return where the portal's methods are."""
        return f"{self.addresses.portal}/rest/"

    @property
    def server_endpoint(self) -> str:
        """Return where the methods of the OAuth server are."""
        return f"{self.addresses.oauth}/rest/"

    def installation_message(self) -> str:
        """Return the body of ONAPPINSTALL, with a chain of tokens that begins with it."""
        data = {
            "VERSION": self.version,
            "ACTIVE": "Y",
            "INSTALLED": "Y" if self.installed else "N",
            "LANGUAGE_ID": "en",
        }
        return self.event_body(INSTALLED_EVENT, data, self.tokens.issue(self.user_id))

    def opening(self, user_id: str | None = None) -> Opening:
        """Return what the browser of a user posts when they open an application's interface."""
        grant = self.tokens.issue(user_id or self.user_id)
        secure = self.addresses.portal.startswith("https:")
        query: dict[str, object] = {
            "DOMAIN": self.domain,
            "PROTOCOL": int(secure),
            "LANG": "en",
            "APP_SID": _md5(grant.access_token),
        }
        body: dict[str, object] = {
            "AUTH_ID": grant.access_token,
            "AUTH_EXPIRES": grant.expires - int(self.clock()),
            "REFRESH_ID": grant.refresh_token,
            "member_id": self.member_id,
            "status": "L",
            "PLACEMENT": "DEFAULT",
        }
        if not self.older_form:
            body["SERVER_ENDPOINT"] = self.server_endpoint
            body["APPLICATION_TOKEN"] = self.application_token
            body["APPLICATION_SCOPE"] = self.scope_separator.join(self.scopes)
        return Opening(php.build(query), php.build(body))

    def finish_installation(self) -> None:
        """Say that it is installed, as the interface's own script does."""
        self.installed = True

    def reinstall(self, user_id: int | str) -> str | None:
        """Press *Reinstall* as this administrator; return the message, or None.

        There is no message where somebody unbound the handler that hears of the installation.
        """
        self.user_id = self.authorizing_user = str(user_id)
        self._appoint(self.user_id)
        if self.bindings.online(INSTALLED_EVENT):
            return self.installation_message()
        return None

    def uninstall(self, *, clean: bool = False) -> str | None:
        """Delete the application; return the body of ONAPPUNINSTALL, or None where it is unbound.

        Handlers, tokens and the offline queue go with it.
        """
        data = {"LANGUAGE_ID": "en", "CLEAN": int(clean)}
        heard = self.bindings.online(UNINSTALLED_EVENT)
        body = self.event_body(UNINSTALLED_EVENT, data, None) if heard else None
        self.deleted, self.installed = True, False
        self.bindings.clear()
        self.offline.rows.clear()
        self.tokens.revoke()
        return body

    def event_body(
        self,
        event: str,
        data: Mapping[str, object] | None,
        grant: Grant | None,
        handler_id: int | None = None,
    ) -> str:
        """Return an event as the queue server posts it: a form, all of it text."""
        heard = self.bindings.online(event)
        known = heard[0].id if heard else None
        body = {
            "event": event,
            "event_handler_id": handler_id or known,
            "data": data,
            "ts": int(self.clock()),
            "auth": self._auth(grant),
        }
        return php.build(body)

    def _auth(self, grant: Grant | None) -> dict[str, object]:
        """Return the `auth` of an event; what no user did has no tokens."""
        tokens: dict[str, object] = {}
        if grant:
            tokens = {
                "access_token": grant.access_token,
                "expires": grant.expires,
                "expires_in": self.tokens.access_seconds,
                "scope": self.scope_separator.join(self.scopes),
            }
        return {
            **tokens,
            "domain": self.domain,
            "server_endpoint": self.server_endpoint,
            "status": "L" if grant else None,
            "client_endpoint": self.client_endpoint,
            "member_id": self.member_id,
            "user_id": grant.user_id if grant else None,
            "refresh_token": (grant.refresh_token or None) if grant else None,
            "application_token": self.application_token,
        }


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
