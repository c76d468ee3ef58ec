"""Holds what every page is made from: the log, the rules, the settings, the templates."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlencode

from starlette.responses import HTMLResponse, RedirectResponse, Response

from responder.judge.rules_in_force import RulesInForce
from responder.service.alarms import alarm_kinds, reading
from responder.service.alarms.alarm import Alarm, Severity
from responder.service.alarms.known import Here, Known
from responder.service.alarms.standing_alarms import with_since
from responder.service.pages.front.recent_tallies import RecentTallies
from responder.service.pages.login.passwords import Admins
from responder.service.pages.login.throttle import Throttle
from responder.service.pages.page_requests import Visit
from responder.service.pages.rendering import Renderer
from responder.settings.settings import Settings
from responder.store.database.database import Connection, Database
from responder.store.group_commit import Commit

T = TypeVar("T")

_COMMIT_SECONDS = 20

# the line after an action, by the word in the address; no other text comes from an address
DONE: Mapping[str, str] = {
    "paused": "Paused. Nothing more is begun; what would be stopped is held.",
    "paused-already": "Everything was paused already.",
    "resumed": "Resumed. What was held is judged afresh.",
    "resumed-already": "Nothing was paused.",
    "rearmed": "Rearmed. What the rule held is judged afresh.",
    "cancelled": "Cancelled. Nothing comes of this decision.",
    "restart-asked": "Asked for. The portal's driver sees to it within seconds.",
    "approve-several": "Approved. Each is judged afresh, and stopped if it is condemned again.",
    "cancel-several": "Cancelled. Nothing comes of these decisions.",
    "approved": "Approved. It is judged afresh, and stopped if it is condemned again.",
}


class Commits:
    """The shared commit of this process, for pages, which are made in threads."""

    def __init__(self, write: Commit) -> None:
        self._write = write
        self.loop: asyncio.AbstractEventLoop | None = None

    def write(self, fn: Callable[[Connection], T]) -> T:
        """Return what `fn` returns, run in a write transaction, once that is durable."""
        assert self.loop is not None

        async def commit() -> T:
            return await self._write(fn)

        return asyncio.run_coroutine_threadsafe(commit(), self.loop).result(_COMMIT_SECONDS)


@dataclass(frozen=True, kw_only=True)
class Site:
    """The objects that pages need.

    `condition` returns the state of a portal as this process sees it, `here` what alarms are made
    of that it alone sees; `on_refused` counts a stranger's request that is refused, by its kind.
    """

    settings: Settings
    database: Database
    rules: RulesInForce
    commits: Commits
    condition: Callable[[str], Mapping[str, object]]
    here: Callable[[], Here]
    now: Callable[[], datetime]
    on_refused: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    throttle: Throttle = field(default_factory=Throttle)
    renderer: Renderer = field(init=False)
    admins: Admins = field(init=False)
    tallies: RecentTallies = field(init=False)

    def __post_init__(self) -> None:
        hashes = {name: hash_.get_secret_value() for name, hash_ in self.settings.admins.items()}
        object.__setattr__(self, "admins", Admins(hashes))
        object.__setattr__(self, "renderer", Renderer(self.settings.zone))
        object.__setattr__(self, "tallies", RecentTallies(self.clock))

    @property
    def portals(self) -> list[str]:
        """The names of the portals, in order."""
        return sorted(self.settings.portals)

    def page(
        self,
        template: str,
        visit: Visit,
        *,
        status: int = HTTPStatus.OK,
        banner: bool = True,
        **values: object,
    ) -> Response:
        """Return a rendered page, with what is on all of them; a `banner` has the alarms."""
        shared: dict[str, object] = {
            "admin": visit.admin,
            "path": visit.request.url.path,
            "done": DONE.get(visit.query.get("done", "")),
            "alarms": self._alarms() if banner and visit.admin is not None else (),
            "revision": self.rules.ruleset.revision,
            "mode": self.settings.mode.value,
        }
        return HTMLResponse(self.renderer.page(template, shared | values), status)

    def redirect(self, path: str, **query: str) -> Response:
        """Return a redirect to a page of ours, by GET."""
        address = f"{path}?{urlencode(query)}" if query else path
        return RedirectResponse(address, HTTPStatus.SEE_OTHER)

    def message(
        self, visit: Visit, status: int, title: str, *sentences: str, back: str = "/"
    ) -> Response:
        """Return a page with a message instead of what was asked for, and a link back."""
        return self.page(
            "message.html",
            visit,
            status=status,
            title=title,
            sentences=sentences,
            forward=None,
            back=back,
        )

    def known(self, conn: Connection, *, past: bool = False) -> Known:
        """Read what alarms are made of; with `past`, also what is over."""
        return reading.known(conn, self.settings, self.here(), self.now(), past=past)

    def alarms_of(self, known: Known) -> Sequence[Alarm]:
        """Return the alarms of what is known, each with since when it stands."""
        return with_since(alarm_kinds.alarms(known), known.records)

    def _alarms(self) -> Sequence[Alarm]:
        """Return the alarms of the banner: all that stand."""
        found = self.alarms_of(self.database.read(self.known))
        return [one for one in found if one.severity is not Severity.WAS_WRONG]


Page = Callable[[Site, Visit], Response]
