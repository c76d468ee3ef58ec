"""The whole program against a sandbox portal: what it is for, seen from outside."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote_plus

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.support.processes import (
    HURRIED,
    TOKEN,
    URL_KEY,
    Decision,
    Running,
    event,
    eventually,
    running,
)

DEAL = ("crm", "CCrmDocumentDeal")
PAYLOADS = sorted((Path(__file__).parents[1] / "payloads").glob("*.txt"))


def deal(sandbox: Sandbox, item_id: int, semantics: str = "F", **fields: object) -> str:
    """Add a deal with an approval running on it; return the workflow's id."""
    given: dict[str, object] = {
        "stageId": "LOSE",
        "stageSemanticId": semantics,
        "categoryId": 0,
        **fields,
    }
    sandbox.add_item(2, item_id, **given)
    return sandbox.start_workflow((*DEAL, f"DEAL_{item_id}"), 61)


def outcomes(decisions: list[Decision]) -> list[object]:
    return [decision["outcome"] or decision["reason"] for decision in decisions]


def test_a_condemned_workflow_is_killed_and_its_neighbour_is_not(
    portal: SandboxServer, tmp_path: Path
) -> None:
    condemned = deal(portal.sandbox, 759)
    neighbour = portal.sandbox.start_workflow((*DEAL, "DEAL_759"), 7)
    with running(tmp_path, portal.url) as service:
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        killed, rest = service.settled(2)
        verified = eventually(lambda: service.decisions()[0]["verified_at"])
    assert portal.sandbox.killed == [condemned]
    assert neighbour in portal.sandbox.workflows
    assert killed["rule"] == "lost-deal"
    assert killed["because"] == "A lost deal needs no approval."
    assert (killed["action"], killed["mode"], killed["outcome"]) == ("kill", "enforce", "killed")
    assert killed["receipt"] is True
    assert verified is not None
    assert killed["document"] == [*DEAL, "DEAL_759"]
    assert killed["events"] == 1
    assert (rest["action"], rest["reason"], rest["outcome"]) == ("none", "no_match", None)
    seen = [(c["path"], c["value"], c["holds"]) for c in killed["conditions"]]  # type: ignore[attr-defined]
    assert ("if.deal.stage_semantic_id", "F", True) in seen


def test_observe_mode_does_everything_but_the_call(portal: SandboxServer, tmp_path: Path) -> None:
    deal(portal.sandbox, 759)
    with running(tmp_path, portal.url, RESPONDER_MODE="observe") as service:
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        assert outcomes(service.settled(1)) == ["would_kill"]
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        assert outcomes(service.settled(2)) == ["would_kill", "unchanged"]
    assert portal.sandbox.killed == []
    assert not portal.sandbox.calls_of("bizproc.workflow.kill")


def test_terminate_keeps_the_data(portal: SandboxServer, tmp_path: Path) -> None:
    condemned = deal(portal.sandbox, 759)
    rules = """\
version: 1
rules:
  - {id: stop, mode: enforce, when: [deal.updated], if: {workflow.template_id: 61}, then: terminate}
"""
    with running(tmp_path, portal.url, rules=rules) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        assert outcomes(service.settled(1)) == ["terminated"]
    assert portal.sandbox.terminated == [condemned]
    assert portal.sandbox.killed == []


def test_every_documented_body_is_acknowledged_and_concluded(
    portal: SandboxServer, tmp_path: Path
) -> None:
    """Three have no `auth` as they stand and get 403; with a token they are taken too."""
    rules = """\
version: 1
rules:
  - {id: all-deals, when: [deal.updated], if: {workflow.template_id: 61}, then: kill}
"""
    with running(tmp_path, portal.url, rules=rules) as service:
        refused = 0
        for path in PAYLOADS:
            body = path.read_text()
            known, found = re.subn(r"(application_token(?:%5D|\])=)[^&]*", rf"\g<1>{TOKEN}", body)
            if not found:
                assert service.post(known) == 403, path.name
                refused += 1
                known = f"{body}&auth%5Bapplication_token%5D={TOKEN}"
            assert service.post(known) == 200, path.name
            assert service.post(unquote_plus(known).replace("\\", "")) == 200, path.name
        service.settled(1, seconds=40)
        concluded = json_lines(service.command("events", "--json"))
        made = service.decisions()
    assert refused == 3
    assert len(concluded) == 2 * len(PAYLOADS) == 206
    assert all(delivery["evaluation"] for delivery in concluded)
    evaluations = {d["evaluation"]: d["events"] for d in made}
    assert sum(evaluations.values()) == 206  # type: ignore[arg-type]
    without_document = [d for d in concluded if d["document"] is None]
    reasons = {d["evaluation"]: d["reason"] for d in made}
    assert {reasons[d["evaluation"]] for d in without_document} == {"no_document"}
    assert {d["reason"] for d in made} == {"no_document", "no_rule", "no_workflow"}


