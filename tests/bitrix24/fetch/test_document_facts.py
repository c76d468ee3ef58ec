"""Tests what is found out about documents: on a sandbox portal, and on scripted answers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Answer, Command, Failure, FailureKind
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.fetch.document_facts import Ask, Reading, gather, present
from responder.bitrix24.fetch.items import snake
from responder.bitrix24.fetch.templates import Templates
from responder.bitrix24.lists.paged import Send
from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.model import Document, Unknown, Workflow

T = TypeVar("T")
NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3)
ID = "65e5a449e8f135.21284909"


def document(ref: str) -> Document:
    found = documents.parse_ref(ref)
    assert found is not None
    return found


DEAL = document("deal:759")


def ask(ref: str, *paths: str) -> Ask:
    return Ask(document(ref), frozenset(paths))


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxServer]:
    with SandboxServer(Sandbox(kind="on_premise")) as server:  # many run on one deal
        yield server


@pytest.fixture
def portal(running: SandboxServer) -> Sandbox:
    """Empty the sandbox behind the running server: every test has its own contents."""
    sandbox = running.sandbox
    for contents in (sandbox.items, sandbox.tasks, sandbox.templates, sandbox.workflows):
        contents.clear()
    sandbox.statuses[:] = Sandbox().statuses
    sandbox.calls.clear()
    sandbox.faults.clear()
    sandbox.denied_items.clear()
    sandbox.drop_filters = sandbox.exact_filters = False
    sandbox.admin = True
    sandbox.scopes = ("bizproc", "crm", "user_brief", "task")
    sandbox.http_requests = 0
    return sandbox


class Looks:
    """Gathers from the running sandbox as a driver does, with one memory of templates."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.templates = Templates()
        self.sends = 0

    def gather(self, *asks: Ask, now: datetime = NOW) -> list[Reading]:
        return asyncio.run(self._with_portal(lambda send: gather(send, asks, self.templates, now)))

    def one(self, ref: str, *paths: str, now: datetime = NOW) -> Reading:
        (reading,) = self.gather(ask(ref, *paths), now=now)
        return reading

    def present(self, *ids: str) -> dict[str, Mapping[str, str | None] | Unknown | None]:
        return asyncio.run(self._with_portal(lambda send: present(send, ids)))

    async def _with_portal(self, use: Callable[[Send], Awaitable[T]]) -> T:
        portal = Portal("main", self.url)

        async def send(commands: Sequence[Command]) -> list[Answer]:
            self.sends += 1
            answers: list[Answer] = []
            for start in range(0, len(commands), 50):
                answers += await portal.batch(commands[start : start + 50])
            return answers

        try:
            return await use(send)
        finally:
            await portal.close()


@pytest.fixture
def looks(running: SandboxServer, portal: Sandbox) -> Looks:
    assert portal is running.sandbox
    return Looks(running.url)


def ids_of(reading: Reading) -> list[str]:
    assert not isinstance(reading.workflows, Unknown)
    return [workflow.id for workflow in reading.workflows]


def only(reading: Reading) -> Workflow:
    assert not isinstance(reading.workflows, Unknown)
    (workflow,) = reading.workflows
    return workflow


def is_unknown(value: object) -> bool:
    return isinstance(value, Unknown)


# the document's own facts


def test_a_deal_and_its_workflows_take_one_request(portal: Sandbox, looks: Looks) -> None:
    portal.add_item(2, 759, stageId="LOSE", stageSemanticId="F", opportunity=999.9)
    portal.start_workflow(DEAL.triple, 61, id=ID, started=LONG_AGO, started_by=7)
    reading = looks.one("deal:759", "deal.stage_id", "deal.stage_semantic_id", "deal.opportunity")
    assert reading.facts == {
        "document.exists": True,
        "deal.stage_id": "LOSE",
        "deal.stage_semantic_id": "F",
        "deal.opportunity": 999.9,
    }
    assert reading.failure is None
    assert portal.http_requests == 1
    assert only(reading).facts == {
        "workflow.id": ID,
        "workflow.template_id": "61",
        "workflow.started": "2026-09-21T15:00:00+03:00",
        "workflow.started_by": "7",
        "workflow.modified": "2026-09-21T15:00:00+03:00",
        "workflow.owned_until": None,
        "template.id": "61",
    }


def test_only_the_facts_asked_for_are_told_and_absent_ones_are_absent(
    portal: Sandbox, looks: Looks
) -> None:
    portal.add_item(2, 759, title="A deal", companyId=None, UF_CRM_10_DIGIT10="x", parentId147=5)
    paths = ("deal.company_id", "deal.uf_crm_10_digit10", "deal.parent_id_147", "deal.lead_id")
    assert looks.one("deal:759", *paths).facts == {
        "document.exists": True,
        "deal.company_id": None,
        "deal.uf_crm_10_digit10": "x",
        "deal.parent_id_147": 5,
    }


def test_an_item_that_no_rule_asks_about_is_not_read(portal: Sandbox, looks: Looks) -> None:
    portal.add_item(2, 759)
    reading = looks.one("deal:759", "workflow.template_id", "lead.stage_id")
    assert reading.facts == {}
    assert [call.method for call in portal.calls] == ["bizproc.workflow.instances"]


def test_whether_a_document_exists_can_be_asked_alone(portal: Sandbox, looks: Looks) -> None:
    portal.add_item(3, 5)
    assert looks.one("contact:5", "document.exists").facts == {"document.exists": True}


def test_a_document_that_is_not_found_does_not_exist(looks: Looks) -> None:
    reading = looks.one("deal:759", "deal.stage_id")
    assert reading.facts["document.exists"] is False
    assert is_unknown(reading.facts["deal.stage_id"])
    assert (reading.workflows, reading.failure) == ((), None)


