"""Accepting connections: what befalls when there is no file left for one."""

import contextlib
import json
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.support.processes import eventually, free_port, listens
from tests.support.uvicorn_thread import asked, connected, request

pytestmark = pytest.mark.service

FEW_FILES = """
import resource, sys
import uvloop
from responder.adapters import logs
from responder.adapters.metrics import Metrics
from responder.receive.server.connections import OpenConnections
from responder.receive.server.fast_server import Server, server_config
from tests.bench.ack import bare

logs.configure("warning", ())
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
config = server_config(bare, host="localhost", port=int(sys.argv[1]))
uvloop.run(Server(config, OpenConnections(1_000, Metrics())).serve())
"""


def test_without_a_file_for_one_more_it_waits_says_so_once_and_goes_on() -> None:
    port = free_port()
    server = subprocess.Popen([sys.executable, "-c", FEW_FILES, str(port)], stderr=subprocess.PIPE)
    try:
        eventually(lambda: listens(port))
        with ExitStack() as stack:
            for _ in range(80):
                with contextlib.suppress(OSError):
                    stack.enter_context(connected(port))
        assert eventually(lambda: asked(port, request(b"a=b"))).status == 200
    finally:
        server.terminate()
        _, said = server.communicate(timeout=20)
    (line,) = [json.loads(line) for line in said.splitlines()]
    assert (line["event"], line["why"]) == (
        "A connection could not be accepted.",
        "Too many open files",
    )
