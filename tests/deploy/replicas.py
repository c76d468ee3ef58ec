"""Plays what a manifest runs: the image's command, with the manifest's variables and volumes.

The places at which volumes are mounted become folders of this machine, the database is that of the
tests, and the ports are free ones; all else is as the manifest has it.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.support.confined import confined
from tests.support.processes import FORM, LOST_DEAL, TOKEN, event, eventually, free_port

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def instruction(name: str) -> str:
    """Return what the last stage of the Dockerfile says in one of its lines."""
    found: list[str] = re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)
    return found[-1]


def variables_of_the_image() -> dict[str, str]:
    """Return our variables that the image sets."""
    return dict(re.findall(r"(RESPONDER_\w+)=(\S+)", DOCKERFILE))


def command_of_the_image() -> list[str]:
    """Return what the image runs where a manifest names no command."""
    found: list[str] = json.loads(instruction("ENTRYPOINT")) + json.loads(instruction("CMD"))
    return found


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica that runs, and the ports on which it listens."""

    process: "subprocess.Popen[bytes]"
    port: int
    admin_port: int
    log: Path

    def get(self, path: str, *, admin: bool = False) -> tuple[int, bytes]:
        """Ask for a page; the status is 0 while nobody listens."""
        return self._ask("GET", path, None, self.admin_port if admin else self.port)

    def post(self, body: str) -> int:
        """Send a delivery and return the status."""
        return self._ask("POST", "/events", body, self.port)[0]

    def _ask(self, method: str, path: str, body: str | None, port: int) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", port, timeout=15)
        try:
            connection.request(method, path, body, FORM)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()


def lay_like_kubernetes(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files of a ConfigMap or Secret as a pod has them, in place of those before.

    Each is a symbolic link into a folder, which is itself one that is swapped.
    """
    folder.mkdir(exist_ok=True)
    version = folder / f"..{len(list(folder.iterdir()))}"
    version.mkdir()
    for name, text in files.items():
        (version / name).write_text(text)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(Path("..data") / name)
    swapped = folder / "..data_tmp"
    swapped.symlink_to(version.name)
    swapped.rename(folder / "..data")


@contextmanager
def played(
    place: Path, given: Mapping[str, str], mounts: Mapping[str, Path], url: str, count: int
) -> Iterator[list[Replica]]:
    """Run so many replicas at once, as a container has them, until all of them are ready."""
    with ExitStack() as stack:
        replicas = [
            stack.enter_context(_running(place / f"log-{number}", given, mounts, url))
            for number in range(count)
        ]
        for one in replicas:
            eventually(
                lambda one=one: one.get("/readyz")[0] == 200 or None,  # type: ignore[misc]
                seconds=60,
                why=one.log.read_text,
            )
        yield replicas


@contextmanager
def _running(
    log: Path, given: Mapping[str, str], mounts: Mapping[str, Path], url: str
) -> Iterator[Replica]:
    port, admin_port = free_port(), free_port()
    environment = _on_this_machine({**variables_of_the_image(), **given}, mounts)
    environment |= {"RESPONDER_DATABASE_URL": url, "RESPONDER_PORT": str(port)}
    if "RESPONDER_ADMIN_PORT" in environment:
        environment["RESPONDER_ADMIN_PORT"] = str(admin_port)
    program, *words = command_of_the_image()
    # the socket of the tests' database belongs to another user: past that, it has no capability
    command = confined([sys.executable, "-m", program, *words], capabilities="-all,+dac_override")
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, cwd="/", stdout=file, stderr=file)
    try:
        yield Replica(process, port, admin_port, log)
    finally:
        process.terminate()
        process.wait(30)


def _on_this_machine(given: Mapping[str, str], mounts: Mapping[str, Path]) -> dict[str, str]:
    changed = dict(given)
    for place, folder in mounts.items():
        changed = {
            name: re.sub(rf"^{re.escape(place)}(?=/|$)", str(folder), value)
            for name, value in changed.items()
        }
    return changed


@contextmanager
def lost_deal() -> Iterator[tuple[Sandbox, dict[str, str]]]:
    """Run a portal in which a deal was lost; yield it, and the settings that name it."""
    with SandboxServer(Sandbox()) as portal:
        portal.sandbox.add_item(2, 759, stageId="LOSE", stageSemanticId="F", categoryId=0)
        portal.sandbox.start_workflow(("crm", "CCrmDocumentDeal", "DEAL_759"), 61)
        yield (
            portal.sandbox,
            {
                "RESPONDER_PORTALS__MAIN__URL": portal.url,
                "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
                "RESPONDER_MODE": "enforce",
            },
        )


def stop_the_workflow(sandbox: Sandbox, replicas: Sequence[Replica]) -> None:
    """Send an event to the last replica, and wait until one of them has stopped the workflow."""
    assert replicas[-1].post(event("ONCRMDEALUPDATE", 759)) == 200
    eventually(
        lambda: sandbox.killed or None,
        seconds=30,
        why=lambda: "\n".join(one.log.read_text()[-2000:] for one in replicas),
    )


RULES = LOST_DEAL
OTHER_RULES = LOST_DEAL.replace("lost-deal", "also-lost")
