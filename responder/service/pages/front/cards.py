"""Builds the cards of the front page: what needs somebody, with the decisions that are asked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from responder.bitrix24.documents import from_triple
from responder.journal import approvals
from responder.journal.reading import decisions as log
from responder.service.alarms.alarm import Alarm, Kind, Severity
from responder.store.database.database import Connection

_NUMBER = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,4})?", re.ASCII)
MOST_CARDS = 12
MOST_ASKED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A decision that waits for approval: what is asked, of what, why, and until when.

    `title` and `amount` are there where they were read.
    """

    decision_id: str
    document: object
    title: str | None
    amount: str | None
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
    document, facts = decision["document"], decision["facts"] or {}
    kind = from_triple(*document).kind if document else ""
    return Asked(
        decision_id=one.decision_id,
        document=one.document,
        title=_text(facts.get(f"{kind}.title")),
        amount=_amount(facts, kind),
        action=one.action.value,
        rule=one.rule,
        because=decision["because"],
        lapses_at=one.lapses_at,
    )


def _amount(facts: Mapping[str, object], kind: str) -> str | None:
    """Return the document's amount with its currency, where a rule looked at it."""
    number = _text(facts.get(f"{kind}.opportunity"))
    currency = _text(facts.get(f"{kind}.currency_id"))
    if number is None:
        return None
    if _NUMBER.fullmatch(number):
        whole, point, rest = number.partition(".")
        number = f"{int(whole):,}{point}{rest}"
    return " ".join(filter(None, (number, currency)))


def _text(value: object) -> str | None:
    """Return a fact as text; None where it was not read, or is empty."""
    return None if isinstance(value, dict | list) or value in (None, "") else str(value)
