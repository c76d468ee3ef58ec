"""Tests the reading of a whole portal: on a sandbox portal, over a socket."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import pytest

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Answer, Command, FailureKind
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.fetch.document_facts import Ask, Reading, gather
from responder.bitrix24.fetch.item_pages import ItemsRead
from responder.bitrix24.fetch.smart_types import TypesRead
from responder.bitrix24.fetch.stages import StagesRead
from responder.bitrix24.fetch.survey import Survey, Wanted
from responder.bitrix24.fetch.templates import Templates
from responder.bitrix24.lists.workflows import PAGES_ON_TRUST
from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.model import Document, Unknown, Workflow

NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)
PEOPLE = frozenset({"workflow.tasks", "waiting_for.active", "starter.active", "starter.department"})
TEMPLATE = frozenset({"template.known", "template.name"})


def document(ref: str) -> Document:
    found = documents.parse_ref(ref)
    assert found is not None
    return found


DEAL = document("deal:759").triple


def reads(*paths: str) -> Wanted:
    """Want these facts of every document."""
    return lambda _document, _workflows: frozenset(paths)


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
    sandbox.bizproc_tasks.clear()
    sandbox.statuses[:] = Sandbox().statuses
    sandbox.calls.clear()
    sandbox.faults.clear()
    sandbox.denied_items.clear()
    sandbox.drop_filters = False
    sandbox.scopes = ("bizproc", "crm", "user_brief", "task")
    sandbox.http_requests = 0
    return sandbox


class Surveys:
    """Surveys the running sandbox, step by step; `between` happens after each request."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.templates = Templates()
        self.between: Callable[[], None] = lambda: None
        self.singly = False
        self.portions: list[int] = []
        self.progress: list[tuple[int, int | None]] = []

    def survey(self, wanted: Wanted, workflow_paths: frozenset[str] = frozenset()) -> Survey:
        made = Survey(self.templates, NOW, wanted=wanted, workflow_paths=workflow_paths)
        asyncio.run(self._steps(made))
        return made

    def readings(
        self, wanted: Wanted, workflow_paths: frozenset[str] = frozenset()
    ) -> dict[str, Reading]:
        made = self.survey(wanted, workflow_paths)
        assert (made.complete, made.failure) == (True, None)
        return {found.ref: reading for found, reading in made.readings()}

    async def _steps(self, made: Survey) -> None:
        portal = Portal("main", self.url)

        async def send(commands: Sequence[Command]) -> list[Answer]:
            self.portions.append(len(commands))
            if not self.singly:
                answers = await portal.batch(commands)
                self.between()
                return answers
            answers = []
            for command in commands:
                answers.append(await portal.call(command))
                self.between()
            return answers

        try:
            more = True
            while more:
                sent = len(self.portions)
                more = await made.step(send)
                assert len(self.portions) <= sent + 1
                self.progress.append((made.read, made.total))
        finally:
            await portal.close()


@pytest.fixture
def surveys(running: SandboxServer, portal: Sandbox) -> Surveys:
    assert portal is running.sandbox
    return Surveys(running.url)


def fill(portal: Sandbox, count: int) -> list[str]:
    """Let as many deals have a workflow each."""
    ids = []
    for number in range(1, count + 1):
        portal.add_item(2, number, stageId="NEW", stageSemanticId="P", opportunity=number)
        triple = document(f"deal:{number}").triple
        ids.append(portal.start_workflow(triple, 61, id=f"65e5a449e8f135.{number:08d}"))
    return ids


def ids_of(readings: dict[str, Reading]) -> list[str]:
    return sorted(workflow.id for reading in readings.values() for workflow in found(reading))


def found(reading: Reading) -> tuple[Workflow, ...]:
    assert not isinstance(reading.workflows, Unknown)
    return reading.workflows


def is_unknown(value: object) -> bool:
    return isinstance(value, Unknown)


# the list of everything


def test_an_empty_portal_is_read_in_one_request(portal: Sandbox, surveys: Surveys) -> None:
    assert surveys.readings(reads()) == {}
    assert portal.http_requests == 1


def test_every_page_is_read_and_the_progress_told(portal: Sandbox, surveys: Surveys) -> None:
    ids = fill(portal, 1300)
    made = surveys.survey(reads())
    assert (made.running, made.read, made.total) == (1300, 1300, 1300)
    assert ids_of({one.ref: reading for one, reading in made.readings()}) == ids
    assert portal.http_requests == 2
    assert surveys.progress[0] == (1226, 1300)
    assert max(surveys.portions) <= 50


