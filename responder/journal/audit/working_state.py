"""Compares the working state with the log: the rows by which calls are made, or held back.

`replay` has gathered what the entries say. A row that no entry bears out is reported, and so is a
row that must exist by an entry and does not. Where the log was pruned, the entry of an old row is
gone.

Whatever changes such a row appends its entry in the same transaction, so the two agree at any
moment. Each check here is one short read, which first processes the entries that were appended
since the chain was read.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from responder.journal.approval_proof import approval_of
from responder.journal.audit.differences import Difference, Differences
from responder.journal.audit.replay import ControlEntry, Replay, records_approval
from responder.journal.chain_ends import End, snapshot
from responder.store import limits, rulesets
from responder.store.database.columns import clean
from responder.store.database.tables import ACTING, IN_A_SET, approvals, decisions, rearms, trips
from responder.store.decision_ids import place_of

_MILLISECOND = timedelta(milliseconds=1)  # what a prune names is cut to those
_CLOCKS_DIFFER = timedelta(hours=1)
_OF_A_SET = timedelta(days=31)  # at most between the oldest and the newest stop of one set


def settle(conn: Connection, portal: str, replay: Replay) -> None:
    """Compare a portal's rows with what its entries said, and record the differences."""
    snapshot(conn)
    replay.catch_up(conn, portal)
    replay.end()
    _rulesets(conn, replay)
    _approvals(conn, replay)
    _trips(conn, portal, replay)
    _rearms(conn, portal, replay)
    _sets(conn, portal, replay)
    replay.restarts.compare(conn, portal, replay.differs)


def pause(conn: Connection, replays: Mapping[str, Replay]) -> list[Difference]:
    """Return how the pause differs from the entries of all portals.

    A portal that was added after the pause has no entry of it, and one that was removed none of its
    end.
    """
    snapshot(conn)
    for portal, replay in replays.items():
        replay.catch_up(conn, portal)
    row = limits.paused(conn)
    differs = Differences()
    if row is None:
        for portal, act in _lasting(replays).items():
            why = f"{portal}-{act.seq} records a pause, but nothing is paused"
            differs.add("pause", f"by {act.body['by']}", why)
    elif not any(_is_it(act, *row) for act in _lasting(replays).values()):
        at, by = row
        if not any(_is_pruned(replay.base, at) for replay in replays.values()):
            differs.add("pause", f"by {by}", "no entry records it")
    return differs.named


def _lasting(replays: Mapping[str, Replay]) -> dict[str, ControlEntry]:
    """Return, by portal, the pauses that no entry of any portal has ended."""
    over = [one.resume.at for one in replays.values() if one.resume and one.pause is None]
    return {
        portal: replay.pause
        for portal, replay in replays.items()
        if replay.pause and not any(at + _CLOCKS_DIFFER >= replay.pause.at for at in over)
    }


def _is_it(act: ControlEntry, at: datetime, by: str) -> bool:
    return (act.at, clean(act.body["by"])) == (at, by)


def _rulesets(conn: Connection, replay: Replay) -> None:
    for revision in sorted(replay.rulesets):
        if not rulesets.matching(conn, revision):
            why = "decisions were made by it, but its text is missing"
            replay.differs.add("ruleset", revision, why)


def _approvals(conn: Connection, replay: Replay) -> None:
    """Compare approvals again, since their rows may have been read before they were approved."""
    for name, act in replay.unproved.items():
        place = place_of(name)
        if place is None or place[1] <= replay.base.seq:
            continue
        portal, seq, n = place
        query = select(approvals).where(
            approvals.c.portal == portal, approvals.c.seq == seq, approvals.c.n == n
        )
        row = conn.execute(query).one_or_none()
        if row is None or not records_approval(act, name, approval_of(row)):
            why = f"entry {act.seq} says that {act.body['by']} gave it, but its row does not"
            replay.differs.add("approval", name, why)


def _trips(conn: Connection, portal: str, replay: Replay) -> None:
    acts = dict(replay.trips)
    for row in conn.execute(select(trips).where(trips.c.portal == portal)):
        act = acts.pop(row.rule, None)
        recorded = None if act is None else (act.at, clean(act.body["why"]))
        _compare("trip", row.rule, act, replay, row.at, borne_out=recorded == (row.at, row.why))
    _missing("trip", acts, replay.differs)


def _rearms(conn: Connection, portal: str, replay: Replay) -> None:
    """Compare rearms with their entries: a row may not forgive what came after its entry."""
    acts = dict(replay.rearms)
    for row in conn.execute(select(rearms).where(rearms.c.portal == portal)):
        act = acts.pop(row.rule, None)
        borne_out = act is not None and act.at == row.at and row.seq < act.seq
        _compare("rearm", row.rule, act, replay, row.at, borne_out=borne_out)
    _missing("rearm", acts, replay.differs)


def _compare(
    kind: str, rule: str, act: ControlEntry | None, replay: Replay, at: datetime, *, borne_out: bool
) -> None:
    """Record a row that differs from its entry, or that has none."""
    if act is None and not _is_pruned(replay.base, at):
        replay.differs.add(kind, rule, "no entry records it")
    elif act is not None and not borne_out:
        replay.differs.add(kind, rule, f"entry {act.seq} says otherwise")


def _missing(kind: str, acts: Mapping[str, ControlEntry], differs: Differences) -> None:
    for rule, act in acts.items():
        differs.add(kind, rule, f"entry {act.seq} records it, but its row is missing")


def _sets(conn: Connection, portal: str, replay: Replay) -> None:
    """Compare sets that are marked as begun, so that no limit stops them, with the calls."""
    begun = (decisions.c.portal == portal, ACTING, decisions.c.begun.is_(True))
    of_set = (decisions.c.rule, decisions.c.set_name)
    found = conn.execute(select(*of_set, func.max(decisions.c.at)).where(*begun).group_by(*of_set))
    for rule, name, newest in found:
        called = select(decisions.c.seq).where(
            decisions.c.portal == portal,
            IN_A_SET,
            decisions.c.set_name == name,
            decisions.c.rule == rule,
            decisions.c.calls > 0,
        )
        was_called = name is not None and conn.execute(called.limit(1)).first() is not None
        if not was_called and not _is_pruned(replay.base, newest - _OF_A_SET):
            why = f"it is marked as begun, but rule {rule} made no call in it"
            replay.differs.add("set", str(name), why)


def _is_pruned(base: End, at: datetime) -> bool:
    """Return whether an entry of this time may have been pruned."""
    return base.pruning is not None and at < base.pruning.before + _MILLISECOND
