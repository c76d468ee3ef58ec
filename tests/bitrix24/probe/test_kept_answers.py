"""The file of answers: what it keeps may be shown to anyone, and a sandbox answers like it."""

import json
from pathlib import Path

import pytest

from responder.bitrix24.probe import kept_answers
from responder.bitrix24.probe.kept_answers import Kept, UnreadableError
from responder.bitrix24.probe.likeness import apply
from responder.bitrix24.probe.question import Result
from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.support import probed_portal
from tests.support.probed_portal import ask

pytestmark = pytest.mark.portal

PORTALS = sorted((Path(__file__).parents[2] / "portals").glob("*.json"))
SECRET = "planted-webhook-secret-0001"
PLANTED = "Planted"


def planted() -> Sandbox:
    """Return a portal with words of its own wherever a portal has any."""
    sandbox = probed_portal.full()
    sandbox.secret = SECRET
    sandbox.user_id = "48151623"
    sandbox.add_user("48151623")
    for row in sandbox.users.values():
        row |= {"NAME": "PlantedName", "LAST_NAME": "PlantedLast", "USER_TYPE": "PlantedType"}
        row["UF_DEPARTMENT"] = [48151624]
        row["UF_USR_PLANTED"] = "PlantedField"
    for number, item in enumerate(sandbox.items.values()):
        item |= {"title": "PlantedTitle", "opportunity": 4815162.25, "UF_CRM_PLANTED": "PlantedX"}
        item |= {f"parentId4815{number}": 48151625, "stageId": "PLANTED_STAGE"}
        item |= {"webPlanted": {"plantedKey": "planted@planted.example", "48151626": "+48151627"}}
    for template in sandbox.templates.values():
        template |= {"NAME": "PlantedTemplate"}
    for status in sandbox.statuses:
        status |= {"NAME": "PlantedStage", "STATUS_ID": "PLANTED_NEW", "COLOR": "#481516"}
    for task in sandbox.bizproc_tasks.values():
        task |= {"NAME": "PlantedTask", "USER_ID": "48151628"}
    for running in sandbox.workflows.values():
        running |= {"TEMPLATE_ID": "48151629", "STARTED_BY": "48151630"}
    sandbox.not_found_text = "PlantedText of planted.example"
    sandbox.oddities.set("absent_item_code", "PLANTED_CODE")
    return sandbox


def test_no_value_of_the_portal_is_in_the_file(tmp_path: Path) -> None:
    sandbox = planted()
    with SandboxServer(sandbox) as server:
        found = ask(server)
        secret_parts = (str(server.port), server.url)
    kept_answers.write(tmp_path / "portal.json", found)
    text = (tmp_path / "portal.json").read_text(encoding="utf-8")
    values = {*sandbox.workflows, *sandbox.bizproc_tasks, SECRET, "127.0.0.1", *secret_parts}
    values |= {str(row["DOCUMENT_ID"]) for row in sandbox.workflows.values()}
    assert [value for value in values if value in text] == []
    assert PLANTED.casefold() not in text.casefold()
    assert "4815" not in text
    assert "2026" not in text


def test_the_file_keeps_fields_of_the_interface_and_shapes_of_values(tmp_path: Path) -> None:
    with SandboxServer(planted()) as server:
        kept_answers.write(tmp_path / "portal.json", ask(server))
    content = json.loads((tmp_path / "portal.json").read_text(encoding="utf-8"))
    answers = {one["id"]: one["answers"] for one in content["questions"]}
    workflow = answers["rows-hold-text"]["workflows"]["shape"]["result"]["of"][0]
    assert workflow["ID"] == "id of a workflow"
    assert workflow["TEMPLATE_ID"] == "digits"
    assert workflow["STARTED"] == "instant with offset"
    assert workflow["OWNED_UNTIL"] == "null"
    absent = answers["absent-item-is-not-found"]["no_item"]
    assert absent == {"status": 400, "shape": {"error": "<code>", "error_description": "text"}}
    (deal,) = [answers["original-uf-names"]["deal_0"]["shape"]["result"]["item"]]
    assert deal["<UF>"] == ["text"]
    assert deal["id"] == "integer"


@pytest.fixture(params=PORTALS, ids=lambda path: path.stem)
def file(request: pytest.FixtureRequest) -> list[Kept]:
    return kept_answers.read(request.param)


def test_there_are_files_of_portals() -> None:
    assert len(PORTALS) >= 2


def test_a_sandbox_like_a_file_answers_as_it_says(file: list[Kept]) -> None:
    sandbox = probed_portal.full()
    apply(file, sandbox)
    with SandboxServer(sandbox) as server:
        found = ask(server)
    answered = {one.question.id: (one.result, one.sign) for one in found.findings}
    kept = {one.id: (one.result, one.sign) for one in file if one.result is not Result.NOT_ASKED}
    assert {name: answered[name] for name in kept} == kept


def test_what_is_written_can_be_read_again(tmp_path: Path) -> None:
    with SandboxServer(probed_portal.few()) as server:
        found = ask(server)
    path = tmp_path / "portal.json"
    kept_answers.write(path, found)
    assert [(one.id, one.result, one.sign) for one in kept_answers.read(path)] == [
        (one.question.id, one.result, one.sign) for one in found.findings
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 2, "questions": []}', '{"format": 1, "questions": [1]}',
             '{"format": 1, "questions": [{"id": "a", "result": "maybe", "sign": ""}]}',
             "[" * 100_000],
    ids=range(7),
)  # fmt: skip
def test_another_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UnreadableError, match=r"other\.json"):
        kept_answers.read(path)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"none\.json: No such file"):
        kept_answers.read(tmp_path / "none.json")
