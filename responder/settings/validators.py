"""Checks and converts the value of each setting; raises ValueError with a sentence if it is wrong.

The sentence follows the name of the variable, and never holds the value.
"""

import json
import re
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, SecretStr, ValidationInfo
from pydantic_core import PydanticCustomError

from responder.model import Mode
from responder.settings import database_address, time_zone, webhook_signature

T = TypeVar("T")

SHORTEST_TOKEN = 16
SHORTEST_SECRET_KEY = 32
SHORTEST_URL_KEY = 16  # a shorter one is warned of at start
_TOO_SHORT_FOR_A_URL_KEY = 8
NAME = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
_WEBHOOK_PATH = re.compile(r"/rest/[0-9]+/[A-Za-z0-9_.~-]+/")
_DOMAIN = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::[0-9]{1,5})?")
_SHORTEST_POLL, _LONGEST_POLL = timedelta(seconds=1), timedelta(hours=1)
_URL_KEY = re.compile(r"[A-Za-z0-9_.~-]+")
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DATABASES = ("sqlite:///", "postgresql+psycopg://")
# what `responder password` prints: cost (2 to that power), block size, how many such blocks (older
# ones say nothing of it, and have one), salt, hash. No `$`, which shells, .env files and compose
# would take for a variable
PASSWORD_HASH = re.compile(
    r"scrypt:(1[4-7]):(8)(?::([1-9]))?:([A-Za-z0-9_-]{22}):([A-Za-z0-9_-]{43})"
)


def _split(url: str, *, needs_host: bool = True) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if needs_host and not parts.hostname:
        raise ValueError("is not a URL with a host")
    return parts


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _must_be_safe(parts: SplitResult) -> None:
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise ValueError("must begin with https:// (plain http is for loopback addresses only)")
    if parts.scheme not in ("http", "https"):
        raise ValueError("must begin with https://")


def needed_without_domain(given: T, info: ValidationInfo) -> T:
    """Check that a portal without a local application has this setting."""
    # a wrong `domain` is not in `data`, and is a problem of its own
    if not given and "domain" in info.data and info.data["domain"] is None:
        raise PydanticCustomError("missing", "is missing")
    return given


def domain(given: str) -> str:
    """Check a portal's host, with a port or without, and return it in lower case."""
    host = given.lower().rstrip(".")
    if not _DOMAIN.fullmatch(host):
        raise ValueError("must be a host such as example.bitrix24.com, without https:// or a path")
    _split(f"https://{host}")
    return host


def scheme_of(host: str) -> str:
    """Return how a host is called: plain http is for loopback addresses only.

    Strangers name hosts: what cannot be read as one is no loopback address.
    """
    try:
        hostname = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return "https"
    return "http" if _is_loopback(hostname) else "https"


def timezone(given: str) -> str:
    """Check that there is a time zone of this name."""
    time_zone.zone_named(given)
    return given


def secret_key(given: SecretStr) -> SecretStr:
    """Check that the key that encrypts is long enough."""
    if len(given.get_secret_value()) < SHORTEST_SECRET_KEY:
        raise ValueError(f"is shorter than {SHORTEST_SECRET_KEY} characters")
    return given


def public_url(given: str) -> str:
    """Check the address at which portals reach us, and return it without a final slash."""
    parts = _split(given)
    _must_be_safe(parts)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must hold no user, password, query or fragment")
    return given.rstrip("/")


def poll_every(given: object) -> object:
    """Parse how often the portal is asked for what it kept for us: a second at least."""
    length = duration(given)
    if isinstance(length, timedelta) and not _SHORTEST_POLL <= length <= _LONGEST_POLL:
        raise ValueError("must be from 1s to 1h")
    return length


def portal_url(given: SecretStr | None) -> SecretStr | None:
    """Check the address of a portal's incoming webhook, and return it ending in a slash."""
    if given is None:
        return None
    url = given.get_secret_value().strip()
    parts = _split(url)
    _must_be_safe(parts)
    path = parts.path if parts.path.endswith("/") else parts.path + "/"
    if not _WEBHOOK_PATH.fullmatch(path) or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must look like https://host/rest/<user>/<secret>/")
    return SecretStr(f"{parts.scheme}://{parts.netloc}{path}")


