"""Parses one request for a page: who asks, from where, and what their form contains.

Theory of operation. A session is a random token in a cookie, which is HttpOnly and SameSite=Strict.
Unless the page was asked for on a loopback address by plain http, it is Secure and its name begins
with `__Host-`, so that no other host of the domain can set it. No header of a proxy is trusted for
that: one that says https can only make it stricter.

A form must come from a page of our own. Browsers send where it comes from (Sec-Fetch-Site, or
Origin in older ones; a client that sends neither is no browser), and each form of a session carries
a token that only we could have put there. Either would do; both are required.
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


class ForeignForm(Exception):  # noqa: N818 - it is no error of ours
    """A form that did not come from a page of ours."""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form; a name may occur several times."""

    pairs: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """Return the first field of a name, or an empty text."""
        return next((value for key, value in self.pairs if key == name), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Return every field of a name."""
        return tuple(value for key, value in self.pairs if key == name)


@dataclass(frozen=True, slots=True)
class Admin:
    """An admin who is logged in, and the token of their session."""

    name: str
    token: str

    @property
    def csrf(self) -> str:
        """The token that each form of this session carries."""
        return hmac.new(self.token.encode(), b"responder-form", hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Visit:
    """A request with its form, and the admin who sent it."""

    request: Request
    form: Form
    admin: Admin | None = None

    @property
    def who(self) -> Admin:
        """The admin, on a page for admins alone."""
        assert self.admin is not None
        return self.admin

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters; of several with one name, the last."""
        given = self.request.query_params
        return {name: _storable(value) for name, value in given.items()}

    @property
    def path(self) -> dict[str, str]:
        """The variable parts of the address."""
        return {name: _storable(value) for name, value in self.request.path_params.items()}


def parsed(body: bytes) -> Form:
    """Parse a form; raise ValueError for one that no page of ours sends."""
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
    """Return the text without NUL, which PostgreSQL cannot store and so cannot search for."""
    return text.replace("\0", "\ufffd")


def is_same_origin(request: Request) -> bool:
    """Return whether a form was sent from a page of ours, by what the browser sends."""
    headers = request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site == "same-origin"
    host = headers.get("host", "").lower()
    return origin is None or (host != "" and origin.lower().partition("://")[2] == host)


def require_own_form(visit: Visit) -> None:
    """Raise ForeignForm unless the form comes from a page of ours, and of this very session."""
    if not is_same_origin(visit.request):
        raise ForeignForm
    if visit.admin is not None:
        given = visit.form.get("csrf").encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(given, visit.admin.csrf.encode()):
            raise ForeignForm


def is_cross_site_link(request: Request) -> bool:
    """Return whether a link of another site led here, so that the cookie was not sent."""
    headers = request.headers
    return (
        headers.get("sec-fetch-site") == "cross-site"
        and headers.get("sec-fetch-mode") == "navigate"
    )


def token_of(request: Request) -> str | None:
    """Return the token in the session's cookie, or None."""
    return _cookie(request, _SESSION)


def browser_of(request: Request) -> str | None:
    """Return the cookie that marks a browser in which somebody logged in before, or None."""
    return _cookie(request, _BROWSER)


def set_cookies(request: Request, response: Response, token: str, browser: str) -> None:
    """Set the cookie of a session, and the one by which the browser is known again."""
    _set(request, response, _SESSION, token, None)
    _set(request, response, _BROWSER, browser, int(_KNOWN_FOR.total_seconds()))


def clear_session(request: Request, response: Response) -> None:
    """Clear the session's cookie."""
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
    """Return whether this is plain http on this machine, where browsers keep no Secure cookie."""
    headers = request.headers
    said = (headers.get("x-forwarded-proto", ""), headers.get("forwarded", ""))
    if any("https" in words.lower() for words in (*said, headers.get("origin", "")[:5])):
        return False
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
