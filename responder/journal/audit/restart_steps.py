"""Compares restarts with the log: each has a request of a person, and one call at most.

A row may have been asked for again, where the request before was refused. Then it is compared with
the entries of the last request. Rows of decisions that were pruned are not compared: an older
version leaves them where they are, and nothing reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy import Row as Record

from responder.journal.audit.differences import Differences
from responder.store.canonical_json import canonical
from responder.store.database.columns import clean
from responder.store.database.portal_tables import restarts
from responder.store.decision_ids import decision_name, place_of

_UNASKED = "no entry records that somebody asked for this restart"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A control entry of a restart."""

    seq: int
    at: datetime
    body: Mapping[str, Any]


@dataclass(slots=True)
class _Asked:
    """The entries of one request: its own, that of its call, and that of its end."""

    request: _Entry
    call: _Entry | None = None
    end: _Entry | None = None

    @property
    def may_have_started(self) -> bool:
        """Return whether it was called, and not refused."""
        refused = self.end is not None and self.end.body["outcome"] == "refused"
        return self.call is not None and not refused

    def row(self) -> dict[str, object]:
        """Return what the columns of its row must have."""
        request, call, end = self.request, self.call, self.end
        ended: Mapping[str, Any] = {} if end is None else end.body
        state = "waiting" if call is None else "called"
        return {
            "entry": request.seq,
            "at": request.at,
            "by": clean(request.body["by"]),
            "anyway": request.body["anyway"],
            "state": state if end is None else "done",
            "call_entry": None if call is None else call.seq,
            "called_at": None if call is None else call.at,
            "running": None if call is None else canonical(call.body["running"]),
            "end_entry": None if end is None else end.seq,
            "ended_at": None if end is None else end.at,
            "outcome": ended.get("outcome"),
            "workflow_id": _clean(ended.get("workflow_id")),
            "detail": _clean(ended.get("detail")),
        }


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
        entry = _Entry(seq, at, body)
        if step == "restart":
            self._asked[body["decision"]] = _Asked(entry)
            again = asked is not None and asked.may_have_started
            return "it asks for a restart again that was not refused" if again else None
        if body["request"] <= self._base:
            return None  # the request was pruned
        if asked is None or asked.request.seq != body["request"] or asked.end is not None:
            return _UNASKED
        if step == "restart_end":
            asked.end = entry
            return None
        called_before, asked.call = asked.call, entry
        return None if called_before is None else "it is another call of the same restart"

    def compare(self, conn: Connection, portal: str, differs: Differences) -> None:
        """Record how the rows differ from the entries."""
        asked = dict(self._asked)
        for row in conn.execute(select(restarts).where(restarts.c.portal == portal)):
            name = decision_name(row.portal, row.seq, row.n)
            known = asked.pop(name, None)
            if known is None and row.seq > self._base:
                differs.add("restart", name, "no entry records it")
            elif known is not None and not _agrees(row, known):
                seq = known.request.seq
                differs.add("restart", name, f"entry {seq}, or one that followed, differs")
        for name, known in asked.items():
            place = place_of(name)
            if place is not None and place[1] > self._base:
                why = f"entry {known.request.seq} records it, but its row is gone"
                differs.add("restart", name, why)


def _agrees(row: Record[tuple[object, ...]], asked: _Asked) -> bool:
    return all(row._mapping[name] == value for name, value in asked.row().items())


def _clean(words: str | None) -> str | None:
    return None if words is None else clean(words)
