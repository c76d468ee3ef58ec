"""Examines what a database's durability depends on: library, schema, file system, settings.

It only reads: a database that does not exist yet is judged by the folder where it will be created.
"""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from responder.store.database import engines
from responder.store.database.database import SCHEMA, Database, revision

_MOUNTS = Path("/proc/self/mountinfo")
_FILES_BESIDE = ("", "-wal", "-shm", "-journal")
_POSTGRES_SWITCHES = ("fsync", "full_page_writes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The folder and file system of a SQLite file, existing or not.

    `open_to_others` are the names of its files that other users may read. `filesystem` is None
    where it cannot be determined.
    """

    path: Path
    exists: bool
    folder_exists: bool
    folder_is_writable: bool
    open_to_others: tuple[str, ...]
    filesystem: str | None
    free_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Durability:
    """The properties of a database on which its durability depends.

    `schema` is None where there is none yet. `switched_off` are PostgreSQL's own guards against a
    power cut that its administrator has switched off.
    """

    dialect: str
    library: str
    journal_mode: str | None
    wanted_journal: str | None
    schema: str | None
    schema_is_current: bool
    switched_off: tuple[str, ...] = ()
    surroundings: Surroundings | None = None


def of_database(database: Database) -> Durability:
    """Return the durability of an open database."""
    schema, off = database.read(_read)
    found = Durability(
        dialect=database.dialect,
        library=database.library_version,
        journal_mode=database.journal_mode,
        wanted_journal=None,
        schema=schema,
        schema_is_current=schema is not None and schema >= SCHEMA,
        switched_off=off,
    )
    if database.path is None:
        return found
    return replace(
        found,
        wanted_journal=engines.wanted_journal(engines.sqlite_module()),
        surroundings=surroundings(database.path),
    )


def of_absent_file(path: Path) -> Durability:
    """Return the durability that a SQLite file will have once it is created."""
    module = engines.sqlite_module()
    return Durability(
        dialect="sqlite",
        library=module.sqlite_version,
        journal_mode=None,
        wanted_journal=engines.wanted_journal(module),
        schema=None,
        schema_is_current=False,
        surroundings=surroundings(path),
    )


def _read(conn: Connection) -> tuple[str | None, tuple[str, ...]]:
    off = [
        switch
        for switch in _POSTGRES_SWITCHES
        if conn.dialect.name == "postgresql"
        and conn.exec_driver_sql(f"SHOW {switch}").scalar() == "off"
    ]
    return revision(conn), tuple(off)


def surroundings(path: Path) -> Surroundings:
    """Return the file's folder, permissions and file system."""
    path = path.absolute()
    folder = path.parent
    exists = folder.is_dir()
    return Surroundings(
        path=path,
        exists=path.exists(),
        folder_exists=exists,
        folder_is_writable=exists and os.access(folder, os.W_OK | os.X_OK),
        open_to_others=_open_to_others(path),
        filesystem=filesystem_of(folder.resolve(), _mounts()) if exists else None,
        free_bytes=shutil.disk_usage(folder).free if exists else None,
    )


def _open_to_others(path: Path) -> tuple[str, ...]:
    files = [path.with_name(path.name + ending) for ending in _FILES_BESIDE]
    return tuple(file.name for file in files if file.exists() and file.stat().st_mode & 0o077)


def _mounts() -> str:
    try:
        return _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def filesystem_of(folder: Path, mounts: str) -> str | None:
    """Return the type of the file system that holds a folder, by Linux's table of mounts.

    `mounts` is the text of /proc/self/mountinfo: the mount point is the fifth field, the type the
    first after a lone dash. Of several mounts at one point the last is on top.
    """
    best, found = -1, None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = Path(_unescaped(fields[4]))
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), after.split(" ")[0]
    return found


def _unescaped(field: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field
