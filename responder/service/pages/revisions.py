"""Renders a revision of the rules, and the difference of two, with what it would have changed."""

from functools import partial
from http import HTTPStatus

from starlette.responses import Response

from responder.authoring.backtest import bounded
from responder.authoring.backtest.bounded import Tried
from responder.authoring.revision_difference import difference
from responder.service.pages.page_requests import Visit
from responder.service.pages.site import Site
from responder.store import rulesets

MOST_REVISIONS = 30
MOST_LINES = 2_000
MOST_CHANGES = 30


def show(site: Site, visit: Visit) -> Response:
    """Return the page with the text of a revision that decided, and others to compare it with."""
    found = _revision(site, visit.path["revision"])
    if isinstance(found, str):
        return _missing(site, visit, found)
    name, text = found
    others = site.database.read(partial(rulesets.newest, most=MOST_REVISIONS))
    return site.page(
        "revision.html",
        visit,
        name=name,
        text=text,
        running=name == site.rules.ruleset.revision,
        others=[one for one in others if one[0] != name],
        in_force=site.rules.ruleset.revision,
    )


def compare(site: Site, visit: Visit) -> Response:
    """Return the page with the difference of two revisions, the older one first."""
    old = _revision(site, visit.path["revision"])
    new = _revision(site, visit.path["other"])
    for found in (old, new):
        if isinstance(found, str):
            return _missing(site, visit, found)
    assert not isinstance(old, str)
    assert not isinstance(new, str)
    lines = difference(old[1], new[1])
    tried = _tried(site, old[1], new[1]) if lines else None
    return site.page(
        "revision_difference.html",
        visit,
        old=old[0],
        new=new[0],
        running=site.rules.ruleset.revision,
        lines=None if lines is None else lines[:MOST_LINES],
        more=0 if lines is None else max(0, len(lines) - MOST_LINES),
        tried=tried,
        changes=() if tried is None else tried.result.differences[:MOST_CHANGES],
        days=bounded.SINCE.days,
    )


def _tried(site: Site, old: str, new: str) -> Tried | None:
    before, after = bounded.loaded(old), bounded.loaded(new)
    if before is None or after is None:
        return None
    return bounded.tried(site.database, before, after, site.now())


def _revision(site: Site, name: str) -> tuple[str, str] | str:
    """Return a revision's whole name and text, or why there is none."""
    running = site.rules.ruleset
    if name == running.revision:
        return running.revision, running.text
    found = site.database.read(partial(rulesets.matching, revision=name))
    if len(found) == 1:
        return found[0][0], found[0][1]
    if found:
        return "Several revisions begin so: " + ", ".join(revision for revision, _ in found) + "."
    return f"No decision was made by a revision {name} of the rules."


def _missing(site: Site, visit: Visit, why: str) -> Response:
    return site.message(visit, HTTPStatus.NOT_FOUND, "There is no such revision", why)
