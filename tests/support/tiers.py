"""Says of each test what it touches outside this process, and holds it to that.

    unit     nothing: no socket, no other process, no database
    store    a database
    portal   sockets as well: the sandbox, or a server of ours in a thread
    service  other processes: the program itself, a browser, a shell

Each test has one of these markers. Its folder tells which, or else the fixtures it asks for,
directly or not; where neither can (a test starts a server in its own body), a mark stands in its
file. What nothing of this tells of is a unit. Whatever a test does beyond its marker fails it, so
that what a marker says is true.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

UNIT, STORE, PORTAL, SERVICE = TIERS = ("unit", "store", "portal", "service")
LONG = "long"

_BY_FOLDER = {"deploy": SERVICE, "process": SERVICE, "replicas": SERVICE, "random": PORTAL}
_BY_FIXTURE = {
    **dict.fromkeys(("sqlite_url", "postgres", "postgres_url", "database_url"), STORE),
    **dict.fromkeys(("bare_sqlite_url", "bare_database_url"), STORE),
    **dict.fromkeys(("migrated_file", "migrated_url", "emptied_postgres"), STORE),
    **dict.fromkeys(("driven", "driven_on_premise", "tell"), PORTAL),
    **dict.fromkeys(("server", "running", "portal", "caller", "port", "plain"), PORTAL),
    "story": SERVICE,
}
_DATABASE = "a database"
_ALLOWED_FROM = {  # from which tier on a test may do this; the names are Python's own, of its audit
    _DATABASE: STORE,
    "sqlite3.connect": STORE,
    "socket.bind": PORTAL,
    "socket.connect": PORTAL,
    "subprocess.Popen": SERVICE,
    "os.exec": SERVICE,
    "os.fork": SERVICE,
    "os.posix_spawn": SERVICE,
    "os.system": SERVICE,
}


class TouchedError(Exception):
    """A test touched what its marker says it does not."""


def mark(item: pytest.Item, folder: str) -> None:
    """Mark a test of this folder with its tier.

    What takes minutes is no unit: `-m unit` is for what takes seconds.
    """
    if _tier(item) is not None:
        return
    found = {_BY_FOLDER.get(folder, UNIT)}
    found |= {_BY_FIXTURE.get(name, UNIT) for name in getattr(item, "fixturenames", ())}
    tier = max(found, key=TIERS.index)
    if tier != UNIT or item.get_closest_marker(LONG) is None:
        item.add_marker(tier)


def _tier(item: pytest.Item) -> str | None:
    """Return the tier that a test is marked with; of a mark on it and one on its file, its own."""
    return next((mark.name for mark in item.iter_markers() if mark.name in TIERS), None)


class Watch:
    """Raises where a test touches what its marker does not allow, and fails it in any case.

    Fixtures are watched where it is a unit alone, for others begin what is there for all.
    """

    def __init__(self) -> None:
        self._tier = SERVICE
        self._touched: list[str] = []
        self._others: set[int | None] = set()  # threads that ran before the test: they are not its
        sys.addaudithook(lambda what, _args: self._heard(what))
        event.listen(Pool, "connect", lambda *_args: self._heard(_DATABASE))

    @contextmanager
    def over(self, item: pytest.Item, *, setting_up: bool) -> Iterator[None]:
        """Watch a test; it may have caught what was raised in it, and fails all the same."""
        tier = _tier(item) or SERVICE
        if setting_up and tier != UNIT:
            yield
            return
        self._others = {one.ident for one in threading.enumerate()} - {threading.get_ident()}
        self._tier, self._touched = tier, []
        try:
            yield
        finally:
            self._tier = SERVICE
        if self._touched:
            raise TouchedError(f"it is marked `{tier}`, and touched: {', '.join(self._touched)}")

    def _heard(self, what: str) -> None:
        tier = _ALLOWED_FROM.get(what)
        if tier is None or threading.get_ident() in self._others:
            return
        if TIERS.index(tier) > TIERS.index(self._tier):
            self._touched.append(what)
            raise TouchedError(f"a test that is marked `{self._tier}` touches this: {what}")
