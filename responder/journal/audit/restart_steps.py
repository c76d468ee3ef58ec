"""Compares restarts with the log: each has a request of a person, and one call at most.

A row may have been asked for again, where the request before was refused. Then it is compared with
the entries of the last request.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy import Row as Record

from responder.journal.audit.differences import Differences
from responder.store.database.columns import clean
from responder.store.database.portal_tables import restarts
from responder.store.decision_ids import decision_name, place_of

_UNASKED = "no entry records that somebody asked for this restart"


@dataclass(slots=True)
class _Asked:
    """The entries of one request: its number and content, those of its call and of its end."""

    seq: int
    at: datetime
    body: Mapping[str, Any]
    call: int | None = None
    end: int | None = None
    outcome: str | None = None


class RestartSteps:
    """The restarts of a chain, as its entries after `base` have them so far."""

    def __init__(self, base: int) -> None:
        self._base = base
        self._asked: dict[str, _Asked] = {}

    def add(self, seq: int, at: datetime, body: Mapping[str, Any]) -> str | None:
        """Process the next control entry; return what is wrong in it, or None."""
        step = body.get("control")
        if step not in ("restart", "restart_call", "restart_end"):
            return None
        asked = self._asked.get(body["decision"])
        if step == "restart":
            self._asked[body["decision"]] = _Asked(seq, at, body)
            again = asked is not None and asked.outcome != "refused"
            return "it asks for a restart again that was not refused" if again else None
        if body["request"] <= self._base:
            return None  # the request was pruned
        if asked is None or asked.seq != body["request"] or asked.end is not None:
            return _UNASKED
        if step == "restart_end":
            asked.end, asked.outcome = seq, body["outcome"]
            return None
        called_before, asked.call = asked.call, seq
        return None if called_before is None else "it is another call of the same restart"

    def compare(self, conn: Connection, portal: str, differs: Differences) -> None:
        """Record how the rows differ from the entries."""
        asked = dict(self._asked)
        for row in conn.execute(select(restarts).where(restarts.c.portal == portal)):
            name = decision_name(row.portal, row.seq, row.n)
            known = asked.pop(name, None)
            if known is None and row.entry > self._base:
                differs.add("restart", name, "no entry records it")
            elif known is not None and not _agrees(row, known):
                differs.add("restart", name, f"entry {known.seq}, or one that followed, differs")
        for name, known in asked.items():
            place = place_of(name)
            if place is not None and place[1] > self._base:
                differs.add("restart", name, f"entry {known.seq} records it, but its row is gone")


def _agrees(row: Record[tuple[object, ...]], asked: _Asked) -> bool:
    found = (row.entry, row.at, row.by, row.anyway, row.call_entry, row.end_entry, row.outcome)
    wanted = (asked.seq, asked.at, clean(asked.body["by"]), asked.body["anyway"])
    return tuple(found) == (*wanted, asked.call, asked.end, asked.outcome)
