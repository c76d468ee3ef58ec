"""Bitrix24's own two tutorials as rules, on a portal with a thousand running workflows.

https://apidocs.bitrix24.com/tutorials/bizproc/index.html: stop the old workflows of one template;
stop what waits for an employee who was dismissed.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.support.processes import Running, eventually, running

WORKFLOWS = 1000
FAST = {"RESPONDER_PORTALS__MAIN__REQUESTS_PER_SECOND": "1000"}
LIMIT = "{per_hour: 1000, per_run: 1000}"


def rule(condition: str) -> str:
    return f"""\
version: 1
rules:
  - id: tutorial
    because: Bitrix24 shows how to do it by hand.
    mode: enforce
    when: [{{every: 2s}}]
    if: {condition}
    limit: {LIMIT}
    then: kill
"""


def all_gone(service: Running, sandbox: Sandbox, condemned: set[str]) -> None:
    eventually(
        lambda: set(sandbox.killed) >= condemned or None,
        seconds=120,
        why=lambda: f"{len(sandbox.killed)} of {len(condemned)}: {service.log.read_text()[-500:]}",
    )


def test_the_old_workflows_of_one_template_are_stopped(
    portal: SandboxServer, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    condemned: set[str] = set()
    for number in range(WORKFLOWS):
        old, wanted = number % 4 == 0, number % 2 == 0
        started = now - timedelta(days=40 if old else 3)
        triple = ("crm", "CCrmDocumentDeal", f"DEAL_{number}")
        workflow = portal.sandbox.start_workflow(triple, 61 if wanted else 7, started=started)
        if old and wanted:
            condemned.add(workflow)
    given = rule("{workflow.template_id: 61, workflow.age: {over: 30d}}")
    with running(tmp_path, portal.url, rules=given, **FAST) as service:
        all_gone(service, portal.sandbox, condemned)
    assert set(portal.sandbox.killed) == condemned
    assert len(portal.sandbox.workflows) == WORKFLOWS - len(condemned)


def test_what_waits_for_a_dismissed_employee_is_stopped(
    portal: SandboxServer, tmp_path: Path
) -> None:
    portal.sandbox.add_user(7, active=True)
    portal.sandbox.add_user(12, active=False)
    condemned: set[str] = set()
    for number in range(WORKFLOWS):
        triple = ("crm", "CCrmDocumentDeal", f"DEAL_{number}")
        workflow = portal.sandbox.start_workflow(triple, 61, started_by=7)
        dismissed = number % 10 == 0
        portal.sandbox.add_bizproc_task(workflow, 12 if dismissed else 7, "Approve")
        if dismissed:
            condemned.add(workflow)
    given = rule("{workflow.template_id: 61, waiting_for.active: false}")
    with running(tmp_path, portal.url, rules=given, **FAST) as service:
        all_gone(service, portal.sandbox, condemned)
    assert set(portal.sandbox.killed) == condemned
