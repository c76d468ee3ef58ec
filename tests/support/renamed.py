"""A uvicorn of another day: the one that is installed, with one of its private parts renamed.

Run as a program, it renames each part in turn and prints what the service then says is missing.
"""

import asyncio
import importlib
import json
import re
import shutil
import sys
from pathlib import Path

import uvicorn

from responder.receive.server import uvicorn_parts

_INSTALLED = Path(uvicorn.__file__).parent

HTTP = "protocols/http/httptools_impl.py"
# in which files, and as whose, a part is used beside the class that has it
_USED = {
    "FlowControl": (("protocols/http/h11_impl.py", HTTP), "flow"),
    "RequestResponseCycle": ((HTTP,), "cycle"),
    "ServerState": (("protocols/http/h11_impl.py", "server.py", HTTP), "server_state"),
}
_DEFINED = {"FlowControl": "protocols/http/flow_control.py"}
_DEFINED |= {"HttpToolsProtocol": HTTP, "RequestResponseCycle": HTTP}
_DEFINED |= {"ServerState": "server.py", "Server": "server.py"}

EVERY_PART = [
    *("STATUS_LINE", *(owner for owner in uvicorn_parts.PARTS if owner != "Server")),
    *(f"{owner}.{name}" for owner, names in uvicorn_parts.PARTS.items() for name in sorted(names)),
]


def uvicorn_without(place: Path, part: str) -> str:
    """Write it to a folder, and return what PYTHONPATH must be to have it imported."""
    shutil.copytree(_INSTALLED, place / "uvicorn")
    _rename(place / "uvicorn", part)
    return str(place)


def _rename(copy: Path, part: str) -> list[str]:
    """Rename it wherever it stands; return in which files."""
    owner, _, name = part.partition(".")
    changed = []
    for path in copy.rglob("*.py"):
        file, text = str(path.relative_to(copy)), path.read_text()
        renamed, count = _renamed(file, text, owner, name) if name else _all(text, owner)
        if count:
            path.write_text(renamed)
            changed.append(file)
    assert changed, f"{part} is nowhere"
    return changed


def _all(text: str, name: str) -> tuple[str, int]:
    return re.subn(rf"\b{name}\b", f"{name}2", text)


def _renamed(file: str, text: str, owner: str, name: str) -> tuple[str, int]:
    count = 0
    if file == _DEFINED[owner]:
        (whole,) = re.findall(rf"^class {owner}\b.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
        changed, count = re.subn(rf"(\bself\.|\bdef ){name}\b", rf"\1{name}2", whole)
        text = text.replace(whole, changed)
    files, receiver = _USED.get(owner, ((), ""))
    if file in files:
        text, more = re.subn(rf"(\b{receiver}\.){name}\b", rf"\1{name}2", text)
        count += more
    return text, count


def _missing_without(copy: Path, part: str) -> list[str]:
    changed = _rename(copy, part)
    for module in [name for name in sys.modules if name.split(".")[0] == "uvicorn"]:
        del sys.modules[module]
    importlib.reload(uvicorn_parts)
    found = asyncio.run(_asked())
    for file in changed:
        shutil.copy2(_INSTALLED / file, copy / file)
    return found


async def _asked() -> list[str]:
    return uvicorn_parts.missing()


if __name__ == "__main__":
    place = Path(sys.argv[1])
    sys.path.insert(0, str(place))
    sys.dont_write_bytecode = True  # two renamings within a second have the same size
    copy = shutil.copytree(_INSTALLED, place / "uvicorn")
    json.dump({part: _missing_without(copy, part) for part in EVERY_PART}, sys.stdout)
