"""Does what an admin's button asks for: each asks to confirm, and records the admin's name."""

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

from starlette.responses import Response

from responder.journal import approvals
from responder.journal.naming import names_in_words
from responder.journal.reading import counts
from responder.journal.reading.detail import detail
from responder.journal.record import NotOpen
from responder.service.pages.page_requests import Visit
from responder.service.pages.site import Site
from responder.stop import control

MOST_AT_ONCE = 500


def pause(site: Site, visit: Visit) -> Response:
    """Pause all new calls."""
    if not _sure(visit):
        return _ask(
            site,
            visit,
            "Pause everything?",
            "Within a second nothing more is stopped, in any portal, on any replica.",
            "Events are still received and judged. What would be stopped is held, and judged "
            "afresh on resume. A call that is under way cannot be called back.",
            action="/pause",
            button="Pause everything",
            back="/status",
        )
    done = control.pause(site.commits, site.portals, by=visit.who.name, at=site.now())
    return site.redirect("/status", done="paused" if done else "paused-already")


def resume(site: Site, visit: Visit) -> Response:
    """Allow calls again."""
    if not _sure(visit):
        return _ask(
            site,
            visit,
            "Resume?",
            "Rules act again. What was held by the pause is judged afresh on the facts of that "
            "moment, and stopped if it is condemned again.",
            action="/resume",
            button="Resume",
            back="/status",
        )
    freed = control.resume(site.commits, site.portals, by=visit.who.name, at=site.now())
    return site.redirect("/status", done="resumed-already" if freed is None else "resumed")


def rearm(site: Site, visit: Visit) -> Response:
    """Reset a rule's counts, and judge afresh what it held."""
    rule, portal = visit.path["rule"], visit.form.get("portal")
    if portal and portal not in site.portals:
        return _not_there(site, visit, f"There is no portal {portal} in the settings.")
    portals = [portal] if portal else site.portals
    if not _sure(visit):
        where = f" in {portal}" if portal and len(site.portals) > 1 else ""
        held = site.database.read(partial(counts.held_by_rule, portals=portals, rule=rule))
        return _ask(
            site,
            visit,
            f"Rearm rule {rule}{where}?",
            held.sentence,
            "Look at what it condemned first: a rule trips because it wanted to stop more than "
            "you allowed it to.",
            action=visit.request.url.path,
            button=f"Rearm {rule}",
            back="/rules",
            fields=[("portal", portal)] if portal else [],
            look=f"/decisions?outcome=held&rule={rule}",
        )
    known = [one.id for one in site.rules.ruleset.rules if one.acts]
    try:
        control.rearm(site.commits, portals, rule, known=known, by=visit.who.name, at=site.now())
    except control.UnknownRule:
        return _not_there(site, visit, f"There is no rule {rule} that stops anything.")
    return site.redirect("/rules", done="rearmed")


def cancel(site: Site, visit: Visit) -> Response:
    """Conclude a decision that waits or is held as `cancelled`."""
    name = visit.path["id"]
    description = _description(site, name)
    if description is None:
        return _not_there(site, visit, f"The log has no decision {name} that condemned a workflow.")
    if not _sure(visit):
        return _ask(
            site,
            visit,
            f"Cancel decision {name}?",
            description,
            "Nothing comes of this decision. A later event or sweep may condemn it again.",
            action=visit.request.url.path,
            button="Cancel this decision",
            back=f"/decisions/{name}",
        )
    try:
        control.cancel(site.commits, name, by=visit.who.name, at=site.now())
    except NotOpen:
        return _too_late(site, visit, f"{name} does not wait any more; it is concluded.")
    except control.UnderWay:
        return _too_late(site, visit, f"The call of {name} may have been made already.")
    return site.redirect(f"/decisions/{name}", done="cancelled")


def approve(site: Site, visit: Visit) -> Response:
    """Approve a decision with the rest of its list, as the confirmation showed them."""
    name = visit.path["id"]
    if not _sure(visit):
        asked = site.database.read(partial(approvals.pending, portals=site.portals, like=name))
        asked.sort(key=lambda one: one.decision_id != name)  # of too many, it is one of the first
        if not asked or asked[0].decision_id != name:
            return _too_late(site, visit, f"{name} does not wait to be approved.")
        return _ask_to_approve(site, visit, name, asked[:MOST_AT_ONCE])
    names = visit.form.all("decision")[:MOST_AT_ONCE] or (name,)
    try:
        did = control.approve(site.commits, names, by=visit.who.name, at=site.now())
    except LookupError as missing:
        return _not_there(site, visit, f"The log has no decision {missing}.")
    if did.refused:
        refused = [f"{one}: {why}." for one, why in sorted(did.refused.items())]
        return _too_late(site, visit, f"{len(did.approved)} were approved.", *refused)
    return site.redirect(f"/decisions/{name}", done="approved")


def _ask_to_approve(
    site: Site, visit: Visit, name: str, asked: Sequence[approvals.PendingApproval]
) -> Response:
    several = len(asked) > 1
    those = f"These {len(asked)} were condemned together. Each" if several else "It"
    return _ask(
        site,
        visit,
        f"Approve what rule {asked[0].rule} condemned?",
        f"{those} is judged afresh on the facts of this moment, and stopped if it is condemned "
        "again. That cannot be undone.",
        action=visit.request.url.path,
        button=f"Approve {len(asked)}" if several else "Approve",
        back=f"/decisions/{name}",
        fields=[("decision", one.decision_id) for one in asked],
        asked=asked,
    )


def _sure(visit: Visit) -> bool:
    return visit.form.get("sure") == "yes"


def _ask(
    site: Site,
    visit: Visit,
    title: str,
    *sentences: str,
    action: str,
    button: str,
    back: str,
    fields: Sequence[tuple[str, str]] = (),
    look: str | None = None,
    asked: Sequence[approvals.PendingApproval] = (),
) -> Response:
    return site.page(
        "confirm.html",
        visit,
        title=title,
        sentences=sentences,
        asked=asked,
        action=action,
        button=button,
        back=back,
        fields=fields,
        look=look,
    )


def _description(site: Site, name: str) -> str | None:
    """Return a sentence about which workflow a decision condemned, or None."""
    found = site.database.read(partial(detail, decision_id=name))
    if found is None or found.decision["workflow"] is None:
        return None
    decision = found.decision
    about = names_in_words.sentence(found.names, decision["document"])
    return (
        f"Rule {decision['rule']} condemned workflow {decision['workflow']['id']} to be stopped "
        f"({decision['action']}): {about}."
    )


def _not_there(site: Site, visit: Visit, why: str) -> Response:
    return site.message(visit, HTTPStatus.NOT_FOUND, "Nothing was done", why)


def _too_late(site: Site, visit: Visit, *why: str) -> Response:
    back = f"/decisions/{visit.path['id']}"
    return site.message(visit, HTTPStatus.CONFLICT, "Not all of it could be done", *why, back=back)
