"""A machine that misbehaves under the real program: disk, locks, database server, signals.

A full disk is tried in two ways: a limit on the size of files, which may be put on any process of
ours and lifted again, and a small file system in memory, which only an administrator may mount. A
file made read-only is no case of its own: who holds it open writes on, whatever its permissions.
"""

import contextlib
import http.client
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.journal.audit.integrity import check_log
from responder.store.inbox import inbox
from tests.conftest import Postgres
from tests.replicas.cluster import StrikingCalls
from tests.support.processes import (
    Decision,
    Running,
    event,
    eventually,
    running,
)
from tests.support.under_load import (
    KILL,
    QUICK,
    RULES,
    kills_asked_for,
    lost_deal,
    opened,
    tail,
)


def readiness(service: Running) -> int:
    return service.get("/readyz")[0]


def killed_once(service: Running, sandbox: Sandbox, *workflow_ids: str) -> list[Decision]:
    """Wait until all is settled: each of these was killed, by one call each, and no other."""
    made = service.settled(len(workflow_ids))
    assert sorted(kills_asked_for(sandbox), key=str) == sorted(workflow_ids)
    assert sorted(sandbox.killed) == sorted(workflow_ids)
    return made


def test_a_second_process_on_the_same_file_says_so_and_exits(
    portal: SandboxServer, tmp_path: Path
) -> None:
    condemned = lost_deal(portal.sandbox, 759)
    with running(tmp_path, portal.url) as service:
        assert service.process is not None
        second = service.command("serve")
        assert second.returncode == 2
        assert "is served by another process" in second.stderr
        assert f"({service.process.pid})" in second.stderr
        assert "Traceback" not in second.stderr
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        killed_once(service, portal.sandbox, condemned)


def limit_files(service: Running, size: int) -> None:
    """Let the process write no file beyond this size. Python ignores the signal that says so."""
    assert service.process is not None
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (size, most))


def test_a_disk_that_takes_nothing_kills_nothing_and_everything_goes_on_afterwards(
    portal: SandboxServer, tmp_path: Path
) -> None:
    first, second = lost_deal(portal.sandbox, 759), lost_deal(portal.sandbox, 760)
    with running(tmp_path, portal.url) as service:
        portal.sandbox.answer_seconds = 0.4  # so that the disk fails between reading and acting
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        eventually(lambda: portal.sandbox.calls or None)
        limit_files(service, 0)
        assert service.post(event("ONCRMDEALUPDATE", 760)) == 503
        assert readiness(service) == 503
        assert service.get("/healthz")[0] == 200
        time.sleep(1)
        assert kills_asked_for(portal.sandbox) == []
        assert service.post(event("ONCRMDEALUPDATE", 760)) == 503
        limit_files(service, resource.RLIM_INFINITY)
        assert eventually(lambda: readiness(service) == 200 or None)
        assert service.post(event("ONCRMDEALUPDATE", 760)) == 200
        made = killed_once(service, portal.sandbox, first, second)
        assert sum({d["evaluation"]: d["events"] for d in made}.values()) == 2  # type: ignore[arg-type]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("only an administrator may mount a small file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_503_until_there_is_room(
    portal: SandboxServer, tmp_path: Path, small_disk: Path
) -> None:
    condemned = lost_deal(portal.sandbox, 759)
    url = f"sqlite:///{small_disk / 'responder.db'}"
    with running(tmp_path, portal.url, database_url=url) as service:
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"\0" * 4096):
                pass
        statuses = until_refused(lambda: service.post(event("ONCRMCONTACTADD", 1)))
        small = until_refused(lambda: service.post(event("ONCRMDEALUPDATE", 759)))
        assert {*statuses, *small} <= {200, 503}
        eventually(lambda: readiness(service) == 503 or None)
        asked_when_full = kills_asked_for(portal.sandbox)
        time.sleep(1)
        assert kills_asked_for(portal.sandbox) == asked_when_full
        ballast.unlink()
        assert eventually(lambda: readiness(service) == 200 or None)
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        killed_once(service, portal.sandbox, condemned)
        with opened(service) as database:
            names = [delivery.event for delivery in inbox.received(database)]
        assert names.count("ONCRMCONTACTADD") == statuses.count(200)


