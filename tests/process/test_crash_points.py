"""The real process killed at every commit of the path: afterwards everything ends as it should.

See `dying_service`, which kills itself; then the plain program is started.
"""

import http.client
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.journal.audit.integrity import check_log
from responder.store.database.database import Connection, Database
from responder.store.database.portal_tables import leases
from responder.store.inbox import inbox
from tests.support.next_due import next_due
from tests.support.processes import (
    HURRIED,
    TOKEN,
    Decision,
    Running,
    event,
    eventually,
    write_rules,
)

RULES = """\
version: 1
rules:
  - id: lost-deal
    mode: enforce
    when: [deal.updated]
    if: {deal.stage_semantic_id: F, workflow.template_id: 61}
    then: kill
    limit: {per_hour: 2}
"""
DEAL = ("crm", "CCrmDocumentDeal")
KILL = "bizproc.workflow.kill"
CONDEMNED = "65e5a449e8f135.00000001"


def nothing(_sandbox: Sandbox) -> None:
    """Change nothing."""


def lose_the_answer(sandbox: Sandbox) -> None:
    sandbox.fail_next(KILL, "act_then_drop")


def refuse_us(sandbox: Sandbox) -> None:
    sandbox.fail_next("*", "401", times=2)


def list_no_workflow_yet(sandbox: Sandbox) -> None:
    sandbox.end_workflow(CONDEMNED)


def start_it(sandbox: Sandbox) -> None:
    sandbox.start_workflow((*DEAL, "DEAL_759"), 61, id=CONDEMNED)


def run_too_many(sandbox: Sandbox) -> None:
    for _ in range(3):
        sandbox.start_workflow((*DEAL, "DEAL_759"), 61)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A commit of the path: what brings it about, and what is so once all is settled."""

    writes: str
    first: Callable[[Sandbox], None] = nothing
    then: Callable[[Sandbox], None] = nothing
    item_id: int = 759
    outcomes: tuple[str, ...] = ("killed",)


POINTS = {
    "the delivery": Point(writes="store.inbox.inbox.add"),
    "a bulk conclusion": Point(writes="journal.record.record_all", item_id=0, outcomes=()),
    "the gate": Point(writes="journal.record.intend_all"),
    "the outcome": Point(writes="journal.record.conclude_all"),
    "a doubt": Point(writes="journal.record.postpone", first=lose_the_answer),
    "the verification": Point(writes="journal.record.verified"),
    "a second look": Point(
        writes="store.inbox.second_looks.schedule_all", first=list_no_workflow_yet, then=start_it
    ),
    "a breaker": Point(writes="store.client_state.open_breaker", first=refuse_us),
    "a trip": Point(writes="store.limits.trip", first=run_too_many, outcomes=("held",) * 4),
}


def moments() -> Iterator[ParameterSet]:
    """Give every point, before and after, on both databases: each once, and the rest at length."""
    for number, name in enumerate(POINTS):
        for place, when in enumerate(("before", "after")):
            for kind, database in enumerate(("sqlite_url", "postgres_url")):
                often = (number + place + kind) % 2 == 0
                yield pytest.param(name, when, database, marks=() if often else pytest.mark.long)


@pytest.mark.parametrize(("name", "when", "database"), list(moments()))
def test_killed_at_a_commit_it_ends_as_if_nothing_had_happened(
    name: str, when: str, database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    database_url: str = request.getfixturevalue(database)
    point = POINTS[name]
    sandbox = Sandbox(kind="on_premise")  # where too many run on one deal at once
    sandbox.add_item(2, 759, stageSemanticId="F")
    start_it(sandbox)
    point.first(sandbox)
    with SandboxServer(sandbox) as server:
        service = prepared(tmp_path, server.url, database_url)
        acknowledged = die_at(service, point, when)
        sandbox.faults.clear()
        point.then(sandbox)
        end_lease(service)
        service.program = HURRIED
        service.start()
        try:
            if acknowledged == 0:
                assert service.post(body(point)) == 200
            decisions = settled(service)
        finally:
            service.end()
    check(point, sandbox, decisions, stored(service))


def prepared(place: Path, portal_url: str, database_url: str) -> Running:
    """Make everything ready to start."""
    write_rules(place, RULES)
    return Running(
        place,
        {
            "RESPONDER_MODE": "enforce",
            "RESPONDER_PORTALS__MAIN__URL": portal_url,
            "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        },
        database_url,
    )


def body(point: Point) -> str:
    """Write the event that leads to the point."""
    if point.item_id == 0:
        return event("ONCRMCONTACTADD", 5)
    return event("ONCRMDEALUPDATE", point.item_id)


def die_at(service: Running, point: Point, when: str) -> int:
    """Let the service run until it kills itself; return how many events it acknowledged."""
    service.launch("-m", "tests.support.dying_service", point.writes, when)
    assert service.process is not None
    eventually(lambda: receives(service), why=lambda: tail(service))
    try:
        acknowledged = int(service.post(body(point)) == 200)
    except (OSError, http.client.HTTPException):
        acknowledged = 0
    assert service.process.wait(20) == -9, tail(service)
    return acknowledged


def receives(service: Running) -> bool | None:
    """Tell whether it receives."""
    try:
        return service.get("/healthz")[0] == 200 or None
    except OSError:
        return None


def end_lease(service: Running) -> None:
    """Let the dead process's lease run out at once; it would take seconds."""
    with opened(service) as database:
        database.write(lambda tx: tx.execute(leases.update().values(expires_at=0)))


@contextmanager
def opened(service: Running) -> Iterator[Database]:
    """Open the program's database beside it."""
    database = Database(service.database_url)
    database.open()
    try:
        yield database
    finally:
        database.close()


def tail(service: Running) -> str:
    """Return the end of what the program said."""
    return service.log.read_text()[-3000:]


def settled(service: Running) -> list[Decision]:
    """Wait until nothing is left to do, verifications and second looks among it."""
    with opened(service) as database:

        def is_decided() -> bool | None:
            outcomes = {one["outcome"] for one in service.decisions()}
            return not (database.read(inbox.depth) or outcomes & {"waiting", "in_doubt"}) or None

        def is_done(conn: Connection) -> bool | None:
            return (not inbox.depth(conn) and next_due(conn, "main") is None) or None

        eventually(is_decided, why=lambda: tail(service))
        service.pass_a_minute()  # what is left is due in some seconds
        eventually(lambda: database.read(is_done), why=lambda: tail(service))
        service.waited_for_nothing_longer()
        assert check_log(database)[1] == []
    return service.decisions()


def stored(service: Running) -> list[str | None]:
    """Read which evaluation concluded each stored delivery."""
    with opened(service) as database:
        return [one.evaluation for one in inbox.received(database)]


def check(
    point: Point, sandbox: Sandbox, decisions: list[Decision], evaluations: list[str | None]
) -> None:
    """Assert that each event is concluded once, and each workflow killed once, or held."""
    assert 1 <= len(evaluations) <= 2
    events = {str(one["evaluation"]): one["events"] for one in decisions if one["events"]}
    assert Counter(str(one) for one in evaluations) == events
    assert tuple(one["outcome"] for one in decisions if one["outcome"]) == point.outcomes
    killed = [CONDEMNED] if "killed" in point.outcomes else []
    assert sandbox.killed == killed
    assert [call.params["ID"] for call in sandbox.calls_of(KILL)] == killed
