"""Fills a sandbox with a small, plainly invented portal for `responder sandbox`."""

from responder.bitrix24.sandbox.portal import Sandbox

DEAL = ("crm", "CCrmDocumentDeal")


def demo_portal() -> Sandbox:
    """Return a portal with a few deals, a smart process, a task, and workflows running on them."""
    sandbox = Sandbox()
    sandbox.scopes = (*sandbox.scopes, "lists", "im")
    _add_people_and_templates(sandbox)
    _add_leave_requests(sandbox)
    _add_documents(sandbox)
    _start_workflows(sandbox)
    return sandbox


def _add_people_and_templates(sandbox: Sandbox) -> None:
    sandbox.add_user(7, department=(2,), name="Anna", last_name="Petrova")
    sandbox.add_user(9, department=(3,), name="Boris", last_name="Kim")
    sandbox.add_user(12, active=False, department=(2,))
    sandbox.add_template(61, "Discount approval")
    sandbox.add_template(7, "Delivery check")
    sandbox.add_template(84, "Robots of the sales funnel", auto_execute=8)
    dynamic = "Bitrix\\Crm\\Integration\\BizProc\\Document\\Dynamic"
    sandbox.add_template(92, "Contract review", document_type=("crm", dynamic, "DYNAMIC_147"))
    for stage, semantics in (("NEW", None), ("WON", "S"), ("LOSE", "F")):
        sandbox.add_status("DEAL_STAGE_2", f"C2:{stage}", semantics)
    for stage, semantics in (("NEW", None), ("SUCCESS", "S"), ("FAIL", "F")):
        sandbox.add_status("DYNAMIC_147_STAGE_5", f"DT147_5:{stage}", semantics)


def _add_leave_requests(sandbox: Sandbox) -> None:
    sandbox.lists.add(23, "Leave", "bitrix_processes")
    sandbox.lists.add_field(23, "PROPERTY_1151", "First day", "S:Date")
    sandbox.lists.add_field(23, "PROPERTY_1152", "Last day", "S:Date")
    sandbox.lists.add_field(23, "PROPERTY_1153", "Reason", "L", choices={"5": "Sick", "6": "Rest"})


def _add_documents(sandbox: Sandbox) -> None:
    for deal_id, stage, semantics, opportunity, company_id in (
        (759, "LOSE", "F", 52000.0, 31),
        (760, "NEW", "P", 1500.0, 32),
        (761, "LOSE", "F", 870000.0, 17),
        (762, "WON", "S", 24000.5, 33),
    ):
        sandbox.add_item(
            2,
            deal_id,
            title=f"Sample deal {deal_id}",
            categoryId=0,
            stageId=stage,
            stageSemanticId=semantics,
            opportunity=opportunity,
            currencyId="RUB",
            companyId=company_id,
            contactId=0,
            assignedById=7,
            createdBy=7,
            opened="Y",
            createdTime=sandbox.instant(),
            UF_CRM_1720019876534="",
        )
    sandbox.add_item(4, 17, title="Sample company 17", assignedById=9)
    sandbox.add_item(147, 1, title="Sample contract", categoryId=5, stageId="DT147_5:NEW")
    sandbox.add_task(49728, title="Sample task", status="2", responsibleId="7", createdBy="1")


def _start_workflows(sandbox: Sandbox) -> None:
    for deal_id in (759, 760, 761):
        workflow_id = sandbox.start_workflow((*DEAL, f"DEAL_{deal_id}"), 61, started_by=7)
        sandbox.add_bizproc_task(workflow_id, 9, "Approve the discount")
    sandbox.start_workflow((*DEAL, "DEAL_762"), 7, started_by=7)
    sandbox.start_workflow((*DEAL, "DEAL_759"), 84, started_by=0)
    dynamic = "Bitrix\\Crm\\Integration\\BizProc\\Document\\Dynamic"
    sandbox.start_workflow(("crm", dynamic, "DYNAMIC_147_1"), 92)
