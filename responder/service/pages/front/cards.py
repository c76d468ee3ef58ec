"""Builds the cards of the front page: what needs somebody, with the decisions that are asked."""

from collections.abc import Sequence
from dataclasses import dataclass

from responder.journal.reading import approval_cases
from responder.journal.reading.approval_cases import ApprovalCase
from responder.service.alarms.alarm import Alarm, Kind, Severity
from responder.store.database.database import Connection

MOST_CARDS = 12
MOST_ASKED = 5


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


def asked(conn: Connection, alarms: Sequence[Alarm]) -> dict[str, list[ApprovalCase]]:
    """Return, by portal, the decisions that wait for approval and lapse first."""
    portals = [one.portal for one in alarms if one.kind is Kind.APPROVAL and one.portal]
    found: dict[str, list[ApprovalCase]] = {}
    for case in approval_cases.first_to_lapse(conn, portals, MOST_ASKED) if portals else ():
        found.setdefault(case.asked.portal, []).append(case)
    return found
