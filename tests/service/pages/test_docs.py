"""The documentation, as the pages show it to whoever is logged in."""

import html
import re
from pathlib import Path

import pytest

from responder.adapters.package_texts import DEPLOY, DOCS, Texts
from responder.service.pages import rendering
from tests.service.pages.conftest import Story
from tests.service.pages.visiting import Visitor

TEMPLATES = Path(rendering.__file__).parent / "templates"


def test_every_page_is_listed_and_leads_to_its_text(anna: Visitor) -> None:
    text = anna.get("/docs").text
    assert re.findall(r'href="/docs/([^"]+)"', text) == DOCS.names()
    assert re.findall(r'href="/deploy/([^"]+)"', text) == DEPLOY.names()


@pytest.mark.parametrize(
    ("texts", "name"),
    [(texts, name) for texts in (DOCS, DEPLOY) for name in texts.names()],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_page_shows_its_text_as_it_is_and_nothing_in_it_is_markup(
    anna: Visitor, texts: Texts, name: str
) -> None:
    page = anna.get(f"/{texts.folder}/{name}")
    assert page.status == 200
    (shown,) = re.findall(r"<pre[^>]*>(.*?)</pre>", page.text, re.DOTALL)
    assert "<" not in shown
    assert html.unescape(shown) == texts.text(name)


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
