"""One request for a page: who asks, from where, and what their form says.

Theory of operation. A session is a random token in a cookie, which is HttpOnly and SameSite=Strict.
Unless the page was asked for on a loopback address by plain http, it is Secure and its name begins
with `__Host-`, so that no other host of the domain can set it. No header of a proxy is trusted for
that: one that says https can only make it stricter.

A form must come from a page of our own. Browsers say where it comes from (Sec-Fetch-Site, or
Origin in older ones; one that says neither is no browser), and each form of a session carries a
token that only we could have put there. Either would do; both are asked for.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

MOST_BYTES = 64 * 1024
_MOST_FIELDS = 1_200
_SESSION = "responder-session"
_BROWSER = "responder-browser"
_KNOWN_FOR = timedelta(days=180)


class NotOurs(Exception):  # noqa: N818 - it is no error of ours
    """A form that did not come from a page of ours."""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form; of those with one name, all."""

    pairs: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """Return the first field of a name, or nothing."""
        return next((value for key, value in self.pairs if key == name), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Return every field of a name."""
        return tuple(value for key, value in self.pairs if key == name)


@dataclass(frozen=True, slots=True)
class Admin:
    """Who is logged in, and the token of their session."""

    name: str
    token: str

    @property
    def csrf(self) -> str:
        """Return what each form of this session carries."""
        return hmac.new(self.token.encode(), b"responder-form", hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Visit:
    """A request with what it brought."""

    request: Request
    form: Form
    admin: Admin | None = None

    @property
    def who(self) -> Admin:
        """Return the admin, where a page is for admins alone."""
        assert self.admin is not None
        return self.admin

    @property
    def query(self) -> Mapping[str, str]:
        """Return what stands behind the question mark; of those with one name, the last."""
        given = self.request.query_params
        return {name: _storable(value) for name, value in given.items()}

    @property
    def path(self) -> dict[str, str]:
        """Return the parts of the address that vary."""
        return {name: _storable(value) for name, value in self.request.path_params.items()}


def parsed(body: bytes) -> Form:
    """Read a form. Raise ValueError for one that no page of ours sends."""
    text = body.decode("ascii")
    pairs = parse_qsl(
        text,
        keep_blank_values=True,
        max_num_fields=_MOST_FIELDS,
        encoding="utf-8",
        errors="replace",
    )
    return Form(tuple((name, _storable(value)) for name, value in pairs))


def _storable(text: str) -> str:
    """Replace what PostgreSQL has no place for, so that nothing of the kind is looked for there."""
    return text.replace("\0", "\ufffd")


def came_from_us(request: Request) -> bool:
    """Tell whether a form was sent from a page of ours, as far as the browser says."""
    headers = request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site == "same-origin"
    host = headers.get("host", "").lower()
    return origin is None or (host != "" and origin.lower().partition("://")[2] == host)


def must_be_ours(visit: Visit) -> None:
    """Raise NotOurs unless the form comes from a page of ours, and of this very session."""
    if not came_from_us(visit.request):
        raise NotOurs
    if visit.admin is not None:
        given = visit.form.get("csrf").encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(given, visit.admin.csrf.encode()):
            raise NotOurs


def came_from_elsewhere(request: Request) -> bool:
    """Tell whether a link of another site led here, so that the cookie was not sent along."""
    headers = request.headers
    return (
        headers.get("sec-fetch-site") == "cross-site"
        and headers.get("sec-fetch-mode") == "navigate"
    )


def token_of(request: Request) -> str | None:
    """Return the token in the session's cookie."""
    return _cookie(request, _SESSION)


def browser_of(request: Request) -> str | None:
    """Return what a browser keeps in which somebody logged in before."""
    return _cookie(request, _BROWSER)


def keep(request: Request, response: Response, token: str, browser: str) -> None:
    """Have the browser keep a session, and know it again."""
    _set(request, response, _SESSION, token, None)
    _set(request, response, _BROWSER, browser, int(_KNOWN_FOR.total_seconds()))


def forget(request: Request, response: Response) -> None:
    """Have the browser forget the session."""
    _set(request, response, _SESSION, "", 0)


def _cookie(request: Request, name: str) -> str | None:
    strict = request.cookies.get(f"__Host-{name}")
    if strict or not _is_plain(request):
        return strict
    return request.cookies.get(name)


def _set(request: Request, response: Response, name: str, value: str, seconds: int | None) -> None:
    plain = _is_plain(request)
    response.set_cookie(
        name if plain else f"__Host-{name}",
        value,
        max_age=seconds,
        path="/",
        secure=not plain,
        httponly=True,
        samesite="strict",
    )


def _is_plain(request: Request) -> bool:
    """Tell whether this is plain http on this very machine, where a Secure cookie has no use."""
    headers = request.headers
    said = (headers.get("x-forwarded-proto", ""), headers.get("forwarded", ""))
    if any("https" in words.lower() for words in (*said, headers.get("origin", "")[:5])):
        return False
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
