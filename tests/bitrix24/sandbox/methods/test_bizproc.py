"""Workflows in the sandbox, row by row against the portal's documentation and source."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from responder.bitrix24.sandbox import Sandbox
from tests.bitrix24.sandbox.caller import DEAL, ELEMENT, Caller, rows

KILL = "bizproc.workflow.kill"
INSTANCES = "bizproc.workflow.instances"
TRIPLE = dict(zip(("MODULE_ID", "ENTITY", "DOCUMENT_ID"), DEAL, strict=True))
OTHER = ("crm", "CCrmDocumentDeal", "DEAL_760")
BY_ID = {"ORDER": {"ID": "ASC"}}
NOT_FOUND = (400, "", "The business process is not found.")


def test_a_killed_workflow_is_gone_with_its_tasks(sandbox: Sandbox, caller: Caller) -> None:
    workflow = sandbox.start_workflow(DEAL, 61)
    sandbox.add_bizproc_task(workflow, 9, "Approve")
    answer = caller.call(KILL, {"ID": workflow})
    assert answer["result"] is True
    assert sandbox.killed == [workflow]
    assert caller.ids(INSTANCES) == caller.ids("bizproc.task.list") == []


def test_a_second_kill_is_refused_with_an_empty_code(sandbox: Sandbox, caller: Caller) -> None:
    workflow = sandbox.start_workflow(DEAL, 61)
    caller.result(KILL, {"ID": workflow})
    assert caller.refusal(KILL, {"ID": workflow}) == NOT_FOUND


def test_the_text_of_not_found_is_in_the_portals_language(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.not_found_text = "Бизнес-процесс не найден."
    assert caller.refusal(KILL, {"ID": "x"}) == (400, "", "Бизнес-процесс не найден.")


@pytest.mark.parametrize(
    "params",
    [{}, {"ID": ""}, {"ID": "0"}, {"ID": []}, {"ID": None}, {"ID": 0}, {"ID": {}}],
)
def test_an_empty_id_is_a_wrong_one(caller: Caller, params: dict[str, object]) -> None:
    assert caller.refusal(KILL, params) == (
        400,
        "ERROR_WRONG_WORKFLOW_ID",
        "Empty workflow instance ID",
    )


def test_who_is_no_administrator_is_told_before_anything_else(
    sandbox: Sandbox, caller: Caller
) -> None:
    sandbox.admin = False
    for method in (KILL, "bizproc.workflow.terminate", INSTANCES, "bizproc.workflow.template.list"):
        assert caller.refusal(method) == (403, "ACCESS_DENIED", "Access denied!")


def test_a_workflow_that_executes_now_is_killed_anyway(sandbox: Sandbox, caller: Caller) -> None:
    workflow = sandbox.start_workflow(DEAL, 61, owned_until="2099-01-01T00:00:00+03:00")
    assert caller.result(KILL, {"ID": workflow}) is True


def test_terminate_ends_and_answers_as_kill_does(sandbox: Sandbox, caller: Caller) -> None:
    workflow = sandbox.start_workflow(DEAL, 61)
    asked = {"ID": workflow, "STATUS": "Stopped"}
    assert caller.result("bizproc.workflow.terminate", asked) is True
    assert (sandbox.terminated, sandbox.killed) == ([workflow], [])
    assert sandbox.titles == {workflow: "Stopped"}
    assert caller.refusal("bizproc.workflow.terminate", asked) == NOT_FOUND


@pytest.mark.parametrize("workflow_id", [7, 65.21, True])
def test_terminate_takes_only_text_for_an_id_and_kill_does_not_look(
    sandbox: Sandbox, caller: Caller, workflow_id: object
) -> None:
    for of in ("7", "65.21", "1"):
        sandbox.start_workflow(ELEMENT, 61, id=of)
    assert caller.refusal("bizproc.workflow.terminate", {"ID": workflow_id}) == (
        400,
        "ERROR_WRONG_WORKFLOW_ID",
        "Invalid workflow instance ID (string expected)",
    )
    assert sandbox.terminated == []
    assert caller.result(KILL, {"ID": workflow_id}) is True


def test_ids_look_like_the_portals_and_differ(sandbox: Sandbox) -> None:
    ids = [sandbox.start_workflow(DEAL, 61) for _ in range(100)]
    assert len(set(ids)) == 100
    assert all(re.fullmatch(r"[0-9a-f]{14}\.[0-9]{8}", workflow) for workflow in ids)


def test_instances_select_three_fields_unless_asked(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.start_workflow(DEAL, 61, id="a")
    assert [list(row) for row in caller.rows(INSTANCES)] == [["ID", "MODIFIED", "OWNED_UNTIL"]]
    asked = {"SELECT": ["ID", "TEMPLATE_ID", "WORKFLOW_STATUS", "id"]}
    assert caller.rows(INSTANCES, asked) == [{"ID": "a", "TEMPLATE_ID": "61"}]


def test_values_of_instances_are_text_or_null(sandbox: Sandbox, caller: Caller) -> None:
    at = datetime(2026, 9, 20, 7, 30, 15, 500, tzinfo=UTC)
    sandbox.start_workflow(DEAL, 61, id="a", started=at, started_by=0)
    select = [*TRIPLE, "STARTED", "STARTED_BY", "OWNED_UNTIL", "TEMPLATE_ID", "MODIFIED"]
    assert caller.rows(INSTANCES, {"SELECT": select}) == [
        {
            **TRIPLE,
            "STARTED": "2026-09-20T10:30:15+03:00",
            "STARTED_BY": "0",
            "OWNED_UNTIL": None,
            "TEMPLATE_ID": "61",
            "MODIFIED": "2026-09-20T10:30:15+03:00",
        }
    ]


def test_instances_come_newest_modified_first(sandbox: Sandbox, caller: Caller) -> None:
    for day in (2, 3, 1):
        sandbox.start_workflow(ELEMENT, 61, id=f"w{day}", modified=f"2026-09-0{day}T10:00:00+03:00")
    assert caller.ids(INSTANCES) == ["w3", "w2", "w1"]
    assert caller.ids(INSTANCES, {"ORDER": {"ID": "ASC"}}) == ["w1", "w2", "w3"]
    assert caller.ids(INSTANCES, {"ORDER": {"id": "ASC"}}) == ["w3", "w2", "w1"]


def test_parameter_names_are_taken_in_any_case(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.start_workflow(DEAL, 61, id="a")
    sandbox.start_workflow(OTHER, 61)
    asked = {"filter": {"DOCUMENT_ID": "DEAL_759"}, "Select": ["ID"]}
    assert caller.rows(INSTANCES, asked) == [{"ID": "a"}]
    assert caller.result(KILL, {"id": "a"}) is True


def test_pages_have_fifty_rows_and_a_next_until_the_last(sandbox: Sandbox, caller: Caller) -> None:
    for number in range(120):
        sandbox.start_workflow(ELEMENT, 61, id=f"w{number:03}")
    starts: list[object] = [0]
    found: list[object] = []
    while starts[-1] is not None:
        answer = caller.call(INSTANCES, {"ORDER": {"ID": "ASC"}, "start": starts[-1]})
        assert answer["total"] == 120
        assert isinstance(answer["result"], list)
        found += [row["ID"] for row in answer["result"]]
        starts.append(answer.get("next"))
    assert starts == [0, 50, 100, None]
    assert found == [f"w{number:03}" for number in range(120)]


def test_pages_shift_when_rows_go_away(sandbox: Sandbox, caller: Caller) -> None:
    for number in range(60):
        sandbox.start_workflow(ELEMENT, 61, id=f"w{number:02}")
    caller.ids(INSTANCES, {"ORDER": {"ID": "ASC"}})
    caller.result(KILL, {"ID": "w00"})
    assert caller.ids(INSTANCES, {"ORDER": {"ID": "ASC"}, "start": 50})[0] == "w51"


@pytest.mark.parametrize(("start", "following"), [("50", 100), ("x", 50), ("5x", 55)])
def test_start_is_cast_to_a_whole_number(
    sandbox: Sandbox, caller: Caller, start: object, following: int
) -> None:
    for _ in range(160):
        sandbox.start_workflow(ELEMENT, 61)
    answer = caller.call(INSTANCES, {"start": start})
    assert (answer["next"], answer["total"]) == (following, 160)


def test_a_start_of_minus_one_counts_nothing_and_ends_nowhere(
    sandbox: Sandbox, caller: Caller
) -> None:
    sandbox.add_template(61, "Approval")
    for number in range(60):
        sandbox.start_workflow(ELEMENT, 61, id=f"w{number:02}")
    answer = caller.call(INSTANCES, {"start": -1, **BY_ID})
    assert (answer["total"], answer.get("next")) == (0, None)
    assert len(rows(answer["result"])) == 50
    assert caller.call("bizproc.workflow.template.list", {"start": -1})["total"] == 0
    nothing = caller.call(INSTANCES, {"start": -1, "FILTER": {"ID": "x"}})
    assert (nothing["result"], nothing["total"], nothing["next"]) == ([], 0, -1)


def test_the_older_name_of_instances_works(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.start_workflow(DEAL, 61, id="a")
    assert caller.ids("bizproc.workflow.instance.list") == ["a"]


def test_templates_of_robots_are_never_listed(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.add_template(61, "Approval")
    sandbox.add_template(84, "Robots", auto_execute=8)
    method = "bizproc.workflow.template.list"
    assert caller.rows(method) == [{"ID": "61"}]
    assert caller.ids(method, {"FILTER": {"AUTO_EXECUTE": 8}}) == []
    asked = {"select": ["ID", "NAME", "AUTO_EXECUTE"], "filter": {"ID": 61}}
    assert caller.rows(method, asked) == [{"ID": "61", "NAME": "Approval", "AUTO_EXECUTE": "0"}]


def test_instances_of_robots_are_listed_as_any_other(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.add_template(84, "Robots", auto_execute=8)
    robot_run = sandbox.start_workflow(DEAL, 84)
    assert caller.ids(INSTANCES) == [robot_run]


def test_an_open_task_is_listed_with_its_workflow(sandbox: Sandbox, caller: Caller) -> None:
    workflow = sandbox.start_workflow(DEAL, 61)
    task = sandbox.add_bizproc_task(workflow, 9, "Approve the discount")
    sandbox.add_bizproc_task(sandbox.start_workflow(OTHER, 61), 7, "Other")
    asked = {"FILTER": {"WORKFLOW_ID": workflow, "STATUS": 0}}
    assert caller.rows("bizproc.task.list", asked) == [
        {
            "ENTITY": "CCrmDocumentDeal",
            "DOCUMENT_ID": "DEAL_759",
            "ID": task,
            "WORKFLOW_ID": workflow,
            "DOCUMENT_NAME": "DEAL_759",
            "NAME": "Approve the discount",
            "DOCUMENT_URL": "",
        }
    ]


def test_a_task_has_a_row_for_each_of_its_users_where_users_are_asked_for(
    sandbox: Sandbox, caller: Caller
) -> None:
    task = sandbox.add_bizproc_task(sandbox.start_workflow(DEAL, 61), 9, "Approve")
    sandbox.add_task_user(task, 7, answer=1)
    assert caller.ids("bizproc.task.list") == [task]
    assert caller.rows("bizproc.task.list", {"SELECT": ["ID", "USER_ID", "USER_STATUS"]}) == [
        {"ID": task, "USER_ID": "9", "USER_STATUS": "0"},
        {"ID": task, "USER_ID": "7", "USER_STATUS": "1"},
    ]


@pytest.mark.parametrize("stop", [KILL, "bizproc.workflow.terminate"])
def test_tasks_outlive_a_workflow_that_ended_by_itself_and_no_other(
    sandbox: Sandbox, caller: Caller, stop: str
) -> None:
    for of in ("ended", "stopped"):
        sandbox.add_bizproc_task(sandbox.start_workflow(DEAL, 61, id=of), 9, "Approve")
    sandbox.end_workflow("ended")
    caller.result(stop, {"ID": "stopped"})
    asked = {"SELECT": ["WORKFLOW_ID", "STATUS"]}
    (left,) = caller.rows("bizproc.task.list", asked)
    assert (left["WORKFLOW_ID"], left["STATUS"]) == ("ended", "3")
    assert caller.ids("bizproc.task.list", {"FILTER": {"STATUS": 0}}) == []


def test_the_list_of_tasks_counts_in_whole_pages(sandbox: Sandbox, caller: Caller) -> None:
    workflow = sandbox.start_workflow(DEAL, 61)
    tasks = [sandbox.add_bizproc_task(workflow, 9, "Approve") for _ in range(120)]
    for start, first, following in ((0, 0, 50), (49, 0, 50), (98, 50, 100), (119, 100, None)):
        answer = caller.call("bizproc.task.list", {"ORDER": {"ID": "ASC"}, "start": start})
        assert (
            caller.ids("bizproc.task.list", {"ORDER": {"ID": "ASC"}, "start": start})
            == (tasks[first : first + 50])
        )
        assert answer.get("next") == following
    behind = {"ORDER": {"ID": "ASC"}, "start": 150}
    assert caller.ids("bizproc.task.list", behind) == tasks[:50]


def test_who_is_no_administrator_sees_their_own_tasks(sandbox: Sandbox, caller: Caller) -> None:
    workflow = sandbox.start_workflow(DEAL, 61)
    own = sandbox.add_bizproc_task(workflow, 1, "Mine")
    sandbox.add_bizproc_task(workflow, 9, "Theirs")
    sandbox.admin = False
    assert caller.ids("bizproc.task.list") == [own]


START = "bizproc.workflow.start"
STARTED = {"TEMPLATE_ID": 61, "DOCUMENT_ID": list(DEAL)}


@pytest.fixture
def startable(sandbox: Sandbox) -> Sandbox:
    """Have a deal, and templates for deals and for leads."""
    sandbox.add_item(2, 759)
    sandbox.add_template(61, "Approval")
    sandbox.add_template(62, "Of leads", document_type=("crm", "CCrmDocumentLead", "LEAD"))
    return sandbox


def test_each_start_begins_another_workflow(startable: Sandbox, caller: Caller) -> None:
    started = [caller.result(START, STARTED) for _ in range(2)]
    listed = caller.rows(INSTANCES, {"FILTER": TRIPLE, "SELECT": ["ID", "STARTED_BY"], **BY_ID})
    assert [row["ID"] for row in listed] == sorted(map(str, started))
    assert {row["STARTED_BY"] for row in listed} == {startable.user_id}


def test_a_workflow_that_finds_no_slot_has_an_id_and_is_not_listed(
    startable: Sandbox, caller: Caller
) -> None:
    *_, third = [caller.result(START, STARTED) for _ in range(3)]
    assert startable.queued == [third]
    assert third not in caller.ids(INSTANCES, {"FILTER": TRIPLE})


def test_a_workflow_that_waits_for_nothing_has_ended_at_once(
    startable: Sandbox, caller: Caller
) -> None:
    startable.waiting_for_nothing.add("61")
    assert caller.result(START, STARTED)
    assert caller.ids(INSTANCES) == []


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        ({}, (400, "ERROR_WRONG_WORKFLOW_ID", "Empty TEMPLATE_ID")),
        (STARTED | {"TEMPLATE_ID": 9}, (400, "ERROR_WRONG_WORKFLOW_ID", "Template not found")),
        ({"TEMPLATE_ID": 61}, (400, "", "Wrong DOCUMENT_ID!")),
        (STARTED | {"DOCUMENT_ID": list(OTHER)}, (400, "", "Wrong DOCUMENT_ID!")),
        (STARTED | {"TEMPLATE_ID": 62}, (400, "", "Template type and DOCUMENT_ID mismatch!")),
    ],
)
@pytest.mark.usefixtures("startable")
def test_a_workflow_that_cannot_start_is_refused(
    caller: Caller, params: dict[str, object], refusal: tuple[int, str, str]
) -> None:
    assert caller.refusal(START, params) == refusal


def test_who_may_start_it_is_checked_last(startable: Sandbox, caller: Caller) -> None:
    startable.admin = False
    assert caller.refusal(START, STARTED) == (403, "ACCESS_DENIED", "Access denied!")
    mismatch = (400, "", "Template type and DOCUMENT_ID mismatch!")
    assert caller.refusal(START, STARTED | {"TEMPLATE_ID": 62}) == mismatch


def test_tests_may_change_rows_as_they_are_served(sandbox: Sandbox, caller: Caller) -> None:
    workflow = sandbox.start_workflow(DEAL, 61)
    later = datetime.now(UTC) + timedelta(minutes=1)
    sandbox.workflows[workflow]["OWNED_UNTIL"] = sandbox.instant(later)
    assert caller.rows(INSTANCES)[0]["OWNED_UNTIL"] == sandbox.instant(later)
    del sandbox.workflows[workflow]
    assert caller.ids(INSTANCES) == []


def test_a_workflow_that_is_idle_too_long_vanishes_and_its_tasks_stay(
    sandbox: Sandbox, caller: Caller
) -> None:
    """BITRIX24 §7.1, zombies: an agent deletes instances that were idle too long, alone."""
    now = datetime.now(UTC)
    idle = sandbox.start_workflow(DEAL, 61, modified=now - timedelta(days=40))
    task = sandbox.add_bizproc_task(idle, 9, "Approve")
    lively = sandbox.start_workflow(OTHER, 61, started=now - timedelta(days=90), modified=now)
    assert sorted(map(str, caller.ids(INSTANCES))) == sorted([idle, lively])
    sandbox.zombie_days = 37
    assert caller.ids(INSTANCES) == [lively]
    assert caller.refusal(KILL, {"ID": idle}) == NOT_FOUND
    asked = {"FILTER": {"STATUS": 0}, "SELECT": ["ID"]}
    assert caller.ids("bizproc.task.list", asked) == [task]
    assert sandbox.killed == []


def test_a_starter_may_be_nobody_that_is_ever_listed(sandbox: Sandbox, caller: Caller) -> None:
    """BITRIX24 §9b.16: an unknown starter is often an integrator."""
    sandbox.add_user(77, hidden=True)
    sandbox.start_workflow(DEAL, 61, started_by=77)
    [row] = caller.rows(INSTANCES, {"SELECT": ["STARTED_BY"]})
    assert row["STARTED_BY"] == "77"
    assert caller.result("user.get", {"FILTER": {"ID": row["STARTED_BY"]}}) == []
