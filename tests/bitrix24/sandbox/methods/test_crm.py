"""CRM and tasks in the sandbox: names, types, and errors with and without a code."""

import pytest

from responder.bitrix24.sandbox import Sandbox
from responder.bitrix24.sandbox.methods.crm import camel, original
from tests.bitrix24.sandbox.caller import Caller, mapping, rows

GET = "crm.item.get"
DEAL_759 = {"entityTypeId": 2, "id": 759}


def item(caller: Caller, **params: object) -> dict[str, object]:
    return mapping(mapping(caller.result(GET, {**DEAL_759, **params}))["item"])


def test_an_item_has_camel_case_names_and_typed_values(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.add_item(2, "759", stageId="LOSE", opportunity=999.9, companyId=0, leadId=None)
    assert item(caller) == {
        "id": 759,
        "entityTypeId": 2,
        "stageId": "LOSE",
        "opportunity": 999.9,
        "companyId": 0,
        "leadId": None,
    }


@pytest.mark.parametrize(
    ("name", "in_camel_case"),
    [
        ("UF_CRM_1720019876534", "ufCrm_1720019876534"),
        ("UF_CRM_2_1639669411830", "ufCrm2_1639669411830"),
        ("UF_CRM_REGION", "ufCrmRegion"),
    ],
)
def test_user_fields_keep_their_names_only_when_asked(
    sandbox: Sandbox, caller: Caller, name: str, in_camel_case: str
) -> None:
    sandbox.add_item(2, 759, **{name: "321"})
    assert item(caller)[in_camel_case] == "321"
    assert item(caller, useOriginalUfNames="N")[in_camel_case] == "321"
    assert item(caller, useOriginalUfNames="Y")[name] == "321"
    assert (camel(name), original(in_camel_case)) == (in_camel_case, name)


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        ({"entityTypeId": 2, "id": 1}, (400, "NOT_FOUND", "Element not found")),
        ({"entityTypeId": 2, "id": "x"}, (400, "NOT_FOUND", "Element not found")),
        ({"entityTypeId": 147, "id": 1}, (400, "NOT_FOUND", "SPA not found")),
        ({"id": 1}, (400, "100", "Could not find value for parameter {entityTypeId}")),
        ({"entityTypeId": 2}, (400, "100", "Could not find value for parameter {id}")),
    ],
)
def test_an_item_that_is_not_there(
    caller: Caller, params: dict[str, object], refusal: tuple[int, str, str]
) -> None:
    assert caller.refusal(GET, params) == refusal


def test_a_type_that_is_not_there_is_refused_with_the_code_of_an_item_that_is_not(
    sandbox: Sandbox, caller: Caller
) -> None:
    asked = {"entityTypeId": 147, "id": 1}
    sandbox.add_item(147, 1)
    del sandbox.items[147, 1]
    assert caller.refusal(GET, asked) == (400, "NOT_FOUND", "Element not found")
    assert caller.result("crm.item.list", {"entityTypeId": 147}) == {"items": []}
    sandbox.add_item(147, 1)
    sandbox.types.discard(147)
    for method in (GET, "crm.item.list", "crm.item.fields"):
        assert caller.refusal(method, asked)[:2] == (400, "NOT_FOUND")


