"""Checks what no chain covers: the texts of rulesets, and the SQLite file itself.

A byte of the file may be changed where there is no entry: in an index, which then gives other
answers than the table. SQLite finds that by reading the whole file.
"""

from sqlalchemy import Connection, select

from responder.journal.audit.inspection import Inspection
from responder.journal.audit.verify import Verified
from responder.journal.chain_ends import Readable, portals
from responder.rules.revision import revision_of, shown
from responder.store.database.database import Database
from responder.store.database.engines import StoreUnavailable
from responder.store.database.tables import rulesets

_MOST = 10


def check_log(database: Readable) -> tuple[list[Verified], list[str]]:
    """Check each portal's chain and rows, and all rulesets; return the chains and what is wrong."""
    named = database.read(portals)
    inspection = Inspection(database, named)
    chains = [inspection.of(portal) for portal in named]
    return chains, [
        *(f"{one.portal}-{one.bad.seq}: {one.bad.why}" for one in chains if one.bad),
        *(f"{one.portal}: {differs}" for one in chains for differs in one.differs),
        *map(str, inspection.of_all()),
        *(f"the kept text of ruleset {one} was changed" for one in changed_rulesets(database)),
    ]


def changed_rulesets(database: Readable) -> list[str]:
    """Return the revisions whose stored text has another digest."""
    return [name for name in database.read(_revisions) if not _is_named(database, name)]


def _is_named(database: Readable, revision: str) -> bool:
    """Return whether a text's digest is its revision, whole or shortened as in older versions."""
    kept = select(rulesets.c.text).where(rulesets.c.revision == revision)
    text = database.read(lambda conn: conn.execute(kept).scalar()) or ""
    whole = revision_of(text.encode())
    return revision in (whole, shown(whole))


def _revisions(conn: Connection) -> list[str]:
    return list(conn.execute(select(rulesets.c.revision)).scalars())


def damage(database: Database) -> list[str] | None:
    """Return what is wrong with a SQLite file; None where it was not checked.

    The check is one long read. A write-ahead log lets others commit meanwhile; a rollback journal
    does not, so there the file is not checked.
    """
    return integrity(database) if database.journal_mode == "wal" else None


def integrity(database: Database) -> list[str]:
    """Return what is wrong with a SQLite file. Others cannot commit meanwhile without a WAL."""
    statement = f"PRAGMA integrity_check({_MOST})"
    try:
        found = database.read(lambda conn: list(conn.exec_driver_sql(statement).scalars()))
    except StoreUnavailable as error:
        return [str(error)]
    return [str(line) for line in found if line != "ok"]
