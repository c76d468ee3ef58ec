"""Rules that ask first, on the whole program: held, shown, approved by the command, stopped."""

import json
from pathlib import Path

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.support.processes import Running, event, eventually, running

DEAL = ("crm", "CCrmDocumentDeal")
RULES = """\
version: 1
defaults: {mode: approve}
rules:
  - id: lost-deal
    because: A lost deal needs no approval.
    when: [deal.updated]
    if: {deal.stage_semantic_id: F, workflow.template_id: 61}
    limit: {per_run: 4}
    then: kill
"""


def lost_deal(sandbox: Sandbox, item_id: int) -> str:
    sandbox.add_item(2, item_id, stageSemanticId="F", categoryId=0)
    return sandbox.start_workflow((*DEAL, f"DEAL_{item_id}"), 61)


def with_outcome(service: Running, outcome: str, count: int = 1) -> list[dict[str, object]]:
    def look() -> list[dict[str, object]] | None:
        found = [d for d in service.decisions() if d["outcome"] == outcome]
        return found if len(found) >= count else None

    return eventually(look, why=lambda: json.dumps(service.decisions()))


def test_what_somebody_approves_is_stopped_and_the_log_says_who_it_was(
    portal: SandboxServer, tmp_path: Path, database_url: str
) -> None:
    approved, other = lost_deal(portal.sandbox, 759), lost_deal(portal.sandbox, 760)
    with running(tmp_path, portal.url, rules=RULES, database_url=database_url) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        (held,) = with_outcome(service, "held")
        service.post(event("ONCRMDEALUPDATE", 760))
        with_outcome(service, "held", 2)
        name = str(held["id"])
        assert f"`responder approve {name}`; lapses at " in str(held["detail"])
        assert portal.sandbox.killed == []
        done = service.command("approve", name)
        assert (done.returncode, done.stdout) == (0, f"Approved {name}: judged afresh at once.\n")
        (killed,) = with_outcome(service, "killed")
        assert killed["id"] == name
        assert (killed["mode"], killed["receipt"]) == ("approve", True)
        assert str(killed["detail"]).startswith("approved by ")
        explained = service.command("explain", name).stdout
        assert "lost-deal: holds: kill (approve)" in explained
        verified = service.command("audit", "verify")
        assert verified.returncode == 0, verified.stdout
    assert portal.sandbox.killed == [approved]
    assert other in portal.sandbox.workflows


def test_what_a_sweep_found_is_approved_as_one_list_and_nothing_that_came_later(
    portal: SandboxServer, tmp_path: Path
) -> None:
    found = [lost_deal(portal.sandbox, deal) for deal in range(1, 5)]
    with running(tmp_path, portal.url, rules=RULES) as service:
        service.command("sweep")
        held = with_outcome(service, "held", 4)
        later = lost_deal(portal.sandbox, 5)
        service.post(event("ONCRMDEALUPDATE", 5))
        with_outcome(service, "held", 5)
        done = service.command("approve", "--set", "--yes", str(held[0]["id"]))
        assert done.returncode == 0, done.stderr
        assert "deal:4, rule lost-deal (sweep 20" in done.stdout
        with_outcome(service, "killed", 4)
        # five at once are more than the rule may condemn in one run: nobody is even asked
        for deal in range(6, 11):
            lost_deal(portal.sandbox, deal)
        service.command("sweep")
        tripped = with_outcome(service, "held", 6)
        assert "5 condemned in one run, per_run is 4" in str(tripped[-1]["detail"])
    assert sorted(portal.sandbox.killed) == sorted(found)
    assert later in portal.sandbox.workflows
