"""Compares a stop's approval, as its row has it, with the log entry that must record it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row as Record

from responder.store.database.columns import clean


class Approval(NamedTuple):
    """An approval as a row has it: who gave it, when, and in which entry (0: none is named).

    Before a call the entry itself is checked too (`approvals.is_in_log`).
    """

    by: str
    at: datetime
    entry: int

    def is_recorded_in(self, decision_id: str, at: datetime, body: Mapping[str, Any]) -> bool:
        """Return whether this control entry says that this person approved this decision then."""
        if body.get("control") != "approve" or at != self.at:
            return False
        return decision_id in body["decisions"] and clean(body["by"]) == self.by


def approval_of(row: Record[tuple[object, ...]]) -> Approval:
    """Return the approval that a row of `approvals` has."""
    return Approval(row.approved_by or "", row.approved_at, row.entry or 0)
