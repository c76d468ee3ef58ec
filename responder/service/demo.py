"""Plays the main job on real HTTP with nothing to set up: a sandbox portal, the service, a story.

Everything is in a temporary directory and on free ports of this machine, and is gone afterwards.
"""

import asyncio
import http.client
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import click
from pydantic import SecretStr

from responder.adapters import logs
from responder.bitrix24.sandbox import SandboxServer, demo_portal
from responder.journal import open_stops
from responder.journal.reading import decisions
from responder.model import Mode
from responder.service.app import Service, serving
from responder.settings.settings import PortalSettings, Settings, secrets
from responder.store.database.database import Database
from responder.store.inbox import inbox

T = TypeVar("T")

TOKEN = "demo-application-token-0001"  # noqa: S105 - a test value of the demo's own portal
PORTAL = "demo"
PATIENCE_SECONDS = 20.0

RULES = """\
version: 1
lists: {vip_companies: [17, 204]}

rules:
  - id: keep-vip
    because: We ask before we stop anything of theirs.
    if: {deal.company_id: {in_list: vip_companies}}
    then: leave

  - id: lost-deal
    because: A lost deal needs no approval.
    mode: enforce
    when: [deal.updated]
    if:
      deal.stage_semantic_id: F
      workflow.template_id: 61
    then: kill
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """An event of the story, and how it should end: outcomes by rule, or the HTTP status."""

    title: str
    deal: int
    token: str
    status: int
    outcomes: frozenset[tuple[str | None, str | None]]


STORY = (
    Chapter(
        title="Deal 759 was lost. Its discount approval (template 61) is still running.",
        deal=759,
        token=TOKEN,
        status=200,
        outcomes=frozenset({("lost-deal", "killed"), (None, None)}),
    ),
    Chapter(
        title="Deal 760 was changed, but it is still open.",
        deal=760,
        token=TOKEN,
        status=200,
        outcomes=frozenset({(None, None)}),
    ),
    Chapter(
        title="Deal 761 was lost too, but its company is on the list of protected ones.",
        deal=761,
        token=TOKEN,
        status=200,
        outcomes=frozenset({("keep-vip", "left")}),
    ),
    Chapter(
        title="Somebody who does not know the application token says that deal 759 was updated.",
        deal=759,
        token="a-guess-of-somebody-else",  # noqa: S106 - the wrong one, on purpose
        status=403,
        outcomes=frozenset(),
    ),
)


async def play(*, keep: bool) -> bool:
    """Play the story; return whether it ended as it should."""
    with tempfile.TemporaryDirectory(prefix="responder-demo-") as folder:
        place = Path(folder)
        (place / "rules.yaml").write_text(RULES, encoding="utf-8")
        with SandboxServer(demo_portal()) as portal:
            settings = _settings(place, portal.url)
            logs.configure("error", secrets(settings))
            async with _running(settings) as (service, port):
                _print_introduction(port, portal.url)
                ended = [
                    await _play_chapter(number, c, service, port)
                    for number, c in enumerate(STORY, 1)
                ]
                verified = await _verified(service)
                _print_result(portal, fine=all(ended) and verified)
                if keep:
                    await _keep_running(settings, port)
    return all(ended) and verified


def _settings(place: Path, url: str) -> Settings:
    return Settings(
        portals={
            PORTAL: PortalSettings(url=SecretStr(url), application_tokens=(SecretStr(TOKEN),))
        },
        rules=place / "rules.yaml",
        database_url=SecretStr(f"sqlite:///{place / 'responder.db'}"),
        mode=Mode.ENFORCE,
        port=0,
    )


@asynccontextmanager
async def _running(settings: Settings) -> AsyncIterator[tuple[Service, int]]:
    service = await asyncio.to_thread(Service, settings)
    async with serving(service) as port:
        yield service, port


def _print_introduction(port: int, url: str) -> None:
    _print_line("")
    _print_line(f"A sandbox portal listens on {url.split('/rest/')[0]},")
    _print_line(f"responder receives its events on http://127.0.0.1:{port}/events. Its rules:")
    _print_line("")
    for line in RULES.splitlines():
        _print_line(click.style(f"    {line}", dim=True))


async def _play_chapter(number: int, chapter: Chapter, service: Service, port: int) -> bool:
    """Send one event and print what came of it; return whether that was right."""
    _print_line("")
    _print_line(click.style(f"{number}. {chapter.title}", bold=True))
    before = await asyncio.to_thread(_ids, service.database)
    status = await asyncio.to_thread(_post, port, chapter)
    _print_line(f"   POST /events  ONCRMDEALUPDATE {chapter.deal}  ->  {status}")
    if status != 200:
        _print_line("   Refused: nothing was stored, nothing was looked up, nothing was done.")
        after = await asyncio.to_thread(_ids, service.database)
        return status == chapter.status and after == before
    new = await _concluded(service, before)
    for decision in new:
        _print_decision(decision)
    seen = {(_text(decision["rule"]), _text(decision["outcome"])) for decision in new}
    return status == chapter.status and seen == chapter.outcomes


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _post(port: int, chapter: Chapter) -> int:
    """Send what Bitrix24 sends, a form with PHP's brackets; return the status."""
    form = {
        "event": "ONCRMDEALUPDATE",
        "event_handler_id": "201",
        "data[FIELDS][ID]": str(chapter.deal),
        "ts": "1736405807",
        "auth[domain]": "sandbox.example",
        "auth[application_token]": chapter.token,
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(
            "POST",
            "/events",
            urlencode(form),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        return connection.getresponse().status
    finally:
        connection.close()


def _ids(database: Database) -> set[object]:
    return {decision["id"] for decision in decisions.decisions(database)}


async def _concluded(service: Service, before: set[object]) -> list[dict[str, object]]:
    """Return the new decisions, once the event is concluded and no stop is open."""

    def read(database: Database) -> list[dict[str, object]] | None:
        if database.read(lambda c: inbox.depth(c) or open_stops.open_stops(c, PORTAL)):
            return None
        return [d for d in decisions.decisions(database) if d["id"] not in before] or None

    return await _until(service, read) or []


async def _verified(service: Service) -> bool:
    """Return whether the killed workflow was looked for again and not found."""

    def read(database: Database) -> bool | None:
        killed = [d for d in decisions.decisions(database) if d["outcome"] == "killed"]
        return True if killed and all(d["verified_at"] for d in killed) else None

    _print_line("")
    _print_line("Looking for the killed workflow once more, to be sure that it stays away …")
    return bool(await _until(service, read))


async def _until(service: Service, read: Callable[[Database], T | None]) -> T | None:
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        found = await asyncio.to_thread(read, service.database)
        if found is not None:
            return found
        await asyncio.sleep(0.05)
    return None


def _print_decision(decision: Mapping[str, object]) -> None:
    workflow = decision["workflow"]
    name = f"workflow {workflow['id']}" if isinstance(workflow, dict) else "the rest"
    if decision["action"] == "none":
        _print_line(f"   {name}: nothing was done ({decision['reason']})")
    else:
        _print_line(
            click.style(f"   {name}: {decision['outcome']}", fg="green")
            + f" by rule {decision['rule']}"
        )
    if decision["because"]:
        _print_line(f"      because: {decision['because']}")
    conditions = decision["conditions"]
    if isinstance(conditions, list):
        for condition in conditions:
            _print_condition(condition)


def _print_condition(condition: Mapping[str, object]) -> None:
    mark = {True: "yes", False: "no ", None: "?  "}[condition["holds"]]  # type: ignore[index]
    _print_line(
        click.style(f"      {mark}  {condition['rule']}  ", dim=True)
        + f"{condition['path']} {condition['test']}"
        + click.style(f"   (it is {condition['value']!r})", dim=True)
    )


def _print_result(portal: SandboxServer, *, fine: bool) -> None:
    killed = portal.sandbox.killed
    _print_line(f"The portal saw {portal.sandbox.http_requests} requests and {len(killed)} kill.")
    _print_line("")
    if fine:
        _print_line(click.style("The story ended as it should.", fg="green", bold=True))
    else:
        _print_line(click.style("The story did NOT end as it should.", fg="red", bold=True))
    _print_line(
        "Next: `responder demo --keep` leaves both running. `responder docs operating` says how to"
    )
    _print_line(
        "point your own portal at `responder serve`, which observes at first and kills nothing."
    )


async def _keep_running(settings: Settings, port: int) -> None:
    _print_line("")
    _print_line("Both are still running. Send it an event (in another terminal):")
    _print_line(
        f"  curl -d 'event=ONCRMDEALUPDATE&data[FIELDS][ID]=762&auth[application_token]={TOKEN}'"
        f" http://127.0.0.1:{port}/events"
    )
    _print_line("and read the decisions:")
    _print_line(
        f"  RESPONDER_DATABASE_URL={settings.database_url.get_secret_value()}"
        f" RESPONDER_PORTALS__DEMO__URL=… responder decisions"
    )
    _print_line("Ctrl-C ends both and leaves nothing behind.")
    await asyncio.Event().wait()


def _print_line(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()
