"""A driver that is stopped at the worst moments: its kill is made once, and settled by the next."""

import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.journal.audit.integrity import check_log
from tests.replicas.cluster import TAKEOVER_SECONDS, Cluster, Replica, cluster
from tests.support.processes import PROGRAM, event, eventually
from tests.support.under_load import KILL, QUICK, lost_deal

SKEWED = str(Path(__file__).parent / "skewed_service.py")
STOPPING = str(Path(__file__).parent / "stopping_service.py")


def is_stopped(replica: Replica) -> bool | None:
    """Tell whether its process was stopped by a signal."""
    status = Path(f"/proc/{replica.pid}/stat").read_text(encoding="ascii")
    return status.rpartition(")")[2].split()[0] == "T" or None


def stop_at(replicas: Cluster, sandbox: Sandbox, *, seconds: float) -> None:
    """Have the first replica stop itself, another take over, and the first go on again."""
    (stopping,) = replicas.replicas
    replicas.driven()
    other = replicas.add("B", PROGRAM)
    other.begin().wait()
    lost_deal(sandbox, 759)
    assert other.post(event("ONCRMDEALUPDATE", 759)) == 200
    eventually(lambda: is_stopped(stopping), why=replicas.tails)
    stopped_at = time.monotonic()
    assert replicas.driven(by_other_than=stopping) is other
    assert time.monotonic() - stopped_at <= TAKEOVER_SECONDS
    time.sleep(max(0.0, seconds - (time.monotonic() - stopped_at)))
    stopping.signal(signal.SIGCONT)


@pytest.mark.long
@pytest.mark.parametrize(
    ("point", "seconds"),
    [
        ("outcome", 7),  # it called, and does not say so
        ("intent", 7),  # it calls late, while the next one still waits for that
        ("intent", 15),  # too much time has gone by: the call is left to the next
        ("intent", 70),  # the next one has called
        ("outcome", 70),
    ],
)
def test_a_driver_that_is_stopped_around_its_call_makes_it_once_and_writes_nothing(
    point: str, seconds: float, tmp_path: Path, postgres_url: str
) -> None:
    sandbox = Sandbox()
    with (
        SandboxServer(sandbox) as server,
        cluster(
            tmp_path,
            postgres_url,
            server.url,
            programs=[(STOPPING, point)],
            environment=QUICK,
        ) as replicas,
    ):
        stop_at(replicas, sandbox, seconds=seconds)
        went_on_at = time.time()
        replicas.settled(100)
        time.sleep(1)
        if (point, seconds) == ("intent", 15):
            assert sandbox.calls_of(KILL)[0].at > went_on_at + 30
        assert len(sandbox.calls_of(KILL)) == len(sandbox.killed) == 1
        assert replicas.written_without_the_lease() == []
        assert check_log(replicas.database)[1] == []
        (decision,) = replicas.replicas[1].decisions()
    assert decision["outcome"] == "killed"


@pytest.mark.long
def test_a_driver_whose_clock_is_minutes_ahead_waits_for_the_portals_minute_all_the_same(
    tmp_path: Path, postgres_url: str
) -> None:
    sandbox = Sandbox()
    lost_deal(sandbox, 759)
    sandbox.fail_next(KILL, "hang")
    with (
        SandboxServer(sandbox) as server,
        cluster(
            tmp_path,
            postgres_url,
            server.url,
            programs=[(SKEWED, "-120")],
            environment=QUICK,
        ) as replicas,
    ):
        (slow,) = replicas.replicas
        replicas.driven()
        fast = replicas.add("B", (SKEWED, "120"))
        fast.begin().wait()
        assert fast.post(event("ONCRMDEALUPDATE", 759)) == 200
        eventually(lambda: sandbox.calls_of(KILL) or None, why=replicas.tails)
        slow.end(signal.SIGKILL)
        assert replicas.driven(by_other_than=slow) is fast
        replicas.settled(100)
        first, second = (call.at for call in sandbox.calls_of(KILL))
        (decision,) = fast.decisions()
    assert 60 <= second - first < 90
    assert decision["outcome"] == "killed"
    at = datetime.fromisoformat(str(decision["at"]))
    assert abs(at - datetime.now(UTC)) < timedelta(seconds=100)
