"""The front page: what needs somebody first, pictures that are tables too, old addresses."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from responder.journal import approvals
from responder.journal import record as journal
from responder.model import Mode, Names, Outcome
from responder.store import limits
from responder.store.database.database import Connection, Database
from tests.service.pages.visiting import HASHED, NAME, RULES, Page, pages, settings
from tests.support.evaluations import AT, DEAL, LATER, deliver, evaluation, kill, record
from tests.support.notified import conclude
from tests.support.sqlite_first import migrated_url as migrated_url

pytestmark = pytest.mark.portal

DAY = timedelta(days=1)
BYTES = 60_000


def front(database: Database, place: Path, *portals: str, rules: str = RULES) -> Page:
    given = settings(place, *portals, **{NAME: HASHED})
    with pages(database, given, rules=rules, now=lambda: LATER, logged_in=True) as visitor:
        return visitor.get("/")


def test_an_approval_says_what_is_asked_why_until_when_and_how_much(
    database: Database, tmp_path: Path
) -> None:
    known = Names(title="<b>Acme</b>", amount="52000", currency="RUB", template="Discount")
    asks = replace(kill(rule="ask-first"), mode=Mode.APPROVE, names=known)
    made = evaluation(asks)

    def write(tx: Connection) -> str:
        (name,) = journal.record(tx, made).decisions
        approvals.ask(tx, name, AT + DAY, AT)
        return name

    name = database.write(write)
    page = front(database, tmp_path)
    assert "1 decision of main waits for somebody's approval" in page.words
    asked = "Kill Discount on deal 759 «<b>Acme</b>, 52,000 RUB» A lost deal needs no approval."
    assert asked in page.words
    assert "Rule ask-first , until 25 Sep 2026, 12:00:00 UTC" in page.words
    assert f'href="/decisions/{name}"' in page.text


def test_where_nothing_needs_anybody_it_says_so(database: Database, tmp_path: Path) -> None:
    page = front(database, tmp_path)
    assert "Nothing needs you now." in page.words
    assert "No workflow was condemned." in page.words
    assert "<svg" in page.text  # what is used of the portal's limits
    assert "style=" not in page.text
    assert "<script" not in page.text


def test_stops_are_a_picture_and_a_table_by_hour(database: Database, tmp_path: Path) -> None:
    conclude(database, Outcome.KILLED, workflow_id="a")
    conclude(database, Outcome.KILLED, workflow_id="b")
    record(database, kill("c", Outcome.WOULD_KILL, rule="won-deal"))
    page = front(database, tmp_path)
    assert "Stops by hour (UTC)" in page.words
    assert "Hour stopped would be stopped 24 Sep, 12:00 2 1" in page.words
    assert len(re.findall(r'<path class="(?:done|would)"', page.text)) == 2
    assert "lost-deal enforce by day, the oldest first: 0, 0, 0, 0, 0, 0, 2 2 0 0 0" in page.words
    assert "won-deal observe by day, the oldest first: 0, 0, 0, 0, 0, 0, 1 0 1 0 0" in page.words


def test_the_picture_has_the_hours_of_the_time_zone(database: Database, tmp_path: Path) -> None:
    conclude(database, Outcome.KILLED)
    given = settings(tmp_path, **{NAME: HASHED}).model_copy(update={"timezone": "Asia/Kolkata"})
    with pages(database, given, now=lambda: LATER, logged_in=True) as visitor:
        page = visitor.get("/")
    assert "Stops by hour (Asia/Kolkata)" in page.words
    assert "Hour stopped 24 Sep, 17:30 1" in page.words
    assert "<span>18:30</span><span>00:30</span>" in page.text


def test_what_waits_is_counted_with_the_age_of_the_oldest(
    database: Database, tmp_path: Path
) -> None:
    database.write(deliver("deal:1", "deal:2"))
    record(database)
    words = front(database, tmp_path).words
    assert "events to be judged the oldest for 10 seconds 2 stops that wait 0" in words
    assert "main , 2 events waiting" in words


def test_an_old_address_of_the_log_still_leads_to_it(database: Database, tmp_path: Path) -> None:
    given = settings(tmp_path, **{NAME: HASHED})
    with pages(database, given, now=lambda: LATER, logged_in=True) as visitor:
        moved = visitor.get("/?outcome=held&rule=lost-deal")
        assert moved.status == 303
        assert moved.headers["location"] == "/decisions?outcome=held&rule=lost-deal"
        assert visitor.get(moved.headers["location"]).status == 200


def test_however_much_there_is_it_stays_small(database: Database, tmp_path: Path) -> None:
    names = [f"portal_{number}" for number in range(60)]
    rules = "version: 1\nrules:\n" + "".join(
        f"  - {{id: rule-{number:03d}, when: [deal.updated], portals: [portal_1],"
        f" if: {{workflow.template_id: {number}}}, then: kill}}\n"
        for number in range(1, 200)
    )

    def write(tx: Connection) -> None:
        for number in range(1, 100):
            limits.trip(tx, "portal_1", f"rule-{number:03d}", AT, "too many at once " * 5)
            name = f"{number:013x}.1"
            decision = replace(kill(name, rule=f"rule-{number:03d}"), mode=Mode.APPROVE)
            made = replace(
                evaluation(decision, portal="portal_1"),
                at=AT - number * timedelta(hours=1),
                document=replace(DEAL, item_id=str(number)),
            )
            (held,) = journal.record(tx, made).decisions
            approvals.ask(tx, held, AT + DAY, AT)

    database.write(write)
    page = front(database, tmp_path, *names, rules=rules)
    assert len(page.body) <= BYTES
    assert "88 alarms more" in page.words
    assert "48 portals more" in page.words
    assert "174 rules more" in page.words


def test_it_has_no_banner_for_the_alarms_are_its_own(database: Database, tmp_path: Path) -> None:
    database.write(lambda tx: limits.pause(tx, AT, "anna"))
    page = front(database, tmp_path)
    assert page.words.count("Everything is paused by anna") == 1
