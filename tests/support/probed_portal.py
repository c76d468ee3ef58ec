"""A sandbox that has something to look at for every question, and one that has next to nothing."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from responder.bitrix24.client.rest import Portal
from responder.bitrix24.probe.interview import Interview
from responder.bitrix24.probe.question import Question
from responder.bitrix24.probe.questions.question_table import QUESTIONS
from responder.bitrix24.sandbox import Kind, Sandbox, SandboxServer
from responder.bitrix24.sandbox.slots import Slots
from responder.service.doctor.probing import probe
from responder.settings.settings import PortalSettings

DOCUMENTS = "Bitrix\\Crm\\Integration\\BizProc\\Document\\"
DEAL = ("crm", "CCrmDocumentDeal")
QUOTE = ("crm", DOCUMENTS + "Quote", "QUOTE_3")
DYNAMIC = ("crm", DOCUMENTS + "Dynamic", "DYNAMIC_147_1")
ELEMENT = ("lists", "BizprocDocument", "777")
TOKEN = "probed-application-token-0001"


def full(kind: Kind = "cloud", deals: int = 60) -> Sandbox:
    """Return a portal with more workflows than a page has, on documents of several kinds."""
    sandbox = Sandbox(kind=kind)
    sandbox.slots = Slots(None)
    sandbox.add_user(7)
    sandbox.add_user(9, active=False)
    sandbox.add_template(61, "Approval")
    sandbox.add_template(62, "Delivery")
    sandbox.add_template(84, "Robots", auto_execute=8)
    began = datetime.now(UTC) - timedelta(days=3)
    for number in range(1, deals + 1):
        sandbox.add_item(
            2,
            number,
            categoryId=0,
            assignedById=7,
            stageId="NEW",
            updatedTime=sandbox.instant(began + timedelta(minutes=number)),
            UF_CRM_1720019876534="x",
        )
        _start(sandbox, (*DEAL, f"DEAL_{number}"), 100 + number, began)
    sandbox.add_item(7, 3, title="Quote")
    sandbox.add_item(147, 1, title="Contract")
    for place, triple in enumerate((QUOTE, DYNAMIC, ELEMENT)):
        _start(sandbox, triple, place, began)
    _start(sandbox, (*DEAL, "DEAL_1"), 200, datetime.now(UTC) - timedelta(minutes=5))
    first = min(sandbox.workflows)
    task = sandbox.add_bizproc_task(first, 7, "Approve")
    sandbox.add_task_user(task, 9)
    sandbox.add_bizproc_task(max(sandbox.workflows), 7, "Approve")
    settled = sandbox.add_bizproc_task(first, 7, "Approved")
    sandbox.bizproc_tasks[settled] |= {"STATUS": "1", "USER_STATUS": "1"}
    sandbox.add_task(5, title="Task")
    return sandbox


def few(kind: Kind = "cloud") -> Sandbox:
    """Return a portal in which one workflow runs, and waits for one user."""
    sandbox = full(kind, deals=1)
    for workflow_id in sorted(sandbox.workflows)[1:]:
        sandbox.stop_workflow(workflow_id)
    return sandbox


def _start(sandbox: Sandbox, triple: tuple[str, str, str], number: int, began: datetime) -> None:
    sandbox.start_workflow(
        triple,
        84 if number == 102 else 61,
        id=f"65e5a449e8f1{number:02x}.{number:08d}",
        started=began + timedelta(seconds=number),
        started_by=7,
    )


def ask(server: SandboxServer, questions: Sequence[Question] = QUESTIONS) -> Interview:
    """Put questions to a sandbox as `doctor --probe` does."""
    given = PortalSettings(url=SecretStr(server.url), application_tokens=(SecretStr(TOKEN),))
    portal = Portal("main", server.url)
    return asyncio.run(probe(portal, given, questions, lambda: datetime.now(UTC)))
