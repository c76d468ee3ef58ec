"""Checks a request's head for what neither the parser nor uvicorn checks.

What RFC 9112 says to refuse is refused, and everything else is accepted: if a proxy before us read
a head otherwise than we do, one caller's request could pass for a part of another's (request
smuggling).

https://www.rfc-editor.org/rfc/rfc9112
"""

import re
from collections.abc import Iterable

import httptools

_HOST = re.compile(rb"(\[[\w:.%~-]+\]|[\w.~%!$&'()*+,;=-]*)(:\d*)?")
_HOSTS = {"1.0": (0, 1), "1.1": (1,)}  # how many a head may have


class BadHead(Exception):  # noqa: N818 - it says what is wrong with a request
    """A request that is refused by its head alone."""

    def __init__(self, status: int, kind: str) -> None:
        self.status = status
        self.kind = kind
        super().__init__(kind)


def malformed() -> BadHead:
    """Return the refusal of something that is no HTTP request."""
    return BadHead(400, "malformed")


def refusal_for(error: Exception) -> BadHead:
    """Return why the parser stopped: a callback's BadHead, or one for the parser's own error."""
    if isinstance(error.__context__, BadHead):
        return error.__context__
    return BadHead(413, "length") if "Content-Length overflow" in str(error) else malformed()


def must_be_well_formed(version: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise BadHead for another version, a wrong number of hosts, a bad host or unknown coding."""
    hosts = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
            if not _HOST.fullmatch(value.strip()):
                raise malformed()
        elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            raise malformed()
    if hosts not in _HOSTS.get(version, ()):
        raise malformed()


def with_a_path(url: bytes) -> bytes:
    """Return the URL with a path: `http://host` as `http://host/`, which uvicorn needs."""
    if url.startswith(b"/"):
        return url
    parsed = httptools.parse_url(url)
    if parsed.path is not None:
        return url
    return b"/?" + parsed.query if parsed.query else b"/"
