"""Gathers what the entries of a chain say of the working state, in one pass over them.

The check of a chain (`verify`) passes each entry on, once it is known to be unchanged, with the
rows that belong to it. What is wrong in an entry itself is returned; where rows differ from what
the entries say, a difference is recorded. Only what is still unsettled is kept in memory: it is
dropped when a later entry ends or proves it. What is left at the end is compared with the tables
(`working_state`).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy import Row as Record

from responder.journal.approval_proof import Approval, approval_of
from responder.journal.audit.delivery_counts import Concluded
from responder.journal.audit.differences import Differences
from responder.journal.audit.index_check import Page
from responder.journal.audit.restart_steps import RestartSteps
from responder.journal.chain_ends import End
from responder.model import OPEN_OUTCOMES, Mode
from responder.store.database.tables import entries
from responder.store.decision_ids import decision_name
from responder.store.limits import RUNS

_Row = Record[tuple[object, ...]]
_Json = Mapping[str, Any]  # parsed text: what is in it was written by `record`
_RELEASES = ("resumed", "rearmed")
_UNAPPROVED = "no entry records an approval of this call"


@dataclass(frozen=True, slots=True)
class ControlEntry:
    """A control entry: its number, its time, and its body."""

    seq: int
    at: datetime
    body: _Json


def records_approval(act: ControlEntry, decision: str, approval: Approval) -> bool:
    """Return whether this is the entry that an approval of a decision names, and records it."""
    return act.seq == approval.entry and approval.is_recorded_in(decision, act.at, act.body)


class Replay:
    """The working state as the entries after `base`, the last that was pruned, have it so far.

    By rule `trips` has the entry by which it tripped, unless it was rearmed since, and `rearms` the
    newest by which it was rearmed. `pause` is the newest pause, unless a resume followed it here.
    """

    def __init__(self, base: End, concluded: Concluded | None = None) -> None:
        self.base = base
        self.last = base.seq
        self.differs = Differences()
        self.rulesets: set[str] = set()
        self.trips: dict[str, ControlEntry] = {}
        self.rearms: dict[str, ControlEntry] = {}
        self.pause: ControlEntry | None = None
        self.resume: ControlEntry | None = None
        self.unproved: dict[str, ControlEntry] = {}  # by decision, an approval its row has not
        self.restarts = RestartSteps(base.seq)
        self._concluded = concluded
        # by decision; each is dropped once an entry bears it out or ends it
        self._asking: set[str] = set()  # needs approval, and is not concluded
        self._approved: dict[str, int] = {}  # the entry that approved it
        self._rows: dict[str, Approval] = {}  # the approval that its row has
        self._calls: dict[str, int] = {}  # the number of calls that its row has
        self._moved: dict[str, int] = {}  # the approval's entry to whose set its row belongs

    def add(self, entry: _Row, body: _Json, page: Page) -> str | None:
        """Process the next entry; return what is wrong in it, or None."""
        self.last = entry.seq
        if entry.kind == "evaluation":
            self._evaluate(entry, body, page)
            return None
        self._count_deliveries(entry, 0)
        if entry.kind == "intent":
            wrong = self._wrong_approval(body, page.evidence.get(entry.seq))
            self._call(body)
            return wrong
        if entry.kind == "outcome":
            self._asking.discard(body["decision"])
            self._approved.pop(body["decision"], None)
        elif entry.kind == "control":
            self._control(ControlEntry(entry.seq, entry.at, body))
            return self.restarts.add(entry.seq, entry.at, body)
        return None

    def catch_up(self, conn: Connection, portal: str) -> None:
        """Process the intents and control entries appended since, which newer rows rest on."""
        found = conn.execute(
            select(entries.c.seq, entries.c.kind, entries.c.at, entries.c.body)
            .where(
                entries.c.portal == portal,
                entries.c.seq > self.last,
                entries.c.kind.in_(("intent", "control")),
            )
            .order_by(entries.c.seq)
        )
        for entry in found:
            self.last = entry.seq
            if entry.kind == "intent":
                self._call(json.loads(entry.body))
            else:
                act = ControlEntry(entry.seq, entry.at, json.loads(entry.body))
                self._control(act)
                self.restarts.add(act.seq, act.at, act.body)

    def end(self) -> None:
        """Record the rows that no entry bore out to the end."""
        for name, row in self._rows.items():
            self.differs.add(
                "approval", name, f"no entry records that {row.by or 'somebody'} gave it"
            )
        for name, calls in self._calls.items():
            self.differs.add("decision", name, f"no entry records {_the_call(calls)}")
        for name, approval in self._moved.items():
            self.differs.add("decision", name, f"entry {approval}, named by its set, is not of it")

    def _evaluate(self, entry: _Row, body: _Json, page: Page) -> None:
        self.rulesets.add(body["ruleset"])
        self._count_deliveries(entry, body["events"])
        for n, decided in enumerate(body["decisions"], start=1):
            if decided["mode"] == Mode.APPROVE:
                self._asking.add(decision_name(entry.portal, entry.seq, n))
        for row in page.made.get(entry.seq, []):
            self._check_stop(row, body)
        for row in page.asked.get(entry.seq, []):
            if row.approved_at is not None or row.approved_by is not None or row.entry is not None:
                self._rows[_name(row)] = approval_of(row)

    def _check_stop(self, row: _Row, body: _Json) -> None:
        """Check the working state of a decision, as far as this entry can tell."""
        if row.calls > 0:
            self._calls[_name(row)] = row.calls
        elif row.called_at is not None:
            self.differs.add("decision", _name(row), "no entry records its call")
        if row.outcome in OPEN_OUTCOMES and not row.shadow and row.set_name is not None:
            self._check_set(row, body)

    def _check_set(self, row: _Row, body: _Json) -> None:
        """Check the set of a decision: that of its evaluation or run, or one it was moved to."""
        if row.set_name == body.get("set", f"{row.portal}-{row.seq}"):
            return
        how, _, when = row.set_name.partition(" ")
        if how == "approval" and when.isdecimal():
            self._moved[_name(row)] = int(when)
        elif how in _RELEASES or ("set" not in body and row.trigger in RUNS):
            return  # a resume or rearm moves any stop; older versions did not write a run's set
        else:
            self.differs.add("decision", _name(row), f"no entry records its set {row.set_name!r}")

    def _count_deliveries(self, entry: _Row, events: int) -> None:
        counted = None if self._concluded is None else self._concluded.of(entry.seq)
        if counted is not None and counted != events:
            self.differs.add(
                "deliveries",
                f"{entry.portal}-{entry.seq}",
                f"it concluded {events} deliveries, but {counted} name it",
            )

    def _call(self, body: _Json) -> None:
        if self._calls.get(body["decision"]) == body["call"]:
            del self._calls[body["decision"]]

    def _control(self, act: ControlEntry) -> None:
        match act.body.get("control"):
            case "approve":
                self._approve(act)
            case "trip":
                self.trips[act.body["rule"]] = act
            case "rearm":
                self.rearms[act.body["rule"]] = act
                self.trips.pop(act.body["rule"], None)
            case "pause":
                self.pause = act
            case "resume":
                self.pause, self.resume = None, act
            case _:
                pass

    def _approve(self, act: ControlEntry) -> None:
        names: Iterable[str] = act.body["decisions"]
        for name in names:
            self._approved[name] = act.seq
            row = self._rows.pop(name, None)
            if row is None or not records_approval(act, name, row):
                self.unproved[name] = act
            if self._moved.get(name) == act.seq:
                del self._moved[name]

    def _wrong_approval(self, body: _Json, proof: _Row | None) -> str | None:
        """Return what is wrong with the approval that an intent names, or None."""
        decision = body["decision"]
        named = body["approval"] if "approval" in body else _named_in(proof)
        if named is None:
            must_be_named = "approval" in body and decision in self._asking
            return _UNAPPROVED if must_be_named else None
        if named <= self.base.seq or self._approved.get(decision) == named:
            return None
        return _UNAPPROVED


def _name(row: _Row) -> str:
    return decision_name(row.portal, row.seq, row.n)


def _the_call(number: int) -> str:
    return "its call" if number == 1 else f"its call number {number}"


def _named_in(proof: _Row | None) -> int | None:
    """Return the approval's entry as older versions name it, in the evidence of the intent."""
    if proof is None or not proof.salt:
        return None
    approved = json.loads(proof.content).get("approved")
    return None if approved is None else approved["entry"]
