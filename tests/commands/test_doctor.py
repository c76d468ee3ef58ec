"""`responder doctor --probe`, and `responder sandbox --like` its file."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from responder.bitrix24.probe.question import Result
from responder.bitrix24.probe.questions.question_table import READING
from responder.bitrix24.sandbox import SandboxServer
from responder.commands.cli import main
from responder.service.doctor.probing import WIDTH, table
from tests.support import probed_portal
from tests.support.forked import run
from tests.support.processes import TOKEN

KILL = "bizproc.workflow.kill"


@pytest.fixture
def probed() -> Iterator[SandboxServer]:
    with SandboxServer(probed_portal.full()) as server:
        yield server


def environment(url: str, **more: str) -> dict[str, str]:
    return {
        "RESPONDER_PORTALS__MAIN__URL": url,
        "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        **more,
    }


def doctor(server: SandboxServer, place: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    done = run(("-m", "responder", "doctor", "--probe", *words), place, environment(server.url))
    assert server.sandbox.secret not in done.stdout + done.stderr
    return done


@pytest.mark.service
def test_a_portal_as_expected_is_told_so_with_0(probed: SandboxServer, tmp_path: Path) -> None:
    done = doctor(probed, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"main: {len(READING)} as expected, 0 differ, 0 could not be")
    assert done.stderr == ""
    assert probed.sandbox.calls_of(KILL) == []


@pytest.mark.service
def test_a_difference_is_told_with_what_it_leads_to_and_1(
    probed: SandboxServer, tmp_path: Path
) -> None:
    probed.sandbox.oddities.set("lists_robots")
    done = doctor(probed, tmp_path, "--portal", "main", "--with-kill")
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[2:4] == ["differs", "  robots-templates-are-hidden (§6.4), crucial"]
    assert "    leads to  Rules that spare robots' runs would stop them." in lines
    assert len(probed.sandbox.calls_of(KILL)) == 1


@pytest.mark.service
def test_each_question_is_an_object_a_line_and_its_answer_is_kept(
    probed: SandboxServer, tmp_path: Path
) -> None:
    probed.sandbox.oddities.set("active_as_text")
    done = doctor(probed, tmp_path, "--json", "--out", "main.json")
    assert done.returncode == 1, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["id"] for one in found] == [question.id for question in READING]
    (one,) = [one for one in found if one["result"] == "differs"]
    assert (one["portal"], one["id"], one["crucial"]) == ("main", "active-is-boolean", False)
    assert one["leads_to"].startswith("Rules about dismissed people")
    kept = json.loads((tmp_path / "main.json").read_text(encoding="utf-8"))
    assert [one["id"] for one in kept["questions"]] == [question.id for question in READING]


@pytest.mark.portal
def test_the_table_is_no_wider_than_a_terminal(probed: SandboxServer) -> None:
    sandbox = probed.sandbox
    sandbox.drop_filters = sandbox.exact_filters = True
    for name in ("lists_robots", "lists_absent_types", "hides_items", "swaps_answers"):
        sandbox.oddities.set(name)
    found = probed_portal.ask(probed)
    lines = list(table("main", found))
    assert len(list(found.of(Result.DIFFERS))) > 4
    assert [line for line in lines if len(line) > WIDTH] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--probe", "--portal", "mian"], "There is no portal mian; there are: main, other. Did"),
        (["--probe", "--out", "a.json"], "--out keeps the answers of one portal"),
        (["--portal", "main"], "--portal, --out and --with-kill belong to --probe."),
        (["--with-kill"], "belong to --probe"),
    ],
)
def test_a_wrong_question_is_answered_with_2(words: list[str], said: str) -> None:
    portals = environment(
        "http://127.0.0.1:1/rest/1/test-secret-0001/",
        RESPONDER_PORTALS__OTHER__URL="http://127.0.0.1:2/rest/1/test-secret-0002/",
        RESPONDER_PORTALS__OTHER__APPLICATION_TOKENS="other-application-token-0001",
    )
    done = CliRunner().invoke(main, ["doctor", *words], env=portals)
    assert (done.exit_code, said in done.stderr) == (2, True), done.output


def test_wrong_settings_are_answered_with_2() -> None:
    nothing = {"RESPONDER_PORTALS__MAIN__URL": "", "RESPONDER_MODE": "maybe"}
    done = CliRunner().invoke(main, ["doctor", "--probe"], env=nothing)
    assert done.exit_code == 2, done.output


def test_a_sandbox_like_no_file_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    done = CliRunner().invoke(main, ["sandbox", "--like", str(tmp_path / "other.json")])
    assert (done.exit_code, "this is no file of" in done.stderr) == (2, True), done.output
