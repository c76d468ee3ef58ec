"""What waits for approval is one list: ticked, confirmed once, and what fails is named."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from responder.journal import approvals
from responder.journal import record as journal
from responder.journal.reading import decisions as log
from responder.model import Mode, Names
from responder.store.database.database import Connection, Database
from tests.service.pages.visiting import HASHED, Page, Visitor, pages, settings
from tests.support.evaluations import evaluation, kill
from tests.support.sqlite_first import migrated_url as migrated_url

pytestmark = pytest.mark.portal

NOW = datetime.now(UTC)


@pytest.fixture
def visitor(database: Database, tmp_path: Path) -> Iterator[Visitor]:
    with pages(database, settings(tmp_path, anna=HASHED), logged_in=True) as there:
        yield there


def asked(
    database: Database, *workflows: str, rule: str = "ask-first", names: Names | None = None
) -> list[str]:
    """Have a rule ask about workflows; return the decisions' names."""
    kills = (kill(one, rule=rule) for one in workflows)
    some = [replace(one, mode=Mode.APPROVE, due_at=NOW, names=names) for one in kills]

    def condemn(tx: Connection) -> list[str]:
        made = journal.record(tx, replace(evaluation(*some), at=NOW)).decisions
        for name in made:
            approvals.ask(tx, name, NOW + timedelta(hours=24), NOW)
        return list(made)

    return database.write(condemn)


def press(visitor: Visitor, act: str, *names: str, sure: bool = True) -> Page:
    csrf = visitor.get("/approvals").csrf
    pairs = [("csrf", csrf), ("act", act), *(("decision", name) for name in names)]
    form = "&".join(f"{key}={value}" for key, value in [*pairs, *([("sure", "yes")] * sure)])
    return visitor.ask("POST", "/approvals", form.encode(), Sec_Fetch_Site="same-origin")


def outcome(database: Database, name: str) -> object:
    found = database.read(lambda conn: log.one(conn, name))
    assert found is not None
    return found["outcome"]


def test_it_shows_what_is_asked_why_and_until_when(database: Database, visitor: Visitor) -> None:
    assert "Nothing waits to be approved." in visitor.get("/approvals").words
    first, second = asked(database, "a", "b")
    page = visitor.get("/approvals")
    for words in (
        "2 decisions wait for a person",
        "Kill workflow a of deal 759",
        "A lost deal needs no approval.",
        "template 61",
        f"waits until {NOW + timedelta(hours=24):%-d %b %Y}",
    ):
        assert words in page.words
    assert f'value="{first}">' in page.text
    assert f'value="{second}" checked' in visitor.get("/approvals?tick=all").text
    assert "Kill workflow a" not in visitor.get("/approvals?rule=another").words


def test_names_stand_before_ids(database: Database, visitor: Visitor) -> None:
    known = Names(title="Поставка", template="Discount approval", starter="Анна П.")
    first, _ = asked(database, "a", "b", names=known)
    words = visitor.get("/approvals").words
    assert "Kill Discount approval on deal 759 «Поставка»" in words
    assert "started by Анна П. deal 759, workflow a" in words
    confirm = press(visitor, "approve", first, sure=False).words
    assert "Discount approval on deal 759 «Поставка» started by Анна П. workflow a" in confirm
    together = visitor.get(f"/decisions/{first}").words.partition("Decided together with it")[2]
    assert re.match(r" Discount approval b .* started by Анна П\. ", together)


def test_several_are_approved_with_one_confirmation(database: Database, visitor: Visitor) -> None:
    first, second, third = asked(database, "a", "b", "c")
    confirm = press(visitor, "approve", first, second, sure=False)
    assert "Approve these?" in confirm.words
    assert (first in confirm.text, third in confirm.text) == (True, False)
    assert outcome(database, first) == "held"
    done = press(visitor, "approve", first, second)
    assert done.headers["location"] == "/approvals?done=approve-several"
    assert [outcome(database, one) for one in (first, second, third)] == ["waiting"] * 2 + ["held"]


def test_several_are_cancelled_and_what_could_not_be_is_named(
    database: Database, visitor: Visitor
) -> None:
    first, second = asked(database, "a", "b")
    press(visitor, "approve", first)
    database.write(lambda tx: journal.intend(tx, "main", first, NOW, {}))
    page = press(visitor, "cancel", first, second)
    assert page.status == 409
    assert "1 of 2 were cancelled." in page.words
    assert f"{first}: its call may have been made already." in page.words
    assert outcome(database, second) == "cancelled"
    again = press(visitor, "approve", second, sure=False)
    assert "None of these waits any more" in again.words


def test_without_a_tick_nothing_is_done(database: Database, visitor: Visitor) -> None:
    asked(database, "a")
    for act, names in (("approve", ()), ("kill", ("main-1-1",))):
        page = press(visitor, act, *names)
        assert (page.status, "Nothing was ticked" in page.words) == (400, True)
        assert '<a class="go" href="/approvals">Go back</a>' in page.text
    page = press(visitor, "approve", "main-999-1")
    assert (page.status, "nothing was approved" in page.words) == (404, True)
