"""Writes what an interview found to a file that may be shown to anyone, and reads it again.

    {"format": 1, "questions": [{"id": …, "result": …, "sign": …, "answers": {name: …}}, …]}

Each answer is its status, if it was heard, and the shape of its content.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from responder.bitrix24.probe.interview import Interview
from responder.bitrix24.probe.question import Finding, Reply, Result
from responder.bitrix24.probe.shapes import shape

FORMAT = 1


class UnreadableError(Exception):
    """The error for a file that holds no answers of a portal."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The result of one question in a file."""

    id: str
    result: Result
    sign: str


def write(path: Path, found: Interview) -> None:
    """Write the results and the shapes of the answers. Raise OSError where that is not possible."""
    content = {"format": FORMAT, "questions": [_question(one) for one in found.findings]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _question(finding: Finding) -> dict[str, object]:
    return {
        "id": finding.question.id,
        "result": finding.result.value,
        "sign": finding.sign,
        "answers": {name: _answer(reply) for name, reply in finding.replies.items()},
    }


def _answer(reply: Reply) -> Mapping[str, object]:
    return {"status": reply.status, "shape": shape(reply.content)}


def read(path: Path) -> list[Kept]:
    """Read the results in a file. Raise UnreadableError for one that has none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise UnreadableError(f"{path}: format {FORMAT} is read, not another")
        return [
            Kept(str(one["id"]), Result(one["result"]), str(one["sign"]))
            for one in content["questions"]
        ]
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise UnreadableError(f"{path}: this is no file of `doctor --probe --out`") from None
