"""The real process, killed at each commit of a restart: a workflow is never started twice."""

from pathlib import Path

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.journal import restarts
from responder.journal.audit.integrity import check_log
from responder.journal.restarts import Restart
from tests.process.test_crash_points import (
    CONDEMNED,
    KILL,
    Point,
    body,
    end_lease,
    opened,
    prepared,
    receives,
    start_it,
    tail,
)
from tests.support.processes import Running, eventually

START = "bizproc.workflow.start"


@pytest.mark.parametrize(
    ("writes", "when", "outcome", "calls", "url"),
    [
        ("journal.restarts.call", "before", "started", 1, "sqlite_url"),
        ("journal.restarts.call", "after", "in_doubt", 0, "postgres_url"),
        ("journal.restarts.end", "before", "in_doubt", 1, "sqlite_url"),
        ("journal.restarts.end", "after", "started", 1, "postgres_url"),
    ],
)
def test_killed_at_a_commit_it_starts_no_second_workflow(
    writes: str,
    when: str,
    outcome: str,
    calls: int,
    url: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    sandbox = Sandbox()
    sandbox.add_template(61, "Approval")
    sandbox.add_item(2, 759, stageSemanticId="F")
    start_it(sandbox)
    with SandboxServer(sandbox) as server:
        service = prepared(tmp_path, server.url, request.getfixturevalue(url))
        service.launch("-m", "tests.support.dying_service", writes, when)
        eventually(lambda: receives(service), why=lambda: tail(service))
        decision = killed(service)
        sandbox.add_item(2, 759, stageSemanticId="P")
        ask(service, decision)
        assert service.process is not None
        assert service.process.wait(20) == -9, tail(service)
        end_lease(service)
        service.start()
        try:
            one = eventually(lambda: done(service, decision), why=lambda: tail(service))
        finally:
            service.end()
    assert (one.outcome, len(sandbox.calls_of(START))) == (outcome, calls)
    assert len(sandbox.workflows) == calls
    named = one.started_id if outcome == "started" else one.detail
    assert all(workflow in str(named) for workflow in sandbox.workflows)


def killed(service: Running) -> str:
    """Have the condemned workflow killed; return the decision's name."""
    assert service.post(body(Point(writes=KILL))) == 200

    def name() -> str | None:
        ids = [str(one["id"]) for one in service.decisions() if one["outcome"] == "killed"]
        return ids[0] if ids else None

    found = eventually(name, why=lambda: tail(service))
    assert CONDEMNED in str(service.decisions())
    return found


def ask(service: Running, decision: str) -> None:
    with opened(service) as database:
        at = database.now()
        database.write(lambda tx: restarts.ask(tx, decision, anyway=False, by="anna", at=at))


def done(service: Running, decision: str) -> Restart | None:
    with opened(service) as database:
        one = database.read(lambda conn: restarts.find(conn, decision))
        if one is None or one.state != "done":
            return None
        assert check_log(database)[1] == []
        return one
