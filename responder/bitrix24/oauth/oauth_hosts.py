"""Chooses the OAuth server: one of a fixed list, whatever a message says.

The client secret goes there and nowhere else, and anybody can write a message. So what a message
names only chooses from the list. Where the portal itself is on this machine (a test, the sandbox),
its OAuth server may be as well.
"""

import re
from urllib.parse import urlsplit

from responder.settings.validators import scheme_of

WORLD, EAST = "oauth.bitrix.info", "oauth.bitrix24.tech"
ALLOWED = (WORLD, EAST)
_HOST = re.compile(r"[a-z0-9.-]+|\[[0-9a-f:.]+\]")  # urlsplit lets much more through

# module rest, AuthorizationServerUrlResolver: portals of these regions have a server of their own
_EASTERN = ("ru", "by", "kz", "am", "az", "ge", "kg", "uz")


def named(endpoint: str | None) -> str | None:
    """Return the host, with its port, of an address or a plain host; None where there is none."""
    if not endpoint:
        return None
    try:
        parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
        port = parts.port
    except ValueError:
        return None
    hostname = parts.hostname or ""
    if ":" in hostname:
        hostname = f"[{hostname}]"
    if not _HOST.fullmatch(hostname):
        return None
    return hostname if port in (None, 443) else f"{hostname}:{port}"


def chosen(endpoint: str | None, domain: str) -> str | None:
    """Return the OAuth server for a portal: the named one if it is allowed, else None.

    Where none is named it is that of the portal's region; a portal on this machine has none.
    """
    if endpoint:
        host = named(endpoint)
        return host if host is not None and is_allowed(host, domain) else None
    if scheme_of(domain) == "http":
        return None
    region = domain.partition(":")[0].rpartition(".")[2]
    return EAST if region in _EASTERN else WORLD


def is_allowed(host: str, domain: str) -> bool:
    """Return whether secrets of a portal's application may be sent to this host."""
    both_are_here = scheme_of(host) == "http" and scheme_of(domain) == "http"
    return host in ALLOWED or both_are_here


def root(host: str) -> str:
    """Return the address of an OAuth server, without a path."""
    return f"{scheme_of(host)}://{host}"
