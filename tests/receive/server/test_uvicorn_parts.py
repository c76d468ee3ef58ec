"""The table of uvicorn's private parts is complete, and what a uvicorn lacks of it is noticed."""

import ast
import asyncio
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from uvicorn.protocols.http import httptools_impl

from responder.receive.server import (
    deadlines,
    fast_path,
    fast_server,
    known_heads,
    uvicorn_parts,
)
from tests.support.renamed import EVERY_PART

# whose a part is, by the class of ours that it is used in as its own, or else by who has it
OURS = {
    "DeadlineProtocol": "HttpToolsProtocol",
    "FastProtocol": "HttpToolsProtocol",
    "_PausedReading": "FlowControl",
    "Server": "Server",
}
OTHERS = {
    **dict.fromkeys(("cycle", "held", "parsed", "_answering"), "RequestResponseCycle"),
    "flow": "FlowControl",
    "server_state": "ServerState",
}
MODULES = (deadlines, fast_path, fast_server, known_heads)
PUBLIC = {*dir(asyncio.Protocol), "should_exit"}


async def made() -> dict[str, set[str]]:
    return {owner: uvicorn_parts.attributes_of(owner) - PUBLIC for owner in uvicorn_parts.PARTS}


def named(tree: ast.AST, own: str | None = None) -> Iterator[tuple[str | None, str]]:
    """Give each attribute that is overridden or used, and whose it is, as far as that is known."""
    for node in ast.iter_child_nodes(tree):
        inside = OURS.get(node.name, own) if isinstance(node, ast.ClassDef) else own
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and own:
            yield own, node.name
        elif isinstance(node, ast.Attribute):
            whose = ast.unparse(node.value)
            if whose in ("self", "super()"):
                yield own, node.attr
            else:
                yield OTHERS.get(whose.rpartition(".")[2]), node.attr
        yield from named(node, inside)


def test_each_part_that_is_used_is_in_the_table_and_no_other() -> None:
    has = asyncio.run(made())
    used: dict[str, set[str]] = defaultdict(set)
    for module in MODULES:
        for owner, name in named(ast.parse(Path(str(module.__file__)).read_text())):
            if owner is not None and name in has[owner]:
                used[owner].add(name)
    assert used == uvicorn_parts.PARTS


def test_what_nobody_is_known_to_have_is_no_part() -> None:
    private = set[str]().union(*asyncio.run(made()).values()) - set().union(
        *uvicorn_parts.PARTS.values()
    )
    for module in MODULES:
        found = named(ast.parse(Path(str(module.__file__)).read_text()))
        assert {name for owner, name in found if owner is None} & private == set()


def test_the_installed_uvicorn_has_them_all() -> None:
    async def asked() -> list[str]:
        return uvicorn_parts.missing()

    assert asyncio.run(asked()) == []


def test_a_uvicorn_that_uses_more_of_the_present_request_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Later(httptools_impl.HttpToolsProtocol):
        def shutdown(self) -> None:
            self.cycle.access_log = False
            super().shutdown()

    async def asked() -> list[str]:
        return uvicorn_parts.missing()

    monkeypatch.setattr(httptools_impl, "HttpToolsProtocol", Later)
    assert asyncio.run(asked()) == ["StoredRequest.access_log"]


def test_a_stored_request_has_all_that_is_used_of_the_present_request() -> None:
    used = uvicorn_parts.used_of_the_cycle(deadlines.DeadlineProtocol)
    for name in used - {"response_started", "transport"}:  # of the request that is being read
        assert hasattr(fast_path.StoredRequest(), name), name
    for name in uvicorn_parts.OF_A_STORED_REQUEST:
        assert hasattr(fast_path.StoredRequest(), name), name


@pytest.mark.service
def test_each_part_that_has_another_name_is_missed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.renamed", str(tmp_path)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    missed = json.loads(done.stdout)
    # without a class, what is made of it cannot be made either
    assert missed == {part: [part] for part in EVERY_PART} | {
        "ServerState": ["HttpToolsProtocol", "ServerState"]
    }
