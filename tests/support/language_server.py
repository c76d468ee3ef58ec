"""Drives the real yaml-language-server, which editors run, over its standard input and output.

https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/
"""

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

COMMAND = shutil.which("yaml-language-server")
CURSOR = "▸"
_PATIENCE = 60.0  # seconds; the machine may be busy


class Offered(NamedTuple):
    """One completion that an editor offers: its label, what it says of it, what it inserts."""

    label: str
    about: str
    inserts: str


class Underlined(NamedTuple):
    """One mistake that an editor underlines: its line (from 1), and what it says."""

    line: int
    message: str


class Editor:
    """An editor with one file open at a time."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self._folder, self._process = folder, process
        self._numbers = iter(range(1, 1_000_000))
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._underlined: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        able = {"completion": {"completionItem": {"snippetSupport": True}}}
        self._ask(
            "initialize",
            {
                "processId": None,
                "rootUri": folder.as_uri(),
                "capabilities": {"textDocument": able},
            },
        )
        self._tell("initialized", {})
        wanted = {"yaml": {"schemaStore": {"enable": False}, "completion": True, "validate": True}}
        self._tell("workspace/didChangeConfiguration", {"settings": wanted})

    def completions(self, text: str) -> list[Offered]:
        """Return what is offered at the cursor, `▸`, in a file of this text."""
        before, _, after = text.partition(CURSOR)
        uri = self._open(before + after)
        lines = before.split("\n")
        place = {"line": len(lines) - 1, "character": len(lines[-1])}
        at = {"textDocument": {"uri": uri}, "position": place}
        found = self._ask("textDocument/completion", at)
        items = found["items"] if isinstance(found, dict) else found or []
        return [_offered(item) for item in items]

    def underlined(self, text: str) -> list[Underlined]:
        """Return what is underlined in a file of this text."""
        uri = self._open(text)
        while True:
            said = self._underlined.get(timeout=_PATIENCE)
            if said["uri"] == uri:
                break
        return [
            Underlined(one["range"]["start"]["line"] + 1, one["message"])
            for one in said["diagnostics"]
        ]

    def _open(self, text: str) -> str:
        """Open a new file of this text, and return its address."""
        uri = (self._folder / f"rules-{next(self._numbers)}.yaml").as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._tell("textDocument/didOpen", {"textDocument": document})
        return uri

    def _ask(self, method: str, params: object) -> Any:  # noqa: ANN401  # what JSON can be
        number = next(self._numbers)
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        while True:
            answer = self._answers.get(timeout=_PATIENCE)
            if answer["id"] == number:
                assert "error" not in answer, answer
                return answer["result"]

    def _tell(self, method: str, params: object) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def _send(self, message: object) -> None:
        body = json.dumps(message).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._process.stdin.flush()

    def _listen(self) -> None:
        while (message := self._read()) is not None:
            if "method" not in message:
                self._answers.put(message)
            elif message["method"] == "textDocument/publishDiagnostics":
                self._underlined.put(message["params"])
            elif "id" in message:  # it asks us; we have nothing to say
                result = [None] * len((message.get("params") or {}).get("items", []))
                self._send({"jsonrpc": "2.0", "id": message["id"], "result": result or None})

    def _read(self) -> dict[str, Any] | None:
        output = self._process.stdout
        assert output is not None
        length = 0
        while (line := output.readline()).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        found = json.loads(output.read(length)) if length else None
        assert found is None or isinstance(found, dict)
        return found


def _offered(item: dict[str, Any]) -> Offered:
    said = item.get("documentation") or item.get("detail") or ""
    about = said["value"] if isinstance(said, dict) else said
    edit = item.get("textEdit") or {}
    inserts = edit.get("newText") or item.get("insertText") or item["label"]
    return Offered(item["label"], about, inserts)


@contextmanager
def editor(folder: Path) -> Iterator[Editor]:
    """Run the server for an editor whose files are in a folder."""
    assert COMMAND is not None
    command = [COMMAND, "--stdio"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # ours
    try:
        yield Editor(folder, process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
