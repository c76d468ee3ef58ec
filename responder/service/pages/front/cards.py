"""Builds the cards of the front page: what needs somebody, with the decisions that are asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from responder.journal import approvals
from responder.journal.naming import names, names_in_words
from responder.journal.reading import decisions as log
from responder.service.alarms.alarm import Alarm, Kind, Severity
from responder.store.database.database import Connection

MOST_CARDS = 12
MOST_ASKED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A decision that waits for approval: what is asked, of what, why, and until when."""

    decision_id: str
    about: str
    action: str
    rule: str
    because: str | None
    lapses_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """The alarms by severity, and how many that need somebody are not shown."""

    needs_you: Sequence[Alarm]
    is_wrong: Sequence[Alarm]
    was_wrong: Sequence[Alarm]
    more: int


def cards(alarms: Sequence[Alarm]) -> Cards:
    """Return the alarms as the front page shows them."""
    by_severity = {
        severity: [one for one in alarms if one.severity is severity] for severity in Severity
    }
    needs = by_severity[Severity.NEEDS_YOU]
    return Cards(
        needs_you=needs[:MOST_CARDS],
        is_wrong=by_severity[Severity.IS_WRONG][:MOST_CARDS],
        was_wrong=by_severity[Severity.WAS_WRONG][:MOST_CARDS],
        more=max(0, len(needs) - MOST_CARDS),
    )


def asked(conn: Connection, alarms: Sequence[Alarm]) -> dict[str, list[Asked]]:
    """Return, by portal, the decisions that wait for approval and lapse first."""
    portals = [one.portal for one in alarms if one.kind is Kind.APPROVAL and one.portal]
    found: dict[str, list[Asked]] = {}
    for one in approvals.first_to_lapse(conn, portals, MOST_ASKED) if portals else ():
        decision = log.one(conn, one.decision_id)
        if decision is not None:
            found.setdefault(one.portal, []).append(_asked(one, decision))
    return found


def _asked(one: approvals.PendingApproval, decision: Mapping[str, Any]) -> Asked:
    known = names.from_json(decision["names"] or {})
    return Asked(
        decision_id=one.decision_id,
        about=names_in_words.sentence(known, decision["document"]),
        action=one.action.value,
        rule=one.rule,
        because=decision["because"],
        lapses_at=one.lapses_at,
    )
