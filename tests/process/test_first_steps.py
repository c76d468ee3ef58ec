"""What the README has one type first works as it is, pasted whole into a shell."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import free_port

ROOT = Path(__file__).parents[2]
BLOCK = re.search(
    r"^To play with it yourself.*\n(?:.+\n)*\n((?:    .*\n)+)",
    (ROOT / "README.md").read_text(),
    re.MULTILINE,
)
UV = """\
#!/bin/sh
# `uv run responder …` on what is installed already; the sandbox on a port that is free
shift 2
[ "$1" = sandbox ] && set -- "$@" --port {port}
exec {python} -m responder "$@"
"""


class Shell:
    """An interactive bash on a terminal of its own."""

    def __init__(self, place: Path, environment: dict[str, str]) -> None:
        self._terminal, inner = pty.openpty()
        self.said = ""
        self.process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"],
            cwd=place,
            env=environment,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)

    def paste(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def read_until(self, pattern: str, *, seconds: float = 90) -> None:
        """Read what is said until it matches."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.said):
            left = deadline - time.monotonic()
            assert left > 0, self.said
            if select.select([self._terminal], [], [], left)[0]:
                self.said += os.read(self._terminal, 65536).decode(errors="replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait(20)
        os.close(self._terminal)


@contextmanager
def shell(place: Path, environment: dict[str, str]) -> Iterator[Shell]:
    opened = Shell(place, environment)
    try:
        yield opened
    finally:
        opened.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_steps_by_hand_survive_being_pasted_whole(tmp_path: Path) -> None:
    assert BLOCK is not None
    (tmp_path / "rules.yaml").write_bytes((ROOT / "rules.yaml").read_bytes())
    ports = {"8000": free_port(), "8010": free_port()}
    lines = re.sub(r"\b(8000|8010)\b", lambda m: str(ports[m[1]]), BLOCK[1])
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(UV.format(port=ports["8010"], python=sys.executable))
    uv.chmod(0o755)
    environment = {
        "PATH": f"{uv.parent}:{os.environ['PATH']}",
        "RESPONDER_PORT": str(ports["8000"]),
        "COLUMNS": "120",
        "TERM": "xterm",
        "NO_COLOR": "1",
    }
    with shell(tmp_path, environment) as bash:
        bash.paste(lines)
        try:
            bash.read_until(r"main-1-1 +deal:759 .*lost-deal +would_kill")
        finally:
            bash.paste("\x03")
            bash.paste("kill %1 %2; wait; echo ended; exit\n")
            bash.read_until(r"ended\r?\n")
    assert "Traceback" not in bash.said