def test_what_ran_the_whole_time_is_seen_although_three_pages_shift(
    portal: Sandbox, surveys: Surveys
) -> None:
    ids = fill(portal, 130)
    ending = iter([ids[3], ids[20], ids[60], ids[7], ids[99], ids[1], ids[2], ids[70]])
    ended: list[str] = []

    def shift() -> None:
        for workflow_id in [next(ending, None), next(ending, None)]:
            if workflow_id is not None:
                portal.end_workflow(workflow_id)
                ended.append(workflow_id)
        portal.start_workflow(DEAL, 61)

    surveys.singly, surveys.between = True, shift
    seen = ids_of(surveys.readings(reads()))
    assert len(ended) == 8
    assert len(portal.calls) > PAGES_ON_TRUST, "no page was read in between"
    assert set(ids) - set(ended) <= set(seen)


def test_a_list_that_never_rests_proves_nothing(portal: Sandbox, surveys: Surveys) -> None:
    fill(portal, 400)

    def replace() -> None:
        for workflow_id in list(portal.workflows)[:60]:
            portal.end_workflow(workflow_id)
        for _ in range(60):
            portal.start_workflow(DEAL, 61)

    surveys.singly, surveys.between = True, replace
    made = surveys.survey(reads())
    assert made.failure is not None
    assert (made.failure.code, made.complete) == ("incomplete", False)
    with pytest.raises(RuntimeError):
        list(made.readings())


def test_a_request_that_failed_is_sent_again(portal: Sandbox, surveys: Surveys) -> None:
    ids = fill(portal, 60)
    portal.fail_next("batch", "503_limit")
    portal.fail_next("crm.item.list", "missing_part")
    readings = surveys.readings(reads("deal.opportunity"))
    assert ids_of(readings) == ids
    assert readings["deal:7"].facts["deal.opportunity"] == 7


def test_a_page_that_cannot_be_had_fails_the_survey(portal: Sandbox, surveys: Surveys) -> None:
    fill(portal, 60)
    portal.fail_next("bizproc.workflow.instances", "500", times=100)
    made = surveys.survey(reads("deal.opportunity"))
    assert made.failure is not None
    assert made.failure.kind is FailureKind.UNCERTAIN
    assert not portal.calls_of("crm.item.list")


def test_a_portal_that_is_shut_fails_the_survey_at_once(portal: Sandbox, surveys: Surveys) -> None:
    fill(portal, 60)
    portal.fail_next("batch", "401")
    made = surveys.survey(reads("deal.opportunity"))
    assert made.failure is not None
    assert made.failure.kind is FailureKind.PORTAL
    assert portal.http_requests == 1


def test_a_row_of_nobody_is_counted_and_not_judged(portal: Sandbox, surveys: Surveys) -> None:
    portal.start_workflow(DEAL, 61)
    lost = portal.start_workflow(DEAL, 61)
    portal.workflows[lost] |= {"MODULE_ID": None, "ENTITY": None, "DOCUMENT_ID": None}
    made = surveys.survey(reads())
    assert made.running == 2
    assert [one.ref for one, _ in made.readings()] == ["deal:759"]


# what is wanted of which document


def test_a_document_that_no_rule_can_concern_is_dropped(portal: Sandbox, surveys: Surveys) -> None:
    fill(portal, 3)
    asked: list[tuple[str, list[str]]] = []

    def wanted(one: Document, workflows: Sequence[Workflow]) -> frozenset[str] | None:
        asked.append((one.ref, [workflow.id for workflow in workflows]))
        return frozenset({"deal.opportunity"}) if one.item_id == "2" else None

    assert list(surveys.readings(wanted)) == ["deal:2"]
    assert [ref for ref, _ in asked] == ["deal:1", "deal:2", "deal:3"]
    (command,) = portal.calls_of("crm.item.list")
    assert command.params["filter"] == {"@id": ["2"]}


def test_what_is_wanted_can_depend_on_the_workflows(portal: Sandbox, surveys: Surveys) -> None:
    fill(portal, 3)
    portal.add_template(61, "Approval")
    portal.start_workflow(document("deal:3").triple, 7)
    seen: list[object] = []

    def wanted(_one: Document, workflows: Sequence[Workflow]) -> frozenset[str] | None:
        seen.extend(workflow.facts["template.known"] for workflow in workflows)
        return frozenset() if len(workflows) > 1 else None

    readings = surveys.readings(wanted, TEMPLATE)
    assert {ref: len(found(one)) for ref, one in readings.items()} == {"deal:3": 2}
    assert sorted(map(bool, seen)) == [False, True, True, True]


def test_a_document_is_judged_unread_where_nothing_of_it_is_wanted(
    portal: Sandbox, surveys: Surveys
) -> None:
    fill(portal, 3)
    readings = surveys.readings(reads())
    assert [reading.facts for reading in readings.values()] == [{}, {}, {}]
    assert {call.method for call in portal.calls} == {"bizproc.workflow.instances"}