LISTED_ITEMS = "crm.item.list"


def test_an_item_is_gone_only_where_its_smart_process_is_there(
    portal: Sandbox, looks: Looks
) -> None:
    unknown = looks.one("item_147:5", "document.exists", "item_147.title")
    assert is_unknown(unknown.facts["document.exists"])
    assert is_unknown(unknown.facts["item_147.title"])
    assert unknown.failure is None
    portal.add_item(147, 6)
    portal.calls.clear()
    assert looks.one("item_147:5", "document.exists").facts["document.exists"] is False
    assert looks.one("item_147:7", "document.exists").facts["document.exists"] is False
    assert len(portal.calls_of(LISTED_ITEMS)) == 1  # that a type is there is remembered
    looks.one("item_147:7", "document.exists", now=NOW + timedelta(minutes=11))
    assert len(portal.calls_of(LISTED_ITEMS)) == 2


def test_an_invoice_is_gone_only_where_the_portal_has_smart_invoices(
    portal: Sandbox, looks: Looks
) -> None:
    portal.fail_next(LISTED_ITEMS, ("error", 400, "NOT_FOUND", "SPA not found"))
    assert is_unknown(looks.one("invoice:5", "document.exists").facts["document.exists"])
    assert looks.one("invoice:5", "document.exists").facts["document.exists"] is False
    portal.calls.clear()
    for ref in ("deal:5", "lead:5", "contact:5", "company:5", "quote:5"):
        assert looks.one(ref, "document.exists").facts["document.exists"] is False
    assert portal.calls_of(LISTED_ITEMS) == []


def test_of_a_smart_process_that_is_there_no_other_is_believed_to_be(
    portal: Sandbox, looks: Looks
) -> None:
    portal.add_item(147, 6)
    here, nowhere = looks.gather(
        ask("item_147:5", "document.exists"), ask("item_148:5", "document.exists")
    )
    assert here.facts["document.exists"] is False
    assert is_unknown(nowhere.facts["document.exists"])


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("500", FailureKind.UNCERTAIN),
        ("missing_part", FailureKind.UNCERTAIN),
        ("503_limit", FailureKind.BUSY),
        (("error", 400, "ACCESS_DENIED", ""), None),
    ],
)
def test_a_smart_process_that_could_not_be_looked_for_leaves_its_item_unknown(
    portal: Sandbox, looks: Looks, fault: str, kind: FailureKind | None
) -> None:
    portal.add_item(147, 6)
    portal.fail_next(LISTED_ITEMS, fault)
    reading = looks.one("item_147:5", "document.exists")
    assert is_unknown(reading.facts["document.exists"])
    assert (reading.failure and reading.failure.kind) is kind


def test_a_document_that_may_not_be_read_is_unknown(portal: Sandbox, looks: Looks) -> None:
    portal.add_item(2, 759)
    portal.denied_items.add((2, 759))
    reading = looks.one("deal:759", "deal.stage_id")
    assert is_unknown(reading.facts["document.exists"])
    assert is_unknown(reading.facts["deal.stage_id"])
    assert (reading.workflows, reading.failure) == ((), None)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("503_limit", FailureKind.BUSY),
        ("500", FailureKind.UNCERTAIN),
        ("missing_part", FailureKind.UNCERTAIN),
        ("wrong_id", FailureKind.UNCERTAIN),
        ("401", FailureKind.PORTAL),
        (("error", 403, "insufficient_scope", ""), FailureKind.METHOD),
    ],
)
def test_an_item_that_could_not_be_read_is_unknown_and_tells_the_failure(
    portal: Sandbox, looks: Looks, fault: str, kind: FailureKind
) -> None:
    portal.add_item(2, 759, stageId="LOSE")
    portal.start_workflow(DEAL.triple, 61, id=ID)
    portal.fail_next("crm.item.get", fault)
    reading = looks.one("deal:759", "deal.stage_id")
    assert is_unknown(reading.facts["document.exists"])
    assert is_unknown(reading.facts["deal.stage_id"])
    assert reading.failure is not None
    assert reading.failure.kind is kind
    assert ids_of(reading) == [ID]


def test_two_asks_for_one_document_read_it_once(portal: Sandbox, looks: Looks) -> None:
    portal.add_item(2, 759, title="A deal", stageId="NEW")
    first, second = looks.gather(ask("deal:759", "deal.title"), ask("deal:759", "deal.stage_id"))
    assert first.facts == {"document.exists": True, "deal.title": "A deal"}
    assert second.facts == {"document.exists": True, "deal.stage_id": "NEW"}
    assert len(portal.calls) == 2


def test_a_task_is_read_with_the_fields_asked_for(portal: Sandbox, looks: Looks) -> None:
    portal.add_task(49728, responsibleId="547", status="5", ufCrmTask=["D_1723"], title="T")
    task = document("task:49728")
    portal.start_workflow(task.triple, 61, id=ID)
    reading = looks.one("task:49728", "task.responsible_id", "task.uf_crm_task", "task.id")
    assert reading.facts == {
        "document.exists": True,
        "task.id": "49728",
        "task.responsible_id": "547",
        "task.uf_crm_task": ["D_1723"],
    }
    assert ids_of(reading) == [ID]
    (get,) = portal.calls_of("tasks.task.get")
    assert get.params["select"] == ["ID", "RESPONSIBLE_ID", "UF_CRM_TASK"]


TASK_FIELDS = ("uf_task2_x", "uf_auto_5", "uf_crm_task", "uf_10_digit10", "uf__twice", "status")