def json_lines(done: object) -> list[dict[str, object]]:
    assert getattr(done, "returncode") == 0, done  # noqa: B009
    return [json.loads(line) for line in getattr(done, "stdout").splitlines()]  # noqa: B009


def test_a_robot_call_judges_the_workflow_that_it_names_alone(
    portal: SandboxServer, tmp_path: Path
) -> None:
    named = deal(portal.sandbox, 759)
    other = portal.sandbox.start_workflow((*DEAL, "DEAL_759"), 61)
    foreign = deal(portal.sandbox, 760)
    body = (
        f"workflow_id={named}&code=stop&document_id[0]=crm&document_id[1]=CCrmDocumentDeal"
        f"&document_id[2]=DEAL_759&event_token={named}|A1|2.sig&ts=1736405807"
        f"&auth[application_token]={TOKEN}"
    )
    with running(tmp_path, portal.url) as service:
        assert service.post(body.replace(named, foreign)) == 200
        assert outcomes(service.settled(1)) == ["no_workflow"]
        assert service.post(body) == 200
        first, killed = service.settled(2)
    assert first["trigger"] == killed["trigger"] == "robot"
    assert killed["event"] is None
    assert portal.sandbox.killed == [named]
    assert {other, foreign} <= set(portal.sandbox.workflows)


def test_the_webhook_robot_is_taken_on_the_secret_path_alone(
    portal: SandboxServer, tmp_path: Path
) -> None:
    named = deal(portal.sandbox, 759)
    other = portal.sandbox.start_workflow((*DEAL, "DEAL_759"), 61)
    body = "document_id[0]=crm&document_id[1]=CCrmDocumentDeal&document_id[2]=DEAL_759"
    with running(tmp_path, portal.url) as service:
        assert service.post(body) == 403
        assert service.post(body, "/events/another-key-0001") == 403
        assert service.post(body, f"/events/{URL_KEY}?workflow_id={named}") == 200
        assert outcomes(service.settled(1)) == ["killed"]
    assert portal.sandbox.killed == [named]
    assert other in portal.sandbox.workflows


def test_a_portal_that_drops_every_filter_loses_no_workflow_of_another_document(
    portal: SandboxServer, tmp_path: Path
) -> None:
    sandbox = portal.sandbox
    sandbox.drop_filters = True
    condemned = deal(sandbox, 75)
    spared = [deal(sandbox, other) for other in (7, 751, 759, 750)]
    spared += [
        sandbox.start_workflow(("crm", "CCrmDocumentLead", "LEAD_75"), 61),
        sandbox.start_workflow(("crm", "CCrmDocumentContact", "DEAL_75"), 61),
        sandbox.start_workflow(("lists", "CCrmDocumentDeal", "DEAL_75"), 61),
        sandbox.start_workflow(("lists", "BizprocDocument", "75"), 61),
    ]
    spared += [deal(sandbox, 1000 + number) for number in range(120)]
    with running(tmp_path, portal.url) as service:
        service.post(event("ONCRMDEALUPDATE", 75))
        assert outcomes(service.settled(1)) == ["killed"]
        eventually(lambda: service.decisions()[0]["verified_at"])
    assert sandbox.killed == [condemned]
    assert set(spared) == set(sandbox.workflows)


