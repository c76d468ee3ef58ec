"""For which cause a document is explained where nobody names one."""

from datetime import UTC, datetime

from responder.authoring.explain import explain, render
from responder.authoring.live_document import cause_named, choices_in, usual_cause
from tests.rules.make import a_rule, a_ruleset, a_situation, a_workflow

NOW = datetime(2026, 9, 24, 9, tzinfo=UTC)


def test_a_document_is_mostly_judged_for_its_change_and_an_element_of_a_list_by_a_schedule() -> (
    None
):
    deal, element = (cause_named(usual_cause(kind)) for kind in ("deal", "list_23"))
    assert deal is not None
    assert deal.trigger == "event"
    assert element is not None
    assert element.trigger == "schedule"


def test_what_keep_chooses_over_all_documents_is_not_said_of_one() -> None:
    rule = a_rule(when="[deal.updated, {every: 1h}]", more="keep: newest\nper: [starter.id]")
    ruleset, young = a_ruleset(rule), a_workflow("b", started="2026-09-21T12:00:00+03:00")
    by_event = a_situation({}, (a_workflow(), young))
    in_a_run = a_situation({}, (a_workflow(), young), trigger="schedule", events=())
    said = {
        one.trigger: "\n".join(render(explain(ruleset, one, NOW, choices=choices_in(one, ruleset))))
        for one in (by_event, in_a_run)
    }
    assert "workflow a: kill by the-rule (enforce)" in said["event"]
    assert "kill by" not in said["schedule"]
    assert "because it is chosen over all documents, in the next run" in said["schedule"]
