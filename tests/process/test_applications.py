"""The whole program with a local application: installed, refreshed, killed at each commit."""

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import pytest
from _pytest.mark.structures import ParameterSet

from responder.bitrix24.sandbox import Application, OAuthCall, OAuthServer, Sandbox, SandboxServer
from responder.store.applications import installations
from responder.store.applications.installations import Installation
from responder.store.database.database import Database
from tests.service.pages.visiting import HASHED, NAME, Visitor
from tests.support.processes import TOKEN, Running, event, eventually, listens, write_rules
from tests.support.schema import laid_at

RULES = """\
version: 1
defaults: {portals: [main]}
rules:
  - id: lost-deal
    mode: enforce
    when: [deal.updated]
    if: {deal.stage_semantic_id: F, workflow.template_id: 61}
    then: kill
"""
RULES_OF_BOTH = RULES.replace("[main]", "[main, side]")
DEAL = ("crm", "CCrmDocumentDeal")
KILL = "bizproc.workflow.kill"
SECRET_KEY = "a-secret-key-for-tests-that-is-long-enough"


@contextmanager
def portal_with_application() -> Iterator[tuple[SandboxServer, Application]]:
    """Serve a portal with an application, and its OAuth server."""
    sandbox = Sandbox()
    sandbox.add_template(61, "Approval")
    application = sandbox.add_application()
    with SandboxServer(sandbox) as server, OAuthServer(sandbox):
        yield server, application


def environment(server: SandboxServer, application: Application) -> dict[str, str]:
    return {
        "RESPONDER_MODE": "enforce",
        "RESPONDER_SECRET_KEY": SECRET_KEY,
        "RESPONDER_PORTALS__MAIN__DOMAIN": f"127.0.0.1:{server.port}",
        "RESPONDER_PORTALS__MAIN__CLIENT_ID": application.client_id,
        "RESPONDER_PORTALS__MAIN__CLIENT_SECRET": application.client_secret,
    }


def program(
    place: Path, given: dict[str, str], application: Application, database_url: str | None = None
) -> Running:
    service = Running(place, given, database_url or laid_at(place / "responder.db"))
    service.secrets.append(application.application_token)
    return service


def end(service: Running) -> None:
    if service.process is not None and service.process.poll() is None:
        service.end()
    service.left_no_secret()


def lose(sandbox: Sandbox, number: int) -> None:
    sandbox.add_item(2, number, stageSemanticId="F")
    sandbox.start_workflow((*DEAL, f"DEAL_{number}"), 61)


def updated(application: Application, number: int) -> str:
    body = event("ONCRMDEALUPDATE", number, token=application.application_token)
    return f"{body}&{urlencode({'auth[member_id]': application.member_id})}"


def installed(service: Running) -> Installation | None:
    database = Database(service.database_url)
    database.open()
    try:
        return database.read(lambda conn: installations.installed(conn, "main"))
    finally:
        database.close()


def is_known(service: Running, application: Application, number: int) -> bool | None:
    """Deliver an event, and say whether it was taken; None, to ask again, where it was not."""
    return service.post(updated(application, number), "/app/main") == 200 or None


def test_both_kinds_of_portal_live_in_one_service(tmp_path: Path) -> None:
    side = Sandbox()
    side.add_template(61, "Approval")
    with portal_with_application() as (server, application), SandboxServer(side) as webhook:
        given = environment(server, application) | {
            "RESPONDER_PORTALS__SIDE__URL": webhook.url,
            "RESPONDER_PORTALS__SIDE__APPLICATION_TOKENS": TOKEN,
            "RESPONDER_PUBLIC_URL": "https://responder.example",
            f"RESPONDER_ADMINS__{NAME.upper()}": HASHED,
        }
        write_rules(tmp_path, RULES_OF_BOTH)
        service = program(tmp_path, given, application)
        before = service.command("app")
        assert "https://responder.example/app/main" in before.stdout
        service.start()
        try:
            assert service.post(application.installation_message(), "/app/main") == 200
            for sandbox in (server.sandbox, side):
                lose(sandbox, 1)
            eventually(lambda: is_known(service, application, 1))
            assert service.post(event("ONCRMDEALUPDATE", 1)) == 200
            made = service.settled(2)
            assert Counter((one["portal"], one["outcome"]) for one in made) == Counter(
                {("main", "killed"): 1, ("side", "killed"): 1}
            )
            (shown,) = [
                json.loads(line)
                for line in service.command("app", "--json").stdout.split("\n")
                if line
            ]
            assert (shown["state"], shown["called_by"]) == ("installed", "application")
            _, ready = service.get("/readyz")
            assert json.loads(ready)["portals"]["main"]["application"]["user"] == "1"
            status = json.loads(service.command("status", "--json").stdout)
            assert status["portals"]["main"]["application"]["state"] == "installed"
            assert "application" not in status["portals"]["side"]
            found = service.command("doctor", "--json").stdout.splitlines()
            checks = {
                (one["portal"], one["check"]): one["status"] for one in map(json.loads, found)
            }
            assert checks["main", "application"] == "ok"
            assert checks["main", "identity"] == "ok"
            looked = service.command("explain", "--document", "deal:1", "--portal", "main")
            assert looked.returncode == 0
            assert service.command("check", "--portal", "main").returncode == 0
            pages_hold_no_secret(service, str(made[0]["id"]))
        finally:
            end(service)


