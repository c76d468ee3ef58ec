"""The real process killed while it tells people: nobody is told twice, and what can be is told."""

from pathlib import Path

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.journal.audit.integrity import check_log
from responder.store.database.database import Connection
from responder.store.database.portal_tables import tellings
from tests.process.test_crash_points import end_lease, opened, receives, tail
from tests.support.processes import TOKEN, Running, event, eventually, write_rules

RULES = """\
version: 1
rules:
  - id: lost-deal
    because: A lost deal needs no approval.
    mode: enforce
    when: [deal.updated]
    if: {deal.stage_semantic_id: F, workflow.template_id: 61}
    tell: [timeline, starter]
    then: kill
"""
PATIENCE = 60.0
DEAL = ("crm", "CCrmDocumentDeal", "DEAL_759")


@pytest.mark.parametrize(
    ("writes", "when", "database", "states", "notifications"),
    [
        ("begin", "after", "sqlite_url", ["told", "in_doubt"], 0),
        ("end", "before", "postgres_url", ["told", "in_doubt"], 1),
        pytest.param("begin", "before", "postgres_url", ["told"] * 2, 1, marks=pytest.mark.long),
        pytest.param("end", "after", "sqlite_url", ["told"] * 2, 1, marks=pytest.mark.long),
    ],
)
def test_killed_while_it_tells_it_tells_nobody_twice(
    writes: str,
    when: str,
    database: str,
    states: list[str],
    notifications: int,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    sandbox = Sandbox(scopes=("bizproc", "crm", "user_brief", "task", "im"))
    sandbox.add_item(2, 759, stageSemanticId="F", assignedById=1)
    sandbox.add_user(12)
    sandbox.start_workflow(DEAL, 61, started_by="12")
    with SandboxServer(sandbox) as server:
        write_rules(tmp_path, RULES)
        service = Running(
            tmp_path,
            {
                "RESPONDER_MODE": "enforce",
                "RESPONDER_PORTALS__MAIN__URL": server.url,
                "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
            },
            request.getfixturevalue(database),
        )
        try:
            die_at(service, f"journal.telling.tellings.{writes}", when)
            end_lease(service)
            service.start()
            assert ended(service) == states
        finally:
            service.end()
    assert len(sandbox.timeline.comments) == 1
    assert len(sandbox.notifications.alerts) == notifications
    assert len(sandbox.killed) == 1


def die_at(service: Running, point: str, when: str) -> None:
    """Let the service stop a workflow, and run until it kills itself."""
    service.launch("-m", "tests.support.dying_service", point, when)
    assert service.process is not None
    eventually(lambda: receives(service), seconds=PATIENCE, why=lambda: tail(service))
    assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
    assert service.process.wait(PATIENCE) == -9, tail(service)


def ended(service: Running) -> list[str]:
    """Wait until nothing is to be told any more; return what became of it."""
    query = tellings.select().order_by(tellings.c.place)

    def read(conn: Connection) -> list[str] | None:
        rows = conn.execute(query).all()
        over = rows and all(row.ended_at is not None for row in rows)
        return [row.state for row in rows] if over else None

    with opened(service) as log:
        found = eventually(lambda: log.read(read), seconds=PATIENCE, why=lambda: tail(service))
        assert check_log(log)[1] == []
    return found
