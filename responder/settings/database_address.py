"""Checks the shape of a database's address, without connecting and without a library that could."""

import re
from urllib.parse import urlsplit

_HOST = re.compile(r"(\[[^]#]+\]|[^:#]*)(:[0-9]+)?")
TORN = "in a password, write @ as %40, / as %2F, ? as %3F and # as %23"


def is_torn(url: str) -> bool:
    """Return whether a password with a sign of its own tore the URL, and is taken for a host.

    What comes after that sign is then what a driver names in its errors.
    """
    parts = urlsplit(url)
    return parts.netloc.count("@") > 1 or "@" in parts.path + parts.query + parts.fragment


def has_readable_host(url: str) -> bool:
    """Return whether host and port, which may both be missing, are such as a driver reads.

    It knows no fragments, and takes what follows a `#` for a part of the port.
    """
    authority = url.partition("://")[2].partition("/")[0].partition("?")[0]
    return _HOST.fullmatch(authority.rpartition("@")[2]) is not None
