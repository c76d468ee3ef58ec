"""Has a stopped workflow started anew, and shows on its decision's page what came of that."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from responder.journal import restarts
from responder.journal.naming import names
from responder.journal.naming.names_in_words import document_in_words, sentence
from responder.journal.reading import decisions as log
from responder.journal.restarts import NotRestartable, Restart
from responder.model import STOPPED
from responder.service.pages.page_requests import Visit
from responder.service.pages.site import Site
from responder.stop.restart.caveats import caveats
from responder.store.database.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartView:
    """The restart of a decision's workflow: the last one, and whether it may be asked for.

    `anyway`: the rules refused it, so asking again is asking not to ask them.
    """

    last: Restart | None
    may_ask: bool
    anyway: bool

    @property
    def is_under_way(self) -> bool:
        """Return whether there is more to come of it."""
        return self.last is not None and self.last.state != "done"


def view(site: Site, decision: Mapping[str, Any]) -> RestartView | None:
    """Return what a decision's page shows of a restart; None where nothing was stopped."""
    if decision["outcome"] not in STOPPED:
        return None

    def read(conn: Connection) -> tuple[Restart | None, str | None]:
        name = str(decision["id"])
        return restarts.find(conn, name), restarts.why_not(conn, name)

    last, why_not = site.database.read(read)
    anyway = last is not None and last.needs_anyway
    return RestartView(last=last, may_ask=why_not is None, anyway=anyway)


def act(site: Site, visit: Visit) -> Response:
    """Ask for a restart; the portal's driver carries it out."""
    name, anyway = visit.path["id"], visit.form.get("anyway") == "yes"
    back = f"/decisions/{name}"
    why = site.database.read(partial(restarts.why_not, decision_id=name))
    if why is None and visit.form.get("sure") != "yes":
        return _confirm(site, visit, name, anyway=anyway)
    try:
        if why is not None:
            raise NotRestartable(why)
        at, by = site.now(), visit.who.name
        site.commits.write(lambda tx: restarts.ask(tx, name, anyway=anyway, by=by, at=at))
    except NotRestartable as not_restartable:
        said = f"It cannot be started anew: {not_restartable}."
        return site.message(visit, HTTPStatus.CONFLICT, "Nothing was done", said, back=back)
    return site.redirect(back, done="restart-asked")


def _confirm(site: Site, visit: Visit, name: str, *, anyway: bool) -> Response:
    decision = site.database.read(partial(log.one, decision_id=name))
    about = () if decision is None else (_about(decision),)
    return site.page(
        "confirm.html",
        visit,
        title=f"Start the workflow of decision {name} anew?",
        sentences=[*about, *caveats(anyway=anyway)],
        asked=(),
        action=visit.request.url.path,
        button="Start it anyway" if anyway else "Start it anew",
        back=f"/decisions/{name}",
        fields=[("anyway", "yes")] if anyway else [],
        look=None,
    )


def _about(decision: Mapping[str, Any]) -> str:
    """Return by names what was stopped: `Discount approval on deal 759, started by Anna P.`."""
    said = sentence(names.from_json(decision["names"]), decision["document"])
    return f"{said[0].upper()}{said[1:]}."


def in_words(body: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return title and text of a control entry for a timeline; None if it is of no restart."""
    match body.get("control"):
        case "restart":
            anyway = ", even if the rules would condemn it at once" if body["anyway"] else ""
            return "By a person", f"{body['by']} asked for it to be started anew{anyway}"
        case "restart_call":
            document = document_in_words(body["document"])
            text = f"template {body['template_id']} on {document}; committed before the call"
            return "Start intended", text
        case "restart_end":
            return _ENDED[body["outcome"]], body["detail"] or f"as workflow {body['workflow_id']}"
        case _:
            return None


_ENDED = {
    "started": "Started anew",
    "refused": "Not started anew",
    "in_doubt": "Perhaps started anew",
}
