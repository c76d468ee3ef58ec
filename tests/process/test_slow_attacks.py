"""slowhttptest against the real program: it keeps no event out, and leaves nothing open.

Who reads slowly keeps its connection: the system takes answers of this size off the program's hands
at once, so that to the program such a client is an idle one.
"""

import contextlib
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.support import observed
from tests.support.processes import Running, event, eventually, running

TOOL = shutil.which("slowhttptest")
SECONDS = 13  # a client may take ten over a head or a body
LONGEST = 30  # seconds; by then nobody is connected any more
PAUSE_SECONDS = 0.05
ATTACKS = {
    "slow headers": f"-H -l {LONGEST} -i 1 -u {{url}}/events",
    "slow bodies": f"-B -l {LONGEST} -i 1 -s 8192 -u {{url}}/events",
    "slow reading": f"-X -l {SECONDS} -k 10 -n 1 -z 5 -w 1 -y 64 -u {{url}}/metrics",
    "ranges": f"-R -l {LONGEST} -a 5 -b 2000 -t HEAD -u {{url}}/healthz",
}

pytestmark = pytest.mark.skipif(TOOL is None, reason="slowhttptest is not installed")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    with SandboxServer(Sandbox()) as portal, running(tmp_path, portal.url) as program:
        yield program


@contextlib.contextmanager
def attack(service: Running, name: str, connections: int) -> Iterator[Path]:
    """Attack the program within this block; give what the attacker writes down."""
    assert TOOL is not None
    words = ATTACKS[name].format(url=f"http://127.0.0.1:{service.port}").split()
    words += ["-c", str(connections), "-r", str(connections), "-p", "5"]
    log = service.place / f"{name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen([TOOL, *words], stdout=file, stderr=file)
    threading.Thread(target=_rest_mostly, args=(process,)).start()
    try:
        yield log
        process.wait(LONGEST + 10)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(20)


def _rest_mostly(attacker: "subprocess.Popen[bytes]") -> None:
    """Let it act ten times a second: it waits for its next second in a loop without a pause."""
    while attacker.poll() is None:
        attacker.send_signal(signal.SIGSTOP)
        time.sleep(0.08)
        attacker.send_signal(signal.SIGCONT)
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("names", "connections"),
    [
        pytest.param(ATTACKS, 100, id="all at once"),
        *(pytest.param([name], 800, id=name, marks=pytest.mark.long) for name in ATTACKS),
    ],
)
def test_no_slow_client_keeps_an_event_out_or_stays(
    service: Running, names: list[str], connections: int
) -> None:
    before = observed.sockets(service)
    with contextlib.ExitStack() as stack:
        logs = [stack.enter_context(attack(service, name, connections)) for name in names]
        most = max(seen_while_posting(service, SECONDS))
    staying = [name for name in names if name != "ranges"]
    assert most > len(staying) * connections * 0.9, "they did not even connect"
    for log in logs:
        written = log.read_text(errors="replace")
        assert "YES" in written, written  # the service is available
        if log.stem != "slow reading":
            assert "No open connections left" in written, written  # else the time was up
    observed.all_closed(service)
    eventually(lambda: observed.sockets(service) <= before + 1 or None)
    observed.is_quiet(service)


def seen_while_posting(service: Running, seconds: float) -> Iterator[int]:
    """Post events all the time; give how many sockets are open after each."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        assert service.post(event("ONCRMCONTACTADD", 1)) == 200
        assert time.monotonic() - began < 1
        yield observed.sockets(service)
        time.sleep(PAUSE_SECONDS)
