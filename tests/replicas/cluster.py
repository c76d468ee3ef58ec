"""Starts several real programs on one PostgreSQL, and watches who of them writes for a portal.

Each replica tells PostgreSQL its name, and triggers write down who claims a portal's lease and who
appends to its log. So whether somebody wrote without the lease is seen from outside.
"""

import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from sqlalchemy import text

from responder.bitrix24.sandbox.portal import SandboxCall
from responder.store import leases
from responder.store.database.database import Database
from tests.support import under_load
from tests.support.processes import PROGRAM, TOKEN, Running, eventually, write_rules
from tests.support.under_load import KILL, WatchedCalls

TAKEOVER_SECONDS = 5.0
_alembic = threading.Lock()  # it keeps what it does in global variables

_WITNESS = """
CREATE TABLE witness (n bigserial PRIMARY KEY, who text, portal text, what text);
CREATE FUNCTION witness_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO witness (who, portal, what)
    VALUES (current_setting('responder.replica', true), NEW.portal, NEW.kind);
    RETURN NULL;
END $$;
CREATE FUNCTION witness_lease() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO witness (who, portal, what)
    VALUES (current_setting('responder.replica', true), NEW.portal,
            CASE WHEN NEW.holder = '' THEN 'release' ELSE 'claim' END);
    RETURN NULL;
END $$;
CREATE TRIGGER witness AFTER INSERT ON entries
    FOR EACH ROW EXECUTE FUNCTION witness_entry();
CREATE TRIGGER witness AFTER INSERT OR UPDATE OF holder ON leases
    FOR EACH ROW EXECUTE FUNCTION witness_lease();
"""


