"""PostgreSQL is stopped and started again under replicas and load; it is this test's own."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import SandboxServer
from tests.conftest import Postgres
from tests.replicas.checks import violations
from tests.replicas.cluster import Cluster, Replica, cluster
from tests.replicas.scenarios import acknowledged, limited_portal, limits, said
from tests.support.processes import eventually
from tests.support.under_load import KILL, Load


@pytest.fixture
def server() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="responder-postgres-") as folder:
        own = Postgres(Path(folder) / "data")
        try:
            yield own
        finally:
            own.resume()
            own.stop()


def ready(replica: Replica) -> int:
    return replica.get("/readyz")[0]


def wait_for(replicas: Cluster, status: int) -> None:
    """Wait until every replica says so of itself."""
    for replica in replicas.replicas:
        eventually(lambda one=replica: ready(one) == status or None, why=replicas.tails)  # type: ignore[misc]


@pytest.mark.long  # `test_misbehaving_host` has it with one program
def test_a_postgresql_that_goes_and_comes_back_loses_nothing_acknowledged(
    server: Postgres, tmp_path: Path
) -> None:
    sandbox, calls = limited_portal()
    with (
        SandboxServer(sandbox) as portal,
        cluster(
            tmp_path, server.url(server.create()), portal.url, environment=limits(sandbox)
        ) as replicas,
    ):
        load = Load(replicas.balancer, sandbox, pause_seconds=0.05)
        with load.under_way():
            acknowledged(load, 60, replicas)
            server.pause()
            wait_for(replicas, 503)
            assert all(replica.get("/healthz")[0] == 200 for replica in replicas.replicas)
            eventually(lambda: len(load.unanswered) > 10 or None, why=replicas.tails)
            asked = len(sandbox.calls_of(KILL))
            time.sleep(0.5)
            assert len(sandbox.calls_of(KILL)) == asked
            server.resume()
            wait_for(replicas, 200)
            acknowledged(load, len(load.acknowledged) + 60, replicas)
        replicas.settled()
        assert violations(replicas, load, sandbox, calls) == []
        assert said(replicas.replicas[0], "the store is away")
