"""An installation examined as a whole: a real portal in miniature, real databases."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.bitrix24.sandbox.faults import Fault
from responder.model import Breaker
from responder.service.doctor.checks import Finding, Status
from responder.service.doctor.examination import examine
from responder.settings import settings
from responder.store import client_state, limits
from responder.store.database import move_mark
from responder.store.database.database import Database
from responder.store.inbox import inbox
from tests.support import forked
from tests.support.processes import LOST_DEAL, TOKEN, URL_KEY, running

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEEPS = ("settings", "rules", "database", "journal", "schema")


@pytest.fixture
def portal() -> Iterator[SandboxServer]:
    with SandboxServer(Sandbox()) as server:
        yield server


@pytest.fixture
def environment(portal: SandboxServer, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "rules.yaml").write_text(LOST_DEAL, encoding="utf-8")
    return {
        "RESPONDER_PORTALS__MAIN__URL": portal.url,
        "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        "RESPONDER_PORTALS__MAIN__URL_KEY": URL_KEY,
        "RESPONDER_RULES": str(tmp_path / "rules.yaml"),
        "RESPONDER_DATABASE_URL": f"sqlite:///{tmp_path / 'responder.db'}",
    }


def examined(environment: dict[str, str]) -> list[Finding]:
    given = settings.load(environment, env_file=None)

    async def all_findings() -> list[Finding]:
        return [finding async for finding in examine(given, NOW)]

    return asyncio.run(all_findings())


def problems(found: list[Finding]) -> list[tuple[str | None, str]]:
    return [(f.portal, f.check) for f in found if f.status is Status.PROBLEM]


def of(found: list[Finding], check: str) -> Finding:
    (one,) = [finding for finding in found if finding.check == check]
    return one


def test_an_installation_that_never_ran_has_no_problem_and_gets_no_file(
    environment: dict[str, str], tmp_path: Path
) -> None:
    found = examined(environment)
    assert problems(found) == []
    assert of(found, "heard_from").status is Status.WARNING
    assert [file.name for file in tmp_path.iterdir()] == ["rules.yaml"]


def test_a_webhook_of_somebody_else_is_a_problem(
    portal: SandboxServer, environment: dict[str, str]
) -> None:
    portal.sandbox.admin = False
    found = examined(environment)
    assert problems(found) == [("main", "identity")]
    assert "no administrator" in of(found, "identity").message


def test_a_missing_scope_is_a_problem(portal: SandboxServer, environment: dict[str, str]) -> None:
    portal.sandbox.scopes = ("crm", "user_brief")
    found = examined(environment)
    assert problems(found) == [("main", "scopes"), ("main", "methods")]
    assert of(found, "scopes").message == "missing: bizproc"


def test_a_plan_without_workflows_is_a_problem(
    portal: SandboxServer, environment: dict[str, str]
) -> None:
    portal.sandbox.absent_methods.add("bizproc.workflow.kill")
    found = examined(environment)
    assert problems(found) == [("main", "methods")]
    assert "has no bizproc.workflow.kill" in of(found, "methods").message


def test_a_revoked_webhook_is_a_problem(portal: SandboxServer, environment: dict[str, str]) -> None:
    portal.sandbox.secret = "another-secret-0001"
    found = examined(environment)
    assert problems(found) == [("main", "reachable")]
    assert "INVALID_CREDENTIALS" in of(found, "reachable").message
    assert "RESPONDER_PORTALS__MAIN__URL" in str(of(found, "reachable").advice)


@pytest.mark.parametrize("status", [401, 403])
def test_a_portal_without_a_plan_is_told_what_to_buy(
    portal: SandboxServer, environment: dict[str, str], status: int
) -> None:
    denied: Fault = ("error", status, "ACCESS_DENIED", "REST is available only by subscription.")
    portal.sandbox.fail_next("*", denied, times=20)
    found = examined(environment)
    assert problems(found) == [("main", "reachable")]
    assert "only by subscription" in of(found, "reachable").message
    advice = str(of(found, "reachable").advice)
    assert "paid plan" in advice
    assert "Market" in advice


def test_a_portal_that_is_away_is_a_problem_and_the_other_is_examined(
    portal: SandboxServer, environment: dict[str, str]
) -> None:
    with SandboxServer() as other:
        environment |= {
            "RESPONDER_PORTALS__OTHER__URL": other.url,
            "RESPONDER_PORTALS__OTHER__APPLICATION_TOKENS": TOKEN + "x",
        }
        rules = Path(environment["RESPONDER_RULES"])
        rules.write_text(LOST_DEAL.replace("    then", "    portals: [main]\n    then"))
        portal.stop()
        found = examined(environment)
    assert problems(found) == [("main", "reachable")]
    assert ("other", "ok") in [(f.portal, f.status.value) for f in found if f.check == "identity"]


def test_portals_that_hang_cost_ten_seconds_at_most_together(
    portal: SandboxServer, environment: dict[str, str]
) -> None:
    with SandboxServer() as other:
        environment |= {
            "RESPONDER_PORTALS__OTHER__URL": other.url,
            "RESPONDER_PORTALS__OTHER__APPLICATION_TOKENS": TOKEN + "x",
        }
        portal.sandbox.fail_next("profile", "hang")
        other.sandbox.fail_next("batch", "hang")
        began = time.monotonic()
        found = examined(environment)
        assert time.monotonic() - began < 10
    hanging = {(f.portal, f.check) for f in found if "timeout" in f.message}
    assert hanging == {("main", "reachable"), ("other", "scopes"), ("other", "methods")}


def test_a_clock_that_is_wrong_is_said(portal: SandboxServer, environment: dict[str, str]) -> None:
    portal.sandbox.clock = lambda: time.time() + 3600
    found = of(examined(environment), "clock")
    assert found.status is Status.PROBLEM
    assert "behind the portal's" in found.message


def test_broken_rules_are_a_problem_and_the_rest_is_examined(environment: dict[str, str]) -> None:
    Path(environment["RESPONDER_RULES"]).write_text("version: 1\nrules: [{id: a}]\n")
    found = examined(environment)
    assert problems(found) == [(None, "rules")]
    assert of(found, "identity").status is Status.OK
    Path(environment["RESPONDER_RULES"]).unlink()
    assert "cannot be read" in of(examined(environment), "rules").message


def test_what_the_database_knows_of_a_portal_is_told(
    environment: dict[str, str], migrated_url: str
) -> None:
    environment["RESPONDER_DATABASE_URL"] = migrated_url
    heard_at = NOW - timedelta(minutes=20)
    row = inbox.row("main", heard_at, "event", "ONCRMDEALUPDATE", "deal:759", None, b"event=x")
    database = Database(migrated_url)
    database.open()
    database.write(lambda tx: inbox.add(tx, [row]))
    shut = Breaker(
        portal="main", method="", code="OVERLOAD_LIMIT", opened_at=heard_at, probe_at=heard_at
    )
    database.write(lambda tx: client_state.open_breaker(tx, shut))
    database.write(lambda tx: limits.pause(tx, heard_at, "anna"))
    database.write(lambda tx: limits.trip(tx, "main", "lost-deal", heard_at, "too many"))
    database.close()
    found = examined(environment)
    # the tests' own PostgreSQL need not survive a power cut, and says so
    assert [one for one in problems(found) if one[0]] == [("main", "breaker")]
    assert "2026-11-24 11:40 UTC" in of(found, "heard_from").message
    assert of(found, "backlog").status is Status.WARNING
    assert "OVERLOAD_LIMIT" in of(found, "breaker").message
    assert "by anna" in of(found, "paused").message
    assert "rule lost-deal does nothing: too many" in of(found, "tripped").message
    if migrated_url.startswith("postgresql"):
        assert "fsync off" in of(found, "database").message


def test_a_log_that_was_moved_is_a_problem(environment: dict[str, str], migrated_url: str) -> None:
    environment["RESPONDER_DATABASE_URL"] = migrated_url
    database = Database(migrated_url)
    database.open()
    database.write(lambda tx: move_mark.mark(tx, ["deliveries"], "responder on db.internal"))
    database.close()
    found = [one for one in examined(environment) if one.check == "database"]
    assert found[0].status is Status.PROBLEM
    assert "this log was moved to responder on db.internal" in found[0].message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:a-database-password@127.0.0.1:9/none",
        "sqlite:////dev/null/responder.db",
        "sqlite:////etc/hostname",
    ],
)
def test_a_database_that_cannot_be_opened_is_a_problem_without_its_password(
    environment: dict[str, str], url: str
) -> None:
    environment["RESPONDER_DATABASE_URL"] = url
    found = examined(environment)
    assert (None, "database") in problems(found)
    assert "a-database-password" not in repr(found)


def asked(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    return forked.run(
        ("-m", "responder", "doctor", *words),
        Path(environment["RESPONDER_RULES"]).parent,
        {
            **{k: v for k, v in os.environ.items() if "RESPONDER" not in k},
            "COLUMNS": "400",  # no line is folded
            **environment,
        },
    )


@pytest.mark.service
def test_the_command_says_each_thing_in_a_line_and_exits_with_1_for_a_problem(
    portal: SandboxServer, environment: dict[str, str]
) -> None:
    portal.sandbox.admin = False
    done = asked(environment)
    assert (done.returncode, done.stderr) == (1, "")
    assert all(line.split()[0] in ("ok", "warning", "problem") for line in done.stdout.splitlines())
    assert " -> As an administrator" in done.stdout


@pytest.mark.service
def test_wrong_settings_exit_with_2_and_name_the_variable(environment: dict[str, str]) -> None:
    environment["RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS"] = "too-short"
    done = asked(environment, "--json")
    assert done.returncode == 2
    (found,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert found["check"] == "settings"
    assert "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS" in found["message"]
    assert "too-short" not in done.stdout + done.stderr


@pytest.mark.service
def test_it_examines_beside_the_running_service_and_shows_no_secret(
    portal: SandboxServer, tmp_path: Path
) -> None:
    with running(tmp_path, portal.url) as service:
        assert service.post(f"event=ONUSERADD&auth[application_token]={TOKEN}") == 200
        done = service.command("doctor", "--json")
        assert service.get("/readyz")[0] == 200
    assert (done.returncode, done.stderr) == (0, "")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(set(one) == {"check", "portal", "status", "message", "advice"} for one in found)
    statuses = {one["check"]: one["status"] for one in found}
    assert [statuses[check] for check in KEEPS] == ["ok"] * len(KEEPS)
    assert statuses["heard_from"] == "ok"
    for secret in (TOKEN, URL_KEY, portal.sandbox.secret):
        assert secret not in done.stdout
