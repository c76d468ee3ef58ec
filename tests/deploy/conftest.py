"""A service whose metrics the alerts and the dashboard are held against."""

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.support.processes import LOST_DEAL, event, eventually, running

RULES = f"""\
{LOST_DEAL}
  - id: not-62
    when: [deal.updated]
    if: {{workflow.template_id: 62}}
    then: kill
"""
NOT_SWEPT = b'responder_runs_total{result="complete",trigger="sweep"} 0.0'
FOUND = b'responder_rule_decisions_total{outcome="would_kill",rule="not-62"} 1.0'


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Ask a service that has killed a workflow, and swept, for its metrics."""
    with SandboxServer(Sandbox()) as portal:
        portal.sandbox.add_item(2, 759, stageId="LOSE", stageSemanticId="F", categoryId=0)
        portal.sandbox.start_workflow(("crm", "CCrmDocumentDeal", "DEAL_759"), 61)
        place = tmp_path_factory.mktemp("service")
        with running(place, portal.url, rules=RULES, RESPONDER_SWEEP_EVERY="1s") as service:
            assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
            service.settled(1, seconds=60)
            portal.sandbox.start_workflow(("crm", "CCrmDocumentDeal", "DEAL_759"), 62)

            def swept() -> bytes | None:
                metrics = service.get("/metrics")[1]
                return metrics if FOUND in metrics and NOT_SWEPT not in metrics else None

            return eventually(swept, seconds=60)
