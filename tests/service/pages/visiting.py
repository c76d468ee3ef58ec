"""A house to visit: a service with pages and a log worth reading. Visitors without a browser."""

import asyncio
import html
import http.client
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

from pydantic import SecretStr

from responder.adapters.metrics import Metrics
from responder.bitrix24.sandbox import Sandbox, SandboxServer, demo_portal
from responder.judge.rules_in_force import RulesInForce
from responder.receive.refused_callers import RefusedRequests
from responder.service.alarms.known import Here
from responder.service.pages.application import application
from responder.service.pages.site import Commits, Site
from responder.settings.settings import PortalSettings, Settings
from responder.store import admin_sessions
from responder.store.database.database import Connection, Database
from tests.support.processes import TOKEN, Running, event, eventually, running
from tests.support.uvicorn_thread import served

T = TypeVar("T")

NAME, PASSWORD = "anna", "correct horse battery staple"
# as older versions made it: it takes a sixth of the time to check
HASHED = "scrypt:14:8:AAECAwQFBgcICQoLDA0ODw:11kKyiyYAc8G7rp3KmncMc44YlkdllIqxOa7pq0fMaU"
SCRIPT = "<script>document.title = 'taken over'</script>"
HIDDEN = "safe\u202eexe.fdp"
DEAL = ("crm", "CCrmDocumentDeal")

RULES = f"""\
version: 1
lists: {{vip_companies: [17, 204]}}
rules:
  - id: keep-vip
    because: We ask before we stop anything of theirs.
    if: {{deal.company_id: {{in_list: vip_companies}}}}
    then: leave
  - id: lost-deal
    because: "A lost deal needs no approval. {SCRIPT}"
    mode: enforce
    when: [deal.updated]
    if: {{deal.stage_semantic_id: F, workflow.template_id: 61}}
    unless: {{deal.title: {{starts_with: Tender}}}}
    limit: {{per_hour: 1}}
    then: kill
  - id: won-deal
    when: [deal.updated]
    if: {{deal.stage_semantic_id: S, workflow.template_id: 7}}
    then: kill
  - id: ask-first
    because: Somebody should look first.
    mode: approve
    when: [deal.updated]
    if: {{deal.stage_semantic_id: P, workflow.template_id: 61}}
    then: kill
"""

Form = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def words(self) -> str:
        """The text that a person reads, each space one."""
        plain = re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", self.text, flags=re.S)
        return re.sub(r"\s+", " ", html.unescape(plain))

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.text)
        assert found is not None, self.text
        return found[1]


