"""What the README has one type first works as it is typed."""

import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

from tests.support.processes import FORM, eventually, free_port

ROOT = Path(__file__).parents[2]
BLOCK = re.search(
    r"^To play with it yourself.*\n\n((?:    .*\n)+)",
    (ROOT / "README.md").read_text(),
    re.MULTILINE,
)


def post(port: int, body: str) -> int | None:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", "/events", body, FORM)
        return connection.getresponse().status
    except OSError:
        return None  # not yet
    finally:
        connection.close()


def test_the_steps_by_hand_lead_to_a_decision(tmp_path: Path) -> None:
    assert BLOCK is not None
    (tmp_path / "rules.yaml").write_bytes((ROOT / "rules.yaml").read_bytes())
    ports = {"8000": free_port(), "8010": free_port()}
    lines = re.sub(r"\b(8000|8010)\b", lambda m: str(ports[m[1]]), BLOCK[1]).splitlines()
    environment = {"RESPONDER_PORT": str(ports["8000"])}
    said = ""
    with ExitStack() as stack:
        for line in lines:
            words = shlex.split(line)
            if words[0] == "export":
                name, _, value = words[1].partition("=")
                environment[name] = value
            elif words[0] == "curl":
                sent = partial(post, ports["8000"], words[words.index("-d") + 1])
                assert eventually(sent) == 200
            elif words[-1] == "&":
                more = ["--port", str(ports["8010"])] if "sandbox" in words else []
                process = subprocess.Popen(
                    [sys.executable, "-m", *words[2:-1], *more],
                    cwd=tmp_path,
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                stack.callback(process.wait)
                stack.callback(process.terminate)
            else:
                command = [sys.executable, "-m", *words[2:]]

                def decided(command: list[str] = command) -> str | None:
                    done = subprocess.run(
                        command, cwd=tmp_path, env=environment, capture_output=True, check=True
                    )
                    text = done.stdout.decode()
                    return text if "would_kill" in text else None

                said = eventually(decided)
    assert re.search(r"main-1-1 +DEAL_759 .* lost-deal +would_kill  .*«Sample deal 759, ", said)
