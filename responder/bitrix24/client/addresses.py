"""Defines how a portal is called: at the address of a webhook, or of a local application.

A webhook's address holds its secret in the path. An application has none: its calls go to
`https://<host>/rest/`, with an access token in the body (docs: settings/oauth/index.md), so that it
never stands in an address. Both know which texts must be removed from what is shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote, urlsplit

from responder.settings.validators import scheme_of


class Address(Protocol):
    """The address of a portal, and what proves there who calls."""

    @property
    def root(self) -> str:
        """The address to which a method's name is added."""

    def signed(self, params: Mapping[str, object]) -> dict[str, object]:
        """Return the parameters of a request with what proves who calls."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that are never shown, the longest first."""


@dataclass(frozen=True, slots=True)
class WebhookAddress:
    """The address of an incoming webhook, `https://host/rest/<user>/<secret>/`."""

    url: str = field(repr=False)

    @property
    def root(self) -> str:
        """The address to which a method's name is added."""
        return self.url if self.url.endswith("/") else self.url + "/"

    def signed(self, params: Mapping[str, object]) -> dict[str, object]:
        """Return the parameters as they are: the address is the proof."""
        return dict(params)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The address and the secret parts of its path, the longest first."""
        path = urlsplit(self.root).path.strip("/")
        secret = path.rpartition("/")[2]
        parts = (self.root, path, quote(path, safe=""), secret, quote(secret, safe=""))
        return tuple(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class ApplicationAddress:
    """The address of a portal for its local application, and the access token of the moment."""

    host: str
    access_token: str = field(repr=False)

    @property
    def root(self) -> str:
        """The address to which a method's name is added."""
        return f"{scheme_of(self.host)}://{self.host}/rest/"

    def signed(self, params: Mapping[str, object]) -> dict[str, object]:
        """Return the parameters with the access token; in a batch it stands beside `cmd`."""
        return {**params, "auth": self.access_token}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The access token."""
        return (self.access_token,) if self.access_token else ()