def test_user_fields_of_tasks_are_known_by_what_was_asked_for(
    portal: Sandbox, looks: Looks
) -> None:
    fields = {name.upper(): name for name in TASK_FIELDS if name != "status"}
    portal.add_task(49728, status="5", **fields)
    reading = looks.one("task:49728", *(f"task.{name}" for name in TASK_FIELDS))
    wanted = {f"task.{name}": name for name in TASK_FIELDS} | {"task.status": "5"}
    assert reading.facts == {"document.exists": True, **wanted}


def test_user_fields_of_tasks_that_come_under_one_name_are_neither(
    portal: Sandbox, looks: Looks
) -> None:
    portal.add_task(49728, UF_A1="one", UF_B="b")
    reading = looks.one("task:49728", "task.uf_a_1", "task.uf_a1", "task.uf_b")
    assert reading.facts == {"document.exists": True, "task.uf_b": "b"}


def test_several_values_with_holes_between_their_places_are_a_list(
    portal: Sandbox, looks: Looks
) -> None:
    addresses = {"5": {"city": "Riga"}}
    named = {"street": "Elm"}
    portal.add_item(2, 759, contactIds={"1": 5, "3": 7}, observers=addresses, ufCrm_1=named)
    portal.add_task(49728, accomplices={"0": "5", "2": "7"})
    deal = looks.one("deal:759", "deal.contact_ids", "deal.observers", "deal.uf_crm_1").facts
    assert deal["deal.contact_ids"] == [5, 7]
    assert (deal["deal.observers"], deal["deal.uf_crm_1"]) == (addresses, named)
    task = looks.one("task:49728", "task.accomplices").facts
    assert task["task.accomplices"] == ["5", "7"]


def test_a_task_that_is_not_answered_may_exist(looks: Looks) -> None:
    reading = looks.one("task:49728", "task.status")
    assert is_unknown(reading.facts["document.exists"])
    assert is_unknown(reading.facts["task.status"])
    assert reading.failure is None


def test_of_another_kind_of_document_only_the_workflows_are_read(
    portal: Sandbox, looks: Looks
) -> None:
    ref = "lists|BizprocDocument|777"
    portal.start_workflow(document(ref).triple, 61, id=ID)
    reading = looks.one(ref, "document.exists", "workflow.id")
    assert ids_of(reading) == [ID]
    assert is_unknown(reading.facts["document.exists"])
    assert len(portal.calls) == 1


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("stageSemanticId", "stage_semantic_id"),
        ("id", "id"),
        ("mycompanyId", "mycompany_id"),
        ("parentId147", "parent_id_147"),
        ("UF_CRM_2_1639669411830", "uf_crm_2_1639669411830"),
        ("ufAuto583923", "uf_auto_583923"),
    ],
)
def test_fields_have_their_own_names_in_snake_case(name: str, path: str) -> None:
    assert snake(name) == path


# what a stage means


STAGED = [
    ("quote:5", 7, {"stageId": "DECLAINED"}, "QUOTE_STATUS"),
    ("invoice:5", 31, {"stageId": "DT31_3:D", "categoryId": 3}, "SMART_INVOICE_STAGE_3"),
    ("item_147:5", 147, {"stageId": "DT147_4:FAIL", "categoryId": 4}, "DYNAMIC_147_STAGE_4"),
    ("deal:5", 2, {"stageId": "LOSE", "categoryId": 0}, "DEAL_STAGE"),
    ("deal:5", 2, {"stageId": "C2:LOSE", "categoryId": 2}, "DEAL_STAGE_2"),
    ("lead:5", 1, {"stageId": "JUNK"}, "STATUS"),
]


@pytest.mark.parametrize(("ref", "type_id", "fields", "directory"), STAGED)
def test_a_stage_that_does_not_tell_its_meaning_is_looked_up(
    portal: Sandbox,
    looks: Looks,
    ref: str,
    type_id: int,
    fields: Mapping[str, object],
    directory: str,
) -> None:
    portal.add_item(type_id, 5, **fields)
    portal.statuses.clear()
    portal.add_status("OTHER", str(fields["stageId"]), "S")
    portal.add_status(directory, "FIRST")
    portal.add_status(directory, str(fields["stageId"]), "F")
    path = f"{ref.partition(':')[0]}.stage_semantic_id"
    assert looks.one(ref, path).facts == {"document.exists": True, path: "F"}
    (status_list,) = portal.calls_of("crm.status.list")
    assert status_list.params["filter"] == {"ENTITY_ID": directory}


def test_a_deal_tells_what_its_stage_means(portal: Sandbox, looks: Looks) -> None:
    portal.add_item(2, 759, stageId="LOSE", stageSemanticId="F", categoryId=0)
    assert looks.one("deal:759", "deal.stage_semantic_id").facts["deal.stage_semantic_id"] == "F"
    assert portal.calls_of("crm.status.list") == []


def test_a_directory_is_read_once_for_many_and_remembered(portal: Sandbox, looks: Looks) -> None:
    portal.add_item(7, 1, stageId="DECLAINED")
    portal.add_item(7, 2, stageId="APPROVED")
    portal.add_item(7, 3, stageId="DRAFT")
    path = "quote.stage_semantic_id"
    first, second = looks.gather(ask("quote:1", path), ask("quote:2", path))
    third = looks.one("quote:3", path, now=NOW + timedelta(seconds=4))
    assert [reading.facts[path] for reading in (first, second, third)] == ["F", "S", "P"]
    assert len(portal.calls_of("crm.status.list")) == 1
    looks.one("quote:3", path, now=NOW + timedelta(seconds=6))
    looks.one("quote:3", path, now=NOW)
    assert len(portal.calls_of("crm.status.list")) == 3


