"""Mistakes of a user at the terminal: each is answered in words, with 2, and never a traceback."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from responder.commands.cli import main
from tests.support.processes import LOST_DEAL, TOKEN


def environment(place: Path, **more: str) -> dict[str, str]:
    (place / "rules.yaml").write_text(LOST_DEAL)
    (place / "bad.yaml").write_text("rules: [")
    (place / "text.db").write_text("no database" * 1000)
    return {
        "RESPONDER_DATABASE_URL": f"sqlite:///{place / 'responder.db'}",
        "RESPONDER_RULES": str(place / "rules.yaml"),
        "RESPONDER_PORTALS__MAIN__URL": "http://127.0.0.1:1/rest/1/test-secret-0001/",
        "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        "RESPONDER_SECRETS_DIR": str(place),
        **more,
    }


@pytest.mark.store
@pytest.mark.parametrize(
    ("words", "more", "said"),
    [
        (["decisoins"], {}, "No such command 'decisoins'. Did you mean 'decisions'?"),
        (["decisions"], {}, "yet: `responder serve` makes it."),
        (["events"], {"DATABASE_URL": "sqlite:///{place}/text.db"}, "file is not a database"),
        (["status"], {"DATABASE_URL": "sqlite:///{place}"}, "cannot be opened: Is a directory"),
        (
            ["decisions"],
            {"DATABASE_URL": "postgresql+psycopg://u:{token}@127.0.0.1:1/x"},
            "refused",
        ),
        (
            ["serve"],
            {"RULES": "{place}/none.yaml"},
            "none.yaml: No such file or directory; `respon",
        ),
        (["serve"], {"RULES": "{place}"}, "{place}: Is a directory"),
        (["serve"], {"RULES": "{place}/bad.yaml"}, "The rules are broken; nothing was started."),
        (["serve"], {"DATABASE_URL": "sqlite:///{place}/no/x.db"}, "No such file or directory"),
        (["sandbox", "--port", "99999"], {}, "99999 is not in the range"),
        (["explain", "--case", "nope"], {}, "rules.yaml has no test 'nope'."),
        (["explain", "--portal", "mian"], {}, "--event and --portal belong to --document."),
        (["explain", "--document", "deal:1", "--portal", "mian"], {}, "Did you mean main?"),
        (["explain", "--document", "deal:1", "--event", "deal.updatd"], {}, "mean deal.updated?"),
        (["explain", "--document", "deal:1", "--case", "x"], {}, "give one of them."),
        (["explain", "--document", "759"], {}, "names no document; write it as deal:759"),
        (["check", "--portal", "mian"], {}, "There is no portal mian; there are: main."),
        (["fields", "dael"], {}, "There is no kind dael. Did you mean deal?"),
        (["fields", "xyz"], {}, "There is no kind xyz. `responder fields` lists all."),
        (["audit", "verfy"], {}, "No such command 'verfy'. Did you mean 'verify'?"),
        (["events", "--since", "soon"], {}, "--since takes a number and a unit"),
        (["test", "--junit", "{place}"], {}, "{place}: Is a directory"),
        (["test", "--junit", "{place}/no/x.xml"], {}, "x.xml: No such file or directory"),
    ],
)
def test_a_mistake_is_answered_in_words(
    tmp_path: Path, words: list[str], more: dict[str, str], said: str
) -> None:
    names = {"place": tmp_path, "token": TOKEN}
    changed = {f"RESPONDER_{name}": value.format(**names) for name, value in more.items()}
    done = CliRunner().invoke(
        main, [word.format(**names) for word in words], env=environment(tmp_path, **changed)
    )
    assert done.exit_code == 2
    assert said.format(**names) in done.stderr
    assert isinstance(done.exception, SystemExit)
    assert TOKEN not in done.output


@pytest.mark.service
def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "responder", "serve"],
            env=environment(tmp_path, RESPONDER_PORT=str(port)),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"cannot listen on 127.0.0.1:{port}"
    assert "never retrieved" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.store
@pytest.mark.parametrize("words", [[], ["audit"], ["decisions"], ["rules"]])
def test_no_sentence_of_a_list_of_commands_is_cut_off(words: list[str]) -> None:
    usage, _, listed = CliRunner().invoke(main, [*words, "--help"]).output.partition("help  ")
    assert usage
    assert listed
    assert [line for line in listed.splitlines() if line.endswith("...")] == []
