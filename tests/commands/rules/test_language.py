"""The commands that tell what rules may say: schema, fields."""

import json
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import SandboxServer, demo_portal
from tests.commands.rules.make import responder
from tests.support.processes import TOKEN


def test_the_schema_is_json() -> None:
    assert json.loads(responder("schema").output)["$schema"].endswith("2020-12/schema")


def test_fields_of_a_kind_are_listed() -> None:
    assert "deal.opportunity" in responder("fields", "deal").output
    wrong = responder("fields", "dael")
    assert (wrong.exit_code, wrong.output) == (2, "There is no kind dael. Did you mean deal?\n")


OF_A_LIST = """\
version: 1
rules:
  - id: of-a-list
    when: [{every: 1h}]
    if: {list_23.property_1153: x, list_23.property_1151: y, workflow.template_id: 61}
    then: kill
"""


@pytest.mark.portal
def test_the_fields_of_a_list_are_read_from_a_portal(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    sandbox = demo_portal()
    sandbox.scopes = ("bizproc", "crm", "lists")
    sandbox.lists.add(23, "Leave", "bitrix_processes")
    sandbox.lists.add_field(23, "PROPERTY_1151", "Last day", "S:Date")
    sandbox.lists.add_field(23, "PROPERTY_1152", "Reason", "L", choices={"5": "Sick"})
    with SandboxServer(sandbox) as server:
        settings = {
            "PORTALS__MAIN__URL": server.url,
            "PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        }
        listed = responder("fields", "list_23", "--portal", "main", **settings).output
        lines = [" ".join(line.split()) for line in listed.splitlines()]
        assert "list_23.property_1151 any Last day (S:Date)." in lines
        assert "list_23.property_1152 any Reason (L: 5 is Sick)." in lines
        gone = responder("fields", "list_24", "--portal", "main", **settings)
        assert gone.exit_code == 2
        assert "list 24 is not there, or we may not read it" in gone.output
        rules.write_text(OF_A_LIST)
        result = responder("check", rules, "--portal", "main", **settings)
        assert "main has no list_23 field PROPERTY_1153" in result.output
        assert "list_23 field PROPERTY_1151 is “Last day” in main" in result.output
    assert responder("fields", "task", "--portal", "main", **settings).exit_code == 2


@pytest.mark.portal
def test_the_templates_of_a_portal_are_listed_with_their_numbers() -> None:
    with SandboxServer(demo_portal()) as server:
        settings = {
            "PORTALS__MAIN__URL": server.url,
            "PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        }
        listed = responder("fields", "template", "--portal", "main", **settings).output
        told = responder("fields", "template", "--portal", "main", "--json", **settings).output
    lines = [" ".join(line.split()) for line in listed.splitlines()]
    assert lines[0] == "TEMPLATE NAME OF"
    assert "61 Discount approval DEAL" in lines
    assert {"id": "61", "name": "Discount approval", "document_type": "DEAL"} in [
        json.loads(line) for line in told.splitlines()
    ]


@pytest.mark.portal
def test_the_fields_that_a_portal_added_are_read_from_it() -> None:
    sandbox = demo_portal()
    sandbox.add_item(2, 12, UF_CRM_PRICE="150|RUB", UF_CRM_NOTE="x", title="A")
    with SandboxServer(sandbox) as server:
        settings = {
            "PORTALS__MAIN__URL": server.url,
            "PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        }
        listed = responder("fields", "deal", "--portal", "main", **settings).output
    said = " ".join(listed.split())
    assert "deal.uf_crm_price any UF_CRM_PRICE (money; name the `currency`)." in said
    assert "deal.uf_crm_note any UF_CRM_NOTE (string)." in said
    assert "uf_…" not in said
