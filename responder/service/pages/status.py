"""Renders the page of the status: portals, chains, recent actions, the switch to pause."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.responses import Response

from responder.journal import open_stops
from responder.journal.open_stops import Stop
from responder.journal.reading import counts
from responder.journal.reading.counts import Control
from responder.model import Mode
from responder.service.alarms.alarm import Alarm
from responder.service.alarms.known import Known
from responder.service.pages.page_requests import Visit
from responder.service.pages.site import Site
from responder.stop import control as stop_control
from responder.store.database.database import Connection

_ACTS: Mapping[str, str] = {
    "pause": "paused everything",
    "resume": "resumed",
    "rearm": "rearmed",
    "cancel": "cancelled",
    "approve": "approved",
    "erase": "erased the facts behind",
    "trip": "tripped",
    "restart": "asked to start anew what was stopped by",
}
_STEPS = ("restart_call", "restart_end")  # which the program takes once a person has asked


@dataclass(frozen=True, slots=True)
class Act:
    """One action of a person: who did what, when, in which portals."""

    at: datetime
    by: str
    what: str
    portals: tuple[str, ...]
    rule: str | None
    decisions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """The rows that the status page shows, read in one transaction."""

    known: Known
    portals: Mapping[str, Mapping[str, object]]
    heads: Mapping[str, tuple[int, str]]
    acts: Sequence[Control]
    under_way: Sequence[Stop]


def show(site: Site, visit: Visit) -> Response:
    """Return the status page."""
    now = site.now()
    read = site.database.read(lambda conn: _read(conn, site, now))
    return site.page(
        "status.html",
        visit,
        paused=read.known.paused,
        tripped=read.known.trips,
        portals=read.portals,
        alarms_of=_by_portal(site.alarms_of(read.known)),
        condition={name: site.condition(name) for name in site.portals},
        heads=read.heads,
        acts=list(_acts(read.acts)),
        under_way=read.under_way,
        enforcing=site.settings.mode is Mode.ENFORCE,
        since=site.rules.since,
        rules=len(site.rules.ruleset.rules),
        error=site.rules.error,
        database=site.database.dialect,
        keep_days=site.settings.keep_days,
    )


def _read(conn: Connection, site: Site, now: datetime) -> _Found:
    return _Found(
        known=site.known(conn, past=True),
        portals=stop_control.portals_now(conn, site.settings, now),
        heads=counts.heads(conn),
        acts=counts.recent_controls(conn),
        under_way=[stop for name in site.portals for stop in open_stops.in_doubt(conn, name)][:20],
    )


def _by_portal(alarms: Iterable[Alarm]) -> dict[str, list[Alarm]]:
    """Return the alarms of each portal that has any."""
    found: dict[str, list[Alarm]] = {}
    for one in alarms:
        if one.portal is not None:
            found.setdefault(one.portal, []).append(one)
    return found


def _acts(acts: Sequence[Control]) -> Iterator[Act]:
    """Yield the actions, one that concerns several portals once."""
    by_action: dict[tuple[object, ...], list[Control]] = {}
    for act in acts:
        body = act.body
        key = (act.at, body.get("control"), body.get("by"), body.get("rule"), body.get("decision"))
        if body.get("control") not in _STEPS:
            by_action.setdefault(key, []).append(act)
    for some in by_action.values():
        body = some[0].body
        control = str(body.get("control"))
        one = [body["decision"]] if body.get("decision") else []
        yield Act(
            at=some[0].at,
            by=str(body.get("by") or "the program"),
            what=_ACTS.get(control, control),
            portals=tuple(sorted(act.portal for act in some)),
            rule=body.get("rule"),
            decisions=tuple(str(name) for name in [*one, *body.get("decisions", ())]),
        )