def pages_hold_no_secret(service: Running, decision_id: str) -> None:
    """Fetch what an administrator sees, and fail where a token is among it."""
    visitor = Visitor(service.port)
    assert visitor.log_in().status == 303
    for path in ("/", f"/decisions/{decision_id}", "/rules", "/status"):
        page = visitor.get(path)
        assert page.status == 200
        service.holds_no_secret(page.text)


def moments() -> Iterator[ParameterSet]:
    """Give each commit, before and after; every second one at length."""
    points = ("held_messages.hold", "installations.pin", "installations.refresh_sent",
              "installations.refreshed")  # fmt: skip
    for number, point in enumerate(points):
        for place, when in enumerate(("before", "after")):
            often = (number + place) % 2 == 1
            yield pytest.param(point, when, marks=() if often else pytest.mark.long)


@pytest.mark.parametrize(("point", "when"), list(moments()))
def test_killed_at_a_commit_of_installing_or_refreshing_it_goes_on(
    point: str, when: str, tmp_path: Path
) -> None:
    with portal_with_application() as (server, application):
        application.tokens.access_seconds = 31  # ends in a second by our margin
        write_rules(tmp_path, RULES)
        service = program(tmp_path, environment(server, application), application)
        service.launch("-m", "tests.support.dying_service", f"store.applications.{point}", when)
        assert service.process is not None
        eventually(lambda: listens(service.port), seconds=60)
        acknowledged = posted(service, application.installation_message())
        lose(server.sandbox, 1)
        eventually(lambda: died_after_events(service, application), seconds=60)
        application.tokens.access_seconds = 3600
        half_a_minute_passes(service)
        service.start()
        try:
            if not acknowledged:
                service.post(application.installation_message(), "/app/main")
            elif (point, when) == ("installations.refreshed", "before"):
                eventually(lambda: refused(service, application))
                service.post(application.reinstall(1) or "", "/app/main")
            eventually(lambda: is_known(service, application, 1), seconds=60)
            service.settled(seconds=40)
        finally:
            end(service)
        assert not server.sandbox.workflows
        used = Counter(str(call.params.get("refresh_token")) for call in token_calls(server))
        assert max(used.values(), default=1) <= 2


def half_a_minute_passes(service: Running) -> None:
    """Move a refresh into the past whose answer another process may else still be waiting for."""
    database = Database(service.database_url)
    database.open()
    found = database.read(lambda conn: installations.installed(conn, "main"))
    if found is not None and (sent_at := found.refresh_sent_at) is not None:
        before = sent_at - timedelta(seconds=31)
        database.write(lambda tx: installations.refresh_sent(tx, "main", before))
    database.close()


def posted(service: Running, body: str) -> bool:
    try:
        return service.post(body, "/app/main") == 200
    except OSError:
        return False


def died_after_events(service: Running, application: Application) -> bool | None:
    """Deliver events, which have it call the portal, until it is dead."""
    assert service.process is not None
    posted(service, updated(application, 1))
    return True if service.process.poll() is not None else None


def refused(service: Running, application: Application) -> bool | None:
    """Say whether it has given its tokens up, as their successors were lost."""
    posted(service, updated(application, 1))
    found = installed(service)
    return True if found is not None and found.reason == "lost_answer" else None


def token_calls(server: SandboxServer) -> list[OAuthCall]:
    return server.sandbox.oauth.calls_of("token")


def test_of_two_replicas_exactly_one_refreshes(tmp_path: Path, postgres_url: str) -> None:
    with portal_with_application() as (server, application):
        application.tokens.access_seconds = 31
        given = environment(server, application)
        services = []
        for name in ("one", "two"):
            place = tmp_path / name
            place.mkdir()
            write_rules(place, RULES)
            services.append(program(place, given, application, postgres_url).start())
        try:
            one, two = services
            assert two.post(application.installation_message(), "/app/main") == 200
            lose(server.sandbox, 1)
            for service in services:
                eventually(partial(is_known, service, application, 1))
            one.settled()
            eventually(lambda: driven_away(services, application, server))
        finally:
            for service in services:
                end(service)
        asked = Counter(
            str(call.params["refresh_token"]) for call in server.sandbox.oauth.calls_of("token")
        )
        assert len(asked) >= 1
        assert set(asked.values()) == {1}
        found = installed(one)
        assert found is not None
        assert found.reason is None
        assert "Sandbox" not in found.tokens


def driven_away(
    services: list[Running], application: Application, server: SandboxServer
) -> bool | None:
    """Keep both busy until somebody has refreshed."""
    for service in services:
        service.post(updated(application, 1), "/app/main")
    return True if server.sandbox.oauth.calls_of("token") else None


def test_a_service_that_is_stopped_and_started_goes_on_with_its_tokens(tmp_path: Path) -> None:
    with portal_with_application() as (server, application):
        write_rules(tmp_path, RULES)
        service = program(tmp_path, environment(server, application), application).start()
        try:
            service.post(application.installation_message(), "/app/main")
            eventually(lambda: is_known(service, application, 1))
            assert service.process is not None
            os.kill(service.process.pid, signal.SIGKILL)
            service.process.wait(20)
            lose(server.sandbox, 2)
            service.start()
            assert service.post(updated(application, 2), "/app/main") == 200
            eventually(lambda: (not server.sandbox.workflows) or None)
        finally:
            end(service)
        assert server.sandbox.oauth.calls_of("token") == []
