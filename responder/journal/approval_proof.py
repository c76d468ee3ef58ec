"""An approval as the rows have it, and the entry that bears it out."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row as Record

from responder.store.database.columns import clean


class Approval(NamedTuple):
    """Who approved a stop, when, and the number of the entry that says so; 0 where none is named.

    It is what the rows say. Whether the log bears it out is asked before a call (`approvals`).
    """

    by: str
    at: datetime
    entry: int

    def is_told(self, decision_id: str, at: datetime, body: Mapping[str, Any]) -> bool:
        """Tell whether a control entry says that this person approved this decision then."""
        if body.get("control") != "approve" or at != self.at:
            return False
        return decision_id in body["decisions"] and clean(body["by"]) == self.by


def approval_of(row: Record[tuple[object, ...]]) -> Approval:
    """Return what a row of `approvals` says that somebody gave."""
    return Approval(row.approved_by or "", row.approved_at, row.entry or 0)
