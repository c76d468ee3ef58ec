"""A test that touches more than its marker says has failed (`tests.support.tiers`)."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = "from tests.conftest import pytest_runtest_call, pytest_runtest_setup\n"
TESTS = """\
import socket, sqlite3, subprocess, threading
import pytest, sqlalchemy

pytestmark = pytest.mark.{tier}

@pytest.fixture
def bound():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server

@pytest.fixture
def another():
    go, came = threading.Event(), []

    def bind():
        go.wait(5)
        try:
            came.append(socket.create_server(("127.0.0.1", 0)).close())
        except Exception as error:
            came.append(error)

    thread = threading.Thread(target=bind)
    thread.start()
    yield lambda: (go.set(), thread.join(5), came)[-1]

def test_a_thread_that_was_there_before(another):
    assert another() == [None]

def test_nothing(tmp_path):
    (tmp_path / "file").write_text("a file is nothing outside")

def test_a_database():
    sqlite3.connect(":memory:").close()

def test_a_database_of_our_own():
    engine = sqlalchemy.create_engine("sqlite://")
    engine.connect().close()
    engine.dispose()

def test_a_database_in_vain():
    try:
        sqlite3.connect(":memory:").close()
    except Exception:
        pass

def test_a_socket():
    socket.create_server(("127.0.0.1", 0)).close()

def test_a_socket_of_a_fixture(bound):
    pass

def test_a_process():
    subprocess.run(["true"])
"""
DATABASES = {"a_database", "a_database_of_our_own", "a_database_in_vain"}
SOCKETS, PROCESSES = {"a_socket", "a_socket_of_a_fixture"}, {"a_process"}


FAILED = {
    "unit": DATABASES | SOCKETS | PROCESSES,
    "store": {"a_socket"} | PROCESSES,  # what a fixture begins may be there for others too
    "portal": PROCESSES,
    "service": set(),
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run the tests under each marker, and return what is said of them."""
    place = tmp_path_factory.mktemp("tiers")
    (place / "conftest.py").write_text(CONFTEST)
    (place / "pytest.ini").write_text("[pytest]\nmarkers =\n unit\n store\n portal\n service\n")
    for tier in FAILED:
        (place / f"test_{tier}.py").write_text(TESTS.format(tier=tier))
    words = ("-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-p", "no:xdist")
    run = subprocess.run(
        [sys.executable, *words, f"--rootdir={place}", str(place)],
        cwd=place,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout


@pytest.mark.parametrize("tier", FAILED)
def test_a_test_does_what_its_marker_allows(played: str, tier: str) -> None:
    told = re.findall(rf"^(PASSED|FAILED|ERROR) test_{tier}\.py::test_(\w+)", played, re.M)
    failed = {name for how, name in told if how != "PASSED"}
    assert failed == FAILED[tier]
    assert {name for _, name in told} == set(re.findall(r"def test_(\w+)", TESTS))
