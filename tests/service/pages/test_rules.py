"""The pages of rules and status, and decisions that are made for them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from responder.journal import record as journal
from responder.model import Breaker, Mode, Outcome
from responder.settings.settings import Settings
from responder.store import client_state, limits, rulesets
from responder.store.database.database import Connection, Database
from tests.service.pages.visiting import HASHED, Visitor, pages, settings
from tests.support.evaluations import REVISION, condition, deliver, evaluation, kill, record, traced
from tests.support.sqlite_first import migrated_url as migrated_url
from tests.support.whole_log import erased

pytestmark = pytest.mark.portal

NOW = datetime(2026, 9, 24, 12, 30, tzinfo=UTC)
RULES = """\
version: 1
defaults: {portals: [main, other]}
rules:
  - {id: keep, if: {deal.company_id: 17}, then: leave}
  - id: lost-deal
    mode: enforce
    when: [deal.updated]
    if: {deal.stage_semantic_id: F, workflow.template_id: 61}
    then: kill
  - id: switched-off
    disabled: not now
    when: [deal.updated]
    if: {workflow.template_id: 61}
    then: terminate
  - id: over
    expires: 2026-01-01
    when: [deal.updated]
    if: {workflow.template_id: 61}
    then: kill
"""


@pytest.fixture
def database(migrated_file: Path, tmp_path: Path) -> Iterator[Database]:
    """Open a SQLite file: what is asked of it is tested on PostgreSQL too, in `tests.journal`."""
    shutil.copy(migrated_file, tmp_path / "responder.db")
    opened = Database(f"sqlite:///{tmp_path / 'responder.db'}")
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def given(tmp_path: Path) -> Settings:
    return settings(tmp_path, "main", "other", anna=HASHED)


@pytest.fixture
def anna(database: Database, given: Settings) -> Iterator[Visitor]:
    with _opened(database, given) as visitor:
        yield visitor


@contextmanager
def _opened(
    database: Database, given: Settings, rules: str = RULES, **here: object
) -> Iterator[Visitor]:
    """Serve the pages with an admin logged in; `here` is what this process sees of a portal."""
    condition = {"driving": True, "webhook_silent": False, "breaker": None} | here
    with pages(
        database, given, rules=rules, now=lambda: NOW, condition=condition, logged_in=True
    ) as visitor:
        yield visitor


def test_the_rules_say_whether_they_act(anna: Visitor) -> None:
    words = anna.get("/rules").words
    assert "4 rules, read from the top" in words
    assert "mode observe : nothing is stopped." in words
    for said in (
        "1. keep protects Whatever happens to a deal",
        "What it matches is left alone by every rule below it.",
        "It only records what it would do, for RESPONDER_MODE is observe.",
        "3. switched-off off",
        "It is switched off and does nothing.",
        "4. over ended",
        "Its last day is over; it does nothing.",
        "In main, last hour 0 of 30 allowed",
    ):
        assert said in words, said


def test_of_many_portals_those_where_nothing_happened_are_one_line(
    database: Database, tmp_path: Path
) -> None:
    given = settings(tmp_path, *"abcdef", anna=HASHED)
    limits_in_all = RULES.replace("[main, other]", "[a, b, c, d, e, f]")
    database.write(lambda tx: limits.trip(tx, "b", "lost-deal", NOW, "too many"))
    with _opened(database, given, rules=limits_in_all) as anna:
        words = anna.get("/rules").words
    assert "In b, last hour 0 of 30 allowed In each other portal, last hour 0 of 30" in words
    assert "In each portal, last hour 0 of 30 allowed" in words
    assert "In a, last hour" not in words


def test_of_each_observing_rule_it_says_whether_it_is_ready(anna: Visitor) -> None:
    words = anna.get("/rules").words
    assert words.count("Ready to enforce?") == 1  # the others act on nothing, or only protect
    assert "would have killed nothing yet" in words
    assert "observed no decision was made by it as it stands" in words
    assert "Next: Let it observe for 7 more days: a week in all." in words


def test_with_both_keys_a_rule_acts(database: Database, given: Settings) -> None:
    enforcing = given.model_copy(update={"mode": Mode.ENFORCE})
    with _opened(database, enforcing) as anna:
        words = anna.get("/rules").words
        assert "It acts." in words
        assert "Ready to enforce?" not in words


def test_a_rule_that_is_gone_and_still_holds_can_be_rearmed(
    database: Database, anna: Visitor
) -> None:
    database.write(lambda tx: limits.trip(tx, "other", "gone", NOW, "5 at once"))
    words = anna.get("/rules").words
    assert "This rule is no longer in the file, and still holds decisions in other." in words
    asked = anna.post("/rules/gone/rearm", {"csrf": anna.get("/").csrf, "portal": "other"})
    assert "Rearm rule gone in other?" in asked.words
    assert anna.do("/rules/gone/rearm", portal="other").status == 303
    assert "no longer in the file" not in anna.get("/rules").words


def test_many_rules_are_shown_fifty_on_a_page(database: Database, given: Settings) -> None:
    some = "\n".join(f"  - {{id: r-{n}, if: {{deal.id: {n}}}, then: leave}}" for n in range(120))
    with _opened(database, given, f"version: 1\nrules:\n{some}\n") as anna:
        first, last = anna.get("/rules"), anna.get("/rules?from=100")
        assert "120 rules" in first.words
        assert first.words.count("protects") == 50
        assert "Rules below" in first.words
        assert "Rules above" not in first.words
        assert last.words.count("protects") == 20
        assert "Rules above" in last.words
        assert anna.get("/rules?rule=r-11").words.count("protects") == 11
        assert "No rule has that in its name." in anna.get("/rules?rule=nothing").words
        for strange in ("from=x", "from=99999999", "from=-5"):
            assert "1. r-0" in anna.get(f"/rules?{strange}").words


def test_many_tripped_rules_do_not_fill_the_page(database: Database, anna: Visitor) -> None:
    def trip(tx: Connection) -> None:
        for number in range(8):
            limits.trip(tx, "main", f"rule-{number}", NOW, "too many")

    database.write(trip)
    words = anna.get("/decisions").words
    assert words.count("has tripped") == 5
    assert "3 more alarms" in words


def test_no_rules_are_said_to_be_none(database: Database, given: Settings) -> None:
    with _opened(database, given, "version: 1\nrules: []\n") as anna:
        assert "There are no rules, so nothing is ever stopped." in anna.get("/rules").words
        assert "Nothing was decided yet." in anna.get("/decisions").words
        assert "The rules file has no rules." in anna.get("/").words


def test_the_state_of_a_portal_is_told(database: Database, given: Settings) -> None:
    shut = Breaker(portal="main", method="", code="NO_AUTH_FOUND", opened_at=NOW, probe_at=NOW)
    other = replace(shut, portal="other", method="task.x", code="insufficient")
    database.write(lambda tx: client_state.open_breaker(tx, shut))
    database.write(lambda tx: client_state.open_breaker(tx, other))
    database.write(deliver("deal:1"))
    with _opened(database, given, webhook_silent=True) as anna:
        words = anna.get("/status").words
        side = anna.get("/status").text.partition('id="portal-other"')[2]
    assert "main ! Portal unreachable ! Webhook silent" in words
    assert "Portal main cannot be called: NO_AUTH_FOUND . Its events wait." in words
    assert "Method not called" in side
    assert "Portal other is not called for task.x : insufficient ." in words
    assert "Documents change in portal main, and its webhook says nothing." in words


def test_a_portal_without_an_alarm_is_fine(anna: Visitor) -> None:
    assert "main ✓ fine driven by nobody" in anna.get("/status").words


def test_a_pause_names_what_was_under_way(database: Database, anna: Visitor) -> None:
    name = record(database, kill()).decisions[0]
    database.write(lambda tx: journal.intend(tx, "main", name, NOW, {}))
    anna.do("/pause")
    words = anna.get("/status").words
    assert "Already under way when it was paused" in words
    assert "kill of workflow 65e5a449e8f135.21284909 on deal 759" in words
    assert words.count("paused everything") == 1
    assert "main, other" in words
    late = anna.do(f"/decisions/{name}/cancel")
    assert (late.status, "may have been made already" in late.words) == (409, True)
    assert "is being stopped" in anna.get(f"/decisions/{name}").words


def test_erased_facts_are_said_to_be_erased(database: Database, anna: Visitor) -> None:
    name = record(database, kill("a", Outcome.WOULD_KILL)).decisions[0]
    erased(database, name, by="request 12", at=NOW)
    words = anna.get(f"/decisions/{name}").words
    assert "The facts behind this decision were erased by request 12" in words
    assert "The facts it rests on They were erased." in words
    assert "erased the facts behind it" in words


def test_what_is_unknown_says_why(database: Database, anna: Visitor) -> None:
    decision = replace(
        kill("a", Outcome.WOULD_KILL),
        traced=traced(
            condition(None, holds=None, why="access denied"), condition("P", holds=False)
        ),
    )
    name = record(database, decision).decisions[0]
    words = anna.get(f"/decisions/{name}").words
    assert "is F empty ( access denied ) ? unknown" in words
    assert "is F P ✗ does not hold" in words


def test_a_rule_of_an_old_revision_is_told_as_it_was(database: Database, anna: Visitor) -> None:
    old = RULES.replace("deal.stage_semantic_id: F", "deal.stage_semantic_id: S")
    database.write(lambda tx: rulesets.keep(tx, REVISION, old, NOW))
    name = record(database, kill("a", Outcome.WOULD_KILL)).decisions[0]
    page = anna.get(f"/decisions/{name}")
    assert "lost-deal says: When a deal changes: if it is won" in page.words
    assert "deal.stage_semantic_id: S" in page.words
    assert "was in force once" in anna.get(f"/revisions/{REVISION}").words


def test_a_revision_that_cannot_be_read_any_more_is_left_out(
    database: Database, anna: Visitor
) -> None:
    database.write(lambda tx: rulesets.keep(tx, REVISION, "version: 7", NOW))
    name = record(database, kill("a", Outcome.WOULD_KILL)).decisions[0]
    assert "as it stood in the file" not in anna.get(f"/decisions/{name}").words


def test_many_tests_facts_and_siblings_are_cut(database: Database, anna: Visitor) -> None:
    conditions = (
        condition(holds=number % 2 == 0)._replace(rule=f"rule-{number}") for number in range(300)
    )
    many = [kill(f"w{number}", Outcome.WOULD_KILL) for number in range(120)]
    made = replace(
        evaluation(replace(many[0], traced=traced(*conditions)), *many[1:]),
        facts={f"deal.uf_crm_{number}": number for number in range(400)},
    )
    names = database.write(lambda tx: journal.record(tx, made)).decisions
    words = anna.get(f"/decisions/{names[0]}").words
    assert "100 tests more: responder decisions show" in words
    assert "100 facts more: responder decisions show" in words
    assert "There are more: all of the evaluation" in words


def test_with_several_portals_one_is_chosen(database: Database, anna: Visitor) -> None:
    for portal in ("main", "other"):
        record(database, kill("a", Outcome.WOULD_KILL), portal=portal)
    page = anna.get("/decisions?portal=other")
    assert "/decisions/other-1-1" in page.text
    assert "/decisions/main-1-1" not in page.text
    assert "<option selected>other</option>" in page.text
    assert "<option selected>gone</option>" in anna.get("/decisions?rule=gone").text


def test_a_decision_that_is_still_waiting_says_for_what(database: Database, anna: Visitor) -> None:
    name = record(database, kill()).decisions[0]

    def wait(tx: Connection) -> None:
        journal.postpone(
            tx,
            name,
            Outcome.WAITING,
            at=NOW,
            due_at=NOW + timedelta(minutes=1),
            tries=1,
            detail="the portal is busy",
        )

    database.write(wait)
    words = anna.get(f"/decisions/{name}").words
    assert "is condemned, and waits" in words
    assert "Now waiting: the portal is busy" in words


def test_every_page_is_made_on_postgresql(postgres_url: str, given: Settings) -> None:
    database = Database(postgres_url)
    database.open()
    name = record(database, kill()).decisions[0]
    with _opened(database, given) as anna:
        for path in (
            "/",
            "/decisions?q=approval+9&show=all",
            "/decisions?q=65e5a449",
            "/rules",
            "/status",
        ):
            assert anna.get(path).status == 200
        assert anna.do("/pause").headers["location"] == "/status?done=paused"
        assert anna.do("/resume").headers["location"] == "/status?done=resumed"
        assert anna.do(f"/decisions/{name}/cancel").status == 303
        assert "anna cancelled it" in anna.get(f"/decisions/{name}").words
        status = anna.get("/status").words
        assert "anna resumed main, other" in status
        assert "anna paused everything main, other" in status
    database.close()
