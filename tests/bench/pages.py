"""Measures how fast the pages answer with a million decisions in the log, on SQLite, over HTTP.

Run it as `python -m tests.bench pages`. To fill the log takes longer than to measure.
"""

import http.client
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from responder.service.pages.login.passwords import hashed
from responder.store.database.database import Database
from tests.bench import million
from tests.bench.figures import Figure, percentile
from tests.service.pages.visiting import NAME, PASSWORD, Visitor
from tests.support.processes import running

MILLISECONDS = 50.0
TIMES = 50
NOWHERE = "http://127.0.0.1:9/rest/1/hook-secret-0001/"  # nothing is called

RULES = "version: 1\nrules:\n" + "".join(
    f"""\
  - id: rule-{number:02d}
    because: A lost deal needs no approval.
    mode: enforce
    when: [deal.updated]
    if: {{deal.stage_semantic_id: F, workflow.template_id: {60 + number}}}
    then: kill
"""
    for number in range(million.RULES)
)


def paths() -> Iterator[tuple[str, str]]:
    """Name each page and each filter that people use, and some that find nothing."""
    middle = million.EVALUATIONS // 2 * 3 + 1
    day = datetime.now(UTC).date().replace(day=1)
    yield "the front page", "/"
    yield "the log", "/decisions"
    yield "with what condemned nothing", "/decisions?show=all"
    yield "one outcome", "/decisions?outcome=killed"
    yield "an outcome that never was", "/decisions?outcome=terminated"
    yield "what is open", "/decisions?outcome=open"
    yield "one rule", "/decisions?rule=rule-07"
    yield "a rule with an outcome it never had", "/decisions?rule=rule-03&outcome=left"
    yield "one action", "/decisions?action=leave"
    yield "an action that never was", "/decisions?action=terminate"
    yield "one portal", "/decisions?portal=main"
    yield "until a day", f"/decisions?to={day}"
    yield "a document", "/decisions?q=deal+759"
    yield "a number", "/decisions?q=759"
    yield "how a workflow begins", "/decisions?q=655fd0"
    yield "words that stand in all", "/decisions?q=pumps"
    yield "words that stand in none", "/decisions?q=nothing+has+these+words"
    yield "one decision", f"/decisions/main-{middle}-1"
    yield "the rules", "/rules"
    yield "a revision of them", "/revisions/0123456789abcdef"
    yield "status", "/status"


def measure() -> list[Figure]:
    """Fill a log, and ask for each page fifty times."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        url = f"sqlite:///{place / 'responder.db'}"
        database = Database(url)
        database.open()
        database.migrate()
        million.fill(database, RULES, datetime.now(UTC))
        database.close()
        with running(
            place,
            NOWHERE,
            rules=RULES,
            database_url=url,
            RESPONDER_ADMINS__ANNA=hashed(PASSWORD),
            RESPONDER_KEEP_DAYS="3650",
            RESPONDER_LOG_LEVEL="warning",
        ) as service:
            visitor = Visitor(service.port)
            assert visitor.log_in(NAME, PASSWORD).status == 303
            spent = {what: times(visitor, path) for what, path in paths()}
    return list(figures(spent))


def times(visitor: Visitor, path: str) -> list[float]:
    """Ask for a page again and again on one connection; return how long each took, in ms."""
    connection = http.client.HTTPConnection("127.0.0.1", visitor.port, timeout=30)
    cookie = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    spent = []
    for _ in range(TIMES):
        began = time.perf_counter()
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        answer.read()
        spent.append((time.perf_counter() - began) * 1000)
        assert answer.status == 200, (path, answer.status)
    connection.close()
    return spent


def figures(spent: dict[str, list[float]]) -> Iterator[Figure]:
    """Name what was measured."""
    for what, values in spent.items():
        middle = statistics.median(values)
        yield Figure(f"page with 1,000,000 decisions, p50: {what}", middle, "ms", MILLISECONDS)
    worst = max(percentile(values, 95) for values in spent.values())
    yield Figure("page with 1,000,000 decisions, worst p95 of them", worst, "ms")
