"""What the page of testing shows of a backtest is what a backtest prints."""

from responder.adapters.package_texts import DOCS
from responder.authoring.backtest import result as told
from responder.journal.would_kills import Figures
from responder.store.database.database import Database
from tests.rules.make import a_rule, a_workflow
from tests.support.past_log import NOW, PastRules, deal, rules

PAGE = DOCS.text("testing")
OLD = a_rule(
    "deal.stage_semantic_id: F, deal.category_id: 0, workflow.template_id: 61",
    name="lost-deal",
    mode="observe",
)
NEW = (
    a_rule(
        "deal.stage_semantic_id: F, workflow.template_id: 61, workflow.age: {over: 3d}",
        name="lost-deal",
    )
    + a_rule(
        "workflow.template_id: 7, deal.currency_id: RUB",
        name="small-deal",
    )
    + a_rule("workflow.template_id: 9", name="stale-lead", when="[lead.updated]")
)


def test_the_example_of_a_backtest_is_what_it_prints(database: Database) -> None:
    past = PastRules(database, rules(OLD))
    lost = {"deal.stage_semantic_id": "F", "deal.category_id": "0"}
    young = a_workflow("66f2a1b0.10000001", started="2026-09-23T12:00:00+03:00")
    past.happened(lost, young)
    other = {**lost, "deal.category_id": "2"}
    past.happened(other, a_workflow("66f2a1b0.10000002"), document=deal(760))
    small = {**lost, "deal.stage_semantic_id": "P"}
    past.happened(small, a_workflow("66f2a1b0.10000003", template_id="7"), document=deal(761))
    past.unnamed("lead:12", "lead:12", "lead:13")
    lines = [f"    {line}" for line in told.render(past.tried(NEW))]
    assert "\n".join(lines) in PAGE, "\n".join(lines)


def test_the_example_of_what_a_rule_would_have_done_is_what_it_says() -> None:
    figures = Figures(
        rule="lost-deal",
        workflows=14,
        documents=12,
        ended=9,
        running=2,
        stopped=0,
        untold=0,
        since=NOW,
        until=NOW,
    )
    assert f"Observed since {figures.since:%Y-%m-%d}: {figures.sentence()}." in PAGE
