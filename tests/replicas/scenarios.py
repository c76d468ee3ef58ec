"""What is done to replicas, and what is wrong afterwards: for tests, broken builds and figures."""

import itertools
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.journal.audit.integrity import check_log
from tests.replicas.checks import violations
from tests.replicas.cluster import Cluster, Replica, StrikingCalls, cluster
from tests.support import under_load
from tests.support.processes import PROGRAM, Running, event, eventually
from tests.support.under_load import KILL, Load, lost_deal

LONGEST_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a scenario is played: a folder, a database, and the program that is tried."""

    folder: Path
    database_url: str
    program: Sequence[str] = PROGRAM

    @property
    def end(self) -> signal.Signals:
        """How its programs are ended; what is broken may not end in order."""
        return signal.SIGTERM if self.program == PROGRAM else signal.SIGKILL


@dataclass(slots=True, kw_only=True)
class Played:
    """What came of a scenario."""

    wrong: list[str] = field(default_factory=list)
    takeover_seconds: float = 0.0
    limited: int = 0
    acknowledged: int = 0


def limits(sandbox: Sandbox) -> dict[str, str]:
    """Tell the program of a portal's request limit."""
    return {
        "RESPONDER_PORTALS__MAIN__REQUESTS_PER_SECOND": str(sandbox.rate),
        "RESPONDER_PORTALS__MAIN__BURST": str(sandbox.burst),
    }


@contextmanager
def played_at(
    place: Place, sandbox: Sandbox, replicas: int, end: signal.Signals | None = None
) -> Iterator[Cluster]:
    """Serve a portal, and run so many programs that are told of its request limit."""
    with (
        SandboxServer(sandbox) as server,
        cluster(
            place.folder,
            place.database_url,
            server.url,
            programs=[place.program] * replicas,
            end=end or place.end,
            environment=limits(sandbox),
        ) as running,
    ):
        yield running


def limited_portal(rate: float = 20, burst: int = 60) -> tuple[Sandbox, StrikingCalls]:
    """Make a portal with deals and a request limit."""
    sandbox, _ = under_load.portal_with_deals()
    sandbox.rate, sandbox.burst, sandbox.limits = rate, burst, True
    calls = StrikingCalls(sandbox)
    sandbox.calls = calls
    return sandbox, calls


def strike_the_driver(
    replicas: Cluster, calls: StrikingCalls, how: signal.Signals
) -> tuple[Replica, float]:
    """Send the driver a signal in the midst of a kill call; return who it was, and when."""
    struck: list[float] = []
    driver = replicas.driven()

    def strike() -> None:
        driver.signal(how)
        struck.append(time.monotonic())

    calls.strike = strike
    eventually(lambda: struck or None, seconds=LONGEST_SECONDS, why=replicas.tails)
    return driver, struck[0]


def taken_over(replicas: Cluster, driver: Replica, since: float) -> float:
    """Wait until another drives; return how long that took."""
    replicas.driven(by_other_than=driver)
    return time.monotonic() - since


def acknowledged(load: Load, count: int, replicas: Cluster) -> None:
    """Wait until so many events were acknowledged."""
    eventually(
        lambda: len(load.acknowledged) >= count or None,
        seconds=LONGEST_SECONDS,
        why=replicas.tails,
    )


def one_is_killed(
    place: Place, *, events: int, replicas: int = 3, rate: float = 20, burst: int = 60
) -> Played:
    """Kill the driver of several in the middle of so many events; one answer is lost besides."""
    sandbox, calls = limited_portal(rate, burst)
    played = Played()
    with played_at(place, sandbox, replicas) as running:
        load = Load(running.balancer, sandbox, pause_seconds=0.04)
        with load.under_way():
            acknowledged(load, events // 4, running)
            sandbox.fail_next(KILL, "act_then_drop")
            eventually(lambda: not sandbox.faults.planned or None, why=running.tails)
            acknowledged(load, events // 2, running)
            driver, died_at = strike_the_driver(running, calls, signal.SIGKILL)
            played.takeover_seconds = taken_over(running, driver, died_at)
            acknowledged(load, events, running)
        running.settled(LONGEST_SECONDS)
        played.wrong = violations(running, load, sandbox, calls)
    played.limited, played.acknowledged = sandbox.limited, len(load.acknowledged)
    return played


def the_driver_is_stopped(place: Place, *, seconds: float) -> Played:
    """Stop the driver of two during a kill call, for longer than its lease, and let it go on."""
    sandbox, calls = limited_portal()
    played = Played()
    with played_at(place, sandbox, 2) as replicas:
        driver = replicas.driven()
        (other,) = (one for one in replicas.replicas if one is not driver)
        load = Load(other, sandbox, pause_seconds=0.05)
        with load.under_way():
            _, stopped_at = strike_the_driver(replicas, calls, signal.SIGSTOP)
            played.takeover_seconds = taken_over(replicas, driver, stopped_at)
            time.sleep(max(0.0, seconds - (time.monotonic() - stopped_at)))
            driver.signal(signal.SIGCONT)
            eventually(
                lambda: (
                    said(driver, "the lease was lost")
                    or done_without_the_lease(replicas, driver)
                    or None
                ),
                seconds=LONGEST_SECONDS,
                why=replicas.tails,
            )
        played.wrong = done_without_the_lease(replicas, driver)
        if not played.wrong:
            replicas.settled()
            played.wrong = violations(replicas, load, sandbox, calls)
    return played


def done_without_the_lease(replicas: Cluster, driver: Running) -> list[str]:
    """Name what a driver wrote, or failed to write, for a portal that another drives."""
    failed = "its round went on and failed while another drove the portal"
    written = replicas.written_without_the_lease()
    return [*written, failed] if said(driver, "a round failed") else written


def said(service: Running, words: str) -> bool | None:
    """Tell whether a program has said something in its log."""
    return words in service.log.read_text(encoding="utf-8") or None


def the_bucket_is_nearly_full(place: Place, *, seconds: float) -> Played:
    """Kill the driver when the portal's bucket is nearly full; there is more to do than it takes.

    In the seconds that a takeover lasts, hardly anything leaks out of this bucket. The next driver
    leaves a fifth of it free, so it must find less than four fifths in it to ask for anything.
    """
    sandbox = Sandbox(rate=0.1, burst=30, limits=True)
    numbers = itertools.count(1)
    # ended by a kill, else it would wait for the portal to take one more request
    with played_at(place, sandbox, 2, end=signal.SIGKILL) as replicas:
        driver = replicas.driven()
        while sandbox.http_requests < sandbox.burst * 0.6:
            _a_lost_deal(sandbox, replicas, next(numbers))
            time.sleep(0.1)
        driver.signal(signal.SIGKILL)
        died_at = time.monotonic()
        played = Played(takeover_seconds=taken_over(replicas, driver, died_at))
        asked = sandbox.http_requests
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at and not sandbox.limited:
            _a_lost_deal(sandbox, replicas, next(numbers))
            time.sleep(0.1)
        if sandbox.http_requests == asked:
            played.wrong.append("the next driver asked for nothing")
        played.wrong += [f"the log: {wrong}" for wrong in check_log(replicas.database)[1]]
    if sandbox.limited:
        played.wrong.append(f"refused by the limit: {sandbox.limited}")
    return played


def _a_lost_deal(sandbox: Sandbox, replicas: Cluster, number: int) -> None:
    """Lose a deal with a workflow on it, and send the event."""
    lost_deal(sandbox, number)
    if replicas.balancer.post(event("ONCRMDEALUPDATE", number)) != 200:
        raise RuntimeError("the event was not acknowledged")
