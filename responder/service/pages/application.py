"""Serves the pages: decides who may see what, in which thread it is made, and with which headers.

A page is made in a thread, by a plain function of the site and the visit. Two threads are for
admins: one makes pages, the other does what forms ask for. Two are for strangers: one makes what
they may see, and rests after each, the other checks passwords. More threads would slow down
receiving, as they share the interpreter. When too many requests wait for a thread, more are
refused. Whether a session is an admin's shows from the cookie alone, so that no crowd of strangers
delays an admin.
"""

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus
from typing import NamedTuple

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from responder.service.pages import actions, docs, page_requests, revisions, rules, status
from responder.service.pages.approvals import approval_list
from responder.service.pages.front import front_page
from responder.service.pages.log import decision, decision_list, restart_form
from responder.service.pages.login import login
from responder.service.pages.page_requests import ForeignForm, Form, Visit
from responder.service.pages.rendering import icon, stylesheet
from responder.service.pages.site import Page, Site
from responder.store.database.engines import StoreUnavailable

MOST_WAITING = 32
_REST_SECONDS = 0.005
_REFUSED_AFTER_SECONDS = 0.5  # at least, so that the time does not show whether a name exists
_FORM = "application/x-www-form-urlencoded"
_COMPRESSED_FROM = 4_000  # bytes; what is shorter fits into a few packets anyway
_QUICKLY = 5  # the level of zlib
_FOR_EVER = "public, max-age=31536000, immutable"

HEADERS: Mapping[str, str] = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",  # `no-referrer` would have browsers hide where a form is from
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

log = structlog.get_logger()


class _Access(NamedTuple):
    """The access to a page: for everybody if `public`; with `acts`, only by a form of our own."""

    public: bool = False
    acts: bool = False


class _Thread:
    """A thread that answers requests, and a limit of how many wait for it."""

    def __init__(self, site: Site, rest_seconds: float = 0) -> None:
        self._site = site
        self._rest_seconds = rest_seconds
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="pages")
        self._under_way = 0

    async def answer(self, page: Page, request: Request, form: Form, terms: _Access) -> Response:
        """Return a page, or the result of what a form asks for; 503 where too many wait."""
        if self._under_way >= MOST_WAITING:
            self._site.on_refused("busy")
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE)
        loop = asyncio.get_running_loop()
        self._site.commits.loop = loop
        self._under_way += 1
        work = loop.run_in_executor(self._worker, self._made, page, request, form, terms)
        work.add_done_callback(lambda _: self._done())
        return await work

    def _made(self, page: Page, request: Request, form: Form, terms: _Access) -> Response:
        try:
            return _answer(self._site, page, request, form, terms)
        finally:
            time.sleep(self._rest_seconds)

    def _done(self) -> None:
        self._under_way -= 1


_MESSAGES: Mapping[int, tuple[str, ...]] = {
    HTTPStatus.NOT_FOUND: ("There is no such page", "What was here may have been pruned."),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "This address works by a button only",
        "Go back, and use the button there.",
    ),
}


