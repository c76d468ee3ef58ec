"""Follows what observing rules would have stopped: the evidence for letting a rule act.

`figures(conn, portal=None)` returns, by rule id, how many workflows a rule would have killed or
terminated, on how many documents, and what became of them (`Figures`). It reads counters, one row a
rule, so it costs the same whatever the length of the log.

Theory of operation. A `would_kill` or `would_terminate` puts its workflow on a watch list, in the
transaction that writes it, once for each rule. Its id is then looked for in the portal after an
hour, after six, and a quarter of an hour before the day is over (`LOOKS`):

    absent at a look within the day   `ended`: by itself, at `ended_at` at the latest
    stopped by this program           `stopped`: not by itself, so it is no evidence
    there at the last look, or later  `running`
    absent after the day was over     `untold`: there was no look in time (nothing ran, a breaker
                                      was open), so it is not known when it ended
    none of these yet                 `watching`

Rows are deleted when the evaluation that wrote them is pruned, and their counts with them. All of
this is working state and no entry of the chain: what a rule would have done is in the log itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update

from responder.model import STOPPED, Outcome, Unknown
from responder.store.database.tables import WATCHING, decisions, insert, shadow_figures, watched

State = Literal["watching", "ended", "running", "stopped", "untold"]

LOOKS = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=23, minutes=45))
DAY = timedelta(days=1)
AGAIN = timedelta(minutes=15)
GIVE_UP_AFTER = timedelta(days=3)
AT_ONCE = 50  # one request's worth of questions

_STOPS = (*STOPPED, Outcome.IN_DOUBT)
_SETTLED: tuple[State, ...] = ("ended", "running", "stopped", "untold")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The would-kills of one rule, in one portal or in all.

    `workflows` is how many it would have killed or terminated, each counted once, `documents` on
    how many documents. `ended` of them ended by themselves within a day, `running` did not;
    `stopped` were stopped by this program meanwhile, and of `untold` it is not known. The `rest` is
    younger than a day. `since` and `until` are the instants of the first and the last.
    """

    rule: str
    workflows: int
    documents: int
    ended: int
    running: int
    stopped: int
    untold: int
    since: datetime
    until: datetime

    @property
    def told(self) -> int:
        """The number of workflows known either to have ended by themselves within a day, or not."""
        return self.ended + self.running

    @property
    def rest(self) -> int:
        """The number of workflows that are still watched."""
        return self.workflows - self.told - self.stopped - self.untold

    def sentence(self, done: str = "killed") -> str:
        """Return the figures in plain English; `done` is what the rule would have done."""
        documents = "1 document" if self.documents == 1 else f"{self.documents:,} documents"
        parts = [f"would have {done} {self.workflows:,} on {documents}"]
        if self.told:
            parts.append(
                f"{self.ended:,} of {self.told:,} that can be told ended by themselves within a day"
            )
        if self.rest:
            parts.append(f"{self.rest:,} cannot be told before a day is over")
        if self.stopped:
            parts.append(f"{self.stopped:,} were stopped by this program meanwhile")
        if self.untold:
            parts.append(f"of {self.untold:,} nobody looked in time")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A workflow that a rule would have stopped, and that is still looked for."""

    rule: str
    workflow_id: str
    at: datetime


@dataclass(slots=True)
class _Counts:
    """Changes of the counters, by rule and column."""

    changes: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, rule: str, column: str, number: int = 1) -> None:
        of_rule = self.changes.setdefault(rule, {})
        of_rule[column] = of_rule.get(column, 0) + number

    def write(self, tx: Connection, portal: str) -> None:
        for rule, changes in self.changes.items():
            begun = insert(tx, shadow_figures).values(portal=portal, rule=rule)
            tx.execute(begun.on_conflict_do_nothing())
            columns = {name: shadow_figures.c[name] + number for name, number in changes.items()}
            tx.execute(
                update(shadow_figures)
                .where(shadow_figures.c.portal == portal, shadow_figures.c.rule == rule)
                .values(**columns)
            )


def figures(conn: Connection, portal: str | None = None) -> dict[str, Figures]:
    """Return by rule id what rules would have done, in one portal or summed over all."""
    counters = ("workflows", "documents", *_SETTLED)
    of_portal = [] if portal is None else [shadow_figures.c.portal == portal]
    found = conn.execute(
        select(
            shadow_figures.c.rule,
            *(func.sum(shadow_figures.c[name]).label(name) for name in counters),
            func.min(_at(func.min(watched.c.at))).label("since"),
            func.max(_at(func.max(watched.c.at))).label("until"),
        )
        .where(shadow_figures.c.workflows > 0, *of_portal)
        .group_by(shadow_figures.c.rule)
        .order_by(shadow_figures.c.rule)
    )
    return {
        row.rule: Figures(
            rule=row.rule,
            since=row.since,
            until=row.until,
            **{name: int(row._mapping[name]) for name in counters},
        )
        for row in found
    }


def watch(
    tx: Connection,
    portal: str,
    seq: int,
    document: str,
    condemned: Iterable[tuple[str, str]],
    at: datetime,
) -> None:
    """Add what rules would have stopped on a document, (rule, workflow) pairs, to the watch list.

    `seq` is the evaluation's number. A pair that is on the list already is not added.
    """
    counts = _Counts()
    for rule, workflow_id in condemned:
        if _is_there(tx, portal, rule, watched.c.workflow_id == workflow_id):
            continue
        known = _is_there(tx, portal, rule, watched.c.document == document)
        row = {"portal": portal, "rule": rule, "workflow_id": workflow_id, "seq": seq}
        row |= {"document": document, "at": at, "state": "watching", "look_at": at + LOOKS[0]}
        tx.execute(watched.insert(), row)
        counts.add(rule, "workflows")
        counts.add(rule, "documents", int(not known))
    counts.write(tx, portal)


def due(conn: Connection, portal: str, now: datetime) -> list[Watched]:
    """Return what is to be looked for now, the longest due first, one request's worth at most."""
    found = conn.execute(
        select(watched.c.rule, watched.c.workflow_id, watched.c.at)
        .where(watched.c.portal == portal, watched.c.look_at <= now, WATCHING)
        .order_by(watched.c.look_at, watched.c.workflow_id)
        .limit(AT_ONCE)
    )
    return [Watched(rule=row.rule, workflow_id=row.workflow_id, at=row.at) for row in found]


