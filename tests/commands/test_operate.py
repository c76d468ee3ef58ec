"""`responder status` and `sweep`, also where the rules file is broken while the service goes on."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from responder.commands.cli import main
from responder.store import leases, limits
from responder.store.database.database import Database
from tests.support.processes import LOST_DEAL, TOKEN
from tests.support.schema import laid_at

pytestmark = pytest.mark.store

NOW = datetime(2026, 9, 24, 9, 0, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "rules.yaml").write_text(LOST_DEAL)
    database = Database(laid_at(tmp_path / "responder.db"))
    database.open()
    database.write(lambda tx: limits.trip(tx, "main", "lost-deal", NOW, "too many"))
    database.close()
    return tmp_path


def status(place: Path, *words: str) -> Result:
    return responder(place, "status", *words)


def responder(place: Path, *words: str) -> Result:
    environment = {
        "RESPONDER_DATABASE_URL": f"sqlite:///{place / 'responder.db'}",
        "RESPONDER_RULES": str(place / "rules.yaml"),
        "RESPONDER_PORTALS__MAIN__URL": "http://127.0.0.1:1/rest/1/test-secret-0001/",
        "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        "RESPONDER_SECRETS_DIR": str(place),
    }
    return CliRunner().invoke(main, words, env=environment)


def test_status_shows_each_rule_with_its_trip(place: Path) -> None:
    done = status(place)
    assert done.exit_code == 0, done.output
    assert "rule lost-deal (main): kill, enforce, 0 of" in done.stdout
    assert "TRIPPED: too many" in done.stdout


def test_status_tells_the_mode_of_the_service_from_that_of_the_settings(place: Path) -> None:
    def mode(of_service: str | None) -> str:
        if of_service is not None:
            database = Database(f"sqlite:///{place / 'responder.db'}")
            database.open()
            database.write(lambda tx: leases.record_alive(tx, "vm:1:a", of_service, 60))
            database.close()
        said = status(place).stdout.partition("mode ")[2].partition("paused ")[0]
        return " ".join(said.split())  # lines are as wide as the terminal

    assert mode(None) == "observe (in the settings here; no service runs)"
    assert mode(f"{'0' * 64} observe") == "observe"
    assert mode("0" * 64) == (
        "enforce; the settings here say observe, which counts once it is started again"
    )
    assert json.loads(status(place, "--json").stdout)["running_modes"] == ["enforce"]


def test_status_begins_with_what_needs_you(place: Path) -> None:
    lines = status(place).stdout.partition("\n\n")[0].splitlines()
    assert lines[0].startswith("NEEDS YOU  Rule lost-deal has tripped in main")
    said = " ".join(" ".join(lines).split())
    assert said.endswith("raise its `limit`. Then `responder rearm lost-deal`.")
    assert all(len(line) <= 80 for line in lines)
    (alarm,) = json.loads(status(place, "--json").stdout)["alarms"]
    assert (alarm["kind"], alarm["severity"]) == ("rule_tripped", "needs_you")
    assert (alarm["about"], alarm["since"]) == ("lost-deal", "2026-09-24T09:00:00.000Z")


def test_with_a_broken_rules_file_status_shows_all_the_rest_and_exits_with_1(place: Path) -> None:
    (place / "rules.yaml").write_text("rules: [")
    done = status(place)
    assert done.exit_code == 1
    assert "ruleset  BROKEN" in done.stdout
    assert "portal main" in done.stdout
    assert "rule lost-deal (main): TRIPPED: too many" in done.stdout
    assert "responder check" in done.stderr
    assert f"in force: {place / 'rules.yaml'}:" in " ".join(done.stdout.split())
    found = json.loads(status(place, "--json").stdout)
    assert (found["ruleset"], found["rules"][0]["tripped"]) == (None, "too many")


def test_a_rule_that_is_none_is_never_swept(place: Path) -> None:
    done = responder(place, "sweep", "--rule", "lost-dael")
    assert done.exit_code == 2
    assert (
        "There is no rule 'lost-dael' that stops anything. Did you mean lost-deal?" in done.stderr
    )


def test_a_rearm_says_first_what_it_frees_and_asks_only_on_a_terminal(place: Path) -> None:
    done = responder(place, "rearm", "lost-deal")
    assert (done.exit_code, done.stdout) == (
        0,
        "Rearmed lost-deal; 0 held stops are judged afresh.\n",
    )
    assert done.stderr == "lost-deal: It holds nothing; its counts begin at zero again.\n"
    assert responder(place, "rearm", "--yes", "lost-deal").exit_code == 0
    assert responder(place, "rearm", "lost-dael").exit_code == 2
