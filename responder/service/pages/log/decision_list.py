"""Renders the page of the decision log, the newest decisions first."""

from http import HTTPStatus

from starlette.responses import Response

from responder.journal.reading import search
from responder.journal.reading.search import Found, Key, Line, Wanted
from responder.model import Outcome
from responder.service.pages import wording
from responder.service.pages.log.decision_filters import (
    FIELDS,
    BadFilter,
    Filters,
    Meaning,
    before,
    meaning_of,
)
from responder.service.pages.page_requests import Visit
from responder.service.pages.site import Site
from responder.store.database.database import Connection

PAGE = 50
_MOST_RULES = 500


def show(site: Site, visit: Visit) -> Response:
    """Return a page of the log; a search that means one decision redirects to it."""
    filters = Filters.of(visit.query)
    try:
        wanted, start = filters.wanted(site.settings.zone), before(visit.query)
    except BadFilter as mistake:
        return _page(site, visit, filters, problem=str(mistake))
    meaning, found = site.database.read(lambda conn: _find(conn, filters, wanted, start))
    if meaning.decision is not None:
        return site.redirect(f"/decisions/{meaning.decision}")
    return _page(site, visit, filters, meaning, found)


def _find(
    conn: Connection, filters: Filters, wanted: Wanted, start: Key | None
) -> tuple[Meaning, Found]:
    text = filters.given.get("q")
    meaning = meaning_of(conn, text, wanted) if text else Meaning(wanted)
    if meaning.decision is not None:
        return meaning, Found(lines=())
    return meaning, search.find(conn, meaning.wanted, start, PAGE)


def _page(
    site: Site,
    visit: Visit,
    filters: Filters,
    meaning: Meaning | None = None,
    found: Found | None = None,
    *,
    problem: str | None = None,
) -> Response:
    lines = () if found is None else found.lines
    older = None if found is None or found.older is None else str(found.older)
    rules = [rule.id for rule in site.rules.ruleset.rules[:_MOST_RULES]]
    chosen = filters.given.get("rule")
    return site.page(
        "decisions.html",
        visit,
        status=HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK,
        problem=problem,
        given={name: filters.given.get(name, "") for name in FIELDS},
        filtered=bool(filters.given),
        description=None if meaning is None else meaning.description,
        lines=lines,
        detail=_detail,
        older=None if older is None else filters.address(before=older),
        newest=filters.address() if visit.query.get("before") else None,
        searched_to=None if found is None else found.searched_to,
        rules=rules if chosen in (None, *rules) else [chosen, *rules],
        outcomes=list(Outcome),
        portals=site.portals,
    )


def _detail(line: Line) -> str:
    """Return a few words about a decision, beside its outcome."""
    if line.outcome is None:
        return "" if line.reason is None else wording.reason(line.reason)
    return line.detail or wording.hold(line.hold) or ""