def record_look(
    tx: Connection,
    portal: str,
    looked_for: Sequence[Watched],
    rows: Mapping[str, object],
    now: datetime,
) -> None:
    """Write what a look found: by id a row, None where it is gone, `Unknown` where not readable."""
    stopped = _stopped(tx, portal, [one.workflow_id for one in looked_for])
    counts = _Counts()
    for one in looked_for:
        state = _state(one, rows[one.workflow_id], now, stopped=one.workflow_id in stopped)
        look_at = None if state in _SETTLED else _next_look(one.at, now)
        changed = tx.execute(
            update(watched)
            .where(_of(portal, one.rule), watched.c.workflow_id == one.workflow_id, WATCHING)
            .values(state=state, look_at=look_at, ended_at=now if state == "ended" else None)
        ).rowcount
        if changed and state in _SETTLED:
            counts.add(one.rule, state)
    counts.write(tx, portal)


def forget(tx: Connection, portal: str, through: int) -> None:
    """Delete the would-kills of evaluations up to this number, which are pruned."""
    old = and_(watched.c.portal == portal, watched.c.seq <= through)
    counts = _Counts()
    documents: dict[str, set[str]] = {}
    for row in tx.execute(select(watched.c.rule, watched.c.document, watched.c.state).where(old)):
        counts.add(row.rule, "workflows", -1)
        if row.state in _SETTLED:
            counts.add(row.rule, row.state, -1)
        documents.setdefault(row.rule, set()).add(row.document)
    tx.execute(delete(watched).where(old))
    for rule, names in documents.items():
        still_there = set(
            tx.execute(
                select(watched.c.document)
                .where(_of(portal, rule), watched.c.document.in_(sorted(names)))
                .distinct()
            ).scalars()
        )
        counts.add(rule, "documents", len(still_there) - len(names))
    counts.write(tx, portal)


def _at(first_or_last: ColumnElement[datetime]) -> ColumnElement[datetime]:
    """Return the SQL for the instant of the rule's first, or last, would-kill."""
    of_rule = (watched.c.portal == shadow_figures.c.portal, watched.c.rule == shadow_figures.c.rule)
    return select(first_or_last).where(*of_rule).scalar_subquery()


def _of(portal: str, rule: str) -> ColumnElement[bool]:
    return and_(watched.c.portal == portal, watched.c.rule == rule)


def _is_there(conn: Connection, portal: str, rule: str, which: ColumnElement[bool]) -> bool:
    query = select(watched.c.seq).where(_of(portal, rule), which).limit(1)
    return conn.execute(query).first() is not None


def _stopped(conn: Connection, portal: str, workflow_ids: Sequence[str]) -> set[str]:
    """Return those of these workflows that this program has stopped, or is about to."""
    found = conn.execute(
        select(decisions.c.workflow_id).where(
            decisions.c.portal == portal,
            decisions.c.workflow_id.in_(sorted(set(workflow_ids))),
            decisions.c.outcome.in_(_STOPS),
        )
    )
    return set(found.scalars())


def _state(one: Watched, row: object, now: datetime, *, stopped: bool) -> State:
    within = now <= one.at + DAY
    if stopped:
        return "stopped"
    if isinstance(row, Unknown):
        return "watching" if now < one.at + GIVE_UP_AFTER else "untold"
    if row is None:
        return "ended" if within else "untold"
    return "watching" if now < one.at + LOOKS[-1] else "running"


def _next_look(at: datetime, now: datetime) -> datetime:
    """Return the instant of the next look: the next in `LOOKS`, or, after the last, soon."""
    return next((at + length for length in LOOKS if at + length > now), now + AGAIN)
