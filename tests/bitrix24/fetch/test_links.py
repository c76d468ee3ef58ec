"""What documents are linked to: their companies, contacts and people, read one link far."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Answer, Command
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.fetch.document_facts import Ask, Reading, gather
from responder.bitrix24.fetch.templates import Templates
from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.model import Unknown

NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxServer]:
    with SandboxServer(Sandbox()) as server:
        yield server


@pytest.fixture
def portal(running: SandboxServer) -> Sandbox:
    sandbox = running.sandbox
    for contents in (sandbox.items, sandbox.tasks, sandbox.workflows, sandbox.users):
        contents.clear()
    for forgotten in (sandbox.calls, sandbox.denied_items, sandbox.hidden_users, sandbox.faults):
        forgotten.clear()
    sandbox.http_requests = 0
    sandbox.drop_filters = False
    sandbox.add_item(4, 17, title="Acme", industry="IT", UF_CRM_VIP="1")
    sandbox.add_item(3, 5, post="Buyer")
    sandbox.add_user(7, department=(3,))
    sandbox.add_user(8, active=False)
    return sandbox


def read(running: SandboxServer, ref: str, *paths: str) -> Reading:
    (reading,) = read_all(running, [ref], *paths)
    return reading


def read_all(running: SandboxServer, refs: Sequence[str], *paths: str) -> list[Reading]:
    asks = []
    for ref in refs:
        document = documents.parse_ref(ref)
        assert document is not None
        asks.append(Ask(document, frozenset(paths)))

    async def of_portal() -> list[Reading]:
        portal = Portal("main", running.url)

        async def send(commands: Sequence[Command]) -> list[Answer]:
            return [
                answer
                for start in range(0, len(commands), 50)
                for answer in await portal.batch(commands[start : start + 50])
            ]

        try:
            return await gather(send, asks, Templates(), NOW)
        finally:
            await portal.close()

    return asyncio.run(of_portal())


def test_a_deal_has_the_facts_of_its_company_its_contact_and_its_people(
    running: SandboxServer, portal: Sandbox
) -> None:
    portal.add_item(2, 1, companyId=17, contactId=5, assignedById=8, createdBy=7)
    paths = ("company.industry", "company.uf_crm_vip", "contact.post", "contact.id")
    people = ("assigned_by.active", "created_by.department", "assigned_by.id")
    found = read(running, "deal:1", *(f"deal.{path}" for path in (*paths, *people)))
    assert found.facts == {
        "document.exists": True,
        "deal.company_id": 17,
        "deal.company.industry": "IT",
        "deal.company.uf_crm_vip": "1",
        "deal.contact_id": 5,
        "deal.contact.post": "Buyer",
        "deal.contact.id": 5,
        "deal.assigned_by_id": 8,
        "deal.assigned_by.active": False,
        "deal.assigned_by.id": 8,
        "deal.created_by": 7,
        "deal.created_by.department": [3],
    }
    assert found.failure is None


@pytest.mark.parametrize("ref", ["lead:1", "quote:1", "invoice:1", "item_147:1"])
def test_so_have_the_other_kinds_with_a_company(
    running: SandboxServer, portal: Sandbox, ref: str
) -> None:
    kind = ref.partition(":")[0]
    type_id = documents.entity_type_id(kind)
    assert type_id is not None
    portal.add_item(type_id, 1, companyId="17", assignedById="7")
    facts = read(running, ref, f"{kind}.company.title", f"{kind}.assigned_by.active").facts
    assert (facts[f"{kind}.company.title"], facts[f"{kind}.assigned_by.active"]) == ("Acme", True)


def test_a_task_has_the_facts_of_its_people(running: SandboxServer, portal: Sandbox) -> None:
    portal.add_task("4", responsibleId="8", createdBy="7")
    paths = ("task.responsible.active", "task.created_by.active")
    facts = read(running, "task:4", *paths).facts
    assert [facts[path] for path in paths] == [False, True]


@pytest.mark.parametrize("nothing", [0, "0", None, "", []])
def test_an_empty_link_has_empty_fields_and_asks_for_nothing(
    running: SandboxServer, portal: Sandbox, nothing: object
) -> None:
    portal.add_item(2, 1, companyId=nothing, assignedById=nothing)
    paths = ("deal.company.title", "deal.company.id", "deal.assigned_by.active")
    found = read(running, "deal:1", *paths)
    assert [found.facts[path] for path in paths] == [None, None, None]
    assert not portal.calls_of("user.get") + portal.calls_of("crm.item.list")


@pytest.mark.parametrize("value", ["x", True, 1.5, {"a": 1}, [1, 2], "-1"])
def test_a_link_that_is_no_number_is_unknown(
    running: SandboxServer, portal: Sandbox, value: object
) -> None:
    portal.add_item(2, 1, companyId=value)
    assert isinstance(
        read(running, "deal:1", "deal.company.title").facts["deal.company.title"], Unknown
    )


def test_what_may_not_be_read_is_not_there_or_is_hidden_is_unknown(
    running: SandboxServer, portal: Sandbox
) -> None:
    portal.add_item(4, 18, title="Secret")
    portal.denied_items.add((4, 18))
    portal.add_user(9)
    portal.hidden_users.add("9")
    portal.add_item(2, 1, companyId=18, assignedById=9)
    portal.add_item(2, 2, companyId=404, assignedById=404)
    paths = ("deal.company.title", "deal.assigned_by.active")
    for found in read_all(running, ["deal:1", "deal:2"], *paths):
        assert all(isinstance(found.facts[path], Unknown) for path in paths)
        assert found.failure is None  # it will be no different in a minute


def test_a_field_that_the_answer_lacks_is_unknown(running: SandboxServer, portal: Sandbox) -> None:
    portal.add_item(2, 1, companyId=17)
    lacking = ("deal.company.revenue", "deal.contact.post")
    facts = read(running, "deal:1", *lacking).facts
    assert all(isinstance(facts[path], Unknown) for path in lacking)


def test_where_the_document_itself_could_not_be_read_its_links_are_unknown(
    running: SandboxServer, portal: Sandbox
) -> None:
    portal.add_item(2, 1, companyId=17)
    portal.denied_items.add((2, 1))
    facts = read(running, "deal:1", "deal.company.title").facts
    assert isinstance(facts["deal.company.title"], Unknown)


@pytest.mark.parametrize("method", ["crm.item.list", "user.get"])
def test_a_failure_on_the_way_is_told_so_that_it_is_read_again(
    running: SandboxServer, portal: Sandbox, method: str
) -> None:
    portal.add_item(2, 1, companyId=17, assignedById=7)
    portal.fail_next(method, ("error", 500, "INTERNAL_SERVER_ERROR", "oh"))
    found = read(running, "deal:1", "deal.company.title", "deal.assigned_by.active")
    assert found.failure is not None
    assert sum(isinstance(value, Unknown) for value in found.facts.values()) == 1


def test_a_portal_that_drops_filters_gives_no_other_companys_fields(
    running: SandboxServer, portal: Sandbox
) -> None:
    portal.drop_filters = True
    portal.add_item(4, 3, title="Another")
    portal.add_item(2, 1, companyId=17, contactId=404)
    facts = read(running, "deal:1", "deal.company.title", "deal.contact.post").facts
    assert facts["deal.company.title"] == "Acme"
    assert isinstance(facts["deal.contact.post"], Unknown)


def test_many_documents_share_one_list_and_one_user(
    running: SandboxServer, portal: Sandbox
) -> None:
    for number in range(1, 41):
        portal.add_item(4, 100 + number, title=f"Company {number}")
        portal.add_item(2, number, companyId=100 + number, assignedById=7)
    refs = [f"deal:{number}" for number in range(1, 41)]
    found = read_all(running, refs, "deal.company.title", "deal.assigned_by.active")
    titles = [reading.facts["deal.company.title"] for reading in found]
    assert titles == [f"Company {number}" for number in range(1, 41)]
    assert len(portal.calls_of("crm.item.list")) == 1
    assert len(portal.calls_of("user.get")) == 1
