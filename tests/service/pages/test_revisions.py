"""A revision of the rules can be read and compared, with what the change would have made."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from responder.store import rulesets
from responder.store.database.database import Database
from tests.rules.make import a_rule, a_workflow, in_a_file
from tests.service.pages.visiting import HASHED, Visitor, pages, settings
from tests.support.past_log import NOW, PastRules, rules

pytestmark = pytest.mark.portal

OLD = rules(a_rule("deal.stage_semantic_id: F, workflow.template_id: 61", name="lost-deal"))
NEW = a_rule("deal.stage_semantic_id: F, workflow.template_id: [61, 7]", name="lost-deal")
RUNNING = rules(NEW)


@pytest.fixture
def database(migrated_file: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(migrated_file, tmp_path / "responder.db")
    opened = Database(f"sqlite:///{tmp_path / 'responder.db'}")
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def anna(database: Database, tmp_path: Path) -> Iterator[Visitor]:
    past = PastRules(database, OLD)
    past.happened({"deal.stage_semantic_id": "F"}, a_workflow("w1", template_id="7"))
    given = settings(tmp_path, anna=HASHED)
    later = NOW + timedelta(hours=1)
    text = in_a_file(NEW)
    with pages(database, given, rules=text, now=lambda: later, logged_in=True) as visitor:
        yield visitor


def test_a_revision_leads_to_what_changed_since(anna: Visitor) -> None:
    page = anna.get(f"/revisions/{OLD.revision}")
    assert "was in force once" in page.words
    assert f'href="/revisions/{OLD.revision}/to/{RUNNING.revision}"' in page.text
    running = anna.get(f"/revisions/{RUNNING.revision}")
    assert f'href="/revisions/{OLD.revision}/to/{RUNNING.revision}"' in running.text
    assert "first decided 24 Sep 2026" in running.words


def test_the_difference_stands_beside_what_it_would_have_changed(anna: Visitor) -> None:
    page = anna.get(f"/revisions/{OLD.revision[:16]}/to/{RUNNING.revision}")
    for words in (
        "which is in force",
        "\N{MINUS SIGN} removed if: {deal.stage_semantic_id: F, workflow.template_id: 61}",
        "+ added if: {deal.stage_semantic_id: F, workflow.template_id: [61, 7]}",
        "+1 kills, \N{MINUS SIGN}0, 0 undecidable , tried on 1 evaluation of the last 30 days",
        "+ would be stopped workflow w1 of deal 759 , rule lost-deal : lost-deal did not hold then",
    ):
        assert words in page.words, page.words
    same = anna.get(f"/revisions/{OLD.revision}/to/{OLD.revision}").words
    assert "Both have the same lines." in same
    assert "What it would have changed" not in same


def test_one_that_cannot_be_tried_or_shown_says_so(database: Database, anna: Visitor) -> None:
    database.write(lambda tx: rulesets.keep(tx, "a" * 64, "version: 0\n", NOW))
    words = anna.get(f"/revisions/{'a' * 64}/to/{RUNNING.revision}").words
    assert "It was not tried here" in words
    long = "".join(f"# {n}\n" for n in range(4_000))
    database.write(lambda tx: rulesets.keep(tx, "b" * 64, long, NOW))
    words = anna.get(f"/revisions/{'b' * 64}/to/{RUNNING.revision}").words
    assert "They differ in too many lines to be shown here" in words
    for path in (f"{'c' * 64}/to/{RUNNING.revision}", f"{RUNNING.revision}/to/{'c' * 64}"):
        assert anna.get(f"/revisions/{path}").status == 404
