"""Renders the page of the decision log: what was stopped, the newest first; the rest is counted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus

from starlette.responses import Response

from responder.journal.reading import quiet, search
from responder.journal.reading.lines import Line
from responder.journal.reading.quiet import Folded
from responder.journal.reading.search import Found, Key, Wanted
from responder.model import KILLING, Outcome
from responder.service.pages import wording
from responder.service.pages.log.decision_filters import (
    EACH,
    FIELDS,
    PATH,
    BadFilter,
    Filters,
    Meaning,
    before,
    meaning_of,
)
from responder.service.pages.page_requests import Visit
from responder.service.pages.site import Site
from responder.store.database.columns import EPOCH, LAST
from responder.store.database.database import Connection
from responder.store.limits import APPROVAL

PAGE = 50
_MOST_RULES = 500


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the list: a decision, or all of a document on this page that stopped nothing.

    `times` is how many decisions it stands for; `line` is the newest of them, `first_at` the
    instant of the oldest.
    """

    line: Line
    times: int
    first_at: datetime


def show(site: Site, visit: Visit) -> Response:
    """Return a page of the log; a search that means one decision redirects to it."""
    filters = Filters.of(visit.query)
    if any(not visit.query[name].strip() for name in FIELDS if name in visit.query):
        return site.redirect(filters.address())  # forms send empty fields too
    try:
        wanted, start = filters.wanted(site.settings.zone), before(visit.query)
    except BadFilter as mistake:
        return _page(site, visit, filters, problem=str(mistake))
    meaning, found, folded = site.database.read(lambda conn: _find(conn, filters, wanted, start))
    if meaning.decision is not None:
        return site.redirect(f"/decisions/{meaning.decision}")
    return _page(site, visit, filters, meaning, found, folded)


def _find(
    conn: Connection, filters: Filters, wanted: Wanted, start: Key | None
) -> tuple[Meaning, Found, Folded | None]:
    text = filters.given.get("q")
    meaning = meaning_of(conn, text, wanted, read=filters.in_read) if text else Meaning(wanted)
    if meaning.decision is not None:
        return meaning, Found(lines=()), None
    found = search.find(conn, meaning.wanted, start, PAGE)
    return meaning, found, _folded(conn, filters, wanted, start, found)


def _folded(
    conn: Connection, filters: Filters, wanted: Wanted, start: Key | None, found: Found
) -> Folded | None:
    """Count what this page folds away; None where what is shown was chosen by another condition."""
    if filters.chooses:
        return None
    oldest = found.lines[-1].at if found.older is not None else EPOCH
    since = max(oldest, wanted.since or EPOCH)
    until = min(LAST if start is None else start.at, wanted.until or LAST)
    return quiet.folded(conn, wanted.portal, since, until)


def rows_of(lines: Sequence[Line], *, each: bool = False) -> list[Row]:
    """Return the rows of a page: decisions of one document that stopped nothing are one row.

    With `each`, every decision has a row.
    """
    found: dict[object, Row] = {}
    for line in lines:
        acts = each or line.action in KILLING or line.document is None
        key = line.id if acts else (line.portal, line.document)
        known = found.get(key)
        found[key] = (
            Row(line, 1, line.at)
            if known is None
            else replace(known, times=known.times + 1, first_at=line.at)
        )
    return list(found.values())


def _page(
    site: Site,
    visit: Visit,
    filters: Filters,
    meaning: Meaning | None = None,
    found: Found | None = None,
    folded: Folded | None = None,
    *,
    problem: str | None = None,
) -> Response:
    lines = () if found is None else found.lines
    older = None if found is None or found.older is None else str(found.older)
    rules = [rule.id for rule in site.rules.ruleset.rules[:_MOST_RULES]]
    chosen = filters.given.get("rule")
    named = meaning is not None and meaning.named
    return site.page(
        "decisions.html",
        visit,
        status=HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK,
        now=site.now(),
        here=PATH,
        problem=problem,
        given={name: filters.given.get(name, "") for name in FIELDS},
        chosen=sum(name in filters.given for name in FIELDS if name not in ("q", "in")),
        filtered=bool(filters.given),
        description=None if meaning is None else meaning.description,
        in_read=filters.address(**{"in": "read"}) if named else None,
        rows=rows_of(lines, each=filters.given.get("show") == EACH),
        each=filters.address(show=EACH),
        folded=folded,
        unfolded=filters.address(show="all"),
        detail=_detail,
        due=wording.due,
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
    if line.hold == APPROVAL:  # whose detail says at length what `due` says
        return wording.hold(line.hold) or ""
    return line.detail or wording.hold(line.hold) or ""
