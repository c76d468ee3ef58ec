"""Copies a SQLite log while it is served: as of one instant, verified, and complete or not at all.

SQLite itself copies the file, some pages at a time. With a write-ahead log, a read transaction
holds the instant meanwhile, and nobody waits. With a rollback journal such a reader would block
whoever commits; so there is a rest after each step, and when others have written in it, SQLite
begins again.

The copy has another name in the same folder. It is renamed only once it was read back and verified:
the file by SQLite's own check, each portal's chain by the auditor's, and no chain may end earlier
than it did when the copy was begun.
"""

import contextlib
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from responder.journal.audit.integrity import check_log, integrity
from responder.journal.audit.verify import Verified
from responder.journal.chain import heads
from responder.store.database import engines
from responder.store.database.database import Database
from responder.store.database.engines import DatabaseError

_PAGES = 1_000  # 4 MB: copied in some milliseconds
_REST_SECONDS = 0.02
_MOST_RESTARTS = 50
_BESIDE = ("", "-wal", "-shm", "-journal")


class NotCopied(Exception):  # noqa: N818 -- it says what is wrong with the question
    """A refusal: the log cannot be copied, or not to that place. No file was left there."""


class NotWhole(Exception):  # noqa: N818 -- it says a state, not a mistake
    """A state: the copied log does not verify. No file was left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """The result of a copy: its size, each portal's chain, and what of the log does not verify.

    `chains` is None where the log is of an older version, whose chains were not checked.
    """

    bytes: int
    chains: Sequence[Verified] | None
    wrong: Sequence[str]


def backup(database: Database, file: Path, *, broken_too: bool = False) -> Copied:
    """Copy an open SQLite database to a path where nothing exists yet.

    With `broken_too`, a log that does not verify is copied as it is. Raise NotCopied or NotWhole;
    then there is no file.
    """
    must_be_free(file)
    before = database.read(heads)
    try:
        with _under_another_name(file) as partial:
            _copy(database, partial)
            copied = _checked(partial, before)
            if copied.wrong and not broken_too:
                raise NotWhole("\n".join(copied.wrong))
            _give_name(partial, file)
    except OSError as error:
        raise NotCopied(f"{file} cannot be written: {error.strerror}") from None
    return copied


def must_be_free(file: Path) -> None:
    """Raise NotCopied where the file exists, or one that SQLite would read as a part of it."""
    for ending in _BESIDE:
        beside = file.with_name(file.name + ending)
        if os.path.lexists(beside):
            raise NotCopied(f"{beside} is there already")


@contextmanager
def _under_another_name(file: Path) -> Iterator[Path]:
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}.partial")
    engines.create_private_file(partial)
    try:
        yield partial
    finally:
        for ending in _BESIDE:
            partial.with_name(partial.name + ending).unlink(missing_ok=True)


def _copy(database: Database, partial: Path) -> None:
    module = engines.sqlite_module()
    lent = database.writer.raw_connection()
    try:
        source: Any = lent.driver_connection
        with closing(module.connect(partial)) as target:
            if database.journal_mode == "wal":
                source.execute("BEGIN")
                source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            source.backup(target, pages=_PAGES, progress=_Room(database.journal_mode != "wal"))
    except module.Error as error:
        raise NotCopied(f"copying failed: {error}") from None
    finally:
        lent.invalidate()


class _Room:
    """The callback of each step of the copy, which leaves others time to commit."""

    def __init__(self, others_wait: bool) -> None:  # noqa: FBT001
        self._others_wait = others_wait
        self._left: int | None = None
        self._restarts = 0

    def __call__(self, _status: int, left: int, _total: int) -> None:
        """Rest, if others wait; raise NotCopied where the copy has begun again too often."""
        if not self._others_wait:
            return
        self._restarts += self._left is not None and left > self._left
        self._left = left
        if self._restarts > _MOST_RESTARTS:
            raise NotCopied(
                "the log is written to all the time: stop the service while it is copied"
            )
        time.sleep(_REST_SECONDS)


def _checked(partial: Path, before: dict[str, int]) -> Copied:
    """Return the result of reading the copy back."""
    copy = Database(URL.create("sqlite", database=str(partial)))
    try:
        with closing(copy):
            copy.open()
            wrong = [f"the file: {line}" for line in integrity(copy)]
            chains = None
            if not wrong:
                wrong += _cut_off(before, copy.read(heads))
                if copy.schema_is_current():
                    chains, faults = check_log(copy)
                    wrong += faults
    except (DatabaseError, DBAPIError) as error:
        chains, wrong = None, [f"the file: {error}"]
    return Copied(bytes=partial.stat().st_size, chains=chains, wrong=wrong)


def _cut_off(before: dict[str, int], after: dict[str, int]) -> Iterator[str]:
    for portal, seq in before.items():
        if after.get(portal, 0) < seq:
            yield f"{portal}-{seq}: the copy ends before it"


def _give_name(partial: Path, file: Path) -> None:
    """Rename the copy durably, unless the name was used meanwhile."""
    _sync(partial)
    try:
        os.link(partial, file)
    except FileExistsError:
        raise NotCopied(f"{file} is there already") from None
    except OSError:  # a file system without hard links
        must_be_free(file)
        partial.rename(file)
    with contextlib.suppress(PermissionError):  # Windows opens no folder
        _sync(file.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
