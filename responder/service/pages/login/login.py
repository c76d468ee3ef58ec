"""Logs admins in and out."""

import secrets
from functools import partial
from http import HTTPStatus

import structlog
from starlette.requests import Request
from starlette.responses import Response

from responder.service.pages import page_requests
from responder.service.pages.page_requests import Admin, Visit
from responder.service.pages.site import Page, Site
from responder.store import admin_sessions

_LONGEST_TOKEN = 100

log = structlog.get_logger()


def admin_of(site: Site, visit: Visit) -> Admin | None:
    """Return the admin who is logged in, or None."""
    token = page_requests.token_of(visit.request)
    if not token or len(token) > _LONGEST_TOKEN or not token.isascii():
        return None
    now = site.now()
    found = site.database.read(partial(admin_sessions.find, token=token, at=now))
    if found is None:
        return None
    name, mark, is_to_be_renewed = found
    if mark != site.admins.mark(name):  # the password was changed, or the admin removed
        return None
    if is_to_be_renewed:
        site.commits.write(partial(admin_sessions.mark_seen, token=token, at=now))
    return Admin(name, token)


def show(site: Site, visit: Visit) -> Response:
    """Return the login form; redirect an admin who is logged in already."""
    if visit.admin is not None:
        return site.redirect(_next(visit.query.get("next", "")))
    return _form(site, visit, onward=visit.query.get("next", ""))


def has_begun(site: Site, request: Request) -> bool:
    """Return whether the cookie's token was made for a present admin; read no database."""
    token = page_requests.token_of(request) or ""
    return len(token) <= _LONGEST_TOKEN and site.admins.made_token(token)


def count_try(site: Site, visit: Visit) -> Page:
    """Count a try to log in; return the page that answers it, `check` or a cheap refusal."""
    name = _name(visit)
    browser = _known_browser(site, visit, name)
    is_known = site.admins.mark(name) is not None
    wait = site.throttle.wait(name, browser, site.clock(), is_known=is_known)
    if wait > 0:
        site.on_refused("login-throttled")
        return partial(_too_soon, wait=wait)
    if is_known or site.throttle.may_be_hashed(site.clock()):
        return check
    return _refused


def check(site: Site, visit: Visit) -> Response:
    """Check a password, and begin a session."""
    name = _name(visit)
    if not site.admins.has_password(name, visit.form.get("password")):
        return _refused(site, visit)
    browser = _known_browser(site, visit, name)
    site.throttle.forgive(name, browser)
    return _begun(site, visit, name, browser)


def _refused(site: Site, visit: Visit) -> Response:
    site.on_refused("login")
    return _form(site, visit, "The name or the password is wrong.", status=HTTPStatus.FORBIDDEN)


def _too_soon(site: Site, visit: Visit, *, wait: float) -> Response:
    seconds = int(wait) + 1
    problem = f"Too many tries. Wait {seconds} seconds, and try again."
    answer = _form(site, visit, problem, status=HTTPStatus.TOO_MANY_REQUESTS)
    answer.headers["retry-after"] = str(seconds)
    return answer


def _name(visit: Visit) -> str:
    return visit.form.get("name").strip().lower()


def after_login(site: Site, visit: Visit) -> Response:
    """Redirect an admin who has just logged in, or report that the browser kept no cookie."""
    if visit.admin is not None:
        return site.redirect(_next(visit.query.get("next", "")))
    return _form(
        site,
        visit,
        "Your browser did not keep the session. Open this page by https, and allow its cookies.",
        status=HTTPStatus.FORBIDDEN,
    )


def log_out(site: Site, visit: Visit) -> Response:
    """End the session."""
    site.commits.write(partial(admin_sessions.end, token=visit.who.token))
    answer = site.redirect("/login?done=logged-out")
    page_requests.clear_session(visit.request, answer)
    return answer


def _begun(site: Site, visit: Visit, name: str, browser: str | None) -> Response:
    token = site.admins.session(name)
    mark = site.admins.mark(name) or ""
    site.commits.write(
        partial(admin_sessions.begin, token=token, name=name, mark=mark, at=site.now())
    )
    log.info("logged in to the pages", admin=name)
    answer = site.redirect("/login/done", next=_next(visit.form.get("next")))
    given = browser or secrets.token_urlsafe(16)
    page_requests.set_cookies(
        visit.request, answer, token, f"{name}:{given}:{site.admins.sign(name, given) or ''}"
    )
    return answer


def _known_browser(site: Site, visit: Visit, name: str) -> str | None:
    """Return the id of a browser in which this admin logged in before, as its cookie proves."""
    owner, _, rest = (page_requests.browser_of(visit.request) or "").partition(":")
    given, _, signature = rest.partition(":")
    signed = site.admins.sign(owner, given)
    if owner != name or signed is None or not signature.isascii():
        return None
    return given if secrets.compare_digest(signed, signature) else None


def _form(
    site: Site,
    visit: Visit,
    problem: str = "",
    *,
    onward: str = "",
    status: int = HTTPStatus.OK,
) -> Response:
    return site.page(
        "login.html",
        visit,
        status=status,
        problem=problem,
        name=visit.form.get("name")[:64],
        next=_next(onward or visit.form.get("next")),
        logged_out=visit.query.get("done") == "logged-out",
    )


def _next(path: str) -> str:
    """Return the path to go on to, which is never another site."""
    safe = path.startswith("/") and not path.startswith(("//", "/\\", "/login"))
    return path if safe and path.isascii() and path.isprintable() else "/"