def test_a_stage_that_a_remembered_directory_lacks_has_it_read_again(
    portal: Sandbox, looks: Looks
) -> None:
    path = "quote.stage_semantic_id"
    portal.add_item(7, 1, stageId="DRAFT")
    looks.one("quote:1", path)
    portal.add_status("QUOTE_STATUS", "NEWLY_ADDED", "F")
    portal.add_item(7, 1, stageId="NEWLY_ADDED")
    assert looks.one("quote:1", path).facts[path] == "F"


def test_an_item_in_no_stage_has_an_empty_meaning(portal: Sandbox, looks: Looks) -> None:
    portal.add_item(147, 5, stageId=None, categoryId=4)
    path = "item_147.stage_semantic_id"
    assert looks.one("item_147:5", path).facts[path] is None


@pytest.mark.parametrize(
    "fields",
    [{"stageId": "X"}, {"categoryId": 4}, {"stageId": "X", "categoryId": 4}, {"stageId": ["X"]}],
)
def test_a_stage_that_cannot_be_looked_up_is_unknown(
    portal: Sandbox, looks: Looks, fields: Mapping[str, object]
) -> None:
    portal.add_item(147, 5, **fields)
    path = "item_147.stage_semantic_id"
    reading = looks.one("item_147:5", path)
    assert is_unknown(reading.facts[path])
    assert reading.failure is None


@pytest.mark.parametrize(
    ("told", "meaning"),
    [
        ({"SEMANTICS": None, "EXTRA": {"SEMANTICS": "process"}}, "P"),
        ({"SEMANTICS": None, "EXTRA": {"SEMANTICS": "success"}}, "S"),
        ({"SEMANTICS": "F", "EXTRA": {"SEMANTICS": "apology"}}, "F"),
        ({"SEMANTICS": "F", "EXTRA": []}, "F"),
        ({"SEMANTICS": ""}, "P"),
        ({"EXTRA": {"SEMANTICS": "failure"}}, "F"),
        ({"SEMANTICS": "S", "EXTRA": {"SEMANTICS": "failure"}}, None),
        ({"SEMANTICS": None, "EXTRA": {"SEMANTICS": "another"}}, None),
        ({"SEMANTICS": "X"}, None),
        ({}, None),
    ],
)
def test_a_stage_means_what_both_its_descriptions_say(
    portal: Sandbox, looks: Looks, told: Mapping[str, object], meaning: str | None
) -> None:
    row = {"ID": "1", "ENTITY_ID": "QUOTE_STATUS", "STATUS_ID": "X", **told}
    portal.statuses[:] = [row]
    portal.add_item(7, 1, stageId="X")
    found = looks.one("quote:1", "quote.stage_semantic_id").facts["quote.stage_semantic_id"]
    assert is_unknown(found) if meaning is None else found == meaning


def test_a_directory_that_cannot_be_read_makes_the_meaning_unknown(
    portal: Sandbox, looks: Looks
) -> None:
    portal.add_item(7, 1, stageId="DRAFT")
    portal.fail_next("crm.status.list", "503_limit")
    reading = looks.one("quote:1", "quote.stage_semantic_id", "quote.stage_id")
    assert is_unknown(reading.facts["quote.stage_semantic_id"])
    assert reading.facts["quote.stage_id"] == "DRAFT"
    assert reading.failure is not None
    assert reading.failure.kind is FailureKind.BUSY


def test_stages_of_other_directories_are_not_taken_for_ours(portal: Sandbox, looks: Looks) -> None:
    portal.drop_filters = True
    portal.add_status("ANOTHER", "X", "F")
    portal.add_item(7, 1, stageId="X")
    found = looks.one("quote:1", "quote.stage_semantic_id").facts["quote.stage_semantic_id"]
    assert is_unknown(found)


# the running workflows


STRANGERS = [
    ("crm", "CCrmDocumentDeal", "DEAL_75"),
    ("crm", "CCrmDocumentDeal", "DEAL_7590"),
    ("crm", "CCrmDocumentDeal", "deal_759"),
    ("crm", "CCrmDocumentDeal", "DEALX759"),
    ("crm", "CCrmDocumentLead", "DEAL_759"),
    ("crm", "CCrmDocumentLead", "LEAD_759"),
    ("lists", "CCrmDocumentDeal", "DEAL_759"),
    ("", "", ""),
]


@pytest.mark.parametrize("drop_filters", [False, True])
def test_only_the_documents_own_workflows_are_found(
    portal: Sandbox, looks: Looks, drop_filters: bool
) -> None:
    portal.drop_filters = drop_filters
    for triple in STRANGERS:
        for _ in range(20):
            portal.start_workflow(triple, 61)
    mine = sorted(portal.start_workflow(DEAL.triple, 61) for _ in range(3))
    assert ids_of(looks.one("deal:759")) == mine


def test_every_page_is_read(portal: Sandbox, looks: Looks) -> None:
    mine = sorted(portal.start_workflow(DEAL.triple, 61) for _ in range(151))
    assert ids_of(looks.one("deal:759")) == mine
    # The first page tells how many there are; the others go together; and all of it once more.
    assert looks.sends == 4


def test_many_documents_take_one_request(portal: Sandbox, looks: Looks) -> None:
    asks = [ask(f"deal:{number}", "deal.stage_id") for number in range(1, 26)]
    for number in range(1, 26):
        portal.add_item(2, number, stageId=str(number))
        portal.start_workflow(document(f"deal:{number}").triple, 61, id=f"w{number}.1")
    readings = looks.gather(*asks)
    assert [reading.facts["deal.stage_id"] for reading in readings] == [
        str(number) for number in range(1, 26)
    ]
    assert [ids_of(reading) for reading in readings] == [[f"w{n}.1"] for n in range(1, 26)]
    assert portal.http_requests == 1


