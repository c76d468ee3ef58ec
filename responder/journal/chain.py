"""Appends immutable entries to a portal's chain, and defines the form in which they are hashed.

Each portal has one chain. Its entries are numbered 1, 2, 3 … without a gap; each is hashed together
with the hash of the one before, and `chains` holds the number and the hash of the last. To check a
chain without this program, take its entries in order and compute for each the SHA-256, in lower
case hexadecimal, of these seven lines joined by one line feed (no line feed at the end):

    responder-entry-1
    <hash of the entry before; sixty-four zeros for the first>
    <portal>
    <seq, decimal>
    <kind>
    <at, microseconds since 1970-01-01T00:00:00Z, decimal>
    <body, exactly as the column holds it>

It must equal the column `hash`. A body is canonical JSON: keys sorted, no spaces, everything but
ASCII escaped, so that it is one line and the same bytes in every database.

Evidence (facts, values, the facts of workflows) is no part of a body. It stands in the table
`evidence` under the same portal and number, with a random salt, and the body's key `evidence` holds
the SHA-256, in hexadecimal, of the line `<salt>` + line feed + `<content>`. So evidence can be
erased, and the chain still holds; nobody can guess from the digest what was erased. Erased evidence
leaves its row, with an empty salt and the content `{"erased":<n>}`: entry n, of the kind `control`,
has in its body `"control":"erase"`, who erased (`by`), which decision (`decision`) and the numbers
of all entries that lost their evidence (`entries`). Evidence that is missing without such an entry
was removed by somebody else.

The oldest entries are pruned. Then an entry of the kind `prune` is appended, whose body names the
number (`through`) and the hash (`hash`) of the last entry that was removed, the instant before
which all of them were written (`before`), and how many days were kept (`days`, which older versions
did not write). Where a chain does not begin with 1, its newest `prune` entry has the hash that
comes before its first. How a prune proves that it removed nothing younger is described in
`checkpoint_marks`.

A chain proves that nothing was changed within it. That its tail was cut off, or all of it written
anew, shows only by a checkpoint (portal, number, hash of the head) that was kept elsewhere.
"""

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, bindparam, select, update

from responder.store.canonical_json import canonical
from responder.store.database.columns import micros
from responder.store.database.many_rows import RowInsert
from responder.store.database.tables import chains, entries, evidence, insert

Kind = Literal["evaluation", "intent", "outcome", "verified", "control", "sweep", "prune"]

GENESIS = "0" * 64
_FORM = "responder-entry-1"

# Built once: building such a statement takes several times as long as carrying it out.
_OF = chains.c.portal == bindparam("of")
_HEAD = select(chains.c.hash, chains.c.seq).where(_OF).with_for_update()
_ADVANCE = update(chains).where(_OF)
_ENTRIES = RowInsert(entries)
_EVIDENCE = RowInsert(evidence)

_GATHERING = "responder.chain.gathering"  # where a connection keeps what `gathered` gathers


def entry_hash(previous: str, portal: str, seq: int, kind: str, at: datetime, body: str) -> str:
    """Return the hash of an entry, in the form that this module's docstring gives."""
    lines = (_FORM, previous, portal, str(seq), kind, str(micros(at)), body)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def evidence_digest(salt: str, content: str) -> str:
    """Return the digest of evidence with its salt."""
    return hashlib.sha256(f"{salt}\n{content}".encode()).hexdigest()


def append(
    tx: Connection,
    portal: str,
    kind: Kind,
    at: datetime,
    body: Mapping[str, object],
    content: object = None,
) -> int:
    """Append an entry and its evidence; return the entry's number.

    The head of the chain stays locked until the transaction ends, so that numbers have no gaps.
    Within `gathered` the entry is written at the end of that block.
    """
    gathering = tx.info.get(_GATHERING)
    if isinstance(gathering, _Gathering):
        return gathering.of(tx, portal).append(kind, at, body, content)
    ends = _Ends(portal, *_head(tx, portal))
    seq = ends.append(kind, at, body, content)
    ends.write(tx)
    return seq


@contextmanager
def gathered(tx: Connection) -> Iterator[None]:
    """Write all entries that are appended within the block at its end, in four statements.

    Nothing within the block may read them back. Where it raises, nothing is written.
    """
    # Written one by one, entries take most of a storm's time, and deliveries wait meanwhile.
    gathering = tx.info[_GATHERING] = _Gathering()
    try:
        yield
        gathering.write(tx)
    finally:
        del tx.info[_GATHERING]


class _Ends:
    """The new end of a chain: entries that follow its head, and are not written yet."""

    def __init__(self, portal: str, previous: str, seq: int) -> None:
        self._portal = portal
        self._previous = previous
        self._seq = seq
        self._entries: list[dict[str, object]] = []
        self._evidence: list[dict[str, object]] = []

    def append(self, kind: Kind, at: datetime, body: Mapping[str, object], content: object) -> int:
        """Add an entry; return its number."""
        self._seq += 1
        of = {"portal": self._portal, "seq": self._seq}
        written = dict(body)
        if content is not None:
            salt, text = secrets.token_hex(16), canonical(content)
            written["evidence"] = evidence_digest(salt, text)
            self._evidence.append({**of, "salt": salt, "content": text})
        text = canonical(written)
        self._previous = entry_hash(self._previous, self._portal, self._seq, kind, at, text)
        entry = {**of, "kind": kind, "at": at, "body": text, "hash": self._previous}
        self._entries.append(entry)
        return self._seq

    def write(self, tx: Connection) -> None:
        """Write the entries, and the new head; nothing where none was added."""
        if not self._entries:
            return
        _ENTRIES.run(tx, self._entries)
        _EVIDENCE.run(tx, self._evidence)
        tx.execute(_ADVANCE, {"of": self._portal, "seq": self._seq, "hash": self._previous})


class _Gathering:
    """The ends of the chains to which something was appended within a block."""

    def __init__(self) -> None:
        self._ends: dict[str, _Ends] = {}

    def of(self, tx: Connection, portal: str) -> _Ends:
        """Return the new end of a portal's chain; lock the chain's head the first time."""
        if portal not in self._ends:
            self._ends[portal] = _Ends(portal, *_head(tx, portal))
        return self._ends[portal]

    def write(self, tx: Connection) -> None:
        """Write the new ends of all chains."""
        for ends in self._ends.values():
            ends.write(tx)


def heads(conn: Connection) -> dict[str, int]:
    """Return the number of each chain's last entry."""
    found = conn.execute(select(chains.c.portal, chains.c.seq))
    return {row.portal: row.seq for row in found}


def lock(tx: Connection, portal: str) -> None:
    """Lock the head of a chain until the transaction ends; do this before any other lock."""
    gathering = tx.info.get(_GATHERING)
    if isinstance(gathering, _Gathering):
        gathering.of(tx, portal)
    else:
        _head(tx, portal)


def _head(tx: Connection, portal: str) -> tuple[str, int]:
    found = tx.execute(_HEAD, {"of": portal}).one_or_none()
    if found is None:
        begin = insert(tx, chains).values(portal=portal, seq=0, hash=GENESIS)
        tx.execute(begin.on_conflict_do_nothing())
        found = tx.execute(_HEAD, {"of": portal}).one()
    return found.hash, found.seq
