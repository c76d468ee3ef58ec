"""The pages in a real Chromium, with and without scripts, and what other sites cannot do to them.

All of it in one module: while Playwright runs, no other test of this thread may run an event loop.
"""

import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.service.pages.visiting import (
    HIDDEN,
    NAME,
    PASSWORD,
    SCRIPT,
    House,
    add_deal,
    house,
    start,
)
from tests.support.processes import eventually

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT_MILLISECONDS = 15_000

# beside yaml-language-server, `.ci/run` fetches it by npm: https://github.com/dequelabs/axe-core
AXE = Path(os.environ.get("AXE_CORE", "node_modules/axe-core/axe.min.js"))
AXE_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("browser")) as opened:
        add_deal(opened.portal, 771, "F", f"{SCRIPT} {HIDDEN}")
        add_deal(opened.portal, 772, "F", "<img src=x onerror=alert(1)> " + "W" * 3000)
        for deal in (771, 772):
            start(opened.portal, deal)
        opened.happen(771, "killed")
        opened.happen(772, "held")
        opened.happen(760, "held")
        yield opened


@pytest.fixture(scope="module")
def kept(browser: Browser, place: House) -> str:
    """Log in once; the session's cookie."""
    with visiting(browser, place) as page:
        log_in(page)
        cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
        return cookies["responder-session"]


class Noticed:
    """What a browser complained of, and whom it asked."""

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        self.asked: set[str] = set()
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.add(request.url.split("/")[2]))


@contextmanager
def visiting(
    browser: Browser,
    place: House,
    session: str | None = None,
    *,
    scripts: bool = False,
    width: int = 1200,
    dark: bool = False,
) -> Iterator[Page]:
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{place.port}",
        java_script_enabled=scripts,
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
    )
    context.set_default_timeout(WAIT_MILLISECONDS)
    if session is not None:
        _give(context, place, session)
    try:
        yield context.new_page()
    finally:
        context.close()


def _give(context: BrowserContext, place: House, session: str) -> None:
    url = f"http://127.0.0.1:{place.port}"
    context.add_cookies(
        [{"name": "responder-session", "value": session, "url": url, "sameSite": "Strict"}]
    )


def log_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Overview"


def decisions_of(place: House) -> list[str]:
    return [f"/decisions/{decision['id']}" for decision in place.service.decisions()]


def test_what_the_portal_and_the_rules_say_is_shown_as_text(
    browser: Browser, place: House, kept: str
) -> None:
    with visiting(browser, place, kept, scripts=True) as page:
        noticed = Noticed(page)
        for path in ("/", "/decisions?show=all", "/rules", "/status", *decisions_of(place)):
            page.goto(path)
            assert page.title().endswith("· responder")
            assert page.locator("main script, main img").count() == 0
        page.goto("/decisions?outcome=killed")
        page.locator(".log th a").click()
        shown = page.get_by_role("main").inner_text()
        assert f"{SCRIPT} safe[U+202E]exe.fdp" in shown  # a deal's title
        assert f"A lost deal needs no approval. {SCRIPT}" in shown  # a rule's because
        assert f"Discount {SCRIPT}" in shown  # a template's name
        assert "Approve <b>it</b>" in shown
        assert noticed.complaints == []
        assert noticed.asked == {f"127.0.0.1:{place.port}"}


def test_another_sites_form_changes_nothing(browser: Browser, place: House, kept: str) -> None:
    paths = ("/pause", "/rules/lost-deal/rearm", "/logout")
    with visiting(browser, place, kept, scripts=True) as page, _another_site(place.port) as sites:
        for site in sites:
            for path in paths:
                page.goto(f"{site}{path}")
                page.get_by_text("This did not come from a page of ours").wait_for()
        page.goto("/status")
        assert page.get_by_role("button", name="Pause everything…").count() == 1
        banner = page.get_by_role("complementary", name="Alarms")
        assert banner.get_by_text("Rule lost-deal has tripped").count() == 1
        assert page.get_by_role("button", name="Log out").count() == 1


