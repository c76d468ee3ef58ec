"""Holds the working state against the log: the rows by which calls are made, or held back.

What the entries say is gathered in `replay`. A row that no entry bears out is named, and so is one
that an entry says must be there. Where the log was pruned, the entry of a row that old is gone.

Whatever changes such a row appends its entry in the same transaction, so the two agree at any
moment. Each check here is one short read, which takes in first what was appended since the entries
were gone through.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from responder.journal.approval_proof import approval_of
from responder.journal.audit.differences import Difference, Differences
from responder.journal.audit.replay import Act, Replay, says
from responder.journal.chain_ends import End, snapshot
from responder.store import limits, rulesets
from responder.store.database.columns import clean
from responder.store.database.tables import ACTING, IN_A_SET, approvals, decisions, rearms, trips
from responder.store.decision_ids import place_of

_MILLISECOND = timedelta(milliseconds=1)  # what a prune names is cut to those
_CLOCKS_DIFFER = timedelta(hours=1)
_OF_A_SET = timedelta(days=31)  # between what was condemned together, or let go together


def settle(conn: Connection, portal: str, replay: Replay) -> None:
    """Hold a portal's rows against what its entries said, and note what differs."""
    snapshot(conn)
    replay.catch_up(conn, portal)
    replay.end()
    _rulesets(conn, replay)
    _approvals(conn, replay)
    _trips(conn, portal, replay)
    _rearms(conn, portal, replay)
    _sets(conn, portal, replay)


def pause(conn: Connection, replays: Mapping[str, Replay]) -> list[Difference]:
    """Hold the pause against the entries of all portals.

    One that was added later has no entry of it, and one that was taken away none of its end.
    """
    snapshot(conn)
    for portal, replay in replays.items():
        replay.catch_up(conn, portal)
    row = limits.paused(conn)
    differs = Differences()
    if row is None:
        for portal, act in _lasting(replays).items():
            why = f"{portal}-{act.seq} says that everything is paused, and nothing is"
            differs.add("pause", f"by {act.body['by']}", why)
    elif not any(_is_it(act, *row) for act in _lasting(replays).values()):
        at, by = row
        if not any(_is_pruned(replay.base, at) for replay in replays.values()):
            differs.add("pause", f"by {by}", "no entry tells of it")
    return differs.named


def _lasting(replays: Mapping[str, Replay]) -> dict[str, Act]:
    """Return the pauses by portal that no entry of any portal has ended."""
    over = [one.resume.at for one in replays.values() if one.resume and one.pause is None]
    return {
        portal: replay.pause
        for portal, replay in replays.items()
        if replay.pause and not any(at + _CLOCKS_DIFFER >= replay.pause.at for at in over)
    }


def _is_it(act: Act, at: datetime, by: str) -> bool:
    return (act.at, clean(act.body["by"])) == (at, by)


def _rulesets(conn: Connection, replay: Replay) -> None:
    for revision in sorted(replay.rulesets):
        if not rulesets.matching(conn, revision):
            why = "decisions were made by it, and its text is not kept"
            replay.differs.add("ruleset", revision, why)


def _approvals(conn: Connection, replay: Replay) -> None:
    """Look again at what was approved, for its row may have been read before that."""
    for name, act in replay.unproved.items():
        place = place_of(name)
        if place is None or place[1] <= replay.base.seq:
            continue
        portal, seq, n = place
        query = select(approvals).where(
            approvals.c.portal == portal, approvals.c.seq == seq, approvals.c.n == n
        )
        row = conn.execute(query).one_or_none()
        if row is None or not says(act, name, approval_of(row)):
            why = f"entry {act.seq} says that {act.body['by']} gave it, and its row does not"
            replay.differs.add("approval", name, why)


def _trips(conn: Connection, portal: str, replay: Replay) -> None:
    acts = dict(replay.trips)
    for row in conn.execute(select(trips).where(trips.c.portal == portal)):
        act = acts.pop(row.rule, None)
        told = None if act is None else (act.at, clean(act.body["why"]))
        _hold("trip", row.rule, act, replay, row.at, borne_out=told == (row.at, row.why))
    _missing("trip", acts, replay.differs)


def _rearms(conn: Connection, portal: str, replay: Replay) -> None:
    """Hold what was forgiven against its entry: nothing that came after it."""
    acts = dict(replay.rearms)
    for row in conn.execute(select(rearms).where(rearms.c.portal == portal)):
        act = acts.pop(row.rule, None)
        borne_out = act is not None and act.at == row.at and row.seq < act.seq
        _hold("rearm", row.rule, act, replay, row.at, borne_out=borne_out)
    _missing("rearm", acts, replay.differs)


def _hold(
    kind: str, rule: str, act: Act | None, replay: Replay, at: datetime, *, borne_out: bool
) -> None:
    """Note a row that its entry does not bear out, or that has none."""
    if act is None and not _is_pruned(replay.base, at):
        replay.differs.add(kind, rule, "no entry tells of it")
    elif act is not None and not borne_out:
        replay.differs.add(kind, rule, f"entry {act.seq} says another thing of it")


def _missing(kind: str, acts: Mapping[str, Act], differs: Differences) -> None:
    for rule, act in acts.items():
        differs.add(kind, rule, f"entry {act.seq} tells of it, and its row is not there")


def _sets(conn: Connection, portal: str, replay: Replay) -> None:
    """Hold sets that are said to have begun, so that no limit stops them, against the calls."""
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
            why = f"it is said to have begun, and no call was made in it by rule {rule}"
            replay.differs.add("set", str(name), why)


def _is_pruned(base: End, at: datetime) -> bool:
    """Tell whether an entry of this time may have been pruned."""
    return base.pruning is not None and at < base.pruning.before + _MILLISECOND
