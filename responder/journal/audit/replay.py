"""Goes along the entries of a chain once, and gathers what they say of the working state.

The check of a chain (`verify`) gives it each entry, when that is known to be as it was written,
with the rows that hang on it. What an entry itself tells wrongly is returned; where rows differ
from what the entries say, that is noted. What is kept meanwhile is what still goes on: it is
dropped where an entry ends or proves it. What is left at the end is held against the tables
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
from responder.journal.chain_ends import End
from responder.model import OPEN_OUTCOMES, Mode
from responder.store.database.tables import entries
from responder.store.decision_ids import decision_name
from responder.store.limits import RUNS

_Row = Record[tuple[object, ...]]
_Json = Mapping[str, Any]  # parsed text: what is in it was written by `record`
_LET_GO = ("resumed", "rearmed")
_UNAPPROVED = "no entry says that somebody approved what it calls for"


@dataclass(frozen=True, slots=True)
class Act:
    """A control entry: its number, its time, and its body."""

    seq: int
    at: datetime
    body: _Json


def says(act: Act, decision: str, approval: Approval) -> bool:
    """Tell whether this entry is the one that an approval of a decision names."""
    return act.seq == approval.entry and approval.is_told(decision, act.at, act.body)


class Replay:
    """What the entries behind `base`, the last that was pruned, have said so far.

    By rule `trips` has the entry by which it tripped, unless it was rearmed since, and `rearms` the
    newest by which it was rearmed. `pause` is the newest pause, unless a resume followed it here.
    """

    def __init__(self, base: End, concluded: Concluded | None = None) -> None:
        self.base = base
        self.last = base.seq
        self.differs = Differences()
        self.rulesets: set[str] = set()
        self.trips: dict[str, Act] = {}
        self.rearms: dict[str, Act] = {}
        self.pause: Act | None = None
        self.resume: Act | None = None
        self.unproved: dict[str, Act] = {}  # by decision the approval that its row has not
        self._concluded = concluded
        self._asking: set[str] = set()  # decisions that ask first, and are not concluded
        self._approved: dict[str, int] = {}  # by decision the entry that approved it
        self._rows: dict[str, Approval] = {}  # by decision what its row has, until an entry says so
        self._calls: dict[str, int] = {}  # by decision its calls, until the last intent is heard
        self._moved: dict[str, int] = {}  # by decision the approval whose set it is of, until then

    def add(self, entry: _Row, body: _Json, page: Page) -> str | None:
        """Take in the next entry; return what it tells wrongly, if anything."""
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
            self._control(Act(entry.seq, entry.at, body))
        return None

    def catch_up(self, conn: Connection, portal: str) -> None:
        """Take in what was appended meanwhile, as far as rows that are read now may rest on it."""
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
                self._control(Act(entry.seq, entry.at, json.loads(entry.body)))

    def end(self) -> None:
        """Note what no entry bore out to the end."""
        for name, row in self._rows.items():
            self.differs.add("approval", name, f"no entry says that {row.by or 'somebody'} gave it")
        for name, calls in self._calls.items():
            self.differs.add("decision", name, f"no entry tells of {_the_call(calls)}")
        for name, approval in self._moved.items():
            self.differs.add("decision", name, f"entry {approval} does not put it into a set")

    def _evaluate(self, entry: _Row, body: _Json, page: Page) -> None:
        self.rulesets.add(body["ruleset"])
        self._count_deliveries(entry, body["events"])
        for n, decided in enumerate(body["decisions"], start=1):
            if decided["mode"] == Mode.APPROVE:
                self._asking.add(decision_name(entry.portal, entry.seq, n))
        for row in page.made.get(entry.seq, []):
            self._see(row, body)
        for row in page.asked.get(entry.seq, []):
            if row.approved_at is not None or row.approved_by is not None or row.entry is not None:
                self._rows[_name(row)] = approval_of(row)

    def _see(self, row: _Row, body: _Json) -> None:
        """Look at the working state of a decision."""
        if row.calls > 0:
            self._calls[_name(row)] = row.calls
        elif row.called_at is not None:
            self.differs.add("decision", _name(row), "no entry tells of its call")
        if row.outcome in OPEN_OUTCOMES and not row.shadow and row.set_name is not None:
            self._see_set(row, body)

    def _see_set(self, row: _Row, body: _Json) -> None:
        """Look at the set that a decision is of: that of its evaluation or run, or a later one."""
        if row.set_name == body.get("set", f"{row.portal}-{row.seq}"):
            return
        how, _, when = row.set_name.partition(" ")
        if how == "approval" and when.isdecimal():
            self._moved[_name(row)] = int(when)
        elif how in _LET_GO or ("set" not in body and row.trigger in RUNS):
            return  # anything may have been let go with it; older versions did not tell of runs
        else:
            self.differs.add("decision", _name(row), f"no entry puts it into {row.set_name!r}")

    def _count_deliveries(self, entry: _Row, events: int) -> None:
        counted = None if self._concluded is None else self._concluded.of(entry.seq)
        if counted is not None and counted != events:
            self.differs.add(
                "deliveries",
                f"{entry.portal}-{entry.seq}",
                f"it concluded {events}, and {counted} say so",
            )

    def _call(self, body: _Json) -> None:
        if self._calls.get(body["decision"]) == body["call"]:
            del self._calls[body["decision"]]

    def _control(self, act: Act) -> None:
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

    def _approve(self, act: Act) -> None:
        names: Iterable[str] = act.body["decisions"]
        for name in names:
            self._approved[name] = act.seq
            row = self._rows.pop(name, None)
            if row is None or not says(act, name, row):
                self.unproved[name] = act
            if self._moved.get(name) == act.seq:
                del self._moved[name]

    def _wrong_approval(self, body: _Json, proof: _Row | None) -> str | None:
        """Hold an intent against the approval that it names."""
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
    """Return the entry of an approval where versions named it whose intents did not."""
    if proof is None or not proof.salt:
        return None
    approved = json.loads(proof.content).get("approved")
    return None if approved is None else approved["entry"]
