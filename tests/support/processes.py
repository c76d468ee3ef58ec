"""Starts the real program against a sandbox portal, for tests of the whole."""

import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

from responder.journal.reading import decisions
from responder.store.database.database import Database
from responder.store.inbox import inbox
from tests.support.forked import Forked, Start, launch, run
from tests.support.schema import laid_at

T = TypeVar("T")

TOKEN = "test-application-token-0001"
URL_KEY = "test-url-key-0001"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

LOST_DEAL = """\
version: 1
rules:
  - id: lost-deal
    because: A lost deal needs no approval.
    mode: enforce
    when: [deal.updated, robot]
    if: {deal.stage_semantic_id: F, workflow.template_id: 61}
    then: kill
"""

# how the tokens of a sandbox's application begin, after the time when they end
SANDBOX_TOKENS = tuple(f"Sandbox{kind}Token" for kind in ("Access", "Refresh", "Code", "Event"))

# what would set the program up otherwise, or have it compile all its modules at every start
_NOT_INHERITED = ("RESPONDER_", "PYTHONDONTWRITEBYTECODE")

FIRST_PORT, WORKERS, PORTS = 12_000, 16, 1_000
_ports = itertools.count(random.randrange(PORTS))  # noqa: S311 -- two runs at once differ

ASKED_SECONDS = 1.0

PROGRAM = ("-m", "responder", "serve")
HURRIED = ("-m", "tests.support.hurried_service")  # for which `pass_a_minute`

Decision = dict[str, object]


def free_port() -> int:
    """Find a port that nobody listens on, nor takes for a connection before we listen.

    Those that the system gives to whoever connects begin at 32768; each of the processes that share
    the tests has a range of its own below.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    while True:
        port = FIRST_PORT + WORKERS * (next(_ports) % PORTS) + worker
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def listens(port: int) -> bool | None:
    """Tell whether somebody listens there; None, for `eventually`, where nobody does."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return None
    return True


def event(
    name: str,
    item_id: object,
    *,
    token: str = TOKEN,
    ts: object = "1736405807",
    note: str = "",
    type_id: object = None,
) -> str:
    """Write the body that a portal sends for a CRM event."""
    form = {"event": name, "data[FIELDS][ID]": item_id, "data[FIELDS][NOTE]": note, "ts": ts}
    if type_id is not None:
        form["data[FIELDS][ENTITY_TYPE_ID]"] = type_id
    return urlencode({**form, "auth[application_token]": token})


def write_rules(place: Path, text: str) -> None:
    """Write rules that have been there for an hour: those of this second are waited for."""
    path, an_hour_ago = place / "rules.yaml", time.time() - 3_600
    path.write_text(text, encoding="utf-8")
    os.utime(path, (an_hour_ago, an_hour_ago))