def until_refused(post_one: Callable[[], int]) -> list[int]:
    """Post until there is no room for one more."""
    statuses: list[int] = []
    while 503 not in statuses:
        assert len(statuses) < 1000
        statuses.append(post_one())
    return statuses


def test_a_lock_that_somebody_holds_too_long_is_503_and_nothing_worse(
    portal: SandboxServer, tmp_path: Path
) -> None:
    first, second = lost_deal(portal.sandbox, 759), lost_deal(portal.sandbox, 760)
    with running(tmp_path, portal.url) as service, opened(service) as other:
        portal.sandbox.answer_seconds = 2  # no stop is intended before the lock is held
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        eventually(lambda: portal.sandbox.calls or None)
        with other.writer.begin():
            began = time.monotonic()
            with ThreadPoolExecutor() as pool:
                posted = pool.submit(service.post, event("ONCRMDEALUPDATE", 760))
                asked = pool.submit(readiness, service)
            assert (posted.result(), asked.result()) == (503, 503)
            assert 4 < time.monotonic() - began < 12
            assert kills_asked_for(portal.sandbox) == []
        portal.sandbox.answer_seconds = 0
        assert eventually(lambda: readiness(service) == 200 or None)
        assert service.post(event("ONCRMDEALUPDATE", 760)) == 200
        killed_once(service, portal.sandbox, first, second)


class Sender(threading.Thread):
    """Posts events of forty lost deals, one after another, and notes how each was answered."""

    def __init__(self, service: Running) -> None:
        super().__init__()
        self.answers: dict[int, int] = {}
        self.ended = threading.Event()
        self._service = service

    def run(self) -> None:
        """Post until told to end."""
        while not self.ended.wait(0.01):
            number = len(self.answers)
            body = event("ONCRMDEALUPDATE", 1 + number % 40, ts=number)
            self.answers[number] = self._service.post(body)

    def numbers(self, status: int) -> set[int]:
        """Return the events that were answered so."""
        return {number for number, answer in list(self.answers.items()) if answer == status}


def test_a_postgresql_that_is_restarted_under_load_loses_nothing_acknowledged(
    portal: SandboxServer, tmp_path: Path, postgres: Postgres, postgres_url: str
) -> None:
    workflow_ids = [lost_deal(portal.sandbox, number) for number in range(1, 41)]
    portal.sandbox.answer_seconds = 0.01
    with running(tmp_path, portal.url, rules=RULES, database_url=postgres_url, **QUICK) as service:
        sender = Sender(service)
        sender.start()
        try:
            eventually(lambda: len(kills_asked_for(portal.sandbox)) > 3 or None)
            postgres.pause()
            eventually(lambda: len(sender.numbers(503)) > 10 or None, why=lambda: tail(service))
            assert readiness(service) == 503
            assert service.get("/healthz")[0] == 200
            asked_when_away = kills_asked_for(portal.sandbox)
            time.sleep(0.5)
            assert kills_asked_for(portal.sandbox) == asked_when_away
            postgres.resume()
            back_at = len(sender.answers)
            eventually(lambda: len([n for n in sender.numbers(200) if n > back_at]) > 50 or None)
        finally:
            postgres.resume()
            sender.ended.set()
            sender.join()
        assert readiness(service) == 200
        service.settled(1)
        with opened(service) as database:
            deliveries = list(inbox.received(database))
            wrong = check_log(database)[1]
    stored = Counter(number_in(delivery.form) for delivery in deliveries)
    assert set(sender.answers.values()) == {200, 503}
    assert sender.numbers(200) - set(stored) == set()
    assert max(stored.values()) == 1
    assert all(delivery.evaluation for delivery in deliveries)
    assert sorted(portal.sandbox.killed) == sorted(workflow_ids)
    assert max(Counter(kills_asked_for(portal.sandbox)).values()) == 1
    assert wrong == []