class _Answers:
    """The threads, and the choice of the thread for each request."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._makes, self._does = _Thread(site), _Thread(site)
        self._for_strangers, self._checks = _Thread(site, _REST_SECONDS), _Thread(site)

    def route(self, path: str, *, public: bool = False, **pages: Page) -> Route:
        """Return the route for this path, with a page for each method."""

        async def endpoint(request: Request) -> Response:
            if request.method != "POST":
                lane = self._lane(request, self._makes)
                return await lane.answer(pages["GET"], request, Form(), _Access(public))
            try:
                form = await _form(request)
            except _BadForm as unfit:
                return _refusal(unfit.status)
            if public:
                return await self._log_in(request, form)
            lane = self._lane(request, self._does)
            return await lane.answer(pages["POST"], request, form, _Access(acts=True))

        return Route(path, endpoint, methods=list(pages))

    def _lane(self, request: Request, admins: _Thread) -> _Thread:
        return admins if login.has_begun(self._site, request) else self._for_strangers

    async def _log_in(self, request: Request, form: Form) -> Response:
        """Return the answer to a login; a refusal takes the same time, checked or not."""
        loop = asyncio.get_running_loop()
        least = loop.time() + _REFUSED_AFTER_SECONDS
        page: Page = login.check
        lane = self._for_strangers
        if page_requests.is_same_origin(request):  # else it is refused as a foreign form
            page = login.count_try(self._site, Visit(request, form))
            lane = self._checks if page is login.check else lane
        answer = await lane.answer(page, request, form, _Access(public=True, acts=True))
        if answer.status_code == HTTPStatus.FORBIDDEN:
            await asyncio.sleep(least - loop.time())
        return answer

    async def wrong(self, request: Request, error: Exception) -> Response:
        """Return the page for a wrong address or method."""
        assert isinstance(error, HTTPException)

        def page(site: Site, visit: Visit) -> Response:
            status = HTTPStatus(error.status_code)
            return site.message(visit, status, *_MESSAGES.get(status, (status.phrase,)))

        lane = self._lane(request, self._makes)
        answer = await lane.answer(page, request, Form(), _Access(public=True))
        answer.headers.update(error.headers or {})
        return answer


def application(site: Site) -> ASGIApp:
    """Return the pages as an ASGI application."""
    answers = _Answers(site)
    route = answers.route
    style, sheet = stylesheet()
    routes = [
        route("/", GET=front_page.show),
        route("/login", GET=login.show, POST=login.check, public=True),
        route("/login/done", GET=login.after_login, public=True),
        route("/logout", POST=login.log_out),
        route("/decisions", GET=decision_list.show),
        route("/decisions/{id}", GET=decision.show),
        route("/decisions/{id}/cancel", POST=actions.cancel),
        route("/decisions/{id}/approve", POST=actions.approve),
        route("/decisions/{id}/restart", POST=restart_form.act),
        route("/approvals", GET=approval_list.show, POST=approval_list.act),
        route("/rules", GET=rules.show),
        route("/rules/{rule}/rearm", POST=actions.rearm),
        route("/revisions/{revision}", GET=revisions.show),
        route("/revisions/{revision}/to/{other}", GET=revisions.compare),
        route("/status", GET=status.show),
        route("/docs", GET=docs.show_index),
        route("/docs/{name}", GET=docs.show_page),
        route("/deploy/{name}", GET=docs.show_file),
        route("/pause", POST=actions.pause),
        route("/resume", POST=actions.resume),
        Route(f"/{style}", _file(sheet, "text/css; charset=utf-8")),
        Route("/icon.svg", _file(icon(), "image/svg+xml")),
    ]
    wrong = {404: answers.wrong, 405: answers.wrong}
    pages = Starlette(routes=routes, exception_handlers=wrong)
    pages.router.redirect_slashes = False
    return pages


def _answer(site: Site, page: Page, request: Request, form: Form, terms: _Access) -> Response:
    """Return a page to a visitor who may see it, or a page about what went wrong."""
    visit = Visit(request, form)
    try:
        answer = _admitted(site, page, visit, terms)
    except ForeignForm:
        answer = site.message(
            visit,
            HTTPStatus.FORBIDDEN,
            "Nothing was done",
            "This did not come from a page of ours, or the page was older than your session.",
            "Go back, load the page again, and try once more.",
        )
    except (StoreUnavailable, TimeoutError):
        answer = site.message(
            visit,
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The database cannot be reached",
            "Try again in a moment. `responder doctor` says more.",
        )
    except Exception:
        log.exception("a page could not be made because of an error of ours")
        answer = site.message(
            visit,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "This page could not be made",
            "It is an error of ours; the log stream of the service says more.",
        )
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    if len(answer.body) >= _COMPRESSED_FROM and _takes_gzip(request):
        _pack(answer, gzip.compress(answer.body, _QUICKLY))
    return answer


def _takes_gzip(request: Request) -> bool:
    # Nobody learns a form's token from how long a page is: the session's cookie is SameSite=Strict,
    # so no other site can have pages made that repeat its guesses, and the token alone is no use.
    offered = request.headers.get("accept-encoding", "").lower().replace(" ", "").split(",")
    return "gzip" in offered


def _pack(answer: Response, packed: bytes) -> None:
    """Replace an answer's body by itself, compressed.

    Starlette's middleware would compress in the event loop, which must be free to receive; pages
    are made in threads of their own.
    """
    answer.body = packed
    answer.headers.update(
        {
            "content-encoding": "gzip",
            "content-length": str(len(packed)),
            "vary": "accept-encoding",
        }
    )


def _admitted(site: Site, page: Page, visit: Visit, terms: _Access) -> Response:
    admin = login.admin_of(site, visit)
    if terms.acts:
        page_requests.require_own_form(visit if terms.public else replace(visit, admin=admin))
    if admin is None and not terms.public:
        return _redirect_to_login(site, visit)
    return page(site, replace(visit, admin=admin))


def _redirect_to_login(site: Site, visit: Visit) -> Response:
    url = visit.request.url
    here = url.path + (f"?{url.query}" if url.query else "")
    if visit.request.method == "POST":
        return site.redirect("/login")
    if page_requests.is_cross_site_link(visit.request):
        # a Strict cookie is not sent where a link of another site leads; from here it will be
        return site.page(
            "message.html",
            visit,
            title="One moment",
            sentences=("You came from another site.",),
            forward=here,
        )
    return site.redirect("/login", next=here) if here != "/" else site.redirect("/login")


class _BadForm(Exception):  # noqa: N818 - it says what is wrong with a request
    def __init__(self, status: HTTPStatus) -> None:
        self.status = status
        super().__init__(status.phrase)


async def _form(request: Request) -> Form:
    """Parse a form; raise _BadForm where it is too long or no form."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise _BadForm(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > page_requests.MOST_BYTES:
                raise _BadForm(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return page_requests.parsed(body)
    except (ValueError, ClientDisconnect):
        raise _BadForm(HTTPStatus.BAD_REQUEST) from None


def _refusal(status: HTTPStatus) -> Response:
    return PlainTextResponse(f"{status.phrase}\n", status, dict(HEADERS))


def _file(data: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    packed = gzip.compress(data)

    async def send(request: Request) -> Response:
        headers = {**HEADERS, "cache-control": _FOR_EVER, "content-type": kind}
        answer = Response(data, headers=headers | {"vary": "accept-encoding"})
        if _takes_gzip(request):
            _pack(answer, packed)
        return answer

    return send
