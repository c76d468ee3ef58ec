"""What an admin does by a button: asked once more, done, and logged with their name."""

from collections.abc import Iterator

import pytest

from responder.journal.reading.counts import recent_controls
from responder.store.database.database import Database
from tests.service.pages.visiting import House, Visitor, add_deal, house, start
from tests.support.processes import eventually

pytestmark = pytest.mark.portal


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("acts")) as opened:
        for deal, semantics in ((780, "F"), (781, "F"), (782, "P"), (783, "P"), (784, "P")):
            add_deal(opened.portal, deal, semantics, f"Deal {deal}")
            start(opened.portal, deal)
        yield opened


@pytest.fixture(scope="module")
def anna(place: House) -> Visitor:
    return place.admin()


def _acts(place: House) -> list[tuple[object, object]]:
    database = Database(place.service.database_url)
    database.open()
    try:
        found = database.read(recent_controls)
    finally:
        database.close()
    return [(act.body.get("control"), act.body.get("by")) for act in found]


def test_a_button_asks_once_more_and_does_nothing_yet(anna: Visitor) -> None:
    page = anna.post("/pause", {"csrf": anna.get("/status").csrf})
    assert page.status == 200
    assert "Pause everything?" in page.words
    assert "you, anna , did this" in page.words
    assert "Everything is paused" not in anna.get("/status").words


def test_pause_and_resume_leave_the_name_of_who_did_it(place: House, anna: Visitor) -> None:
    assert anna.do("/pause").headers["location"] == "/status?done=paused"
    status = anna.get("/status?done=paused").words
    assert "Paused. Nothing more is begun" in status
    assert "Everything is paused by anna" in anna.get("/").words
    assert "Everything is paused by anna" in anna.get("/rules").words
    assert anna.do("/pause").headers["location"] == "/status?done=paused-already"
    assert "Resume?" in anna.post("/resume", {"csrf": anna.get("/").csrf}).words
    assert anna.do("/resume").headers["location"] == "/status?done=resumed"
    assert anna.do("/resume").headers["location"] == "/status?done=resumed-already"
    assert "Everything is paused" not in anna.get("/").words
    assert _acts(place)[:2] == [("resume", "anna"), ("pause", "anna")]
    assert "anna paused everything" in anna.get("/status").words


def test_a_tripped_rule_is_rearmed_and_acts_again(place: House, anna: Visitor) -> None:
    place.happen(780, "killed")
    held = place.happen(781, "held")
    rules = anna.get("/rules").words
    assert "lost-deal enforce ! tripped" in rules
    assert "1 of 1 allowed" in rules
    assert "Rule lost-deal has tripped" in anna.get("/").words
    asked = anna.post("/rules/lost-deal/rearm", {"csrf": anna.get("/").csrf, "portal": "main"})
    assert "Rearm rule lost-deal?" in asked.words
    done = anna.do("/rules/lost-deal/rearm", portal="main")
    assert done.headers["location"] == "/rules?done=rearmed"
    assert place.decided(781, "killed") == held
    assert "has tripped" not in anna.get("/").words
    assert ("rearm", "anna") in _acts(place)


def test_a_rule_that_is_none_is_not_rearmed(anna: Visitor) -> None:
    page = anna.do("/rules/no-such-rule/rearm")
    assert page.status == 404
    assert "There is no rule no-such-rule that stops anything." in page.words


def test_a_waiting_decision_is_cancelled(place: House, anna: Visitor) -> None:
    held = place.happen(782, "held")
    asked = anna.post(f"/decisions/{held}/cancel", {"csrf": anna.get("/").csrf})
    assert "Rule ask-first condemned workflow" in asked.words
    done = anna.do(f"/decisions/{held}/cancel")
    assert done.headers["location"] == f"/decisions/{held}?done=cancelled"
    page = anna.get(f"/decisions/{held}?done=cancelled").words
    assert "Cancelled. Nothing comes of this decision." in page
    assert "By a person" in page
    assert "anna cancelled it" in page
    assert "Cancel this decision" not in page
    again = anna.do(f"/decisions/{held}/cancel")
    assert (again.status, "does not wait any more" in again.words) == (409, True)


@pytest.mark.parametrize(("act", "asked_for"), [("cancel", 404), ("approve", 409)])
def test_a_decision_that_is_not_there_is_not_acted_upon(
    anna: Visitor, act: str, asked_for: int
) -> None:
    asked = anna.post(f"/decisions/main-9999-1/{act}", {"csrf": anna.get("/").csrf})
    assert asked.status == asked_for
    done = anna.do(f"/decisions/main-9999-1/{act}")
    assert done.status == 404
    assert "The log has no decision main-9999-1" in done.words


def test_what_asks_first_is_approved_and_stopped(place: House, anna: Visitor) -> None:
    held = place.happen(783, "held")
    page = anna.get(f"/decisions/{held}").words
    assert "Approve…" in page
    asked = anna.post(f"/decisions/{held}/approve", {"csrf": anna.get("/").csrf})
    assert "Approve what rule ask-first condemned?" in asked.words
    assert "deal 783" in asked.words
    done = anna.do(f"/decisions/{held}/approve", decision=held)
    assert done.headers["location"] == f"/decisions/{held}?done=approved"
    assert place.decided(783, "killed") == held
    assert "anna approved it" in anna.get(f"/decisions/{held}").words
    late = anna.do(f"/decisions/{held}/approve", decision=held)
    assert (late.status, "0 were approved" in late.words) == (409, True)


def test_a_decision_held_by_a_pause_is_judged_afresh_on_resume(place: House, anna: Visitor) -> None:
    held = place.happen(784, "held")
    anna.do("/pause")
    anna.do(f"/decisions/{held}/approve", decision=held)

    def noted() -> bool | None:
        return "everything is paused" in anna.get(f"/decisions/{held}").words or None

    eventually(noted)
    anna.do("/resume")
    assert place.decided(784, "killed") == held
