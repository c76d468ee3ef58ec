"""Whom new rules would have spared by `keep` is found in the record, where it was recorded."""

from responder.store.database.database import Database
from tests.authoring.backtest.test_backtest import LOST, OTHER, A, F, headline, text
from tests.rules.make import a_rule, a_workflow
from tests.support.past_log import PastRules, rules


def test_keep_over_all_documents_is_known_only_where_it_is_the_same(database: Database) -> None:
    stale = a_rule(
        "workflow.template_id: 61",
        name="stale",
        when="[{every: 1d}]",
        more="keep: newest\nper: [template]",
    )
    old = a_workflow("old", started="2026-09-01T12:00:00+03:00")
    past = PastRules(database, rules(stale))
    past.swept({}, A, old, trigger="schedule")
    assert past.tried(stale).rules == {"stale": (1, 1)}
    lone = past.tried(stale.replace("61", "[61, 8]"))
    assert lone.headline == headline(undecidable=1)
    oldest = past.tried(stale.replace("newest", "oldest"))
    assert oldest.headline == headline(undecidable=2)
    assert "whom `stale` keeps was not recorded" in text(oldest)


def test_a_group_by_a_fact_that_was_not_recorded_is_undecidable(database: Database) -> None:
    past = PastRules(database, rules(LOST))
    old = a_workflow("old", template_id="7", started="2026-09-01T12:00:00+03:00")
    past.happened({**F, "deal.company_id": 17}, old, OTHER)
    by_company = a_rule(
        "workflow.template_id: 7", name="one", more="keep: newest\nper: [deal.company_id]"
    )
    result = past.tried(by_company)
    assert [(one.kind, one.workflow_id) for one in result.differences] == [("added", "old")]
    by_contact = past.tried(by_company.replace("company_id", "contact_id"))
    assert by_contact.headline == headline(undecidable=2)
    assert "deal.contact_id" in text(by_contact)


def test_the_same_groups_over_all_documents_spare_whom_they_spared(database: Database) -> None:
    stale = a_rule(
        "workflow.template_id: 61",
        name="stale",
        when="[{every: 1d}]",
        more="keep: {newest: 1}\nper: [workflow.started_by]",
    )
    old = a_workflow("old", started="2026-09-01T12:00:00+03:00")
    past = PastRules(database, rules(stale))
    past.swept({}, A, old, trigger="schedule")
    assert past.tried(stale).rules == {"stale": (1, 1)}
    assert past.tried(stale.replace("newest: 1", "newest: 2")).headline == headline(undecidable=2)
