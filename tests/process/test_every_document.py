"""Every kind of document, from its event, the sweep or a schedule to the kill."""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.support.processes import TOKEN, Decision, Running, event, eventually, running

Triple = tuple[str, str, str]

CRM = "Bitrix\\Crm\\Integration\\BizProc\\Document\\"
# by the kind's name in rules: its entityTypeId, its event, what it is called in workflows
ITEMS: dict[str, tuple[int, str, str, str]] = {
    "lead": (1, "ONCRMLEADUPDATE", "CCrmDocumentLead", "LEAD_"),
    "deal": (2, "ONCRMDEALUPDATE", "CCrmDocumentDeal", "DEAL_"),
    "contact": (3, "ONCRMCONTACTUPDATE", "CCrmDocumentContact", "CONTACT_"),
    "company": (4, "ONCRMCOMPANYUPDATE", "CCrmDocumentCompany", "COMPANY_"),
    "quote": (7, "ONCRMQUOTEUPDATE", f"{CRM}Quote", "QUOTE_"),
    "invoice": (31, "ONCRMDYNAMICITEMUPDATE", f"{CRM}SmartInvoice", "SMART_INVOICE_"),
    "item_147": (147, "ONCRMDYNAMICITEMUPDATE", f"{CRM}Dynamic", "DYNAMIC_147_"),
}
TASK = ("tasks", "Bitrix\\Tasks\\Integration\\Bizproc\\Document\\Task")
WITHOUT_EVENTS: dict[str, Triple] = {
    "a news-feed process": ("lists", "BizprocDocument", "759"),
    "a list": ("lists", "Bitrix\\Lists\\BizprocDocumentLists", "759"),
    "a file": ("disk", "Bitrix\\Disk\\BizProcDocument", "759"),
}
KINDS = [*ITEMS, "task"]

STOP = """\
  - id: stop-{name}
    mode: enforce
    when: [{kind}.updated]
    if: {{document.exists: true, workflow.template_id: 61}}
    then: kill
    limit: {{percent_of_running: 100}}
"""
CLEAN = """\
  - id: clean
    mode: enforce
    when: [{every: 5s}]
    if: {workflow.template_id: 62}
    then: kill
    limit: {percent_of_running: 100}
"""
STOPS = "".join(STOP.format(kind=kind, name=kind.replace("_", "-")) for kind in KINDS)
RULES = "version: 1\nrules:\n" + STOPS + CLEAN


class Played:
    """A portal with a condemned and an innocent workflow on a document of every kind."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.condemned: dict[str, str] = {}
        self.innocent: dict[str, str] = {}
        self.documents: dict[str, Triple] = {}
        self.decisions: list[Decision] = []
        for kind, (type_id, _, entity, prefix) in ITEMS.items():
            sandbox.add_item(type_id, 759, title="Sample")
            self._add(kind, ("crm", entity, f"{prefix}759"), 61)
        sandbox.add_task(759, title="Sample")
        self._add("task", (*TASK, "759"), 61)
        for name, triple in WITHOUT_EVENTS.items():
            self._add(name, triple, 62)

    def _add(self, name: str, triple: Triple, template: int) -> None:
        self.documents[name] = triple
        self.condemned[name] = self.sandbox.start_workflow(triple, template)
        self.innocent[name] = self.sandbox.start_workflow(triple, 7)

    def outcomes(self, name: str) -> list[object]:
        """Return how the decisions on the condemned workflow of a document ended."""
        return [one["outcome"] for one in self.decisions if _workflow(one) == self.condemned[name]]

    def final(self, service: Running) -> list[Decision] | None:
        """Return the log once it has something final of each condemned workflow."""
        made = service.decisions()
        ended = {_workflow(d) for d in made if d["outcome"] not in ("waiting", "in_doubt", "held")}
        return made if set(self.condemned.values()) <= ended else None


def _workflow(decision: Decision) -> object:
    workflow = decision["workflow"]
    return workflow["id"] if isinstance(workflow, dict) else None


def body(kind: str) -> str:
    """Write what the portal sends when a document changes."""
    if kind == "task":
        fields = {"data[FIELDS_BEFORE][ID]": 759, "data[FIELDS_AFTER][ID]": 759}
        form = {"event": "ONTASKUPDATE", **fields, "ts": "1736405807"}
        return urlencode({**form, "auth[application_token]": TOKEN})
    type_id, name, *_ = ITEMS[kind]
    return event(name, 759, type_id=type_id if "DYNAMIC" in name else None)


@pytest.fixture(scope="module")
def by_events(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Let an event of every kind that has one be received, and no sweep make up for it."""
    rules = RULES.replace(CLEAN, "")
    with SandboxServer(Sandbox()) as portal:
        played = Played(portal.sandbox)
        place = tmp_path_factory.mktemp("events")
        with running(place, portal.url, rules=rules, RESPONDER_SWEEP_EVERY="0") as service:
            for kind in KINDS:
                assert service.post(body(kind)) == 200
            played.decisions = service.settled(len(KINDS))
        yield played


@pytest.fixture(scope="module")
def by_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Let no event come, but the sweep and the schedule run."""
    with SandboxServer(Sandbox()) as portal:
        played = Played(portal.sandbox)
        place = tmp_path_factory.mktemp("runs")
        with running(place, portal.url, rules=RULES, RESPONDER_SWEEP_EVERY="1s") as service:
            played.decisions = eventually(
                lambda: played.final(service), seconds=30, why=service.log.read_text
            )
        yield played


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_kills_what_it_condemns_whatever_the_document_is(
    by_events: Played, kind: str
) -> None:
    assert by_events.outcomes(kind) == ["killed"]
    assert by_events.condemned[kind] in by_events.sandbox.killed
    (decision,) = (d for d in by_events.decisions if _workflow(d) == by_events.condemned[kind])
    assert decision["document"] == list(by_events.documents[kind])
    assert decision["trigger"] == "event"


def test_an_event_stops_nothing_but_that(by_events: Played) -> None:
    condemned = {by_events.condemned[kind] for kind in KINDS}
    assert set(by_events.sandbox.killed) == condemned
    assert set(by_events.innocent.values()) <= set(by_events.sandbox.workflows)


@pytest.mark.parametrize("name", [*KINDS, *WITHOUT_EVENTS])
def test_the_sweep_and_a_schedule_stop_what_they_find_and_never_call_it_gone(
    by_runs: Played, name: str
) -> None:
    assert by_runs.outcomes(name) == ["killed"]
    assert by_runs.condemned[name] in by_runs.sandbox.killed


def test_the_sweep_and_a_schedule_stop_nothing_else(by_runs: Played) -> None:
    assert set(by_runs.sandbox.killed) == set(by_runs.condemned.values())
    assert set(by_runs.sandbox.workflows) == set(by_runs.innocent.values())
