"""Tests of the comparison with a portal: what ids are called there, and which are not there."""

import asyncio
from collections.abc import Sequence
from textwrap import dedent

import pytest

from responder.authoring.live_document import sender
from responder.authoring.portal_ids import Comparison, compare, uses_in
from responder.bitrix24.client.answers import Answer, Command, Failure, FailureKind
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.rules import yaml_positions
from responder.rules.load.syntax import yaml_reader
from responder.rules.yaml_positions import Table

RULES = """\
version: 1
lists: {people: [7, 99]}
rules:
  - id: one
    when: [deal.updated]
    if:
      workflow.template_id: [61, 62]
      deal.stage_id: {one_of: ["C2:WON", "C2:WN"]}
      deal.category_id: 2
      deal.assigned_by_id: {in_list: people}
      deal.uf_crm_1720019876534: x
      deal.uf_crm_2: {exists: true}
      any: [{not: {workflow.started_by: {is: {fact: deal.created_by}}}}, {deal.created_by: 12}]
    then: kill
"""


def tree(text: str) -> Table:
    root = yaml_reader.read(dedent(text).encode(), yaml_positions.Mistakes("r"))
    assert isinstance(root, Table)
    return root


def told(found: Comparison) -> tuple[list[str], list[str]]:
    return [note.text for note in found.notes], [one.message for one in found.warnings]


def test_ids_are_found_wherever_a_rule_names_them() -> None:
    assert [(str(use.subject), use.id) for use in uses_in(tree(RULES))] == [
        ("template", "61"),
        ("template", "62"),
        ("deal stage", "C2:WON"),
        ("deal stage", "C2:WN"),
        ("deal pipeline", "2"),
        ("user", "7"),
        ("user", "99"),
        ("deal field", "UF_CRM_1720019876534"),
        ("deal field", "UF_CRM_2"),
        ("user", "12"),
    ]


def a_portal() -> Sandbox:
    sandbox = Sandbox()
    sandbox.add_template(61, "Approval")
    sandbox.add_user(7)
    sandbox.add_user(12, active=False)
    sandbox.add_status("DEAL_STAGE_2", "C2:WON", "S", "Won")
    sandbox.add_status("DYNAMIC_147_STAGE_2", "C2:WN", "S", "Of another kind")
    sandbox.add_item(2, 759, UF_CRM_1720019876534="x")
    return sandbox


@pytest.mark.portal
def test_a_portal_tells_what_ids_are_called_and_which_it_does_not_have() -> None:
    async def compared(url: str) -> Comparison:
        portal = Portal("main", url)
        try:
            return await compare(sender(portal), tree(RULES), "rules.yaml", "main")
        finally:
            await portal.close()

    with SandboxServer(a_portal()) as server:
        found = asyncio.run(compared(server.url))
        methods = {call.method for call in server.sandbox.calls}
    notes, warnings = told(found)
    assert notes == [
        "template 61 is “Approval” in main",
        "deal stage C2:WON is “Won” in main",
        "deal pipeline 2 is “Pipeline 2” in main",
        "user 7 is “User 7” in main",
        "deal field UF_CRM_1720019876534 is “UF_CRM_1720019876534” in main",
        "user 12 is “User 12 (dismissed)” in main",
    ]
    assert warnings == [
        "main has no user 99",
        "main has no template 62",
        "main has no deal stage C2:WN; is `C2:WON` meant?",
        "main has no deal field UF_CRM_2",
    ]
    assert not {method for method in methods if "kill" in method or "terminate" in method}


def test_ids_of_what_a_document_is_linked_to_are_found_under_their_own_kind() -> None:
    linked = tree("""\
    rules:
      - if:
          deal.company.uf_crm_9: x
          deal.assigned_by.id: 7
          task.responsible.active: false
          deal.contact.assigned_by_id: 8
    """)
    assert [(str(use.subject), use.id) for use in uses_in(linked)] == [
        ("company field", "UF_CRM_9"),
        ("user", "7"),
        ("user", "8"),
    ]


PIPELINES = tree("""\
    rules:
      - if: {deal.category_id: [0, 5], item_147.stage_id: X, workflow.template_id: 61}
    """)


def test_pipelines_have_names_and_what_cannot_be_read_is_said_once() -> None:
    async def send(commands: Sequence[Command]) -> list[Answer]:
        pipelines = {"categories": [{"id": 0, "name": "General"}, {"id": 2, "name": "Big"}]}
        refused = Failure(FailureKind.METHOD, "insufficient_scope", "no scope")
        return [
            Answer(value=pipelines)
            if command.method == "crm.category.list"
            else Answer(failure=refused)
            for command in commands
        ]

    notes, warnings = told(asyncio.run(compare(send, PIPELINES, "r", "main")))
    assert notes == ["deal pipeline 0 is “General” in main"]
    assert warnings == [
        "main has no deal pipeline 5",
        "the item_147 stages of main could not be read, and are not compared: insufficient_scope: "
        "no scope",
        "the templates of main could not be read, and are not compared: insufficient_scope: "
        "no scope",
    ]


AMOUNTS = tree("""\
    rules:
      - if:
          deal.uf_crm_price: {over: 100}
          deal.uf_crm_limit: {over: 100, currency: RUB}
          deal.uf_crm_count: {over: 100}
          list_31.property_1: {below: 100}
    """)


@pytest.mark.portal
def test_amounts_that_are_compared_in_no_currency_are_warned_of() -> None:
    sandbox = Sandbox()
    sandbox.add_item(
        2, 759, UF_CRM_PRICE="150|RUB", UF_CRM_LIMIT="150|RUB", UF_CRM_COUNT="150", title="x"
    )
    sandbox.scopes = ("crm", "lists")
    sandbox.lists.add(31, "Payments")
    sandbox.lists.add_field(31, "PROPERTY_1", "Amount", "S:Money")

    async def compared(url: str) -> Comparison:
        portal = Portal("main", url)
        try:
            return await compare(sender(portal), AMOUNTS, "rules.yaml", "main")
        finally:
            await portal.close()

    with SandboxServer(sandbox) as server:
        _, warnings = told(asyncio.run(compared(server.url)))
    said = "holds amounts with their currencies in main: name yours, as in {over: 5, currency: RUB}"
    assert warnings == [f"deal field UF_CRM_PRICE {said}", f"list_31 field PROPERTY_1 {said}"]


TELLING = tree("""\
    rules:
      - tell: [timeline]
        warn: [starter]
    """)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(value=["bizproc", "im"]), []),
        (
            Answer(value=["bizproc"]),
            ["main does not grant the scope `im`: no notification will be sent"],
        ),
        (
            Answer(failure=Failure(FailureKind.BUSY, "timeout", "no answer")),
            [
                "the scopes that main grants could not be read, and are not compared: timeout: "
                "no answer"
            ],
        ),
    ],
)
def test_a_portal_must_let_people_be_told(answer: Answer, said: list[str]) -> None:
    async def send(commands: Sequence[Command]) -> list[Answer]:
        return [answer for _ in commands]

    found = asyncio.run(compare(send, TELLING, "r", "main"))
    assert told(found) == ([], said)
    assert all((one.line, one.column) == (3, 12) for one in found.warnings)
