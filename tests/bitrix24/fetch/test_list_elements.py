"""Elements of lists and news-feed processes: of which list they are, and what they say."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

import pytest

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Answer, Command
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.fetch.document_facts import Ask, Reading, gather
from responder.bitrix24.fetch.list_elements import ElementRead
from responder.bitrix24.fetch.survey import Survey
from responder.bitrix24.fetch.templates import Templates
from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.model import Document, Unknown

NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)
LEAVE = ("lists", documents.FEED, "iblock_23")
PATHS = (
    *("list_23.name", "list_23.property_1", "list_23.property_2", "list_23.property_3"),
    *("list_23.property_404", "list_23.created_by.active", "document.exists", "document.running"),
)


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxServer]:
    with SandboxServer(Sandbox(kind="on_premise")) as server:
        yield server


@pytest.fixture
def portal(running: SandboxServer) -> Sandbox:
    sandbox = running.sandbox
    for contents in (sandbox.workflows, sandbox.templates, sandbox.lists.blocks, sandbox.users):
        contents.clear()
    sandbox.calls.clear()
    sandbox.faults.clear()
    sandbox.drop_filters = False
    sandbox.scopes = ("bizproc", "crm", "user_brief", "lists")
    sandbox.lists.add(23, "Leave", "bitrix_processes")
    sandbox.lists.add_field(23, "PROPERTY_1", "Last day", "S:Date")
    sandbox.lists.add_field(23, "PROPERTY_2", "Reason", "L")
    sandbox.lists.add_field(23, "PROPERTY_3", "Days", "N", multiple=True)
    sandbox.lists.add_element(
        23, 777, "Leave of Anna", created_by=7, PROPERTY_1=date(2026, 9, 18), PROPERTY_3=[1, 2]
    )
    sandbox.add_template(61, "Leave", document_type=LEAVE)
    sandbox.add_user(7)
    return sandbox


def element(number: int, *, of_feed: bool = True) -> Document:
    found = documents.parse_ref(f"{'feed' if of_feed else 'list'}_23:{number}")
    assert found is not None
    return found


class Asking:
    """Asks a running sandbox, in both ways."""

    def __init__(self, url: str) -> None:
        self._portal = Portal("main", url)

    async def send(self, commands: Sequence[Command]) -> list[Answer]:
        return [
            answer
            for start in range(0, len(commands), 50)
            for answer in await self._portal.batch(commands[start : start + 50])
        ]

    async def one_by_one(self, some: Sequence[Document], *paths: str) -> list[Reading]:
        asks = [Ask(one, frozenset(paths)) for one in some]
        try:
            return await gather(self.send, asks, Templates(), NOW)
        finally:
            await self._portal.close()

    async def by_pages(self, *paths: str) -> Survey:
        survey = Survey(
            Templates(),
            NOW,
            wanted=lambda _d, _w: frozenset(paths),
            workflow_paths=frozenset(),
            lists=True,
        )
        try:
            while await survey.step(self.send):
                pass
        finally:
            await self._portal.close()
        return survey


def read(running: SandboxServer, some: Sequence[Document], *paths: str) -> list[Reading]:
    return asyncio.run(Asking(running.url).one_by_one(some, *paths))


def surveyed(running: SandboxServer, *paths: str) -> Survey:
    return asyncio.run(Asking(running.url).by_pages(*paths))


def test_the_template_says_of_which_list_an_element_is(
    running: SandboxServer, portal: Sandbox
) -> None:
    portal.start_workflow(element(777).triple, 61)
    portal.start_workflow(element(778).triple, 9)  # a robot's, or one whose template is gone
    found = dict(surveyed(running, *PATHS).readings())
    assert {one.ref for one in found} == {"feed_23:777", "lists|BizprocDocument|778"}
    facts = found[element(777)].facts
    assert isinstance(facts.pop("list_23.property_404", Unknown("")), Unknown)
    assert facts == {
        "document.exists": True,
        "document.running": 1,
        "list_23.name": "Leave of Anna",
        "list_23.property_1": "2026-09-18",
        "list_23.property_2": None,
        "list_23.property_3": ["1", "2"],
        "list_23.created_by": "7",
        "list_23.created_by.active": True,
    }


def test_what_is_read_of_one_is_what_is_read_of_many(
    running: SandboxServer, portal: Sandbox
) -> None:
    for number in range(1, 61):
        portal.lists.add_element(23, number, f"No {number}", PROPERTY_2="1")
        portal.start_workflow(element(number).triple, 61)
    portal.start_workflow(element(404).triple, 61)
    many = dict(surveyed(running, *PATHS).readings())
    assert len(portal.calls_of("lists.field.get")) == 1
    assert len(portal.calls_of("lists.element.get")) == 3  # two of fifty, and the one not there
    some = [element(number) for number in (1, 60, 404)]
    assert [many[one].facts for one in some] == [one.facts for one in read(running, some, *PATHS)]
    assert isinstance(many[element(404)].facts["document.exists"], Unknown)


@pytest.mark.parametrize("what", ["unreadable", "plan", "unpublished", "another type"])
def test_what_may_not_be_read_is_unknown(
    running: SandboxServer, portal: Sandbox, what: str
) -> None:
    block = portal.lists.blocks[23]
    block.readable = what != "unreadable"
    portal.lists.on_plan = what != "plan"
    block.editable = False
    block.elements[777].published = what != "unpublished"
    asked = element(777, of_feed=what != "another type")
    portal.start_workflow(asked.triple, 61)
    (one,) = read(running, [asked], *PATHS)
    many = dict(surveyed(running, *PATHS).readings())[asked]
    for facts in (one.facts, many.facts):
        own = [facts[path] for path in PATHS if path in facts and path != "document.running"]
        assert len(own) == len(PATHS) - 1
        assert all(isinstance(value, Unknown) for value in own)
    portal.lists.on_plan = True


def test_where_the_fields_of_the_list_are_not_known_its_properties_are_unknown(
    running: SandboxServer, portal: Sandbox
) -> None:
    portal.fail_next("lists.field.get", ("error", 500, "INTERNAL_SERVER_ERROR", "oh"))
    (found,) = read(running, [element(777)], "list_23.name", "list_23.property_1")
    assert found.facts["list_23.name"] == "Leave of Anna"
    assert isinstance(found.facts["list_23.property_1"], Unknown)
    assert found.failure is not None


def test_a_portal_that_drops_filters_gives_no_other_elements_fields(
    running: SandboxServer, portal: Sandbox
) -> None:
    portal.drop_filters = True
    portal.lists.add_element(23, 5, "Another")
    portal.lists.add_element(23, 6, "And another")
    found = read(running, [element(6)], "list_23.name")
    assert found[0].facts["list_23.name"] == "And another"


def test_where_the_templates_cannot_be_read_the_survey_says_so(
    running: SandboxServer, portal: Sandbox
) -> None:
    portal.start_workflow(element(777).triple, 61)
    portal.fail_next("bizproc.workflow.template.list", "500", times=9)
    survey = surveyed(running, *PATHS)
    assert survey.kinds_unread is not None
    assert [one.kind for one, _ in survey.readings()] == ["other"]


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("18.09.2026", "2026-09-18"),
        ("18.09.2026 23:59:59", "2026-09-18T23:59:59"),
        ("2026-09-18 07:05", "2026-09-18T07:05:00"),
        ("12/31/2024 11:59:59 pm", "2024-12-31T23:59:59"),
        ("12/31/2024 12:00:00 am", "2024-12-31T00:00:00"),
        ("31/12/2024", "2024-12-31"),
        ("05/05/2024", "2024-05-05"),
        ("", ""),
        *((odd, None) for odd in ("05/06/2024", "31.02.2024", "soon", "31/31/2024", "18.9.26")),
        *((odd, None) for odd in ("12/31/2024 13:00 pm", "12/31/2024 24:00", "2026-09-18T07:05")),
    ],
)
def test_a_date_in_the_portals_format_is_read_where_it_has_one_meaning(
    written: str, read_as: str | None
) -> None:
    asked = ElementRead(element(777), ["property_1"])
    row = {"ID": "777", "IBLOCK_ID": "23", "PROPERTY_1": {"3747": written}}
    fields = {"PROPERTY_1": {"TYPE": "S:Date"}}
    asked.next_commands()
    asked.accept([Answer(value=[row], total=1), Answer(value=fields)])
    found = asked.value("property_1")
    assert isinstance(found, Unknown) if read_as is None else found == read_as
