"""Renders the list of what waits for approval, and does what an admin decides about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from starlette.responses import Response

from responder.journal import approvals
from responder.journal.reading import approval_cases
from responder.journal.reading.approval_cases import ApprovalCase
from responder.service.pages.page_requests import Visit
from responder.service.pages.site import Site
from responder.stop import control
from responder.store.database.database import Connection

PAGE = 50
_HERE = "/approvals"
MOST_TESTS = 12  # of each decision; its own page has all


@dataclass(frozen=True, slots=True)
class _Answer:
    """The ways to answer what waits: the word of the button, and what it leads to."""

    title: str
    button: str
    result: str


_ANSWERS: Mapping[str, _Answer] = {
    "approve": _Answer(
        "Approve these?",
        "Approve",
        "Each is judged afresh on the facts of this moment, and stopped if it is condemned again. "
        "That cannot be undone.",
    ),
    "cancel": _Answer(
        "Cancel these?",
        "Cancel",
        "Nothing comes of these decisions. A later event or sweep may condemn the workflows again.",
    ),
}


def show(site: Site, visit: Visit) -> Response:
    """Return the list of what waits for approval, the oldest first, fifty at most."""
    rule = visit.query.get("rule") or None

    def read(conn: Connection) -> tuple[list[ApprovalCase], int]:
        found = approval_cases.waiting(conn, site.portals, most=PAGE, rule=rule)
        counted = approvals.count_pending(conn, rule)
        return found, sum(counted.get(name, 0) for name in site.portals)

    cases, total = site.database.read(read)
    return site.page(
        "approvals.html",
        visit,
        cases=cases,
        total=total,
        rule=rule,
        rules=sorted({case.asked.rule for case in cases}),
        ticked=visit.query.get("tick") == "all",
        most_tests=MOST_TESTS,
    )


def act(site: Site, visit: Visit) -> Response:
    """Approve or cancel what was ticked, once that is confirmed."""
    word = visit.form.get("act")
    names = list(dict.fromkeys(visit.form.all("decision")))[:PAGE]
    if word not in _ANSWERS or not names:
        why = "Tick what you mean first, then press one of the two buttons."
        return site.message(visit, HTTPStatus.BAD_REQUEST, "Nothing was ticked", why, back=_HERE)
    if visit.form.get("sure") == "yes":
        return _answer(site, visit, word, names)
    waiting = site.database.read(partial(approvals.pending_among, decision_ids=names))
    if not waiting:
        why = "Somebody answered it meanwhile, or it lapsed."
        title = "None of these waits any more"
        return site.message(visit, HTTPStatus.CONFLICT, title, why, back=_HERE)
    return _confirm(site, visit, word, waiting)


def _confirm(
    site: Site, visit: Visit, word: str, waiting: Sequence[approvals.PendingApproval]
) -> Response:
    answer = _ANSWERS[word]
    return site.page(
        "confirm.html",
        visit,
        title=answer.title,
        sentences=[answer.result],
        asked=waiting,
        action="/approvals",
        button=f"{answer.button} {len(waiting)}",
        back="/approvals",
        fields=[("act", word), *(("decision", one.decision_id) for one in waiting)],
        look=None,
    )


def _answer(site: Site, visit: Visit, word: str, names: Sequence[str]) -> Response:
    """Do what was confirmed; name what could not be done, and why."""
    by, at = visit.who.name, site.now()
    if word == "approve":
        try:
            refused = control.approve(site.commits, names, by=by, at=at).refused
        except LookupError as missing:
            why = f"The log has no decision {missing.args[0]}; nothing was approved."
            return site.message(visit, HTTPStatus.NOT_FOUND, "Nothing was done", why, back=_HERE)
    else:
        refused = control.cancel_several(site.commits, names, by=by, at=at)
    if not refused:
        return site.redirect("/approvals", done=f"{word}-several")
    done = f"{len(names) - len(refused)} of {len(names)} were {_DONE[word]}."
    others = [f"{name}: {why}." for name, why in sorted(refused.items())]
    title = "Not all of it could be done"
    return site.message(visit, HTTPStatus.CONFLICT, title, done, *others, back=_HERE)


_DONE = {"approve": "approved", "cancel": "cancelled"}