class Replica(Running):
    """One of several programs on the same database."""

    def __init__(
        self,
        name: str,
        place: Path,
        environment: dict[str, str],
        database_url: str,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        place.mkdir()
        super().__init__(place, environment, database_url)
        self.name = name
        self.program = program

    def begin(self) -> "Replica":
        """Start it without waiting until it receives."""
        self.launch(*self.program)
        return self

    def wait(self) -> "Replica":
        """Wait until it receives."""
        eventually(self._is_up, seconds=60, why=lambda: under_load.tail(self))
        return self

    def use(self, database_url: str) -> None:
        """Reach the database by another address."""
        name = f"&options=-c%20responder.replica%3D{self.name}"
        self.environment["RESPONDER_DATABASE_URL"] = database_url + name

    @property
    def pid(self) -> int:
        """Return its process's number."""
        assert self.process is not None
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Tell whether the process is there, stopped or not."""
        return self.process is not None and self.process.poll() is None

    def signal(self, how: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, how)


class RoundRobin:
    """Sends as a load balancer does: to each replica in turn, past those that do not listen."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self._replicas = replicas
        self._turns = itertools.count()

    def post(self, body: str | bytes, path: str = "/events") -> int:
        """Send a delivery and return the status."""
        first = next(self._turns)
        for number in range(len(self._replicas)):
            replica = self._replicas[(first + number) % len(self._replicas)]
            try:
                return replica.post(body, path)
            except ConnectionRefusedError:
                continue
        raise ConnectionRefusedError


class Cluster:
    """Replicas of the program on one database."""

    def __init__(
        self,
        place: Path,
        settings: Mapping[str, str],
        database_url: str,
        database: Database,
        *,
        named: bool,
    ) -> None:
        self.replicas: list[Replica] = []
        self.named = named
        self.database = database
        self.balancer = RoundRobin(self.replicas)
        self._place = place
        self._settings = settings
        self._database_url = database_url

    def add(self, name: str, program: Sequence[str], **settings: str) -> Replica:
        """Prepare one more replica, which is not started yet."""
        told = f"&options=-c%20responder.replica%3D{name}" if self.named else ""
        replica = Replica(
            name,
            self._place / name,
            {**self._settings, **settings},
            self._database_url + told,
            program,
        )
        self.replicas.append(replica)
        return replica

    def driver(self, portal: str = "main") -> Replica | None:
        """Return the replica that drives a portal now."""
        holder = self.database.read(lambda conn: leases.driver(conn, portal))
        pids = {replica.pid: replica for replica in self.replicas if replica.process}
        return None if holder is None else pids.get(int(holder.split(":")[-2]))

    def driven(self, portal: str = "main", *, by_other_than: Replica | None = None) -> Replica:
        """Wait until somebody drives a portal, or somebody else does."""

        def look() -> Replica | None:
            found = self.driver(portal)
            return None if found is by_other_than else found

        return eventually(look, why=self.tails)

    def settled(self, seconds: float = 60) -> None:
        """Wait until nothing is left to do."""
        eventually(
            lambda: self.database.read(under_load.is_done) or None, seconds=seconds, why=self.tails
        )

    def tails(self) -> str:
        """Return the end of what each replica said."""
        return "\n".join(f"--- {one.name}\n{under_load.tail(one)}" for one in self.replicas)

    def witnessed(self) -> list[tuple[str | None, str, str]]:
        """Return (replica, portal, what it did) in the order in which it was done."""
        query = text("SELECT who, portal, what FROM witness ORDER BY n")
        found = self.database.read(lambda conn: conn.execute(query).all())
        return [(who or None, portal, what) for who, portal, what in found]

    def written_without_the_lease(self) -> list[str]:
        """Name what a replica wrote to a portal's log while another, or nobody, had its lease.

        Only replicas that gave their names are witnessed.
        """
        if not self.named:
            return []
        holders: dict[str, str | None] = {}
        wrong = []
        for who, portal, what in self.witnessed():
            if what in ("claim", "release"):
                holders[portal] = who if what == "claim" else None
            elif who is not None and holders.get(portal) != who:
                wrong.append(f"{who} wrote {what} while {holders.get(portal)} drove {portal}")
        return wrong


@contextmanager
def cluster(
    place: Path,
    database_url: str,
    portal_url: str,
    *,
    programs: Sequence[Sequence[str]] = (PROGRAM, PROGRAM),
    rules: str = under_load.RULES,
    named: bool = True,
    migrated: bool = True,
    end: signal.Signals = signal.SIGTERM,
    environment: Mapping[str, str] = MappingProxyType({}),
    prepare: Callable[[Replica], object] = lambda _replica: None,
) -> Iterator[Cluster]:
    """Run replicas in enforce mode against one portal, and end them afterwards."""
    place.mkdir(exist_ok=True)
    write_rules(place, rules)
    database = Database(database_url)
    database.open()
    if migrated:
        with _alembic:
            database.migrate()
    if named:
        database.write(lambda tx: tx.exec_driver_sql(_WITNESS))
    settings = {
        "RESPONDER_MODE": "enforce",
        "RESPONDER_PORTALS__MAIN__URL": portal_url,
        "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        "RESPONDER_RULES": str(place / "rules.yaml"),
        **environment,
    }
    started = Cluster(place, settings, database_url, database, named=named)
    for name, program in zip("ABCDEFGH", programs, strict=False):
        prepare(started.add(name, program))
    try:
        for replica in started.replicas:
            replica.begin()
        for replica in started.replicas:
            replica.wait()
        yield started
    finally:
        _end(started, end)
        database.close()
    for replica in started.replicas:
        replica.left_no_secret()


def _end(started: Cluster, how: signal.Signals) -> None:
    for replica in started.replicas:
        if replica.is_running:
            replica.signal(signal.SIGCONT)
            replica.signal(how)
    for replica in started.replicas:
        if replica.process is not None:
            replica.process.wait(20)


class StrikingCalls(WatchedCalls):
    """The calls a portal saw; at the next kill something is done once, before it is carried out.

    So a process may be ended or stopped while its call is surely under way.
    """

    strike: Callable[[], object] | None = None

    def append(self, call: SandboxCall) -> None:
        """Note a call, and strike if it is a kill."""
        super().append(call)
        if call.method == KILL and self.strike is not None:
            strike, self.strike = self.strike, None
            strike()