def test_the_filter_is_one_that_every_version_understands(portal: Sandbox, looks: Looks) -> None:
    looks.one("deal:759")
    (call,) = portal.calls
    assert call.params["FILTER"] == {"MODULE_ID": "crm", "DOCUMENT_ID": "DEAL_759"}
    assert call.params["ORDER"] == {"ID": "ASC"}
    assert set(call.params["SELECT"]) == {  # type: ignore[call-overload]
        *("ID", "MODIFIED", "OWNED_UNTIL", "MODULE_ID", "ENTITY", "DOCUMENT_ID"),
        *("STARTED", "STARTED_BY", "TEMPLATE_ID"),
    }


EVERY_KIND = [
    *("lead:1", "deal:1", "contact:1", "company:1", "quote:1", "invoice:1", "item_147:1", "task:1"),
    "lists|BizprocDocument|777",
    "lists|Bitrix\\Lists\\BizprocDocumentLists|777",
    "disk|Bitrix\\Disk\\BizProcDocument|777",
    "bizproc|Bitrix\\Bizproc\\Public\\Entity\\Document\\Workflow|a\\b",
    "my\\module|My\\Document|a\\b",
]


@pytest.mark.parametrize("filters", ["like", "exact", "dropped"])
@pytest.mark.parametrize("ref", EVERY_KIND)
def test_workflows_of_every_kind_of_document_are_found_however_the_portal_filters(
    portal: Sandbox, looks: Looks, ref: str, filters: str
) -> None:
    portal.exact_filters, portal.drop_filters = filters == "exact", filters == "dropped"
    asked = document(ref)
    mine = sorted(portal.start_workflow(asked.triple, 61) for _ in range(2))
    for _ in range(120):
        other = portal.start_workflow(asked.triple, 61)
        portal.workflows[other]["ENTITY"] = "Another"
    reading = looks.one(ref)
    assert ids_of(reading) == mine
    assert reading.failure is None


@pytest.mark.parametrize("fault", ["503_limit", "500", "401", "missing_part", "empty_error"])
def test_a_list_that_could_not_be_read_is_unknown(
    portal: Sandbox, looks: Looks, fault: str
) -> None:
    portal.start_workflow(DEAL.triple, 61)
    portal.fail_next("bizproc.workflow.instances", fault)
    reading = looks.one("deal:759")
    assert is_unknown(reading.workflows)
    assert (reading.failure is None) is (fault == "empty_error")


def test_a_caller_who_is_no_administrator_knows_of_no_workflow(
    portal: Sandbox, looks: Looks
) -> None:
    portal.admin = False
    reading = looks.one("deal:759")
    assert is_unknown(reading.workflows)
    assert reading.failure is not None
    assert reading.failure.kind is FailureKind.METHOD


def test_the_widest_failure_is_told(portal: Sandbox, looks: Looks) -> None:
    portal.add_item(2, 759)
    portal.fail_next("crm.item.get", "500")
    portal.fail_next("bizproc.workflow.instances", "401")
    reading = looks.one("deal:759", "deal.title")
    assert reading.failure is not None
    assert reading.failure.kind is FailureKind.PORTAL


# templates, and the runs of robots

KNOWN, NAME = "template.known", "template.name"


def test_a_listed_template_is_known_and_a_robots_is_not(portal: Sandbox, looks: Looks) -> None:
    portal.add_template(61, "Approval")
    portal.add_template(99, "Robots", auto_execute=8)
    portal.start_workflow(DEAL.triple, 61, id="a.1", started=LONG_AGO)
    portal.start_workflow(DEAL.triple, 99, id="b.1", started=LONG_AGO)
    reading = looks.one("deal:759", KNOWN, NAME)
    assert not isinstance(reading.workflows, Unknown)
    listed, robots = reading.workflows
    assert (listed.facts[KNOWN], listed.facts[NAME]) == (True, "Approval")
    assert robots.facts[KNOWN] is False
    assert is_unknown(robots.facts[NAME])
    assert portal.http_requests == 1


def test_more_templates_than_a_page_are_all_known(portal: Sandbox, looks: Looks) -> None:
    for number in range(1, 121):
        portal.add_template(number, f"Template {number}")
    portal.start_workflow(DEAL.triple, 120, started=LONG_AGO)
    assert only(looks.one("deal:759", NAME)).facts[NAME] == "Template 120"


def test_the_list_of_templates_is_read_only_for_rules_that_need_it(
    portal: Sandbox, looks: Looks
) -> None:
    portal.start_workflow(DEAL.triple, 61)
    looks.one("deal:759", "template.id", "workflow.template_id")
    assert portal.calls_of("bizproc.workflow.template.list") == []


def test_the_list_of_templates_is_remembered_for_five_seconds(
    portal: Sandbox, looks: Looks
) -> None:
    portal.add_template(61, "Approval")
    portal.start_workflow(DEAL.triple, 61, started=LONG_AGO)
    for seconds in (0, 4, 6, 0):
        reading = looks.one("deal:759", KNOWN, now=NOW + timedelta(seconds=seconds))
        assert only(reading).facts[KNOWN] is True
    assert len(portal.calls_of("bizproc.workflow.template.list")) == 3


def test_a_template_that_is_younger_than_the_list_has_it_read_again(
    portal: Sandbox, looks: Looks
) -> None:
    looks.one("deal:759", KNOWN)
    portal.add_template(62, "New")
    portal.start_workflow(DEAL.triple, 62, started=NOW + timedelta(seconds=2))
    reading = looks.one("deal:759", KNOWN, now=NOW + timedelta(seconds=4))
    assert only(reading).facts[KNOWN] is True


