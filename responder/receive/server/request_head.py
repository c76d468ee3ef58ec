"""Says what is wrong with a request's head where the parser, or uvicorn, does not see it.

What RFC 9112 has refused is refused, and what it has read is read: a proxy before us that reads
otherwise than we do would let one caller's request pass for a part of another's.
"""

import re
from collections.abc import Iterable

import httptools

_HOST = re.compile(rb"(\[[\w:.%~-]+\]|[\w.~%!$&'()*+,;=-]*)(:\d*)?")
_HOSTS = {"1.0": (0, 1), "1.1": (1,)}  # how many a head may have


class Unfit(Exception):  # noqa: N818 - it says what is wrong with a request
    """A request that is refused by its head alone."""

    def __init__(self, status: int, kind: str) -> None:
        self.status = status
        self.kind = kind
        super().__init__(kind)


def malformed() -> Unfit:
    """Say that it is no request."""
    return Unfit(400, "malformed")


def unfit_for(error: Exception) -> Unfit:
    """Say what was wrong where the parser stopped: a callback's own word, or the parser's."""
    if isinstance(error.__context__, Unfit):
        return error.__context__
    return Unfit(413, "length") if "Content-Length overflow" in str(error) else malformed()


def must_be_well_formed(version: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise Unfit for another version, a host that is none, and a coding that is not undone."""
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
    """Read `http://host` as `http://host/`, which it is; uvicorn can read no other."""
    if url.startswith(b"/"):
        return url
    parsed = httptools.parse_url(url)
    if parsed.path is not None:
        return url
    return b"/?" + parsed.query if parsed.query else b"/"