def number_in(form: bytes) -> int:
    found = re.search(rb"ts=(\d+)", form)
    assert found is not None
    return int(found[1])


def statuses_until_refused(service: Running) -> list[int]:
    """Ask whether it is ready, again and again, until nobody answers."""
    found = []
    with contextlib.suppress(OSError, http.client.HTTPException):
        while True:
            found.append(readiness(service))
    return found


@contextlib.contextmanager
def answers_no_commit(postgres: Postgres) -> Iterator[None]:
    """Have every COMMIT wait for a standby that does not exist."""

    def standbys(names: str) -> None:
        postgres.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        postgres.execute("SELECT pg_reload_conf()")
        time.sleep(0.5)

    standbys("nowhere")
    try:
        yield
    finally:
        standbys("")


def test_a_postgresql_that_never_answers_a_commit_is_503_and_keeps_nobody_from_ending(
    portal: SandboxServer, tmp_path: Path, postgres: Postgres, postgres_url: str
) -> None:
    given = QUICK | {"rules": RULES, "database_url": postgres_url}
    (place := tmp_path / "other").mkdir()
    with (
        running(tmp_path, portal.url, **given) as service,
        running(place, portal.url, **given) as other,
    ):
        assert other.process is not None
        assert service.post(event("ONCRMDEALADD", 1)) == 200
        assert other.post(event("ONCRMDEALADD", 1)) == 200
        with answers_no_commit(postgres):
            other.process.send_signal(signal.SIGTERM)
            assert service.post(event("ONCRMDEALADD", 2)) == 503
            began = time.monotonic()
            assert service.post(event("ONCRMDEALADD", 3)) == 503
            assert time.monotonic() - began < 1
            assert service.get("/healthz")[0] == 200
            assert other.process.wait(25) == 0
        eventually(lambda: service.post(event("ONCRMDEALADD", 4)) == 200 or None)


def test_a_stop_turns_red_first_lets_a_kill_end_and_exits_with_0(
    portal: SandboxServer, tmp_path: Path
) -> None:
    condemned = lost_deal(portal.sandbox, 759)
    calls = portal.sandbox.calls = StrikingCalls(portal.sandbox)
    with running(tmp_path, portal.url) as service:
        calls.strike = partial(setattr, portal.sandbox, "answer_seconds", 1.5)  # for the kill alone
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        eventually(lambda: kills_asked_for(portal.sandbox) or None)
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        seen = statuses_until_refused(service)
        assert seen == sorted(seen)
        assert seen[-1] == 503
        assert service.process.wait(5) == 0
        (decision,) = service.decisions()
    assert (decision["outcome"], decision["receipt"]) == ("killed", True)
    assert portal.sandbox.killed == [condemned]


def test_a_stop_does_not_wait_for_a_portal_or_a_client_that_hangs(
    portal: SandboxServer, tmp_path: Path
) -> None:
    condemned = lost_deal(portal.sandbox, 759)
    with running(tmp_path, portal.url) as service:
        portal.sandbox.fail_next(KILL, "act_then_hang")
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        eventually(lambda: kills_asked_for(portal.sandbox) or None)
        with socket.create_connection(("127.0.0.1", service.port)) as stalled:
            stalled.sendall(b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
            time.sleep(0.1)
            began = time.monotonic()
            assert service.end() == 0
        # ten seconds and what a busy machine adds, but not the eighteen of the last resort
        assert time.monotonic() - began < 16
        (decision,) = service.decisions()
        assert decision["outcome"] == "in_doubt"
        service.start()
        (settled,) = killed_once(service, portal.sandbox, condemned)
    assert (settled["outcome"], settled["receipt"]) == ("killed", False)
