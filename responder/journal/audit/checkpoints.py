"""Makes checkpoints and exports of a log for an auditor to keep, and parses checkpoints again.

A checkpoint is the number, the hash and the instant of each chain's last entry. Kept elsewhere, it
proves later that nothing up to it was rewritten, cut off or pruned too early (`verify`,
`checkpoint_marks`).
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection, and_, select
from sqlalchemy import Row as Record

from responder.journal.audit.checkpoint_marks import Mark
from responder.journal.chain_ends import BadEntry, base_of, head_of, instant_of, portals, snapshot
from responder.store.canonical_json import instant_text
from responder.store.database.columns import micros
from responder.store.database.database import Database
from responder.store.database.tables import entries, evidence

_PAGE = 100
_HASH_LENGTH = 64
_MOST_LINES = 10_000


class Moved(Exception):  # noqa: N818 -- it says a state, not a mistake
    """A state: entries that were to be read were pruned, or are missing."""


def checkpoint(conn: Connection, at: datetime) -> dict[str, object]:
    """Return the number, the hash and the instant of each chain's last entry, for JSON."""
    return {
        "checkpoint": 1,
        "at": instant_text(at),
        "portals": {portal: _head(conn, portal) for portal in portals(conn)},
    }


def _head(conn: Connection, portal: str) -> dict[str, object]:
    head = head_of(conn, portal)
    written_at = instant_of(conn, portal, head.seq)
    found = {"seq": head.seq, "hash": head.hash}
    return found if written_at is None else {**found, "at": instant_text(written_at)}


def marks(lines: Iterable[str]) -> dict[str, dict[int, Mark]]:
    """Parse all checkpoints in these lines; return their marks, by portal and number.

    They may be mixed with other lines, as in the service's log; a single one may be spread over
    several lines. Raise ValueError where there is none, or where two of them contradict each other.
    """
    found: dict[str, dict[int, Mark]] = {}
    spread: list[str] = []
    for line in lines:
        for mark in _marks_of(line):
            _add(found, *mark)
        if not found and len(spread) < _MOST_LINES:
            spread.append(line)
    if not found:
        for mark in _marks_of("".join(spread)):
            _add(found, *mark)
    if not found:
        raise ValueError("there is none in it")
    return found


def _add(found: dict[str, dict[int, Mark]], portal: str, seq: int, mark: Mark) -> None:
    """Add a mark. Of two marks of one entry, one with an instant is kept, else the earlier one."""
    known = found.setdefault(portal, {}).setdefault(seq, mark)
    if known.hash != mark.hash:
        raise ValueError(f"entry {portal}-{seq} has two hashes in it")
    if None not in (known.at, mark.at) and known.at != mark.at:
        raise ValueError(f"entry {portal}-{seq} has two instants in it")
    if known.at is None and mark.at is not None:
        found[portal][seq] = mark


def export(database: Database, portal: str) -> Iterator[dict[str, object]]:
    """Yield a portal's entries with their evidence: all that another verifier needs.

    Entries that are appended meanwhile are left out. Raise Moved where an entry is missing.
    """
    base = base_of(database, portal)
    if isinstance(base, BadEntry):
        raise Moved(f"{portal}-{base.seq}: {base.why}")
    seq, last = base.seq, database.read(partial(head_of, portal=portal)).seq
    while seq < last:
        page = database.read(partial(_page, portal=portal, after=seq, last=last))
        for entry in page:
            if entry.seq != seq + 1:
                break
            yield _exported(entry)
            seq = entry.seq
        if not page or seq != page[-1].seq:
            raise Moved(f"{portal}-{seq + 1}: the entry is missing")


def _page(conn: Connection, portal: str, after: int, last: int) -> list[Record[tuple[object, ...]]]:
    snapshot(conn)
    same = and_(evidence.c.portal == entries.c.portal, evidence.c.seq == entries.c.seq)
    query = (
        select(entries, evidence.c.salt, evidence.c.content)
        .outerjoin(evidence, same)
        .where(entries.c.portal == portal, entries.c.seq > after, entries.c.seq <= last)
        .order_by(entries.c.seq)
        .limit(_PAGE)
    )
    return list(conn.execute(query))


def _exported(entry: Record[tuple[object, ...]]) -> dict[str, object]:
    proof = None if entry.salt is None else {"salt": entry.salt, "content": entry.content}
    return {
        "portal": entry.portal,
        "seq": entry.seq,
        "kind": entry.kind,
        "at": micros(entry.at),
        "body": entry.body,
        "hash": entry.hash,
        "evidence": proof,
    }


def _marks_of(line: str) -> Iterator[tuple[str, int, Mark]]:
    try:
        parsed = json.loads(line)
    except ValueError:
        return
    named = parsed.get("portals") if isinstance(parsed, dict) else None
    if not isinstance(named, dict):
        return
    for portal, head in named.items():
        if isinstance(head, dict) and {"seq", "hash"} <= head.keys():
            yield portal, *_mark(portal, head, parsed.get("at"))


def _mark(portal: str, head: dict[str, object], made_at: object) -> tuple[int, Mark]:
    seq, digest = head["seq"], head["hash"]
    if isinstance(seq, bool) or not isinstance(seq, int) or seq < 0:
        raise ValueError(f"it has no number for {portal}")
    if not isinstance(digest, str) or len(digest) != _HASH_LENGTH:
        raise ValueError(f"it has no hash for {portal}")
    return seq, Mark(digest, at=_instant(portal, head.get("at")), by=_instant(portal, made_at))


def _instant(portal: str, value: object) -> datetime | None:
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"it has a time for {portal} that is none") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
