"""What somebody on the machine, or in its network, is not to learn or to pretend."""

import json
import os
import pwd
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.support.forked import AS_THE_SHELL
from tests.support.processes import URL_KEY, Running, running

SHORT_KEY = "short-key-1"


@pytest.fixture(scope="module")
def portal() -> Iterator[SandboxServer]:
    with SandboxServer(Sandbox()) as server:
        yield server


def warnings(service: Running) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    return [line for line in lines if line["level"] == "warning"]


def test_who_acts_is_told_by_the_system_and_not_by_a_variable(
    portal: SandboxServer, tmp_path: Path
) -> None:
    names = ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER")
    with running(tmp_path, portal.url, **dict.fromkeys(names, "boss")) as service:
        assert service.command("pause").returncode == 0
        paused = json.loads(service.command("status", "--json").stdout)["paused"]
    name, _, _ = paused["by"].partition("@")
    assert name == pwd.getpwuid(os.getuid()).pw_name != "boss"


def test_a_url_key_that_is_short_is_warned_of_and_taken(
    portal: SandboxServer, tmp_path: Path
) -> None:
    with running(tmp_path, portal.url, RESPONDER_PORTALS__MAIN__URL_KEY=SHORT_KEY) as service:
        body = "document_id[]=crm&document_id[]=CCrmDocumentDeal&document_id[]=DEAL_1"
        assert service.post(body, f"/events/{SHORT_KEY}") == 200
        (warning,) = warnings(service)
    assert (warning["event"], warning["portal"]) == ("a url_key is too short to be safe", "main")
    assert SHORT_KEY not in service.log.read_text()


def test_a_url_key_that_is_long_enough_is_not_warned_of(
    portal: SandboxServer, tmp_path: Path
) -> None:
    assert len(URL_KEY) >= 16
    with running(tmp_path, portal.url) as service:
        assert warnings(service) == []


def died(process: "subprocess.Popen[bytes]") -> bool:
    """Have a process die of a fault; tell whether its memory was dumped."""
    process.send_signal(signal.SIGSEGV)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -os.WTERMSIG(status)
    return os.WCOREDUMP(status)


def test_no_memory_is_dumped(portal: SandboxServer, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        sleeper = subprocess.Popen(["sleep", "60"], cwd=tmp_path)
        is_dumped_here = died(sleeper)
        with running(tmp_path, portal.url, **{AS_THE_SHELL: "1"}) as service:
            assert isinstance(service.process, subprocess.Popen)
            assert not died(service.process)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
        for core in tmp_path.glob("core*"):
            core.unlink()
    if not is_dumped_here:
        pytest.skip("this machine dumps no memory at all")


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_the_system_is_told_that_no_memory_is_to_be_dumped() -> None:
    code = (
        "import ctypes; from responder.commands.serve import _keep_memory_private as keep;"
        "dumpable = lambda: ctypes.CDLL(None).prctl(3, 0, 0, 0, 0);"
        "before = dumpable(); keep(); print(before, dumpable())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.split() == [b"1", b"0"]
