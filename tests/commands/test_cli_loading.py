"""What a command does not need is not imported: to wait for it is what makes a command slow."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from responder.commands.cli import COMMANDS, main
from responder.store.database.database import Database
from tests.rules.make import a_rule, a_workflow, in_a_file
from tests.support.past_log import PastRules, rules

pytestmark = pytest.mark.service

LOST = a_rule("deal.stage_semantic_id: F, workflow.template_id: 61", name="lost-deal")

SERVICE = {
    *("httpx", "starlette", "uvicorn", "prometheus_client", "structlog", "jinja2", "watchfiles"),
    *("markdown_it", "responder.service", "responder.receive", "responder.judge", "responder.stop"),
    *(f"responder.adapters.{name}" for name in ("transport", "metrics", "logs")),
}
SETTINGS = {"pydantic", "pydantic_settings", "responder.settings.settings"}
STORE = {"sqlalchemy", "responder.store", "responder.journal"}
RULES = {"yaml", "re2", "responder.rules.ruleset"}
NEVER_READ = {"alembic", "psycopg", "sqlalchemy.dialects.postgresql"}

NETWORK = {"asyncio", "socket"}

MENDS = {"responder.rules.load.syntax.broken_lines", "responder.rules.load.syntax.line_signs"}
FOR_AUTHORS = SERVICE | SETTINGS | STORE | NETWORK | MENDS
FOR_AUDITORS = SERVICE | SETTINGS | NEVER_READ | MENDS
EACH_COMMAND = {
    *(f"responder.commands.{module}" for module in ("context", "journal", "rules")),
    *(f"responder.commands.{place.partition(':')[0]}" for place, _ in COMMANDS.values()),
}
WRITES = {"responder.journal.record", "responder.journal.restarts", "responder.store.limits"}
FOR_NOBODY = FOR_AUTHORS | RULES | {"responder.authoring", "responder.bitrix24"}


@pytest.fixture(scope="module")
def place(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with rules, and a log in which they decided."""
    folder = tmp_path_factory.mktemp("loading")
    (folder / "rules.yaml").write_text(in_a_file(LOST))
    (folder / "responder.db").write_bytes(migrated_file.read_bytes())
    database = Database(f"sqlite:///{folder / 'responder.db'}")
    database.open()
    past = PastRules(database, rules(LOST), now=datetime.now(UTC) - timedelta(days=1))
    past.happened({"deal.stage_semantic_id": "F"}, a_workflow("a"))
    past.unnamed("lead:7")
    database.close()
    return folder


def imported(place: Path, *words: str) -> set[str]:
    """Run a command as a shell does, and name all modules and packages that it imported."""
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("RESPONDER_", "COV"))}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "responder", *words],
        cwd=place,
        env=inherited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return set(re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE))


NOT_IMPORTED: dict[str, set[str]] = {
    "--help": FOR_NOBODY | EACH_COMMAND,
    "check": FOR_AUTHORS,
    "check rules.yaml": FOR_AUTHORS | {"dotenv"},
    "test": FOR_AUTHORS,
    "explain": FOR_AUTHORS,
    "fields deal": FOR_AUTHORS,
    "recipes": FOR_NOBODY,
    "docs": FOR_NOBODY,
    "docs how-it-works": FOR_NOBODY,
    "deploy": FOR_NOBODY,
    "deploy compose": FOR_NOBODY,
    "schema": FOR_AUTHORS,
    "decisions": FOR_AUDITORS | RULES | WRITES,
    "decisions --json --since 1h": FOR_AUDITORS | RULES,
    "decisions show main-1-1": FOR_AUDITORS,
    "decisions show main-1-1 --json": FOR_AUDITORS | RULES,
    "events": FOR_AUDITORS | RULES | WRITES,
    "explain main-1-1": FOR_AUDITORS | WRITES,
    "audit verify": FOR_AUDITORS | RULES,
    "audit checkpoint": FOR_AUDITORS | RULES,
    "audit export": FOR_AUDITORS | RULES,
    "backtest rules.yaml": FOR_AUDITORS,
    f"rules show {rules(LOST).revision}": FOR_AUDITORS | RULES,
}


@pytest.mark.parametrize("line", NOT_IMPORTED)
def test_a_command_imports_nothing_that_it_does_not_need(place: Path, line: str) -> None:
    found = imported(place, *line.split())
    assert "click" in found
    assert found & NOT_IMPORTED[line] == set()


HELPS = """
import sys
from responder.commands.cli import COMMANDS, main
for name in COMMANDS:
    main([name, "--help"], standalone_mode=False)
    print(name, *sys.modules, file=sys.stderr)
"""


def test_what_a_command_can_do_is_told_without_what_it_needs_for_it(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELPS], cwd=place, capture_output=True, text=True, check=True
    )
    told = {name: set(found) for name, *found in map(str.split, done.stderr.splitlines())}
    assert list(told) == list(COMMANDS)
    assert all("responder.commands.cli" in found for found in told.values())
    needless = {name: found & (FOR_NOBODY - NETWORK) for name, found in told.items()}
    assert [name for name, found in needless.items() if found] == [], "the first is to blame"


def test_each_command_is_told_in_a_line_of_the_terminal_below_one_heading() -> None:
    with click.Context(main, terminal_width=80) as context:
        listed = main.get_help(context).split("Run it:\n")[1].splitlines()
        lines = [line for line in listed if line.startswith("  ")]
        assert sorted(line.split()[0] for line in lines) == sorted(COMMANDS)
        assert all(len(line.split(maxsplit=1)[1]) > 10 and len(line) <= 80 for line in lines)
        loaded = {name: main.get_command(context, name) for name in COMMANDS}
    assert [name for name, command in loaded.items() if command is None] == []
    headings = [line for line in listed if line and not line.startswith(" ")]
    assert headings == ["Look:", "Act:", "Rules:", "Audit:", "Read:"]


NOT_IN_SERVICE = {
    *("alembic", "psycopg", "sqlalchemy.dialects.postgresql", "jinja2", "markdown_it"),
    *("cryptography", "watchfiles", "responder.authoring", "responder.bitrix24.sandbox"),
    *(f"responder.service.{part}" for part in ("pages", "notifier", "doctor")),
    *(f"responder.service.application.{part}" for part in ("applications", "steps", "installer")),
    *("responder.receive.application", "responder.bitrix24.oauth"),
}
STARTS = """
import sys
import responder.service.app
from responder.store.database.database import Database
database = Database("sqlite:///responder.db")
database.open()
database.migrate()
print(*sys.modules)
"""


def test_a_service_imports_nothing_that_its_settings_and_its_database_do_not_need(
    place: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTS], cwd=place, capture_output=True, text=True, check=True
    )
    found = set(done.stdout.split())
    assert "responder.service.app" in found
    assert found & NOT_IN_SERVICE == set()