def test_another_kind_of_document_has_its_workflows_only(portal: Sandbox, surveys: Surveys) -> None:
    ref = "lists|BizprocDocument|777"
    workflow = portal.start_workflow(document(ref).triple, 61)
    readings = surveys.readings(reads("document.exists", "deal.stage_id"))
    assert ids_of(readings) == [workflow]
    assert is_unknown(readings[ref].facts["document.exists"])
    assert portal.http_requests == 1


# the documents' facts


def test_a_survey_finds_what_a_single_look_finds(
    running: SandboxServer, portal: Sandbox, surveys: Surveys
) -> None:
    portal.add_status("DYNAMIC_147_STAGE_5", "DT147_5:FAIL", "F")
    portal.add_template(61, "Approval")
    portal.add_item(2, 1, stageId="LOSE", stageSemanticId="F", parentId147=5, UF_CRM_10_DIGIT10="x")
    portal.add_item(147, 2, stageId="DT147_5:FAIL", categoryId=5, title="A process")
    portal.add_item(7, 3, stageId="DRAFT", title="A quote")
    portal.add_task(4, responsibleId="547", status="5", ufCrmTask=["D_1"], title="T")
    refs = ("deal:1", "deal:9", "item_147:2", "quote:3", "task:4", "task:5")
    paths = {
        *("deal.stage_semantic_id", "deal.parent_id_147", "deal.uf_crm_10_digit10", "deal.title"),
        *("item_147.stage_semantic_id", "item_147.title", "quote.stage_semantic_id"),
        *("task.responsible_id", "task.uf_crm_task", "task.id", "document.exists"),
    }
    for number, ref in enumerate(refs):
        workflow = portal.start_workflow(document(ref).triple, 61 + number % 2, started_by=7)
        portal.add_bizproc_task(workflow, 1, "Approve")
    everything = frozenset(paths | PEOPLE | TEMPLATE)
    surveyed = surveys.readings(reads(*paths), everything)
    assert [call.params["taskId"] for call in portal.calls_of("tasks.task.get")] == ["5"]
    assert [call.params["id"] for call in portal.calls_of("crm.item.get")] == ["9"]
    asks = [Ask(document(ref), everything) for ref in refs]
    assert [surveyed[ref] for ref in refs] == asyncio.run(gathered(running.url, asks))
    assert surveyed["item_147:2"].facts["item_147.stage_semantic_id"] == "F"
    assert surveyed["deal:9"].facts["document.exists"] is False
    assert is_unknown(surveyed["task:5"].facts["document.exists"])


async def gathered(url: str, asks: list[Ask]) -> list[Reading]:
    portal = Portal("main", url)
    try:
        return await gather(portal.batch, asks, Templates(), NOW)
    finally:
        await portal.close()


def test_thousands_of_documents_take_few_requests(portal: Sandbox, surveys: Surveys) -> None:
    fill(portal, 1000)
    readings = surveys.readings(reads("deal.opportunity"))
    assert all(one.facts["deal.opportunity"] == int(ref[5:]) for ref, one in readings.items())
    assert len(readings) == 1000
    assert portal.http_requests == 2
    (first, *_) = portal.calls_of("crm.item.list")
    assert first.params["select"] == ["id", "opportunity"]


def test_a_document_that_may_not_be_read_is_unknown(portal: Sandbox, surveys: Surveys) -> None:
    fill(portal, 2)
    portal.denied_items.add((2, 1))
    readings = surveys.readings(reads("deal.opportunity"))
    assert is_unknown(readings["deal:1"].facts["document.exists"])
    assert is_unknown(readings["deal:1"].facts["deal.opportunity"])
    assert readings["deal:2"].facts["deal.opportunity"] == 2
    assert len(portal.calls_of("crm.item.get")) == 1


def test_a_portal_that_drops_filters_gives_no_others_facts(
    portal: Sandbox, surveys: Surveys
) -> None:
    portal.drop_filters = True
    for number in range(1, 120):
        portal.add_item(2, number, opportunity=number)
    for number in (3, 110):
        portal.start_workflow(document(f"deal:{number}").triple, 61)
    readings = surveys.readings(reads("deal.opportunity"))
    assert {ref: one.facts["deal.opportunity"] for ref, one in readings.items()} == {
        "deal:3": 3,
        "deal:110": 110,
    }


def test_an_item_is_gone_only_where_its_smart_process_is_there(
    portal: Sandbox, surveys: Surveys
) -> None:
    for ref in ("item_147:5", "item_148:5"):
        portal.start_workflow(document(ref).triple, 61)
    portal.add_item(147, 6)
    readings = surveys.readings(reads("document.exists"))
    assert readings["item_147:5"].facts["document.exists"] is False
    assert is_unknown(readings["item_148:5"].facts["document.exists"])


