"""Makes the README's picture anew, of a sandbox's log: `uv run python -m tests.docs.picture`.

It needs Chromium, as the tests of the pages do.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from responder.bitrix24.sandbox import SandboxServer, demo_portal
from responder.service.demo import RULES
from responder.service.pages.login.passwords import hashed
from tests.docs.texts import ROOT
from tests.service.pages.visiting import PASSWORD
from tests.support.processes import event, running

PICTURE = ROOT / "responder" / "docs" / "pictures" / "decision.png"
DEAL = 759
WIDTH, HEIGHT = 1120, 724


def make(chromium: str, place: Path) -> None:
    """Have the sandbox's lost deal judged, and take a picture of the page of that decision."""
    with (
        SandboxServer(demo_portal()) as portal,
        running(
            place, portal.url, rules=RULES, RESPONDER_ADMINS__ADMIN=hashed(PASSWORD)
        ) as service,
        sync_playwright() as playwright,
    ):
        assert service.post(event("ONCRMDEALUPDATE", DEAL)) == 200
        service.settled(1)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(
            base_url=f"http://127.0.0.1:{service.port}",
            viewport={"width": WIDTH, "height": HEIGHT},
            color_scheme="light",
        )
        page.goto("/")
        page.get_by_label("Name").fill("admin")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.goto("/?outcome=killed")
        page.locator(".log th a").click()
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        sys.exit("there is no Chromium on this machine")
    with tempfile.TemporaryDirectory() as folder:
        make(found, Path(folder))