@pytest.mark.parametrize("opportunity", ["", "a lot", None])
def test_an_unreadable_fact_kills_nothing_and_the_log_names_it(
    portal: SandboxServer, tmp_path: Path, opportunity: object
) -> None:
    deal(portal.sandbox, 759, opportunity=opportunity, currencyId="RUB")
    rules = """\
version: 1
rules:
  - id: small-deal
    mode: enforce
    when: [deal.updated]
    if:
      workflow.template_id: 61
      deal.currency_id: RUB
      deal.opportunity: {below: 1000}
    then: kill
"""
    with running(tmp_path, portal.url, rules=rules) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        (decision,) = service.settled(1)
    assert portal.sandbox.killed == []
    assert (decision["action"], decision["reason"]) == ("none", "no_match")
    unknown = [c for c in decision["conditions"] if c["holds"] is None]  # type: ignore[attr-defined]
    assert [c["path"] for c in unknown] == ["if.deal.opportunity"]


def test_a_denied_document_kills_nothing_and_the_log_says_so(
    portal: SandboxServer, tmp_path: Path
) -> None:
    deal(portal.sandbox, 759)
    portal.sandbox.denied_items.add((2, 759))
    with running(tmp_path, portal.url) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        (decision,) = service.settled(1)
    assert portal.sandbox.killed == []
    assert decision["reason"] == "unreadable"
    assert "ACCESS_DENIED" in json.dumps(decision["conditions"])


def test_a_kill_whose_answer_was_lost_ends_as_killed_with_one_call(
    portal: SandboxServer, tmp_path: Path
) -> None:
    condemned = deal(portal.sandbox, 759)
    portal.sandbox.fail_next("bizproc.workflow.kill", "act_then_drop")
    with running(tmp_path, portal.url) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        (decision,) = service.settled(1)
    assert decision["outcome"] == "killed"
    assert decision["receipt"] is False
    assert [c.params["ID"] for c in portal.sandbox.calls_of("bizproc.workflow.kill")] == [condemned]


def test_an_unknown_id_was_already_gone(portal: SandboxServer, tmp_path: Path) -> None:
    condemned = deal(portal.sandbox, 759)
    with running(tmp_path, portal.url, program=HURRIED) as service:
        portal.sandbox.fail_next("bizproc.workflow.kill", "empty_error")
        service.post(event("ONCRMDEALUPDATE", 759))
        waiting = eventually(
            lambda: next((d for d in service.decisions() if d["outcome"] == "waiting"), None)
        )
        assert "did not know its id" in str(waiting["detail"])
        portal.sandbox.end_workflow(condemned)
        service.pass_a_minute()
        assert outcomes(service.settled(1)) == ["already_gone"]
    assert portal.sandbox.killed == []


def test_an_event_ahead_of_its_workflow_gets_a_second_look(
    portal: SandboxServer, tmp_path: Path
) -> None:
    portal.sandbox.add_item(2, 759, stageSemanticId="F", categoryId=0)
    with running(tmp_path, portal.url, program=HURRIED) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        (first,) = service.settled(1)
        assert first["reason"] == "no_workflow"
        late = portal.sandbox.start_workflow((*DEAL, "DEAL_759"), 61)
        service.pass_a_minute()
        _, second = service.settled(2, seconds=20)
    assert second["outcome"] == "killed"
    assert second["events"] == 0
    assert portal.sandbox.killed == [late]


def test_events_of_one_deal_are_judged_together(portal: SandboxServer, tmp_path: Path) -> None:
    condemned = deal(portal.sandbox, 759)
    portal.sandbox.answer_seconds = 0.05
    with running(tmp_path, portal.url) as service:
        for _ in range(100):
            assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        made = service.settled(1)
        assert portal.sandbox.http_requests <= 8
    assert portal.sandbox.killed == [condemned]
    evaluations = {d["evaluation"]: d["events"] for d in made}
    assert sum(evaluations.values()) == 100  # type: ignore[arg-type]


