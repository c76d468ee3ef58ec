"""A stopped workflow has a button to start it anew, and its page says what came of that."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from responder.journal import record as journal
from responder.journal import restarts
from responder.journal.restarts import Restart
from responder.model import Outcome
from responder.store.database.database import Connection, Database
from tests.service.pages.visiting import HASHED, Visitor, pages, settings
from tests.support.evaluations import kill, record
from tests.support.sqlite_first import migrated_url as migrated_url

pytestmark = pytest.mark.portal

NOW = datetime.now(UTC)


@pytest.fixture
def visitor(database: Database, tmp_path: Path) -> Iterator[Visitor]:
    with pages(database, settings(tmp_path, anna=HASHED), logged_in=True) as there:
        yield there


@pytest.fixture
def stopped(database: Database) -> str:
    (name,) = record(database, kill()).decisions

    def write(tx: Connection) -> None:
        journal.intend(tx, "main", name, NOW, {})
        journal.conclude(tx, name, Outcome.KILLED, at=NOW, receipt=True)

    database.write(write)
    return name


def found(database: Database, name: str) -> Restart:
    one = database.read(lambda conn: restarts.find(conn, name))
    assert one is not None
    return one


def test_the_button_asks_once_more_and_its_page_shows_what_came_of_it(
    database: Database, visitor: Visitor, stopped: str
) -> None:
    path = f"/decisions/{stopped}"
    assert "Start it anew…" in visitor.get(path).words
    csrf = visitor.get(path).csrf
    asked = visitor.post(f"{path}/restart", {"csrf": csrf}).words
    assert "Start the workflow of decision main-1-1 anew? Deal 759." in asked
    assert "neither is kept of what was stopped" in asked
    assert database.read(lambda conn: restarts.find(conn, stopped)) is None
    done = visitor.do(f"{path}/restart")
    assert done.headers["location"] == f"{path}?done=restart-asked"
    one = found(database, stopped)
    assert (one.by, one.anyway, one.state) == ("anna", False, "waiting")
    page = visitor.get(path)
    assert "It waits for the portal's driver." in page.words
    assert f'<a class="go" href="{path}">Look again</a>' in page.text
    why = "rule lost-deal would condemn it again at once"
    database.write(lambda tx: restarts.end(tx, one, "refused", NOW, detail=why))
    page = visitor.get(path)
    assert f"Nothing was started when anna asked for it {NOW:%-d}" in page.words
    assert why in page.words
    assert ("Start it anyway…" in page.words, "Look again" in page.words) == (True, False)
    visitor.do(f"{path}/restart", anyway="yes")
    again = found(database, stopped)
    assert again.anyway
    database.write(lambda tx: restarts.call(tx, again, [], NOW))
    called = found(database, stopped)
    database.write(lambda tx: restarts.end(tx, called, "started", NOW, started_id="new.1"))
    page = visitor.get(path)
    assert "Template 61 was started anew as workflow new.1" in page.words
    assert "anna asked for it to be started anew, even if the rules" in page.words
    assert "Start it" not in page.words
    refused = visitor.do(f"{path}/restart")
    assert (refused.status, "workflow new.1 was started" in refused.words) == (409, True)


def test_what_is_in_doubt_says_so_and_has_no_button(
    database: Database, visitor: Visitor, stopped: str
) -> None:
    database.write(lambda tx: restarts.ask(tx, stopped, anyway=False, by="anna", at=NOW))
    one = found(database, stopped)
    database.write(lambda tx: restarts.call(tx, one, [], NOW))
    called = found(database, stopped)
    database.write(lambda tx: restarts.end(tx, called, "in_doubt", NOW, detail="It is lost."))
    page = visitor.get(f"/decisions/{stopped}").words
    assert "Perhaps it was started when anna asked for it" in page
    assert "It is not called again." in page
    assert "Start it" not in page


def test_what_stopped_nothing_has_none(database: Database, visitor: Visitor) -> None:
    (name,) = record(database, kill("b", Outcome.WOULD_KILL)).decisions
    assert "Starting it anew" not in visitor.get(f"/decisions/{name}").words
    refused = visitor.do(f"/decisions/{name}/restart")
    assert (refused.status, "stopped nothing: it is would_kill" in refused.words) == (409, True)