def test_a_workflow_that_started_just_now_is_a_robots_only_by_a_later_list(
    portal: Sandbox, looks: Looks
) -> None:
    portal.start_workflow(DEAL.triple, 99, started=NOW)
    assert only(looks.one("deal:759", KNOWN)).facts[KNOWN] is False
    lists = [call.batch for call in portal.calls_of("bizproc.workflow.template.list")]
    (instances,) = portal.calls_of("bizproc.workflow.instances")
    assert instances.batch is not None
    assert lists[-1] is not None
    assert lists[-1] > instances.batch


@pytest.mark.parametrize(("times", "listed"), [(1, False), (2, True)])
def test_a_list_of_templates_that_could_not_be_read_proves_nothing(
    portal: Sandbox, looks: Looks, times: int, listed: bool
) -> None:
    if listed:
        portal.add_template(61, "Approval")
    portal.start_workflow(DEAL.triple, 61, started=LONG_AGO)
    portal.fail_next("bizproc.workflow.template.list", "500", times=times)
    reading = looks.one("deal:759", KNOWN, NAME)
    assert is_unknown(only(reading).facts[KNOWN])
    assert is_unknown(only(reading).facts[NAME])
    assert reading.failure is not None
    assert reading.failure.kind is FailureKind.UNCERTAIN


def test_the_second_list_failing_leaves_the_unlisted_unknown_and_the_listed_known(
    portal: Sandbox, looks: Looks
) -> None:
    portal.add_template(61, "Approval")
    looks.one("deal:759", KNOWN)
    portal.start_workflow(DEAL.triple, 61, id="a.1", started=NOW)
    portal.start_workflow(DEAL.triple, 99, id="b.1", started=NOW)
    portal.fail_next("bizproc.workflow.template.list", "503_limit")
    reading = looks.one("deal:759", KNOWN, now=NOW + timedelta(seconds=4))
    assert not isinstance(reading.workflows, Unknown)
    listed, unlisted = reading.workflows
    assert listed.facts[KNOWN] is True
    assert is_unknown(unlisted.facts[KNOWN])
    assert reading.failure is not None


@pytest.mark.parametrize("template_id", ["0", ""])
def test_a_workflow_without_a_template_has_no_known_one(
    portal: Sandbox, looks: Looks, template_id: str
) -> None:
    portal.start_workflow(DEAL.triple, template_id)
    assert is_unknown(only(looks.one("deal:759", KNOWN)).facts[KNOWN])


# is it still running?


def test_a_workflow_is_listed_or_certainly_gone(portal: Sandbox, looks: Looks) -> None:
    portal.start_workflow(DEAL.triple, 61, id=ID)
    found = looks.present(ID, "gone.1", ID)
    assert found == {ID: portal.workflows[ID], "gone.1": None}
    assert portal.http_requests == 1


def test_with_dropped_filters_every_page_is_looked_through(portal: Sandbox, looks: Looks) -> None:
    portal.drop_filters = True
    ids = sorted(portal.start_workflow(DEAL.triple, 61) for _ in range(120))
    found = looks.present(ids[0], ids[119], "gone.1")
    assert found[ids[0]] == portal.workflows[ids[0]]
    assert found[ids[119]] == portal.workflows[ids[119]]
    assert found["gone.1"] is None


@pytest.mark.parametrize("filters", ["like", "exact", "dropped"])
@pytest.mark.parametrize("of", [ID, "a\\b.1", "a_b.1", "a%", "%", "_", "7", "\\"])
def test_a_workflow_is_found_by_its_id_however_the_portal_filters(
    portal: Sandbox, looks: Looks, of: str, filters: str
) -> None:
    portal.exact_filters, portal.drop_filters = filters == "exact", filters == "dropped"
    for other in ("aXb.1", "A", "Z.9", *(f"w{number}" for number in range(120))):
        portal.start_workflow(DEAL.triple, 61, id=other)
    assert looks.present(of) == {of: None}
    portal.start_workflow(DEAL.triple, 61, id=of)
    assert looks.present(of) == {of: portal.workflows[of]}


@pytest.mark.parametrize("fault", ["500", "503_limit", "401", "missing_part", "empty_error"])
def test_a_failed_look_proves_nobody_gone(portal: Sandbox, looks: Looks, fault: str) -> None:
    portal.fail_next("bizproc.workflow.instances", fault)
    assert is_unknown(looks.present(ID)[ID])


def test_the_row_of_another_workflow_is_not_taken_for_it(portal: Sandbox, looks: Looks) -> None:
    portal.start_workflow(DEAL.triple, 61, id=ID)
    portal.fail_next("bizproc.workflow.instances", "wrong_id")
    assert not isinstance(looks.present(ID)[ID], Mapping)


@pytest.mark.parametrize("workflow_id", ["", " ", "a b", "x" * 129, "é"])
def test_what_is_no_id_is_not_asked_about(portal: Sandbox, looks: Looks, workflow_id: str) -> None:
    assert is_unknown(looks.present(workflow_id)[workflow_id])
    assert portal.http_requests == 0


# scripted portals


def row(workflow_id: object = ID, **other: object) -> dict[str, object]:
    module, entity, document_id = DEAL.triple
    return {
        "ID": workflow_id,
        "MODULE_ID": module,
        "ENTITY": entity,
        "DOCUMENT_ID": document_id,
        **other,
    }


def read_scripted(
    answer: Callable[[Command], Answer], *paths: str, stops: tuple[str, ...] = ()
) -> Reading:
    async def send(commands: Sequence[Command]) -> list[Answer]:
        return [answer(command) for command in commands]

    asked = Ask(DEAL, frozenset(paths), frozenset(stops))
    (reading,) = asyncio.run(gather(send, [asked], Templates(), NOW))
    return reading


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in row().items() if key != name}