class Running:
    """`responder serve` as a process, with the database it writes."""

    def __init__(self, place: Path, environment: Mapping[str, str], database_url: str) -> None:
        self.place = place
        self.program: Sequence[str] = PROGRAM
        self.port = free_port()
        self.database_url = database_url
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(_NOT_INHERITED)},
            "RESPONDER_DATABASE_URL": database_url,
            "RESPONDER_LOG_LEVEL": "debug",
            "RESPONDER_PORT": str(self.port),
            "RESPONDER_RULES": str(place / "rules.yaml"),
            "COLUMNS": "400",  # no line of a command is folded
            **environment,
        }
        self.log = place / "log.jsonl"
        self.secrets: list[str] = []  # what is found out while it runs
        self.process: Forked | subprocess.Popen[bytes] | None = None

    def launch(self, *words: str) -> None:
        """Start it, as `python WORDS`, without waiting until it receives."""
        self.process = launch(Start(words, self.place, self.environment, self.log, self.log))

    def start(self) -> "Running":
        """Start it and wait until it receives."""
        self.launch(*self.program)
        assert self.process is not None
        try:
            eventually(self._is_up, seconds=60, why=lambda: self.log.read_text()[-2000:])
        except AssertionError:
            self.process.kill()
            self.process.wait(20)
            raise
        return self

    def _is_up(self) -> bool | None:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        try:
            return self.get("/healthz")[0] == 200 or None
        except OSError:
            return None

    def wait_until_asked(self) -> None:
        """Wait until it has asked its portal the crucial questions, as it does at its start.

        Where it does not drive the portal, or cannot ask, that keeps nobody waiting for long.
        """
        deadline = time.monotonic() + ASKED_SECONDS
        while not self._has_asked() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _has_asked(self) -> bool:
        """Say whether it has, or shows nobody whether it has."""
        portal = json.loads(self.get("/readyz")[1]).get("portals", {}).get("main")
        return portal is None or portal["probe"]["asked_at"] is not None

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(20)

    def pass_a_minute(self) -> None:
        """Let a minute pass for it."""
        assert self.program is HURRIED
        assert self.process is not None
        self.process.send_signal(signal.SIGUSR1)

    def waited_for_nothing_longer(self) -> None:
        """Fail if a minute made due what was put off for longer, as after a clock's mistake."""
        assert "the clock was ahead" not in self.log.read_text()

    def post(self, body: str | bytes, path: str = "/events") -> int:
        """Send a delivery and return the status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request("POST", path, body, FORM)
            return connection.getresponse().status
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask for a page."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            self.holds_no_secret(body.decode("latin-1"))
            return answer.status, body
        finally:
            connection.close()

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run another command of the program with the same settings."""
        done = run(("-m", "responder", *words), self.place, self.environment)
        self.holds_no_secret(done.stdout + done.stderr)
        return done

    def holds_no_secret(self, text: str) -> None:
        """Fail if a text has a secret in it."""
        for secret in (TOKEN, URL_KEY, *SANDBOX_TOKENS, *self.secrets, *self._configured()):
            assert secret not in text, "a secret was written"

    def _configured(self) -> Iterator[str]:
        """Give the secrets of the settings: of webhooks, of applications, and the key."""
        for name, value in self.environment.items():
            if name.startswith("RESPONDER_PORTALS__") and name.endswith("__URL"):
                yield value.rstrip("/").split("/")[-1]
            elif name.endswith(("__CLIENT_SECRET", "RESPONDER_SECRET_KEY")):
                yield value

    def left_no_secret(self) -> None:
        """Fail if anything that was written, at debug level, has a secret in it."""
        for path in self.place.rglob("*"):
            if path.is_file():
                self.holds_no_secret(path.read_bytes().decode("latin-1"))

    @contextmanager
    def _database(self) -> Iterator[Database]:
        database = Database(self.database_url)
        database.open()
        try:
            yield database
        finally:
            database.close()

    def decisions(self) -> list[Decision]:
        """Read the whole decision log."""
        with self._database() as database:
            return list(decisions.decisions(database))

    def settled(self, count: int = 1, seconds: float = 100) -> list[Decision]:
        """Wait until nothing waits and no stop is open, and `count` decisions are made.

        A busy machine may strike between a stop's intent and its call: then the stop is in doubt
        until the portal would have cut the call off, a minute and a quarter later.
        """
        with self._database() as database:

            def look() -> list[Decision] | None:
                if database.read(inbox.depth):
                    return None
                made = list(decisions.decisions(database))
                lasting = [d for d in made if d["outcome"] in ("waiting", "held", "in_doubt")]
                return None if lasting or len(made) < count else made

            return eventually(
                look,
                seconds=seconds,
                why=lambda: (
                    json.dumps(list(decisions.decisions(database))) + self.log.read_text()[-2000:]
                ),
            )


def eventually(
    look: Callable[[], T | None], *, seconds: float = 45, why: Callable[[], str] = str
) -> T:
    """Look again and again until there is something, less often the longer it takes."""
    deadline, pause = time.monotonic() + seconds, 0.02
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(pause)
        pause = min(1.2 * pause, 0.2)
    raise AssertionError(f"nothing came within {seconds} s: {why()}")


@contextmanager
def running(
    place: Path,
    portal_url: str,
    *,
    rules: str = LOST_DEAL,
    database_url: str | None = None,
    program: Sequence[str] = PROGRAM,
    **environment: str,
) -> Iterator[Running]:
    """Run the program in enforce mode against one portal, and end it afterwards."""
    write_rules(place, rules)
    service = Running(
        place,
        {
            "RESPONDER_MODE": "enforce",
            "RESPONDER_PORTALS__MAIN__URL": portal_url,
            "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
            "RESPONDER_PORTALS__MAIN__URL_KEY": URL_KEY,
            **environment,
        },
        database_url or laid_at(place / "responder.db"),
    )
    service.program = program
    service.start()
    service.wait_until_asked()
    try:
        yield service
    finally:
        if service.process is not None and service.process.poll() is None:
            service.end()
        service.left_no_secret()
    if program is HURRIED:
        service.waited_for_nothing_longer()
