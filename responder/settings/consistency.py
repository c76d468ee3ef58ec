"""Checks that the settings of all portals fit together; yields a problem for each that does not."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from responder.settings.sources import PREFIX

if TYPE_CHECKING:
    from responder.settings.settings import PortalSettings


def portal_variable(name: str, field: str) -> str:
    """Return the name of a portal's variable."""
    return f"{PREFIX}PORTALS__{name.upper()}__{field.upper()}"


def shared(portals: "Mapping[str, PortalSettings]") -> Iterator[str]:
    """Yield a problem for each secret or address that two portals share."""
    # With a shared secret an event would not show which portal sent it, and with a shared address
    # one portal would have two names.
    owners: dict[tuple[str, str], str] = {}
    for name, portal in portals.items():
        for field, text in _proofs(portal):
            owner = owners.setdefault((field, text), name)
            if owner != name:
                yield f"{portal_variable(name, field)} shares a value with portal {owner}"


def _proofs(portal: "PortalSettings") -> Iterator[tuple[str, str]]:
    for token in portal.application_tokens:
        yield "APPLICATION_TOKENS", token.get_secret_value()
    if portal.url is not None:
        yield "URL", portal.url.get_secret_value().rstrip("/")
    if portal.url_key is not None:
        yield "URL_KEY", portal.url_key.get_secret_value()
    if portal.domain is not None:
        yield "DOMAIN", portal.domain
    if portal.client_id is not None:
        yield "CLIENT_ID", portal.client_id


def incomplete(portals: "Mapping[str, PortalSettings]") -> Iterator[str]:
    """Yield a problem for each local application whose settings need another."""
    for name, portal in portals.items():
        id_, secret = portal_variable(name, "CLIENT_ID"), portal_variable(name, "CLIENT_SECRET")
        if (portal.client_id is None) != (portal.client_secret is None):
            yield f"{id_} and {secret} need each other"
        if portal.domain is None and portal.client_id is not None:
            yield f"{id_} needs {portal_variable(name, 'DOMAIN')}"


def of_two_portals(portals: "Mapping[str, PortalSettings]") -> Iterator[str]:
    """Yield a problem for each webhook that is of another portal than its local application."""
    # It would be called by the one while the application is not installed, and by the other after.
    for name, portal in portals.items():
        if portal.url is None or portal.domain is None:
            continue
        if _place(portal.url.get_secret_value()) != _place(f"https://{portal.domain}"):
            url, domain = portal_variable(name, "URL"), portal_variable(name, "DOMAIN")
            yield f"{url} and {domain} must name the same host"


def _place(url: str) -> tuple[str, int]:
    """Return a host and its port; what is called by plain http is on this machine."""
    parts = urlsplit(url)
    return (parts.hostname or "").rstrip("."), parts.port or 443
