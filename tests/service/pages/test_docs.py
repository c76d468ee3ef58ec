"""The documentation, as the pages show it to whoever is logged in."""

import html
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from responder.adapters.package_texts import DEPLOY, DOCS
from responder.service.pages import rendering
from tests.service.pages.conftest import Story
from tests.service.pages.visiting import Visitor

TEMPLATES = Path(rendering.__file__).parent / "templates"


def _main(page: str) -> str:
    return page.partition("<main")[2].partition("</main>")[0]


def test_every_page_is_listed_and_leads_to_its_text(anna: Visitor) -> None:
    text = anna.get("/docs").text
    assert re.findall(r'href="/docs/([^"]+)"', text) == DOCS.names()
    assert re.findall(r'href="/deploy/([^"]+)"', text) == DEPLOY.names()


@pytest.mark.parametrize("name", DOCS.names())
def test_a_page_is_shown_with_no_markdown_left(anna: Visitor, name: str) -> None:
    page = anna.get(f"/docs/{name}")
    assert page.status == 200
    (title,) = re.findall(r"<h1[^>]*>(.*?)</h1>", page.text)
    assert f"# {html.unescape(title)}" == DOCS.text(name).partition("\n")[0]
    prose = re.sub(r"<code>.*?</code>", "", _main(page.text), flags=re.DOTALL)
    assert re.findall(r"\]\(|\|---|\*\*|`|^#|^[|>-] ", prose, re.MULTILINE) == []


def test_every_link_leads_to_a_page_and_an_anchor_that_exist(anna: Visitor) -> None:
    pages = {f"/docs/{name}": _main(anna.get(f"/docs/{name}").text) for name in DOCS.names()}
    anchors = {path: re.findall(r' id="([^"]+)"', text) for path, text in pages.items()}
    links = [
        (path, urlsplit(urljoin(path, link)), attributes)
        for path, text in pages.items()
        for link, attributes in re.findall(r'<a href="([^"]*)"([^>]*)>', text)
    ]
    assert [path for path in pages if len(set(anchors[path])) < len(anchors[path])] == []
    assert {target.fragment for _, target, _ in links} > {"when-a-rule-is-wrong", "keeping-some"}
    for path, target, attributes in links:
        if target.netloc:
            assert attributes == ' rel="external noopener noreferrer"'
        elif target.path != "/docs":
            assert target.path in pages, (path, target)
            assert target.fragment in ("", *anchors[target.path]), (path, target)


def test_a_page_lists_its_headings(anna: Visitor) -> None:
    page = anna.get("/docs/operating")
    (contents,) = re.findall(r"<nav[^>]*On this page.*?</nav>", page.text, re.DOTALL)
    heads = re.findall(r"^## (.*)$", DOCS.text("operating"), re.MULTILINE)
    assert re.findall(r">([^<>]+)</a>", contents) == [head.replace("`", "") for head in heads]


@pytest.mark.parametrize("name", DEPLOY.names())
def test_a_file_is_shown_as_it_is_and_nothing_in_it_is_markup(anna: Visitor, name: str) -> None:
    page = anna.get(f"/deploy/{name}")
    assert page.status == 200
    (shown,) = re.findall(r"<pre[^>]*>(.*?)</pre>", page.text, re.DOTALL)
    assert "<" not in shown
    assert html.unescape(shown) == DEPLOY.text(name)


@pytest.mark.service
def test_the_parser_is_imported_once_a_page_is_opened() -> None:
    script = (
        "import sys, responder.service.app, responder.service.pages.application\n"
        "before = 'markdown_it' in sys.modules\n"
        "import responder.service.pages.markdown\n"
        "print(before, 'markdown_it' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False True\n"


@pytest.mark.parametrize(
    "path",
    ["/docs/nope", "/docs/..%2fsettings", "/docs/rules/", "/docs/", "/deploy/rules", "/deploy"],
)
def test_another_address_is_no_page(anna: Visitor, path: str) -> None:
    assert anna.get(path).status == 404


def test_strangers_are_led_to_the_entrance(anna: Visitor) -> None:
    for path in ("/docs", "/docs/rules"):
        page = Visitor(anna.port).get(path)
        assert (page.status, page.headers["location"].partition("?")[0]) == (303, "/login")


def test_every_page_leads_to_the_documentation(story: Story, anna: Visitor) -> None:
    for path in ("/", "/rules", "/status", f"/decisions/{story.killed}"):
        assert 'href="/docs"' in anna.get(path).text


def test_what_the_pages_refer_to_exists() -> None:
    written = "".join(file.read_text() for file in TEMPLATES.glob("*.html"))
    named = set(re.findall(r'href="/docs/([a-z-]+)["#]', written))
    assert {"rules", "operating", "audit"} <= named <= set(DOCS.names())