def test_an_item_that_may_not_be_read_is_denied(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.add_item(2, 759)
    sandbox.denied_items.add((2, 759))
    assert caller.refusal(GET, DEAL_759) == (400, "ACCESS_DENIED", "Access denied")
    assert caller.result("crm.item.list", {"entityTypeId": 2}) == {"items": []}


def test_items_are_filtered_selected_and_paged(sandbox: Sandbox, caller: Caller) -> None:
    for number in range(1, 61):
        sandbox.add_item(2, number, stageId="WON" if number % 2 else "NEW", opportunity=number)
    sandbox.add_item(3, 1)
    answer = caller.call("crm.item.list", {"entityTypeId": 2})
    assert (answer["total"], answer["next"]) == (60, 50)
    asked = {
        "entityTypeId": 2,
        "filter": {"=stageId": "WON", ">opportunity": 55, "@id": [55, 57, 59]},
        "select": ["id"],
        "order": {"id": "DESC"},
    }
    answer = caller.call("crm.item.list", asked)
    assert answer["result"] == {"items": [{"id": 59}, {"id": 57}]}
    assert "next" not in answer


def test_fields_are_described_with_their_upper_names(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.add_item(2, 759, stageId="NEW")
    fields = mapping(mapping(caller.result("crm.item.fields", {"entityTypeId": 2}))["fields"])
    assert mapping(fields["stageId"])["upperName"] == "STAGE_ID"


def test_stages_have_semantics(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.add_status("DYNAMIC_147_STAGE_5", "DT147_5:NEW")
    sandbox.add_status("DYNAMIC_147_STAGE_5", "DT147_5:FAIL", "F")
    answer = caller.call("crm.status.list", {"filter": {"ENTITY_ID": "DYNAMIC_147_STAGE_5"}})
    stages = [(row["STATUS_ID"], row["SEMANTICS"]) for row in rows(answer["result"])]
    assert stages == [("DT147_5:NEW", None), ("DT147_5:FAIL", "F")]
    assert answer["total"] == 2


def test_the_deprecated_deal_is_all_text(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.add_item(
        2, 759, stageId="NEW", opportunity=999.9, companyId=3, leadId=None, closed=True
    )
    assert caller.result("crm.deal.get", {"ID": 759}) == {
        "ID": "759",
        "STAGE_ID": "NEW",
        "OPPORTUNITY": "999.90",
        "COMPANY_ID": "3",
        "LEAD_ID": None,
        "CLOSED": "Y",
    }


@pytest.mark.parametrize(
    ("deal_id", "text"),
    [(1, "Not found"), (0, "ID is not defined or invalid."), (759, "Access denied")],
)
def test_errors_of_the_deprecated_deal_have_no_code(
    sandbox: Sandbox, caller: Caller, deal_id: int, text: str
) -> None:
    sandbox.add_item(2, 759)
    sandbox.denied_items.add((2, 759))
    assert caller.refusal("crm.deal.get", {"id": deal_id}) == (400, "", text)


def test_a_task_is_read_in_camel_case_text(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.add_task(49728, title="Sample", responsibleId="7", ufCrmTask=["D_759"])
    whole = {"task": {"id": "49728", "title": "Sample", "responsibleId": "7"}}
    assert caller.result("tasks.task.get", {"taskId": 49728}) == whole
    asked = {"taskId": "49728", "select": ["TITLE", "UF_CRM_TASK"]}
    part = {"task": {"id": "49728", "title": "Sample", "ufCrmTask": ["D_759"]}}
    assert caller.result("tasks.task.get", asked) == part


@pytest.mark.parametrize(
    ("name", "in_camel_case"),
    [("UF_AUTO_583923", "ufAuto583923"), ("UF_TASK2_X", "ufTask2X"), ("UF_CRM_TASK", "ufCrmTask")],
)
def test_user_fields_of_tasks_are_asked_for_by_their_names_and_come_in_camel_case(
    sandbox: Sandbox, caller: Caller, name: str, in_camel_case: str
) -> None:
    sandbox.add_task(1, title="One", **{name: "x"})
    assert caller.result("tasks.task.get", {"taskId": 1}) == {"task": {"id": "1", "title": "One"}}
    asked = {"taskId": 1, "select": ["ID", name]}
    task = {"id": "1", in_camel_case: "x"}
    assert caller.result("tasks.task.get", asked) == {"task": task}
    listed = caller.result("tasks.task.list", {"select": ["ID", name], "filter": {name: "x"}})
    assert listed == {"tasks": [task]}
    assert caller.result("tasks.task.list") == {"tasks": [{"id": "1", "title": "One"}]}


def test_a_task_that_is_not_there_is_an_empty_array(caller: Caller) -> None:
    assert caller.result("tasks.task.get", {"taskId": 1}) == []
    assert caller.refusal("tasks.task.get")[:2] == (400, "100")


def test_tasks_are_listed_newest_first(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.add_task(1, title="One", status="2")
    sandbox.add_task(2, title="Two", status="5")
    sandbox.add_task(10, title="Ten", status="2")
    asked = {"filter": {"STATUS": 2}, "select": ["ID", "TITLE"]}
    answer = caller.call("tasks.task.list", asked)
    assert answer["result"] == {
        "tasks": [{"id": "10", "title": "Ten"}, {"id": "1", "title": "One"}]
    }
    assert answer["total"] == 2