def split_list(given: object) -> object:
    """Split `a,b` or `["a", "b"]` into texts."""
    if not isinstance(given, str):
        return given
    if not given.lstrip().startswith("["):
        return [part.strip() for part in given.split(",") if part.strip()]
    try:
        texts = json.loads(given)
    except (ValueError, RecursionError):
        raise ValueError("is not a JSON list of texts") from None
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("is not a JSON list of texts")
    return [text.strip() for text in texts]


def tokens(given: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """Check that tokens are long enough to be secrets, and return each once."""
    if any(len(token.get_secret_value()) < SHORTEST_TOKEN for token in given):
        raise ValueError(f"holds a token that is shorter than {SHORTEST_TOKEN} characters")
    return tuple(dict.fromkeys(given))


def url_key(given: SecretStr) -> SecretStr:
    """Check that a path segment is long enough to be a secret."""
    key = given.get_secret_value()
    if not _URL_KEY.fullmatch(key):
        raise ValueError("must consist of letters, digits and - _ . ~")
    if len(key) < _TOO_SHORT_FOR_A_URL_KEY:
        raise ValueError(f"is shorter than {_TOO_SHORT_FOR_A_URL_KEY} characters")
    return given


def database_url(given: SecretStr) -> SecretStr:
    """Check that the address is of a database that survives a restart."""
    url = given.get_secret_value().strip()
    if not url.startswith(_DATABASES):
        raise ValueError(f"must begin with {' or '.join(_DATABASES)}")
    if url.startswith("sqlite:"):
        if url.partition("?")[0] in ("sqlite:///", "sqlite:///:memory:"):
            raise ValueError("must name a file: what is only in memory does not survive")
    else:
        _split(url, needs_host=False)  # without one, PostgreSQL is reached through its socket
        if database_address.is_torn(url):
            raise ValueError(database_address.TORN)
        if not database_address.has_readable_host(url):
            raise ValueError("is not a URL")
    return SecretStr(url)


def notify_url(given: SecretStr) -> SecretStr:
    """Check that the address of a receiver is https, or a loopback address."""
    parts = _split(given.get_secret_value().strip())
    _must_be_safe(parts)
    if "@" in parts.netloc or parts.fragment:
        raise ValueError("must hold no user, password or fragment")
    return SecretStr(given.get_secret_value().strip())


def notify_secret(given: SecretStr) -> SecretStr:
    """Check the keys that sign notifications."""
    if not webhook_signature.keys_of(given.get_secret_value()):
        raise ValueError("is missing")
    return given


def _password_hash(given: SecretStr) -> SecretStr:
    if not PASSWORD_HASH.fullmatch(given.get_secret_value()):
        raise ValueError("must be what `responder password` prints")
    return given


PasswordHash = Annotated[SecretStr, AfterValidator(_password_hash)]


def duration(given: object) -> object:
    """Parse `30s`, `15m`, `2h`, `1d` or `0`."""
    if not isinstance(given, str):
        return given
    if given.strip() == "0":
        return timedelta(0)
    match = _DURATION.fullmatch(given.strip())
    if match is None:
        raise ValueError("must be a number with a unit (30s, 15m, 2h, 1d), or 0")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def lower(given: object) -> object:
    """Return a word in lower case."""
    return given.strip().lower() if isinstance(given, str) else given


def mode(given: object) -> object:
    """Check the mode; `approve` is refused, because it is a mode of rules alone."""
    lowered = lower(given)
    if lowered not in (Mode.OBSERVE, Mode.ENFORCE):
        raise ValueError(f"Input should be '{Mode.OBSERVE}' or '{Mode.ENFORCE}'")
    return lowered


def valid_names(given: dict[str, T]) -> dict[str, T]:
    """Check that the names of a table can be parts of variables, labels and ids."""
    for name in given:
        if not NAME.fullmatch(name):
            raise ValueError("has a name that is not made of a-z, 0-9 and single underscores")
    return given