@contextmanager
def _another_site(port: int) -> Iterator[tuple[str, str]]:
    """Serve pages that send a form to us as soon as they are looked at."""

    class Evil(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(
                f"<form method=post action='http://127.0.0.1:{port}{self.path}'>"
                "<input name=sure value=yes><input name=csrf value=x></form>"
                "<script>document.forms[0].submit()</script>".encode()
            )

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - its name there
            del format

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server:
        threading.Thread(target=server.serve_forever).start()
        yield (
            f"http://127.0.0.1:{server.server_port}",  # the same host: cookies are sent along
            f"http://localhost:{server.server_port}",
        )
        server.shutdown()


@pytest.mark.parametrize("width", [320, 390])
def test_on_a_telephone_nothing_is_wider_than_the_screen(
    browser: Browser, place: House, kept: str, width: int
) -> None:
    with visiting(browser, place, kept, scripts=True, width=width) as page:
        texts = ("/docs", "/docs/rules", "/docs/audit", "/docs/settings", "/deploy/compose")
        for path in (
            "/decisions?show=all",
            "/rules",
            "/status",
            "/nope",
            "/approvals?tick=all",
            *texts,
            *decisions_of(place),
        ):
            page.goto(path)
            needed = page.evaluate("document.documentElement.scrollWidth")
            assert needed <= width, path


def test_in_the_dark_it_is_dark(browser: Browser, place: House, kept: str) -> None:
    grounds = []
    for dark in (False, True):
        with visiting(browser, place, kept, scripts=True, dark=dark) as page:
            page.goto("/")
            grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(244, 246, 247)", "rgb(18, 24, 27)"]


def test_by_keyboard_one_skips_to_the_content_and_sees_where_one_is(
    browser: Browser, place: House, kept: str
) -> None:
    with visiting(browser, place, kept, scripts=True) as page:
        page.goto("/decisions")
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        assert skip.evaluate("e => e === document.activeElement && e.offsetTop >= 0")
        assert skip.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "q"
        page.keyboard.type("deal 771")
        page.keyboard.press("Enter")
        page.get_by_text("Showing deal 771.").wait_for()


def test_a_screen_reader_finds_its_way(browser: Browser, place: House, kept: str) -> None:
    with visiting(browser, place, kept, scripts=True) as page:
        lists = ("/", "/decisions", "/approvals", "/rules", "/status")
        for path in (*lists, *decisions_of(place)[:2]):
            page.goto(path)
            assert page.get_by_role("heading", level=1).count() == 1
            assert page.get_by_role("main").count() == 1
            assert page.get_by_role("banner").count() == 1
            assert page.get_by_role("contentinfo").count() == 1
            here = page.get_by_role("navigation", name="Pages").locator("[aria-current=page]")
            assert here.count() == 1
            unnamed = "all => all.filter(one => one.type !== 'hidden' && !one.labels.length).length"
            assert page.locator("input, select").evaluate_all(unnamed) == 0
            assert page.locator("table:not(:has(caption))").count() == 0
            assert page.locator("th:not([scope])").count() == 0
        page.goto("/decisions")
        table = page.get_by_role("table", name="Decisions, the newest first")
        assert table.get_by_role("columnheader").all_inner_texts() == [
            "What",
            "Outcome",
            "Rule",
            "When",
        ]


@pytest.mark.skipif(not AXE.is_file(), reason="there is no axe-core on this machine")
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True)])
def test_axe_finds_nothing_that_keeps_anybody_out(
    browser: Browser, place: House, kept: str, width: int, dark: bool
) -> None:
    script, wrong = AXE.read_text(encoding="utf-8"), {}
    revision = str(place.service.decisions()[0]["ruleset"])
    lists = ("/", "/decisions?show=all", "/approvals?tick=all", "/rules", "/status")
    texts = ("/docs", "/docs/rules", "/docs/settings", "/deploy/compose")
    others = (f"/revisions/{revision}", "/decisions?from=x", "/approvals?rule=x")
    with visiting(browser, place, kept, scripts=True, width=width, dark=dark) as page:
        for path in (*lists, *texts, *others, "/nope", "/pause", "/login", *decisions_of(place)):
            page.goto(path)
            wrong[path] = _axe(page, script)
        for path, button in (("/status", "Pause everything…"), ("/rules", "Rearm… lost-deal")):
            page.goto(path)
            page.get_by_role("button", name=button).click()
            wrong[button] = _axe(page, script)
        page.goto("/approvals?tick=all")
        page.get_by_role("button", name="Approve what is ticked…").click()
        wrong["approve"] = _axe(page, script)
    assert {path: found for path, found in wrong.items() if found} == {}


def _axe(page: Page, script: str) -> list[str]:
    """Run axe on a page; return what violates its rules, and where."""
    page.evaluate(script)
    return list(
        page.evaluate(
            """async rules => (await axe.run({runOnly: rules, resultTypes: ["violations"]}))
            .violations.map(one => `${one.id}: ${one.nodes.map(node => node.html).join(" ")}`)""",
            AXE_RULES,
        )
    )


def test_on_paper_a_decision_has_its_proof_and_no_buttons(
    browser: Browser, place: House, kept: str
) -> None:
    with visiting(browser, place, kept, scripts=True) as page:
        page.goto("/decisions?outcome=killed")
        page.locator(".log th a").click()
        page.emulate_media(media="print")
        assert not page.get_by_role("navigation", name="Pages").is_visible()
        assert not page.get_by_role("link", name="Open deal 771 in the portal").is_visible()
        assert page.get_by_role("heading", name="What happened").is_visible()
        assert page.get_by_text("Tests of rule keep-vip").first.is_visible()


def test_the_whole_job_is_done_without_scripts(browser: Browser, place: House) -> None:
    with visiting(browser, place) as page:
        noticed = Noticed(page)
        log_in(page)
        page.get_by_role("link", name="All decisions").click()
        page.get_by_label("Search").fill("deal 772")
        page.get_by_role("button", name="Find").click()
        page.get_by_role("link", name="deal 772").first.click()
        assert "is condemned, and held" in page.get_by_role("heading", level=1).inner_text()
        assert page.get_by_text("its rule tripped over a limit").count() == 1
        assert page.get_by_role("row", name="deal.stage_semantic_id is F F holds").count() == 1
        page.get_by_role("link", name="Rule tripped").click()
        page.get_by_role("button", name="Rearm… lost-deal").click()
        page.get_by_role("button", name="Rearm lost-deal").click()
        assert page.get_by_role("status").inner_text().startswith("✓ Rearmed.")
        assert page.get_by_text("has tripped").count() == 0
        eventually(lambda: place.decided(772, "killed"))
        page.goto("/status")
        assert page.get_by_text("anna rearmed rule lost-deal").count() == 1
        page.get_by_role("button", name="Log out").click()
        assert page.get_by_text("You are logged out.").count() == 1
        page.goto("/")
        assert page.get_by_role("heading", level=1).inner_text() == "Log in"
        assert noticed.complaints == []