@pytest.mark.parametrize("value", [{"0": row()}, None, "rows"])
def test_an_answer_that_is_no_list_of_workflows_is_unknown(value: object) -> None:
    reading = read_scripted(lambda _: Answer(value=value, total=1))
    assert is_unknown(reading.workflows)
    assert reading.failure is not None
    assert reading.failure.code == "wrong_type"


NAMELESS = [row(65), row(None), row(""), row("a b"), row(6.5), without("ID"), "row", None]
HOMELESS = [row("odd.1") | {"DOCUMENT_ID": 759}, row("odd.1") | {"MODULE_ID": []}]


@pytest.mark.parametrize("odd", [*NAMELESS, *HOMELESS, without("ENTITY")])
def test_a_row_that_makes_no_sense_is_left_alone_and_the_others_are_found(odd: object) -> None:
    good = row("good.1")
    reading = read_scripted(lambda _: Answer(value=[odd, good], total=2))
    assert (ids_of(reading), reading.failure) == (["good.1"], None)
    assert len(reading.odd.rows) == 1


@pytest.mark.parametrize("odd", [*NAMELESS, *HOMELESS])
def test_beside_a_row_that_makes_no_sense_it_is_unknown_how_many_run(odd: object) -> None:
    reading = read_scripted(lambda _: Answer(value=[row("a.1"), odd], total=2), "document.running")
    assert is_unknown(reading.facts["document.running"])


def test_what_is_listed_of_a_document_is_how_many_run_there() -> None:
    other = row("c.1") | {"DOCUMENT_ID": "DEAL_7590"}
    rows = [row("a.1"), row("b.1"), other]
    reading = read_scripted(lambda _: Answer(value=rows, total=3), "document.running")
    assert reading.facts == {"document.running": 2}
    none = read_scripted(lambda _: Answer(value=[], total=0), "document.running")
    assert none.facts == {"document.running": 0}


def test_beside_a_stop_that_is_there_and_not_listed_it_is_unknown_how_many_run() -> None:
    def answer(command: Command) -> Answer:
        by_id = "ID" in str(command.params["FILTER"]) and "a.1" in str(command.params["FILTER"])
        return Answer(value=[row("a.1")] if by_id else [row("b.1")], total=1)

    reading = read_scripted(answer, "document.running", stops=("a.1",))
    assert ids_of(reading) == ["b.1"]
    assert is_unknown(reading.facts["document.running"])


@pytest.mark.parametrize("odd", NAMELESS)
def test_beside_a_row_without_an_id_nobody_is_known_to_be_gone(odd: object) -> None:
    async def send(commands: Sequence[Command]) -> list[Answer]:
        return [Answer(value=[row("good.1"), odd], total=2) for _ in commands]

    found = asyncio.run(present(send, ["good.1", "gone.1"]))
    assert isinstance(found["good.1"], dict)
    assert is_unknown(found["gone.1"])


@pytest.mark.parametrize("odd", HOMELESS)
def test_a_row_without_a_document_is_there_by_its_id(odd: object) -> None:
    async def send(commands: Sequence[Command]) -> list[Answer]:
        return [Answer(value=[odd], total=1) for _ in commands]

    found = asyncio.run(present(send, ["odd.1", "gone.1"]))
    assert isinstance(found["odd.1"], dict)
    assert found["gone.1"] is None


def test_rows_without_an_id_are_counted_with_the_rest() -> None:
    rows: list[object] = [*(row(f"a{number:02d}.1") for number in range(60)), None, {"ID": 5}]

    def page(command: Command) -> Answer:
        start = command.params.get("start", 0)
        assert isinstance(start, int)
        more = start + 50 if start + 50 < len(rows) else None
        return Answer(value=rows[start : start + 50], total=len(rows), next=more)

    assert len(ids_of(read_scripted(page))) == 60


def test_a_list_that_does_not_tell_its_length_is_unknown() -> None:
    assert is_unknown(read_scripted(lambda _: Answer(value=[row()])).workflows)


def test_a_row_of_nobodys_document_is_not_ours() -> None:
    nobodys = row("b.1", MODULE_ID=None, ENTITY=None, DOCUMENT_ID=None)
    reading = read_scripted(lambda _: Answer(value=[row(), nobodys], total=2))
    assert ids_of(reading) == [ID]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(value=[row()], total=2),
        Answer(value=[row(), row("b.1")], total=1),
        Answer(value=[row(), row()], total=2),
        Answer(value=[row()], total=1, next=1),
        Answer(value=[], total=10**18, next=50),
        Answer(value=[], total=50_001, next=50),
        Answer(value=[row()], total=5, next=-50),
    ],
)
def test_a_list_that_is_not_whole_is_unknown_and_ends(answer: Answer) -> None:
    asked = []

    def script(command: Command) -> Answer:
        asked.append(command)
        following = answer.next
        start = command.params.get("start", 0)
        if following == 1 and isinstance(start, int):  # a list that never ends
            return Answer(value=[row(f"{start}.1")], total=1, next=start + 1)
        return answer

    reading = read_scripted(script)
    assert is_unknown(reading.workflows)
    assert reading.failure is not None
    assert reading.failure.code in ("incomplete", "too_long")
    assert len(asked) <= 2100


@pytest.mark.parametrize("value", [None, [], {"item": []}, {"item": "x"}, {"task": {}}, "x"])
def test_an_item_of_another_shape_is_unknown(value: object) -> None:
    async def send(commands: Sequence[Command]) -> list[Answer]:
        lists = Answer(value=[], total=0)
        return [Answer(value=value) if c.method == "crm.item.get" else lists for c in commands]

    asks = [ask("deal:759", "deal.title")]
    (reading,) = asyncio.run(gather(send, asks, Templates(), NOW))
    assert is_unknown(reading.facts["document.exists"])
    assert is_unknown(reading.facts["deal.title"])
    assert reading.failure is not None
    assert reading.failure.code == "wrong_type"