def test_a_list_that_is_refused_has_its_documents_read_singly(
    portal: Sandbox, surveys: Surveys
) -> None:
    fill(portal, 2)
    portal.fail_next("crm.item.list", ("error", 400, "NOT_FOUND", "SPA not found"))
    readings = surveys.readings(reads("deal.opportunity"))
    assert [one.facts["document.exists"] for one in readings.values()] == [True, True]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (("error", 403, "insufficient_scope", ""), FailureKind.METHOD),
        ("500", FailureKind.UNCERTAIN),
        ("not_json", FailureKind.UNCERTAIN),
    ],
)
def test_documents_that_could_not_be_read_are_unknown_and_tell_the_failure(
    portal: Sandbox, surveys: Surveys, fault: str, kind: FailureKind
) -> None:
    ids = fill(portal, 2)
    portal.fail_next("crm.item.list", fault, times=3)
    readings = surveys.readings(reads("deal.opportunity"))
    assert ids_of(readings) == ids
    for reading in readings.values():
        assert is_unknown(reading.facts["deal.opportunity"])
        assert reading.failure is not None
        assert reading.failure.kind is kind


def test_what_is_too_much_for_one_answer_is_read_in_halves(
    portal: Sandbox, surveys: Surveys
) -> None:
    fill(portal, 40)
    for number in range(1, 41):
        portal.add_item(2, number, comments="x" * 60_000)
    surveys.singly = True
    readings = surveys.readings(reads("deal.comments"))
    lengths = [len(str(one.facts["deal.comments"])) for one in readings.values()]
    assert lengths == [60_000] * 40
    assert len(portal.calls_of("crm.item.list")) == 7


@pytest.mark.parametrize("value", [[], {"items": None}, "text"])
def test_an_answer_without_a_list_makes_its_documents_unknown(value: object) -> None:
    items = ItemsRead()
    items.ask({document("deal:1"): frozenset({"deal.title"})})
    ((number, _),) = items.next_commands(50)
    items.accept(number, Answer(value=value))
    read = items.read(document("deal:1"))
    assert read is not None
    facts, _ = read.facts(frozenset({"deal.title"}), StagesRead({}, NOW), TypesRead({}, NOW))
    assert is_unknown(facts["document.exists"])


def test_a_row_of_another_type_is_not_taken_for_the_document() -> None:
    items = ItemsRead()
    items.ask({document("deal:1"): frozenset({"deal.title"})})
    ((number, _),) = items.next_commands(50)
    items.accept(number, Answer(value={"items": [{"id": 1, "entityTypeId": 3, "title": "No"}]}))
    read = items.read(document("deal:1"))
    assert read is not None
    facts, _ = read.facts(frozenset({"deal.title"}), StagesRead({}, NOW), TypesRead({}, NOW))
    assert is_unknown(facts["document.exists"])


# templates and people


def test_people_are_read_for_those_that_are_left(portal: Sandbox, surveys: Surveys) -> None:
    portal.add_user(7, active=False, department=(4,))
    ids = fill(portal, 120)
    for workflow_id in ids:
        portal.workflows[workflow_id]["STARTED_BY"] = "7"
        portal.add_bizproc_task(workflow_id, 1, "Approve")
    portal.workflows[ids[0]]["STARTED_BY"] = "99"
    readings = surveys.readings(reads(), PEOPLE)
    (hidden,), (shown,) = found(readings["deal:1"]), found(readings["deal:2"])
    assert is_unknown(hidden.facts["starter.active"])
    assert (shown.facts["starter.active"], shown.facts["starter.department"]) == (False, [4])
    assert (shown.facts["workflow.tasks"], shown.facts["waiting_for.active"]) == (1, [True])
    assert len(portal.calls_of("bizproc.task.list")) == 7  # both ends, four ranges, the open one
    asked = [call.params["FILTER"] for call in portal.calls_of("user.get")]
    assert asked[1:] == [{"ID": "99"}]  # whom the list of all three left out


def test_fifty_users_are_read_by_one_command(portal: Sandbox, surveys: Surveys) -> None:
    for number, workflow_id in enumerate(fill(portal, 120)):
        portal.add_user(1000 + number)
        portal.workflows[workflow_id]["STARTED_BY"] = str(1000 + number)
    readings = surveys.readings(reads("deal.opportunity"), frozenset({"starter.active"}))
    assert all(found(one)[0].facts["starter.active"] is True for one in readings.values())
    assert len(portal.calls_of("user.get")) == 3


def test_templates_that_cannot_be_read_are_unknown_and_tell_the_failure(
    portal: Sandbox, surveys: Surveys
) -> None:
    portal.start_workflow(DEAL, 61)
    portal.fail_next("bizproc.workflow.template.list", "500", times=3)
    (reading,) = surveys.readings(reads(), TEMPLATE).values()
    assert is_unknown(found(reading)[0].facts["template.known"])
    assert reading.failure is not None
