"""A connection pooler in transaction mode between the program and PostgreSQL."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from responder.bitrix24.sandbox import SandboxServer
from responder.commands.cli import main
from responder.journal.reading import counts
from responder.store.database.database import Connection, Database
from responder.store.database.engines import is_pooled
from tests.conftest import Postgres
from tests.replicas.checks import violations
from tests.replicas.cluster import cluster
from tests.replicas.scenarios import limited_portal, limits, strike_the_driver, taken_over
from tests.support.processes import eventually, free_port, listens
from tests.support.under_load import Load
from tests.support.whole_log import fill

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
SETTINGS = """\
[databases]
* = host={socket_folder} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
"""


@pytest.fixture
def pooled_url(postgres: Postgres, postgres_url: str, tmp_path: Path) -> Iterator[str]:
    """Give a database behind a pooler that has four connections for everybody."""
    if PGBOUNCER is None:
        pytest.skip("pgbouncer is not installed")
    port = free_port()
    settings = tmp_path / "pgbouncer.ini"
    settings.write_text(SETTINGS.format(socket_folder=postgres.socket_folder, port=port))
    name = Database(postgres_url)._url.database
    process = subprocess.Popen([PGBOUNCER, *_user(postgres), str(settings)], stderr=subprocess.PIPE)
    try:
        eventually(lambda: listens(port), why=lambda: f"pgbouncer ended with {process.poll()}")
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/{name}?sslmode=disable"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def _user(postgres: Postgres) -> list[str]:
    """Say as whom it runs: it refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return ["-u", Path(postgres.socket_folder).owner()]


def settings_in(conn: Connection) -> tuple[str, ...]:
    names = ("lock_timeout", "idle_in_transaction_session_timeout", "synchronous_commit")
    return tuple(conn.execute(text(f"SHOW {name}")).scalar_one() for name in names)


def test_a_pooler_is_known_and_every_transaction_has_its_settings(
    postgres: Postgres, postgres_url: str, pooled_url: str
) -> None:
    plain, pooled = Database(postgres_url), Database(pooled_url)
    assert plain._url.database is not None
    postgres.execute(f'ALTER DATABASE "{plain._url.database}" SET synchronous_commit = off')
    for database, expected in ((plain, False), (pooled, True)):
        database.open()
        assert database.read(is_pooled) is expected
        assert database.read(settings_in) == ("5s", "3s", "on")
        database.close()


def test_replicas_behind_a_pooler_take_over_and_lose_nothing(
    tmp_path: Path, pooled_url: str
) -> None:
    sandbox, calls = limited_portal()
    with (
        SandboxServer(sandbox) as server,
        cluster(
            tmp_path / "replicas",
            pooled_url,
            server.url,
            named=False,
            environment=limits(sandbox),
        ) as replicas,
    ):
        load = Load(replicas.balancer, sandbox, pause_seconds=0.05)
        with load.under_way():
            driver, died_at = strike_the_driver(replicas, calls, signal.SIGKILL)
            taken_over(replicas, driver, died_at)
            time.sleep(0.5)
        replicas.settled()
        assert violations(replicas, load, sandbox, calls) == []


def test_a_log_is_moved_through_a_pooler_there_and_back(tmp_path: Path, pooled_url: str) -> None:
    there, back = (f"sqlite:///{tmp_path / name}" for name in ("old.db", "back.db"))
    log = Database(there)
    log.open()
    log.migrate()
    fill(log)
    heads = log.read(counts.heads)
    log.close()
    for source, target in ((there, pooled_url), (pooled_url, back)):
        done = CliRunner().invoke(main, ["migrate", source, target])
        assert done.exit_code == 0, done.output
    log = Database(back)
    log.open()
    assert log.read(counts.heads) == heads
    log.close()
