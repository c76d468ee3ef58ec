"""Tells other replicas at once what they would find out by looking half a second later.

PostgreSQL's NOTIFY wakes whoever LISTENs. A delivery for a portal that another replica drives is
told once it is committed, in a transaction of its own on the listening connection: in the shared
commit it would make all replicas' acknowledgements wait for each other, for transactions that
notify commit one after the other. What gathers meanwhile goes out together, and it need not be
durable. A lease that is given up is told in the transaction that gives it up; that is rare.

It is nothing but a hint. Where it fails (the connection breaks, or a pooler gives each transaction
another one, so that nobody can listen), drivers find what waits by looking, as they always do.
"""

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Collection, Iterable
from enum import StrEnum
from typing import Protocol, cast

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from responder.store.database.database import Database
from responder.store.database.engines import StoreUnavailable, is_pooled

CHANNEL = "responder"
AGAIN_SECONDS = 1.0
_MOST_BYTES = 7_000  # a payload has fewer than 8,000; more than that concerns everybody
_EVERYBODY = "*"

log = structlog.get_logger()


class About(StrEnum):
    """What is told of portals: deliveries wait for them, or nobody drives them."""

    WAITING = "waiting"
    FREE = "free"


Rung = Callable[[About, frozenset[str] | None], object]


class _Notice(Protocol):
    payload: str
    pid: int


class _Info(Protocol):
    backend_pid: int


class _Listening(Protocol):
    """What we use of psycopg's connection."""

    autocommit: bool
    info: _Info

    def fileno(self) -> int: ...
    def execute(self, statement: str, given: tuple[str, ...] = ()) -> object: ...
    def notifies(self, *, timeout: float) -> Iterable[_Notice]: ...
    def close(self) -> None: ...


def ring(tx: Connection, about: About, portals: Collection[str]) -> None:
    """Tell of these portals when this transaction commits; only PostgreSQL has others to tell."""
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql("SELECT pg_notify(%s, %s)", (CHANNEL, _payload(about, portals)))


class Bell:
    """Rings at other replicas, and calls `rung` from its own thread when one of them rings.

    `rung` is given the portals, or None for all of them: so it is as well when listening begins,
    for nobody knows what was told before.
    """

    def __init__(self, database: Database, rung: Rung) -> None:
        self.listening = threading.Event()
        self._database = database
        self._rung = rung
        self._pending: set[str] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._ear, self._finger = socket.socketpair()
        self._ear.settimeout(0)
        self._finger.settimeout(0)
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)

    def start(self) -> None:
        """Listen from now on. A SQLite file has nobody else to listen to."""
        if self._database.dialect == "postgresql":
            self._thread.start()

    def stop(self) -> None:
        """Tell what is still to be told, and end the thread; it may take a moment."""
        self._stopped.set()
        self._poke()
        if self._thread.is_alive():
            self._thread.join(5)
        self._ear.close()
        self._finger.close()

    def ring(self, portals: Collection[str]) -> None:
        """Tell others soon that deliveries wait for these portals; never waits itself."""
        if not portals or not self.listening.is_set():
            return
        with self._lock:
            self._pending |= set(portals)
        self._poke()

    def _poke(self) -> None:
        with contextlib.suppress(OSError):  # full: it has been poked already
            self._finger.send(b"!")

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._database.writer.connect() as taken:
                    if is_pooled(taken):
                        log.info("a pooler stands before the database: looking must do")
                        return
                    self._hear(_alone(taken))
            except (SQLAlchemyError, StoreUnavailable, _psycopg_error()) as error:
                log.info("not told of others at once", why=str(error).partition("\n")[0])
            except Exception:
                # A fault of ours must not end it unseen; looking goes on meanwhile.
                log.exception("others cannot be told at once")
            self.listening.clear()
            self._stopped.wait(AGAIN_SECONDS)

    def _hear(self, connection: _Listening) -> None:
        """Listen and ring until told to stop."""
        connection.execute("SET synchronous_commit = off")
        connection.execute(f"LISTEN {CHANNEL}")
        self.listening.set()
        for about in About:
            self._rung(about, None)
        with selectors.DefaultSelector() as either:
            either.register(self._ear, selectors.EVENT_READ)
            either.register(connection.fileno(), selectors.EVENT_READ)
            while True:
                self._tell(connection)
                self._be_told(connection)
                if self._stopped.is_set() and not self._pending:
                    return
                either.select()
                self._drain()

    def _be_told(self, connection: _Listening) -> None:
        ours = connection.info.backend_pid
        for notice in connection.notifies(timeout=0):
            about, _, names = notice.payload.partition(" ")
            if notice.pid != ours and about in set(About):
                portals = None if names == _EVERYBODY else frozenset(names.split(","))
                self._rung(About(about), portals)

    def _tell(self, connection: _Listening) -> None:
        with self._lock:
            portals, self._pending = self._pending, set()
        if portals:
            connection.execute(
                "SELECT pg_notify(%s, %s)", (CHANNEL, _payload(About.WAITING, portals))
            )

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._ear.recv(4096):
                pass


def _alone(taken: Connection) -> _Listening:
    """Take the driver's connection out of the pool for good; it goes when `taken` is closed."""
    taken.rollback()
    connection = cast("_Listening", taken.connection.driver_connection)
    taken.detach()
    connection.autocommit = True
    return connection


def _payload(about: About, portals: Collection[str]) -> str:
    names = ",".join(sorted(portals))
    return f"{about} {names if len(names.encode()) <= _MOST_BYTES else _EVERYBODY}"


def _psycopg_error() -> type[Exception]:
    """Name what the driver raises; it is imported where there is a PostgreSQL."""
    from psycopg import Error

    return Error