@dataclass(slots=True)
class Visitor:
    """Asks as a browser would, and keeps cookies."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"

    def ask(self, method: str, path: str, form: Form | bytes | None = None, **headers: str) -> Page:
        return self._ask(method, path, form, headers)

    def _ask(
        self, method: str, path: str, form: Form | bytes | None, headers: Mapping[str, str]
    ) -> Page:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        sent = {"Host": f"{self.host}:{self.port}"}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = form if form is None or isinstance(form, bytes) else urlencode(form).encode()
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            page = Page(answer.status, dict(answer.getheaders()), answer.read())
            for value in answer.headers.get_all("set-cookie") or ():
                for name, morsel in SimpleCookie(value).items():
                    self.cookies[name] = morsel.value
            return page
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Page:
        return self._ask("GET", path, None, headers)

    def post(self, path: str, form: Form, **headers: str) -> Page:
        """Send a form as one of our own pages does."""
        return self._ask("POST", path, form, {"Sec_Fetch_Site": "same-origin"} | headers)

    def log_in(self, name: str = NAME, password: str = PASSWORD) -> Page:
        return self.post("/login", {"name": name, "password": password})

    def do(self, path: str, **form: str) -> Page:
        """Press a button, and say yes to the question."""
        csrf = self.get("/status").csrf
        return self.post(path, {"csrf": csrf, "sure": "yes", **form})


@dataclass(frozen=True, slots=True)
class House:
    """A service with pages, and the portal it drives."""

    service: Running
    portal: Sandbox

    @property
    def port(self) -> int:
        return self.service.port

    def visitor(self) -> Visitor:
        return Visitor(self.port)

    def admin(self) -> Visitor:
        visitor = self.visitor()
        assert visitor.log_in().status == 303
        return visitor

    def happen(self, deal: int, outcome: str | None) -> str:
        """Have a deal updated, and return the decision that has this outcome then."""
        assert self.service.post(event("ONCRMDEALUPDATE", deal)) == 200
        return self.decided(deal, outcome)

    def decided(self, deal: int, outcome: str | None) -> str:
        def look() -> str | None:
            for one in self.service.decisions():
                triple = one["document"]
                assert triple is None or isinstance(triple, list)
                if triple and triple[2] == f"DEAL_{deal}" and one["outcome"] == outcome:
                    return str(one["id"])
            return None

        return eventually(look, why=lambda: str(self.service.decisions()))


def add_deal(portal: Sandbox, deal: int, semantics: str, title: str) -> None:
    """Add a deal."""
    portal.add_item(
        2,
        deal,
        title=title,
        categoryId=0,
        stageId="LOSE",
        stageSemanticId=semantics,
        opportunity=1.0,
        currencyId="RUB",
        companyId=31,
        contactId=0,
        assignedById=7,
        createdBy=7,
        opened="Y",
        createdTime=portal.instant(),
    )


def start(portal: Sandbox, deal: int) -> None:
    """Start a workflow on a deal, which waits for somebody."""
    workflow = portal.start_workflow((*DEAL, f"DEAL_{deal}"), 61, started_by=7)
    portal.add_bizproc_task(workflow, 9, "Approve <b>it</b>")


@contextmanager
def house(place: Path, **environment: str) -> Iterator[House]:
    """Run a service with one admin against a portal of demo deals."""
    portal = demo_portal()
    portal.add_template(61, f"Discount {SCRIPT}")
    with (
        SandboxServer(portal) as server,
        running(
            place,
            server.url,
            rules=RULES,
            **{"RESPONDER_ADMINS__ANNA": HASHED, **environment},
        ) as service,
    ):
        yield House(service, portal)


def settings(place: Path, *portals: str, **admins: str) -> Settings:
    """Describe an installation whose portals nobody calls."""
    urls = {
        name: f"https://{name}.example/rest/1/hook-secret-0001/" for name in portals or ("main",)
    }
    return Settings(
        portals={
            name: PortalSettings(
                url=SecretStr(url), application_tokens=(SecretStr(f"{TOKEN}-{name}"),)
            )
            for name, url in urls.items()
        },
        rules=place / "rules.yaml",
        admins={name: SecretStr(hashed_) for name, hashed_ in admins.items()},
    )


@contextmanager
def pages(
    database: Database,
    given: Settings,
    *,
    rules: str = RULES,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    clock: Callable[[], float] = time.monotonic,
    condition: Mapping[str, object] | None = None,
    logged_in: bool = False,
) -> Iterator[Visitor]:
    """Serve the pages alone, without anything that drives a portal."""
    given.rules.write_text(rules, encoding="utf-8")
    here = condition or {"driving": False, "webhook_silent": False, "breaker": None}

    async def write(fn: Callable[[Connection], T]) -> T:
        return await asyncio.to_thread(database.write, fn)

    site = Site(
        settings=given,
        database=database,
        rules=RulesInForce(given.rules, portals=given.portals, now=now),
        commits=Commits(write),
        condition=lambda _: here,
        here=lambda: Here(
            away={"main": _instant(here.get("unreachable_since"))},
            silent={"main": here.get("webhook_silent") is True},
        ),
        on_refused=RefusedRequests(Metrics()).count,
        now=now,
        clock=clock,
    )
    with served(application(site)) as port:
        yield Visitor(port, _session(site) if logged_in else {})


def _instant(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None


def _session(site: Site) -> dict[str, str]:
    """Begin a session without asking for the password, which takes its time."""
    mark = site.admins.mark(NAME)
    assert mark is not None
    site.database.write(lambda tx: admin_sessions.begin(tx, "a-session", NAME, mark, site.now()))
    return {"responder-session": "a-session"}