def test_forged_tokens_get_one_answer_and_cause_no_call(
    portal: SandboxServer, tmp_path: Path
) -> None:
    deal(portal.sandbox, 759)
    body = "event=ONCRMDEALUPDATE&data[FIELDS][ID]=759"
    forged = [
        body,
        f"{body}&auth[application_token]=",
        f"{body}&auth[application_token]={TOKEN[:-1]}",
        f"{body}&auth[application_token]={TOKEN}x",
        f"{body}&auth[application_token]=t%C3%B6k%C3%A9n-of-somebody",
        f"{body}&auth[application_token]=%ff%fe%00",
        f"{body}&auth[application_token]={TOKEN}&auth[application_token]=the-last-one-counts",
        f"{body}&auth[application_token][]={TOKEN}",
        f"{body}&auth={TOKEN}",
    ]
    with running(tmp_path, portal.url, RESPONDER_LOG_LEVEL="debug") as service:
        before = len(portal.sandbox.calls)  # the portal was asked at the start
        assert [service.post(one) for one in forged] == [403] * len(forged)
        assert service.decisions() == []
        assert json_lines(service.command("events", "--json")) == []
    assert len(portal.sandbox.calls) == before


def test_nothing_secret_appears_anywhere_at_debug_level(
    portal: SandboxServer, tmp_path: Path
) -> None:
    deal(portal.sandbox, 759)
    secret_parts = [TOKEN, URL_KEY, portal.sandbox.secret, "a-secret-event-token"]
    body = event("ONCRMDEALUPDATE", 759) + "&auth[access_token]=a-secret-event-token"
    with running(tmp_path, portal.url, RESPONDER_LOG_LEVEL="debug") as service:
        portal.sandbox.fail_next("bizproc.workflow.kill", "act_then_drop")
        service.post(body)
        service.post("document_id[]=crm", f"/events/{URL_KEY}")
        service.settled(1)
        shown = [
            service.command("decisions", "--json").stdout,
            service.command("events", "--json").stdout,
            *(service.get(page)[1].decode() for page in ("/readyz", "/metrics", "/healthz")),
        ]
        service.end()
    shown += [path.read_bytes().decode("latin-1") for path in tmp_path.iterdir()]
    for text in shown:
        for secret in secret_parts:
            assert secret not in text


def test_a_refused_webhook_opens_the_breaker_and_the_event_waits(
    portal: SandboxServer, tmp_path: Path
) -> None:
    deal(portal.sandbox, 759)
    portal.sandbox.fail_next("*", "401", times=1000)
    with running(tmp_path, portal.url) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        eventually(lambda: _breaker(service) == "NO_AUTH_FOUND" or None)
        assert service.get("/readyz")[0] == 200
        assert service.decisions() == []
        requests = portal.sandbox.http_requests
        service.post(event("ONCRMDEALUPDATE", 760))
        assert portal.sandbox.http_requests == requests
    assert portal.sandbox.killed == []


def _breaker(service: Running) -> object:
    return json.loads(service.get("/readyz")[1])["portals"]["main"]["breaker"]


def test_the_log_is_followed_as_decisions_are_made_and_concluded(
    portal: SandboxServer, tmp_path: Path
) -> None:
    condemned = deal(portal.sandbox, 759)
    with running(tmp_path, portal.url) as service:
        follower = subprocess.Popen(
            [sys.executable, "-m", "responder", "decisions", "--json", "--follow"],
            cwd=tmp_path,
            env=service.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            time.sleep(2)
            service.post(event("ONCRMDEALUPDATE", 759))
            assert follower.stdout is not None
            lines = map(json.loads, follower.stdout)
            told = next(line for line in lines if line["verified_at"] is not None)
        finally:
            follower.kill()
            follower.communicate()
    assert told["outcome"] == "killed"
    assert told["workflow"]["id"] == condemned


def test_one_decision_is_shown_with_every_test_and_the_value_it_saw(
    portal: SandboxServer, tmp_path: Path
) -> None:
    deal(portal.sandbox, 759)
    with running(tmp_path, portal.url) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        (killed,) = service.settled(1)
        shown = service.command("decisions", "show", str(killed["id"])).stdout
        table = service.command("decisions").stdout
        missing = service.command("decisions", "show", "main-999-1")
    assert 'lost-deal: if.deal.stage_semantic_id is F; it is "F"' in shown
    assert "kill each running workflow of template 61" in " ".join(shown.split())
    assert str(killed["id"]) in table
    assert missing.returncode == 2