@pytest.mark.parametrize("started", [None, "", "yesterday", "2026-09-01T10:00:00", 5])
def test_a_start_that_cannot_be_read_has_the_templates_listed_again(started: object) -> None:
    methods: list[str] = []

    async def send(commands: Sequence[Command]) -> list[Answer]:
        methods.extend(command.method for command in commands)
        rows = [row(TEMPLATE_ID="99", STARTED=started)]
        return [
            Answer(value=rows, total=1)
            if command.method == "bizproc.workflow.instances"
            else Answer(value=[{"ID": 61, "NAME": "Approval"}], total=1)
            for command in commands
        ]

    (reading,) = asyncio.run(gather(send, [ask("deal:759", KNOWN)], Templates(), NOW))
    assert only(reading).facts[KNOWN] is False
    assert methods.count("bizproc.workflow.template.list") == 2


class Changing:
    """A portal that drops filters, lists two rows a page, and changes between any two pages."""

    def __init__(self, ids: Sequence[str], changes: Sequence[tuple[str | None, bool]]) -> None:
        self.ids = sorted(ids)
        self._changes = list(changes)
        self._serial = 0

    async def send(self, commands: Sequence[Command]) -> list[Answer]:
        return [self._page(command) for command in commands]

    def _page(self, command: Command) -> Answer:
        start = command.params.get("start", 0)
        assert isinstance(start, int)
        part = self.ids[start : start + 2]
        more = start + len(part) < len(self.ids)
        page = Answer(
            value=[row(workflow_id) for workflow_id in part],
            total=len(self.ids),
            next=start + len(part) if more else None,
        )
        self._change()
        return page

    def _change(self) -> None:
        """Let one workflow end and one start, as the script has it. Ids grow with time."""
        if self._changes:
            ending, starts = self._changes.pop(0)
            if ending in self.ids:
                self.ids.remove(ending)
            if starts:
                self._serial += 1
                self.ids.append(f"w9{self._serial:03d}.1")


IDS = [f"w{number:02d}.1" for number in range(1, 9)]
CHANGES = st.lists(st.tuples(st.sampled_from([None, *IDS]), st.booleans()), max_size=12)


@given(st.sets(st.sampled_from(IDS), min_size=1), CHANGES, st.data())
def test_a_workflow_that_runs_all_the_time_is_never_found_gone(
    ids: set[str], changes: list[tuple[str | None, bool]], data: st.DataObject
) -> None:
    lasting = data.draw(st.sampled_from(sorted(ids)))
    kept = [(None if ending == lasting else ending, starts) for ending, starts in changes]
    found = asyncio.run(present(Changing(sorted(ids), kept).send, [lasting]))
    assert found[lasting] is not None
    reading = asyncio.run(
        gather(Changing(sorted(ids), kept).send, [Ask(DEAL, frozenset())], Templates(), NOW)
    )[0]
    assert isinstance(reading.workflows, Unknown) or lasting in ids_of(reading)


def test_a_list_that_changed_once_is_read_again() -> None:
    portal = Changing(IDS, [(IDS[0], False)])
    found = asyncio.run(present(portal.send, [IDS[2], IDS[0], "gone.1"]))
    assert isinstance(found[IDS[2]], Mapping)
    assert found["gone.1"] is None


def test_a_list_that_never_rests_is_unknown() -> None:
    portal = Changing(IDS, [(None, True)] * 100)
    assert is_unknown(asyncio.run(present(portal.send, ["gone.1"]))["gone.1"])


@given(st.integers(0, 9), st.integers(0, 30))
def test_a_workflow_is_never_judged_by_what_its_document_was_before_it_began(
    others: int, happens_before: int
) -> None:
    """A lost deal is reopened, and a workflow begins on it, between any two commands."""
    portal = Changing(IDS[:others], [])
    sent = 0

    async def send(commands: Sequence[Command]) -> list[Answer]:
        nonlocal sent
        answers: list[Answer] = []
        for command in commands:
            if sent == happens_before:
                portal.ids.append("w99.1")
            sent += 1
            stage = "NEW" if "w99.1" in portal.ids else "LOSE"
            item = {"item": {"id": 759, "entityTypeId": 2, "stageId": stage}}
            is_item = command.method == "crm.item.get"
            answers += [Answer(value=item)] if is_item else await portal.send([command])
        return answers

    (reading,) = asyncio.run(gather(send, [ask("deal:759", "deal.stage_id")], Templates(), NOW))
    if isinstance(reading.workflows, Unknown):
        assert others  # it fell between the pages of a list, which was then read again
    elif "w99.1" in ids_of(reading):
        assert reading.facts["deal.stage_id"] == "NEW"


REFUSED = Failure(FailureKind.UNCERTAIN, "timeout", "no answer")


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.booleans())
def test_a_page_that_fails_proves_nobody_gone(fails: list[bool], runs: bool) -> None:
    ids = [*IDS, "x.1"] if runs else IDS
    portal, script = Changing(ids, []), list(fails)

    async def send(commands: Sequence[Command]) -> list[Answer]:
        answers = await portal.send(commands)
        return [Answer(failure=REFUSED) if script and script.pop(0) else a for a in answers]

    found = asyncio.run(present(send, ["x.1"]))["x.1"]
    assert found is not None if runs else not isinstance(found, Mapping)
    if any(fails[:1]):
        assert is_unknown(found)
