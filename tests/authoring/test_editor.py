"""The schema in the real server that editors run: what it offers, inserts and underlines."""

import re
from collections.abc import Iterator

import pytest

from responder.adapters.package_texts import RECIPES
from responder.authoring.cases.cases import CASE_KEYS
from responder.authoring.cases.json_schema import render
from responder.rules.facts import fields, registry
from responder.rules.load.rule_parser import RULE_KEYS
from tests.support.language_server import COMMAND, Editor, editor

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(COMMAND is None, reason="there is no yaml-language-server"),
]
HEAD = "# yaml-language-server: $schema=.rules.schema.json\n"
RULE = "version: 1\nrules:\n  - id: a\n    "
TEST = "tests:\n  - event: deal.updated\n    "


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    folder = tmp_path_factory.mktemp("rules")
    (folder / ".rules.schema.json").write_text(render())
    with editor(folder) as made:
        yield made


def offered(here: Editor, text: str) -> dict[str, str]:
    return {one.label: one.about for one in here.completions(HEAD + text)}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (f"{RULE}then: ▸\n", {"kill": "It deletes the workflow with its data."}),
        (f"{RULE}mode: ▸\n", {"observe": "It only records what it would do (the default)."}),
        (f"{RULE}when: [▸]\n", {"deal.updated": "A deal of the CRM changes."}),
        (f"{RULE}if:\n      deal.stage_semantic_id: ▸\n", {"F": "lost", "S": "won"}),
        (f"{RULE}if:\n      item_147.stage_semantic_id: ▸\n", {"F": "lost", "S": "won"}),
        (f"{RULE}if:\n      item_1038.stage_semantic_id: ▸\n", {"F": "lost", "S": "won"}),
        (f"{RULE}if:\n      item_1038.currency_id: ▸\n", {"RUB: roubles": ""}),
        (f"{RULE}if:\n      item_1038.company.is_my_company: ▸\n", {"true": "", "false": ""}),
        (f"{RULE}if:\n      any:\n        - list_57.bp_published: ▸\n", {"true": ""}),
        (f"{RULE}if:\n      task.status: ▸\n", {"5": "done", "2": "waiting"}),
        (f"{RULE}if:\n      document.kind: ▸\n", {"task": "A task."}),
        (f"{RULE}if:\n      deal.closed: ▸\n", {"true": "", "false": ""}),
        (f"{RULE}limit:\n      per_hour: ▸\n", {"30: as where nothing is said": ""}),
        (f"{RULE}wait: ▸\n", {"10m: ten minutes": ""}),
        (f"{RULE}keep: ▸\n", {"newest": "The newest of each group is spared."}),
        (f"{TEST}facts:\n      deal:\n        stage_semantic_id: ▸\n", {"F": "lost", "S": "won"}),
        (f"{TEST}facts:\n      item_1038:\n        stage_semantic_id: ▸\n", {"F": "lost"}),
        (f"{TEST}expect:\n      a: ▸\n", {"none": "Nothing happens to it."}),
        (f"{TEST}expect: ▸\n", {"none": "Nothing happens to any of them."}),
    ],
)
def test_values_are_offered_with_what_they_mean(
    here: Editor, text: str, values: dict[str, str]
) -> None:
    assert values.items() <= offered(here, text).items()


def test_the_values_of_one_fact_are_not_offered_for_the_next(here: Editor) -> None:
    rule = f"{RULE}if:\n      item_1038.stage_semantic_id: F\n      item_1038.title: ▸\n"
    assert not {"F", "S"} & offered(here, rule).keys()


def test_all_keys_and_facts_are_offered_with_words_about_them(here: Editor) -> None:
    smart = {f"item_147.{field.name}" for field in registry.of_kind("item_147")}
    deal = {field.name for field in registry.of_kind("deal")}
    sources = {field.name for field in fields.ALWAYS["workflow"]} - {"age", "idle", "stuck", "id"}
    for text, keys in (
        (f"{RULE}▸\n", {*RULE_KEYS} - {"id"}),
        (f"{RULE}if:\n      item_147.▸\n", {*smart, "deal.company.industry", "list_23.name"}),
        (f"{RULE}if:\n      deal.uf_crm_x:\n        ▸\n", {"over", "currency", "exists"}),
        (f"{TEST}▸\n", {*CASE_KEYS} - {"event"}),
        (f"{TEST}facts:\n      ▸\n", {"deal", "document", "item_147", "list_23"}),
        (f"{TEST}facts:\n      deal:\n        ▸\n", {*deal, "company", "assigned_by"}),
        (
            f"{TEST}workflows:\n      - id: a\n        ▸\n",
            {*sources, "template", "starter", "waiting_for"},
        ),
        (f"{TEST}expect:\n      a:\n        ▸\n", {"kill", "terminate", "leave", "waiting"}),
    ):
        found = offered(here, text)
        assert keys <= set(found), text
        assert all(found[key] for key in keys), text


@pytest.mark.parametrize(
    "text",
    [
        "▸",
        f"{RULE}▸\n",
        f"{RULE}limit:\n      ▸\n",
        f"{RULE}keep:\n      ▸\n",
        f"{RULE}if:\n      workflow.▸\n",
        f"{RULE}if:\n      workflow.started:\n        ▸\n",
        f"{RULE}if:\n      deal.opportunity:\n        ▸\n",
        f"{RULE}when:\n      - ▸\n",
        "calendars:\n  office:\n    ▸\n",
        f"{TEST}▸\n",
        f"{TEST}workflows:\n      - id: a\n        ▸\n",
    ],
)
def test_nothing_is_inserted_that_its_author_did_not_choose(here: Editor, text: str) -> None:
    """A date would be one of the past, and a limit of 0 stops everything."""
    found = here.completions(HEAD + text)
    assert found
    for one in found:
        assert not re.search(r"20[0-9]{2}-|: (?:\$\{1:)?0", one.inserts), one


def test_what_is_wrong_is_underlined_and_said_in_our_words(here: Editor) -> None:
    rule = f"{RULE}when: [deal.updated]\n    if: {{deal.stage_id: X}}\n    then: kill\n"
    (said,) = here.underlined(HEAD + rule)
    assert said.line == 4
    assert said.message.startswith("This acts on workflows of every template")
    for wrong in (
        *("deal.stage_semantic_id: won", "deal.oportunity: 5", "deal.closed: maybe"),
        *("item_1038.stage_semantic_id: won", "item_1038.stage_semantic_id: ", "item_1038.x: 5"),
    ):
        assert here.underlined(f"{HEAD}{RULE}if: {{{wrong}}}\n    then: leave\n"), wrong


@pytest.mark.parametrize(
    "text",
    [
        f"{RULE}when: [robot]\n    if: {{deal.id: 5}}\n    every_template: true\n    then: kill\n",
        f"{RULE}when: [robot]\n    if: {{any: [{{template.name: x}}]}}\n    then: kill\n",
        f"{TEST}workflows: [{{id: a, template_id: 61}}]\n    expect: {{a: none}}\n",
        f"{RULE}if: {{item_1038.stage_semantic_id: F, item_1038.uf_x: 5}}\n    then: leave\n",
        *map(RECIPES.text, ("lost-deals", "leave-days-over", "three-working-days")),
    ],
)
def test_what_is_right_is_not_underlined(here: Editor, text: str) -> None:
    assert here.underlined(HEAD + text) == []
