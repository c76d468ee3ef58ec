"""Renders the front page: what needs somebody, then pictures of what happened and what waits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.responses import Response

from responder.bitrix24.client import rate_limit
from responder.bitrix24.client.rate_limit import Bucket
from responder.journal.reading import counts
from responder.journal.reading.approval_cases import ApprovalCase
from responder.model import Outcome
from responder.service.alarms.alarm import APPROVALS
from responder.service.alarms.known import Known
from responder.service.pages.front import cards, charts, figures
from responder.service.pages.log.decision_filters import FIELDS
from responder.service.pages.page_requests import Visit
from responder.service.pages.site import Site
from responder.store import client_state
from responder.store.database.database import Connection
from responder.store.inbox import inbox

MOST_PORTALS = 12
MOST_METHODS = 3
OPERATING_LIMIT_SECONDS = 480
_OF_THE_LOG = {*FIELDS, "before"}  # which was at this address once


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """A kind of thing that waits: how many, how much of the most in percent, and where to look.

    `oldest_seconds` is there where it is known how long the oldest waits.
    """

    name: str
    number: int
    share: float
    link: str
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """A limit of a portal, and how much of it is used."""

    name: str
    used: float
    of: float
    unit: str

    @property
    def share(self) -> float:
        """How much is used, in percent."""
        return charts.share(self.used, self.of)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalFigures:
    """A portal with its limits. `driving`: this process drives it, and knows its methods' time."""

    name: str
    waiting: int
    driving: bool
    used: Sequence[Used]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the front page shows of the database, read in one transaction."""

    known: Known
    depth: Mapping[str, tuple[int, datetime]]
    stops: counts.Counts
    held: counts.Counts
    buckets: Mapping[str, tuple[float, float]]
    asked: Mapping[str, Sequence[ApprovalCase]]


def show(site: Site, visit: Visit) -> Response:
    """Return the front page; an old address of the log redirects to it."""
    if any(name in visit.query for name in _OF_THE_LOG):
        return site.redirect("/decisions", **visit.query)
    now = site.now()
    tallies = site.tallies.week(site.database, now)
    found = site.database.read(lambda conn: _read(conn, site))
    alarms = site.alarms_of(found.known)
    held = {rule: 0 for _, rule in found.held}
    for (_, rule), count in found.held.items():
        held[rule] += count
    rules = site.rules.ruleset.rules
    tripped = frozenset(trip.rule for trip in found.known.trips)
    portals = list(_portals(site, found))
    return site.page(
        "front.html",
        visit,
        banner=False,
        cards=cards.cards(alarms),
        asked=found.asked,
        hours=figures.by_hour(tallies, now),
        waits=list(_waits(site, found, now)),
        portals=portals[:MOST_PORTALS],
        more_portals=max(0, len(portals) - MOST_PORTALS),
        rules=figures.of_rules(rules, tallies, held, tripped, now),
        more_rules=max(0, len(rules) - figures.MOST_RULES),
        now=now,
    )


def _read(conn: Connection, site: Site) -> _Found:
    known = site.known(conn, past=True)
    asked = cards.asked(conn, site.alarms_of(known))
    buckets = ((name, client_state.bucket(conn, name)) for name in site.portals[:MOST_PORTALS])
    return _Found(
        known=known,
        depth=inbox.depth(conn),
        stops=counts.open_stops(conn),
        held=counts.held(conn),
        buckets={name: bucket for name, bucket in buckets if bucket is not None},
        asked=asked,
    )


def _waits(site: Site, found: _Found, now: datetime) -> Iterator[Waits]:
    """Yield what waits in all portals together."""
    stops = {
        outcome: sum(count for (_, one), count in found.stops.items() if one == outcome)
        for outcome in (Outcome.WAITING, Outcome.HELD, Outcome.IN_DOUBT)
    }
    asking = sum(one.waiting for one in found.known.asking.values())
    mine = [found.depth[name] for name in site.portals if name in found.depth]
    oldest = max((now - at for _, at in mine), default=timedelta(0))
    age = oldest.total_seconds() if mine else None
    held = max(0, stops[Outcome.HELD] - asking)
    numbers = (
        ("events to be judged", sum(count for count, _ in mine), "/status", age),
        ("stops that wait", stops[Outcome.WAITING], "/decisions?outcome=waiting", None),
        ("held for approval", asking, APPROVALS, None),
        ("held otherwise", held, "/decisions?outcome=held", None),
        ("in doubt", stops[Outcome.IN_DOUBT], "/decisions?outcome=in_doubt", None),
    )
    most = max(1, *(number for _, number, _, _ in numbers))
    for name, number, link, seconds in numbers:
        yield Waits(
            name=name,
            number=number,
            share=charts.share(number, most),
            link=link,
            oldest_seconds=seconds,
        )


def _portals(site: Site, found: _Found) -> Iterator[PortalFigures]:
    """Yield the portals with their limits, as this process or else the database knows them."""
    for name in site.portals:
        given, here = site.settings.portals[name], site.condition(name)
        level = here.get("bucket")
        if not here.get("driving") or not isinstance(level, float):
            level = _stored_level(found.buckets.get(name), given.requests_per_second)
        operating = here.get("operating")
        methods = operating if here.get("driving") and isinstance(operating, dict) else {}
        most = sorted(methods.items(), key=lambda one: -one[1])[:MOST_METHODS]
        yield PortalFigures(
            name=name,
            waiting=found.depth.get(name, (0, None))[0],
            driving=bool(here.get("driving")),
            used=[
                Used(name="request bucket", used=level, of=given.burst, unit="requests"),
                *(
                    Used(name=method, used=seconds, of=OPERATING_LIMIT_SECONDS, unit="s")
                    for method, seconds in most
                    if seconds
                ),
            ],
        )


def _stored_level(stored: tuple[float, float] | None, rate: float) -> float:
    """Return the level of a bucket that another process fills, from what it stored last."""
    if stored is None:
        return 0.0
    level, age_seconds = stored
    return rate_limit.drained(Bucket(level, 0.0), age_seconds, rate).level
