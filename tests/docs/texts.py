"""What people read: the README, and the pages that `responder docs` prints."""

import re
from pathlib import Path

from responder.adapters.package_texts import DOCS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = {name: DOCS.text(name) for name in DOCS.names()}
FILES = (ROOT / "README.md", *sorted((ROOT / "responder" / "docs").glob("*.md")))


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return found


def column(text: str, head: str) -> list[str]:
    """Return what stands between backticks in the first column of the table with this head."""
    _, _, after = text.partition(f"\n| {head} |")
    assert after, head
    table, _, _ = after.partition("\n\n")
    return re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
