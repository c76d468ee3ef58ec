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
from responder.model import Breaker
from responder.service.pages.login.passwords import Admins
from responder.service.pages.login.throttle import Throttle
from responder.service.pages.page_requests import Visit
from responder.service.pages.rendering import Renderer
from responder.settings.settings import Settings
from responder.store import client_state, limits
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

    `condition` returns the state of a portal as this process sees it; `on_refused` counts a
    stranger's request that is refused, by its kind.
    """

    settings: Settings
    database: Database
    rules: RulesInForce
    commits: Commits
    condition: Callable[[str], Mapping[str, object]]
    now: Callable[[], datetime]
    on_refused: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    throttle: Throttle = field(default_factory=Throttle)
    renderer: Renderer = field(init=False)
    admins: Admins = field(init=False)

    def __post_init__(self) -> None:
        hashes = {name: hash_.get_secret_value() for name, hash_ in self.settings.admins.items()}
        object.__setattr__(self, "admins", Admins(hashes))
        object.__setattr__(self, "renderer", Renderer(self.settings.zone))

    @property
    def portals(self) -> list[str]:
        """The names of the portals, in order."""
        return sorted(self.settings.portals)

    def page(
        self, template: str, visit: Visit, *, status: int = HTTPStatus.OK, **values: object
    ) -> Response:
        """Return a rendered page, with what is on all of them."""
        shared: dict[str, object] = {
            "admin": visit.admin,
            "path": visit.request.url.path,
            "done": DONE.get(visit.query.get("done", "")),
            "alarms": self._alarms() if visit.admin is not None else (),
            "revision": self.rules.ruleset.revision,
            "mode": self.settings.mode.value,
        }
        return HTMLResponse(self.renderer.page(template, shared | values), status)

    def redirect(self, path: str, **query: str) -> Response:
        """Return a redirect to a page of ours, by GET."""
        address = f"{path}?{urlencode(query)}" if query else path
        return RedirectResponse(address, HTTPStatus.SEE_OTHER)

    def message(self, visit: Visit, status: int, title: str, *sentences: str) -> Response:
        """Return a page with a message instead of what was asked for."""
        return self.page(
            "message.html", visit, status=status, title=title, sentences=sentences, forward=None
        )

    def _alarms(self) -> Mapping[str, object]:
        paused, tripped, breakers = self.database.read(
            lambda conn: (limits.paused(conn), limits.tripped(conn), client_state.breakers(conn))
        )
        return {
            "unreachable": sorted(self._unreachable(breakers).items()),
            "paused": paused,
            "tripped": sorted({trip.rule for trip in tripped}),
            "broken": self.rules.error,
        }

    def _unreachable(self, breakers: Sequence[Breaker]) -> dict[str, str]:
        """Return why portals are not called, from the store and from what this process sees."""
        away = {name: "no answer" for name in self.portals if self._is_away(name)}
        shut = {row.portal: row.code for row in breakers if not row.method}
        return {name: shut.get(name) or away[name] for name in self.portals if name in shut | away}

    def _is_away(self, name: str) -> bool:
        return bool(self.condition(name).get("unreachable_since"))


Page = Callable[[Site, Visit], Response]
