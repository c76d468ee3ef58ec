"""Programs of different versions on one database, while the newer one migrates it."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import SandboxServer
from responder.store.database import upgrade
from responder.store.database.database import SCHEMA, Database
from tests.replicas.checks import violations
from tests.replicas.cluster import Replica, StrikingCalls, cluster
from tests.replicas.scenarios import acknowledged, limited_portal, limits
from tests.support.processes import PROGRAM, eventually
from tests.support.under_load import Load

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RELEASED = "3a067ee"  # the last commit whose schema is 0001
NEWER = (str(HERE / "newer_service.py"),)


@pytest.fixture
def portal() -> Iterator[tuple[SandboxServer, StrikingCalls]]:
    sandbox, calls = limited_portal()
    with SandboxServer(sandbox) as server:
        yield server, calls


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """Unpack the program as it was when the schema was 0001."""
    place = tmp_path / "released"
    place.mkdir()
    archive = tmp_path / "released.tar"
    packed = subprocess.run(
        ["git", "archive", "-o", str(archive), RELEASED, "responder"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if packed.returncode != 0:
        pytest.skip(f"this clone does not hold commit {RELEASED}")
    subprocess.run(["tar", "-xf", str(archive), "-C", str(place)], check=True)
    return place


def at_0001(database_url: str) -> None:
    """Make the tables as they were."""
    database = Database(database_url)
    database.open()
    database.write(lambda tx: upgrade.upgrade(tx, "0001"))
    database.close()


def schema(database: Database) -> str:
    return str(
        database.read(
            lambda conn: conn.exec_driver_sql(
                "SELECT version_num FROM alembic_version"
            ).scalar_one()
        )
    )


def never_unready(replica: Replica, until: float) -> None:
    """Assert that a replica is ready all the time."""
    while time.monotonic() < until:
        assert replica.get("/readyz")[0] == 200
        time.sleep(0.05)


def test_a_replica_goes_on_while_a_newer_one_migrates_beside_it(
    portal: tuple[SandboxServer, StrikingCalls], tmp_path: Path, postgres_url: str
) -> None:
    server, calls = portal
    with cluster(
        tmp_path, postgres_url, server.url, programs=[PROGRAM], environment=limits(server.sandbox)
    ) as replicas:
        (present,) = replicas.replicas
        newer = replicas.add("N", NEWER)
        load = Load(present, server.sandbox, pause_seconds=0.05)
        with load.under_way():
            acknowledged(load, 20, replicas)
            newer.begin()
            never_unready(present, time.monotonic() + 3.5)
            newer.wait()
            assert schema(replicas.database) == "9000"
            assert present.get("/readyz")[0] == 200
            present.end()  # the newer one takes over what it drove
            replicas.driven(by_other_than=present)
        assert load.acknowledged
        replicas.settled()
        assert violations(replicas, load, server.sandbox, calls) == []


def test_the_program_of_the_last_schema_goes_on_beside_this_one(
    portal: tuple[SandboxServer, StrikingCalls],
    released: Path,
    tmp_path: Path,
    bare_postgres_url: str,
) -> None:
    server, calls = portal
    at_0001(bare_postgres_url)
    with cluster(
        tmp_path / "replicas",
        bare_postgres_url,
        server.url,
        programs=[PROGRAM],
        environment=limits(server.sandbox) | {"PYTHONPATH": str(released)},
        migrated=False,
    ) as replicas:
        (old,) = replicas.replicas
        assert schema(replicas.database) == "0001"
        new = replicas.add("N", PROGRAM, PYTHONPATH=str(ROOT))
        load = Load(replicas.balancer, server.sandbox, pause_seconds=0.05)
        with load.under_way():
            acknowledged(load, 20, replicas)
            new.begin()
            never_unready(old, time.monotonic() + 1.5)
            new.wait()
            assert schema(replicas.database) == SCHEMA
            acknowledged(load, len(load.acknowledged) + 40, replicas)
            assert replicas.driver() is old  # who drives goes on, and both receive
            old.end()
            assert replicas.driven(by_other_than=old) is new
        replicas.settled()
        assert violations(replicas, load, server.sandbox, calls) == []
        assert eventually(lambda: new.get("/readyz")[0] == 200 or None)
