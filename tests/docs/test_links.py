"""Whatever a page refers to is there: another page, a chapter, a picture, a file to deploy."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import responder
from responder.adapters.package_texts import DEPLOY, DOCS
from tests.docs.texts import FILES, PAGES, README, ROOT

FENCED = re.compile(r"^```.*?^```|^    .*?$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PRINTED = re.compile(r"responder (docs|deploy) ([a-z][\w-]*)")
DEPLOYED = [file for file in (ROOT / "responder" / "deploy").iterdir() if file.is_file()]
MOST_LINES = 200
MOST_PICTURE_BYTES = 150_000


def links(file: Path) -> list[str]:
    found: list[str] = LINK.findall(FENCED.sub("", file.read_text()))
    return found


def anchors(file: Path) -> set[str]:
    """Return the fragments by which a forge leads to the chapters of a page."""
    heads = re.findall(r"^#+ (.*)$", FENCED.sub("", file.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_link_leads_somewhere(file: Path) -> None:
    for link in links(file):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https", link
            continue
        target = file.parent / parts.path if parts.path else file
        assert target.is_file(), link
        assert not parts.fragment or parts.fragment in anchors(target), link


def test_every_text_that_is_to_be_printed_exists() -> None:
    package = Path(responder.__file__).parent
    sources = [*FILES, *package.rglob("*.py"), *package.rglob("*.html"), *DEPLOYED]
    named = {pair for file in sources for pair in PRINTED.findall(file.read_text())}
    assert {name for command, name in named if command == "docs"} <= set(DOCS.names())
    assert {name for command, name in named if command == "deploy"} == set(DEPLOY.names())


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    assert README.count("\n") <= MOST_LINES
    led_to = {urlsplit(link).path for link in links(ROOT / "README.md")}
    assert {f"responder/docs/{name}.md" for name in PAGES} <= led_to


def test_every_picture_is_shown_and_soon_loaded() -> None:
    pictures = list((ROOT / "responder" / "docs" / "pictures").iterdir())
    shown = {(file.parent / link).resolve() for file in FILES for link in links(file)}
    assert pictures
    assert set(pictures) <= shown
    assert all(picture.stat().st_size <= MOST_PICTURE_BYTES for picture in pictures)
