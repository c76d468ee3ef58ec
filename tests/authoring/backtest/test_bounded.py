"""A revision is tried on the end of the log alone, for a short time, and says so."""

from responder.authoring.backtest import bounded
from responder.store.database.database import Database
from tests.rules.make import a_rule, a_workflow
from tests.support.past_log import NOW, PastRules, deal, rules

OLD = a_rule("deal.stage_semantic_id: F, workflow.template_id: 61", name="lost-deal")
WIDER = OLD.replace("61", "[61, 7]")
F = {"deal.stage_semantic_id": "F"}


def test_it_is_tried_on_the_newest_entries_and_says_whether_that_is_all(
    database: Database,
) -> None:
    past = PastRules(database, rules(OLD))
    for number in range(1, 4):
        past.happened(F, a_workflow(f"w{number}", template_id="7"), document=deal(number))
    old, new = rules(OLD), rules(WIDER)
    whole = bounded.tried(database, old, new, NOW)
    assert (whole.is_whole, whole.result.headline[:8]) == (True, "+3 kills")
    part = bounded.tried(database, old, new, NOW, entries=1)
    assert (part.is_whole, part.result.evaluations) == (False, 1)
    none = bounded.tried(database, old, new, NOW, seconds=-1)
    assert (none.is_whole, none.result.evaluations) == (False, 0)


def test_what_is_too_long_or_of_another_version_is_not_loaded() -> None:
    assert bounded.loaded(rules(OLD).text) is not None
    assert bounded.loaded("version: 0") is None
    assert bounded.loaded(rules(OLD).text + "#" * bounded.LONGEST) is None
