"""Nothing that a portal sends moves the cursor, colours the terminal, hides, or forges a line."""

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.support.processes import LOST_DEAL, Running, event, running
from tests.support.under_load import DEAL

HOSTILE = (
    "\x1b[31mred\x1b]0;owned\x07\x9b31m\u202eevil\u2066\x00\x7f\u2028\r\nok       forged: a line"
)
HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.fixture
def portal() -> Iterator[SandboxServer]:
    sandbox = Sandbox()
    sandbox.users["1"] |= {"NAME": HOSTILE, "ID": HOSTILE}
    sandbox.scopes = (*sandbox.scopes, HOSTILE)
    with SandboxServer(sandbox) as server:
        yield server


@pytest.fixture
def service(portal: SandboxServer, tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, portal.url) as program:
        yield program


def is_plain(text: str) -> bool:
    """Tell whether a terminal shows this line by line, and does nothing else with it."""
    return all(
        character == "\n" or unicodedata.category(character) not in HIDDEN for character in text
    )


def said(line: str) -> str:
    """Return the message of a line of JSON, as it was."""
    return str(json.loads(line)["message"])


def spoil(portal: Sandbox) -> None:
    """Have the portal say something hostile wherever it says something."""
    for method in ("scope", "app.info", "method.get", "server.time", "bizproc.workflow.instances"):
        portal.fail_next(method, ("error", 400, HOSTILE, HOSTILE), times=10_000)


@pytest.mark.parametrize("words", [("doctor",), ("doctor", "--json")])
def test_what_doctor_says_of_a_hostile_portal_is_plain(
    service: Running, portal: SandboxServer, words: tuple[str, ...]
) -> None:
    for number in range(2):
        done = service.command(*words)
        assert is_plain(done.stdout + done.stderr), repr(done.stdout)
        assert "red" in done.stdout
        assert not any(line.startswith("ok       forged") for line in done.stdout.splitlines())
        if "--json" in words and number == 0:
            assert [line for line in done.stdout.splitlines() if "\x1b]0;owned" in said(line)]
        spoil(portal.sandbox)


def test_what_a_sweep_meets_in_a_hostile_portal_is_plain(
    service: Running, portal: SandboxServer
) -> None:
    ways = ((), ("--json",), ("--observe",), ("--observe", "--json"))
    for number, words in enumerate(ways, start=759):
        portal.sandbox.add_item(2, number, stageSemanticId="F")
        portal.sandbox.start_workflow((*DEAL, f"DEAL_{number}"), 61)
        done = service.command("sweep", *words)
        assert f"DEAL_{number}" in done.stdout or f"deal:{number}" in done.stdout, words
    spoil(portal.sandbox)
    for words in ways:
        done = service.command("sweep", *words)
        assert "red" in done.stderr, words
        assert is_plain(done.stdout + done.stderr), repr(done.stdout + done.stderr)


def test_every_command_that_reads_the_log_is_plain(service: Running, portal: SandboxServer) -> None:
    portal.sandbox.add_item(2, 759, stageSemanticId="F", title=HOSTILE)
    workflow = portal.sandbox.start_workflow((*DEAL, "DEAL_759"), 61)
    portal.sandbox.add_bizproc_task(workflow, 1, HOSTILE)
    assert service.post(event(f"ON{HOSTILE}", HOSTILE)) == 200
    assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
    service.settled(2)
    spoil(portal.sandbox)
    decision = str(service.decisions()[-1]["id"])
    for words in (
        "decisions", "decisions --json", f"decisions show {decision}", "events", "events --json",
        f"explain {decision}", "explain --document deal:759", "status", "status --json",
        "audit export", "audit verify", "audit checkpoint", "backtest rules.yaml", "rules",
        "backtest rules.yaml --json", "check --portal main", "approve",
    ):  # fmt: skip
        done = service.command(*words.split())
        assert done.returncode in (0, 1), (words, done.stderr)
        assert is_plain(done.stdout + done.stderr), (words, done.stdout + done.stderr)


def test_a_rules_file_comes_out_of_the_log_as_it_was(service: Running) -> None:
    text = LOST_DEAL.replace("A lost", "\u202eA lost").replace("\n", "\r\n")
    rules = service.place / "rules.yaml"
    rules.write_bytes(text.encode())
    service.end()
    service.start()
    assert service.post(event("ONCRMDEALUPDATE", 1)) == 200
    revision = str(service.settled(1)[-1]["ruleset"])
    shown = service.command("rules", "show", revision)
    assert shown.stdout.encode().replace(b"\n", b"\r\n") == text.encode()
