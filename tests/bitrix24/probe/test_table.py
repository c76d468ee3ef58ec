"""The questions: none finds a difference where there is none, and each finds its own."""

import pytest

from responder.bitrix24.probe.interview import MOST_CALLS, Interview
from responder.bitrix24.probe.likeness import turn
from responder.bitrix24.probe.question import Result, Switch
from responder.bitrix24.probe.questions.about_filters import NOBODYS_ID
from responder.bitrix24.probe.questions.question_table import BY_ID, CRUCIAL, QUESTIONS, READING
from responder.bitrix24.sandbox import Kind, Sandbox, SandboxServer
from responder.bitrix24.sandbox.methods.oddities import NAMES
from tests.support import probed_portal
from tests.support.probed_portal import ask

pytestmark = pytest.mark.portal

KILL = "bizproc.workflow.kill"
READERS = {
    "profile", "scope", "server.time", "user.get", "method.get", "crm.item.get", "crm.item.list",
    "crm.status.list", "tasks.task.get", "tasks.task.list", "bizproc.task.list",
    "bizproc.workflow.instances", "bizproc.workflow.template.list", "responder.no.such.method",
}  # fmt: skip
PLANTED = [
    (question.id, sign, switch)
    for question in QUESTIONS
    for sign, switch in question.like.items()
    if sign not in ("told", "untold", "old") or question.id == "departments-are-told"
]


def asked(sandbox: Sandbox) -> Interview:
    with SandboxServer(sandbox) as server:
        return ask(server)


def of(found: Interview, result: Result) -> set[str]:
    return {one.question.id for one in found.of(result)}


@pytest.mark.parametrize("kind", ["cloud", "on_premise"])
def test_nothing_differs_where_all_is_as_expected(kind: Kind) -> None:
    found = asked(probed_portal.full(kind))
    assert of(found, Result.DIFFERS) == set()
    assert of(found, Result.NOT_ASKED) == set()


def test_an_empty_portal_differs_in_nothing_and_has_nothing_to_look_at() -> None:
    found = asked(Sandbox())
    assert of(found, Result.DIFFERS) == set()
    assert {"id-filter-finds-its-row", "existing-item-is-found"} <= of(found, Result.NOT_ASKED)


def test_a_portal_with_few_rows_differs_in_nothing() -> None:
    found = asked(probed_portal.few())
    assert of(found, Result.DIFFERS) == set()
    assert "id-filter-finds-its-row" in of(found, Result.AS_EXPECTED)


@pytest.mark.parametrize(
    ("name", "sign", "switch"), PLANTED, ids=[f"{name}-{sign}" for name, sign, _ in PLANTED]
)
def test_a_planted_difference_is_found_by_its_question(
    name: str, sign: str, switch: Switch
) -> None:
    sandbox = probed_portal.full()
    turn(sandbox, *switch)
    found = asked(sandbox)
    assert name in of(found, Result.DIFFERS)
    assert [one.sign for one in found.findings if one.question.id == name] == [sign]


@pytest.mark.parametrize("portal", [probed_portal.full, probed_portal.few, Sandbox])
def test_no_more_than_sixty_calls_are_made_and_each_is_counted(
    portal: type[Sandbox],
) -> None:
    sandbox = portal()
    found = asked(sandbox)
    batches = {call.batch for call in sandbox.calls} - {None}
    assert len(sandbox.calls) + len(batches) == found.calls <= MOST_CALLS


def test_no_more_calls_are_made_where_every_batch_has_too_large_an_answer() -> None:
    sandbox = probed_portal.full()
    sandbox.fail_next("batch", "big", times=1000)
    with SandboxServer(sandbox) as server:
        found = ask(server)
        batches = {call.batch for call in sandbox.calls} - {None}
        assert len(sandbox.calls) + len(batches) == found.calls <= MOST_CALLS
    assert of(found, Result.DIFFERS) == set()


def test_robots_templates_are_found_behind_the_first_page() -> None:
    sandbox = Sandbox()
    for number in range(1, 70):
        sandbox.add_template(number, "Approval")
    sandbox.add_template(84, "Robots", auto_execute=8)
    turn(sandbox, "lists_robots", True)
    with SandboxServer(sandbox) as server:
        found = ask(server, CRUCIAL)
    assert of(found, Result.DIFFERS) == {"robots-templates-are-hidden"}


def test_it_only_reads_but_for_the_kill_of_nobody() -> None:
    sandbox = probed_portal.full()
    asked(sandbox)
    assert {call.method for call in sandbox.calls} == READERS | {KILL}
    assert [call.params for call in sandbox.calls_of(KILL)] == [{"ID": NOBODYS_ID}]
    assert sandbox.killed == []


def test_without_leave_nothing_is_killed() -> None:
    with SandboxServer(probed_portal.full()) as server:
        ask(server, READING)
        assert server.sandbox.calls_of(KILL) == []


def test_nobody_is_killed_where_the_portal_lists_the_id_that_none_can_have() -> None:
    sandbox = probed_portal.full()
    sandbox.start_workflow(probed_portal.ELEMENT, 61, id=NOBODYS_ID)
    found = asked(sandbox)
    assert "kill-of-nobody-is-refused" in of(found, Result.NOT_ASKED)
    assert sandbox.calls_of(KILL) == []


def test_a_portal_that_refuses_everything_differs_in_nothing() -> None:
    sandbox = probed_portal.full()
    sandbox.plan_refused = True
    found = asked(sandbox)
    assert of(found, Result.NOT_ASKED) == {question.id for question in QUESTIONS}


def test_workflows_that_end_meanwhile_are_not_missed() -> None:
    sandbox = probed_portal.few()
    with SandboxServer(sandbox) as server:
        sandbox.fail_next("bizproc.workflow.instances", "503_limit", times=2)
        found = ask(server, CRUCIAL)
    assert of(found, Result.DIFFERS) == set()


def test_each_question_has_a_name_of_its_own_and_its_switch_exists() -> None:
    assert len(BY_ID) == len(QUESTIONS)
    known = NAMES | set(vars(Sandbox()))
    assert {switch[0] for question in QUESTIONS for switch in question.like.values()} <= known


def test_the_crucial_questions_take_few_requests() -> None:
    with SandboxServer(probed_portal.full()) as server:
        found = ask(server, CRUCIAL)
        assert server.sandbox.http_requests == 2
    assert of(found, Result.AS_EXPECTED) == {question.id for question in CRUCIAL}
