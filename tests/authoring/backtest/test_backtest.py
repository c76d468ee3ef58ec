"""What new rules would have done is found in the record, and nowhere else."""

import json
from collections.abc import Mapping
from datetime import timedelta
from functools import partial

import pytest
from _pytest.mark.structures import ParameterSet

from responder.authoring.backtest import result as told
from responder.authoring.backtest.result import Result
from responder.journal import record as journal
from responder.judge.plans import Known
from responder.model import Action, Outcome, Unknown, Workflow
from responder.store.database.database import Database
from tests.rules.make import a_rule, a_workflow
from tests.support.past_log import NOW, PastRules, deal, rules
from tests.support.sqlite_first import migrated_url as migrated_url
from tests.support.whole_log import erased

LOST = a_rule(
    "deal.stage_semantic_id: F, workflow.template_id: 61", name="lost-deal", mode="observe"
)
F, P = {"deal.stage_semantic_id": "F"}, {"deal.stage_semantic_id": "P"}
A, OTHER = a_workflow("a"), a_workflow("other", template_id="7")


def text(result: Result) -> str:
    return "\n".join(told.render(result))


def headline(*, added: int = 0, removed: int = 0, undecidable: int = 0) -> str:
    return f"+{added} kills, \u2212{removed}, {undecidable} undecidable"


def case(
    name: str,
    new: str,
    expected: str,
    said: str,
    *,
    facts: Mapping[str, object] = F,
    workflows: tuple[Workflow, ...] = (A,),
) -> ParameterSet:
    """Tell of a rule that is tried: what the result's headline is, and what stands in the text."""
    return pytest.param(new, facts, workflows, expected, said, id=name)


def test_the_rules_that_decided_change_nothing(database: Database) -> None:
    past = PastRules(database, rules(LOST))
    past.happened(F, A, OTHER)
    past.happened(P, a_workflow("b"))
    result = past.tried(LOST)
    assert result.headline == headline()
    assert result.differences == ()
    assert result.rules == {"lost-deal": (1, 1)}
    assert result.evaluations == 2


@pytest.mark.parametrize(
    ("new", "facts", "workflows", "expected", "said"),
    [
        case(
            "a workflow that no decision named is found in the row that was kept of it",
            LOST.replace("template_id: 61", "template_id: [61, 7]"),
            headline(added=1),
            'lost-deal did not hold then\n    no       if.workflow.template_id is 61; it is "7"',
            workflows=(A, OTHER),
        ),
        case(
            "a narrower rule lets it live",
            LOST.replace("template_id: 61", "template_id: 7"),
            headline(removed=1),
            'lost-deal does not hold now\n    no       if.workflow.template_id is 7; it is "61"',
        ),
        case(
            "another rule that condemns the same is no other kill",
            LOST.replace("lost-deal", "other-name"),
            headline(),
            "condemned by lost-deal then, and by other-name now",
        ),
        case(
            "the rule is gone",
            a_rule("workflow.template_id: 61", name="other", when="[deal.added]"),
            headline(removed=1),
            "there is no rule lost-deal now",
        ),
        case(
            "another event sets it off",
            LOST.replace("[deal.updated]", "[deal.added]"),
            headline(removed=1),
            "lost-deal is not read now: ONCRMDEALUPDATE does not set it off",
        ),
        case(
            "it is switched off",
            LOST.replace("  then: kill", "  disabled: it was a mistake\n  then: kill"),
            headline(removed=1),
            "lost-deal is not read now: switched off: it was a mistake",
        ),
        case(
            "another rule protects it",
            a_rule("workflow.started_by: 7", name="keep", when=None, then="leave") + LOST,
            headline(removed=1),
            'keep protects it now\n    yes      if.workflow.started_by is 7; it is "7"',
        ),
        case(
            "it became an exception",
            LOST.replace("then: kill", "unless: {workflow.started_by: 7}\n  then: kill"),
            headline(removed=1),
            'yes      unless.workflow.started_by is 7; it is "7", an exception',
        ),
        case(
            "a fact that was never recorded is undecidable",
            LOST.replace("F,", "F, deal.opportunity: {over: 5},"),
            headline(undecidable=1),
            "deal.opportunity was not recorded",
        ),
        case(
            "a fact that was never recorded does not matter where another test fails",
            LOST.replace("F,", "P, deal.opportunity: {over: 5},"),
            headline(removed=1),
            'no       if.deal.stage_semantic_id is P; it is "F"',
        ),
        case(
            "so is one of what the document was linked to",
            LOST.replace("F,", "F, deal.company.industry: IT,"),
            headline(undecidable=1),
            "deal.company.industry was not recorded",
        ),
        case(
            "so is how many ran on the document, which was not asked then",
            LOST.replace("F,", "F, document.running: 1,"),
            headline(undecidable=1),
            "document.running was not recorded",
        ),
        case(
            "how many ran is known where it was asked",
            LOST.replace("F,", "F, document.running: {over: 1},"),
            headline(removed=1),
            "no       if.document.running over 1; it is 1",
            facts={**F, "document.running": 1},
        ),
        case(
            "so is one that a protecting rule needs",
            a_rule("deal.company_id: 17", name="vip", when=None, then="leave") + LOST,
            headline(undecidable=1),
            "deal.company_id was not recorded",
        ),
        case(
            "but not where nothing below it could condemn",
            a_rule("deal.company_id: 17", name="vip", when=None, then="leave")
            + LOST.replace("template_id: 61", "template_id: 8"),
            headline(removed=1),
            "vip protects it now",
        ),
        case(
            "what could not be read then acts on nothing now",
            LOST + a_rule("deal.opportunity: {over: 5}, workflow.template_id: 7", name="big"),
            headline(),
            "lost-deal: 1 then, 1 now",
            facts={**F, "deal.opportunity": Unknown("denied")},
            workflows=(A, OTHER),
        ),
    ],
)
def test_what_new_rules_would_have_done(
    database: Database,
    new: str,
    facts: Mapping[str, object],
    workflows: tuple[Workflow, ...],
    expected: str,
    said: str,
) -> None:
    past = PastRules(database, rules(LOST))
    past.happened(facts, *workflows)
    result = past.tried(new)
    assert (result.headline, said in text(result)) == (expected, True), text(result)


def test_a_workflow_is_killed_once_however_often_it_was_condemned(database: Database) -> None:
    past = PastRules(database, rules(LOST))
    for _ in range(3):
        past.happened(F, OTHER)
    new = a_rule("deal.stage_semantic_id: F, workflow.template_id: 7", name="lost-deal")
    assert past.tried(new).headline == headline(added=1)


def test_what_was_condemned_before_the_time_in_question_is_not_new(database: Database) -> None:
    past = PastRules(database, rules(LOST))
    past.happened(F, A)
    past.known = Known(unchanged={("a", "lost-deal", Action.KILL)})
    past.happened(F, A)
    past.happened(F, A, as_before=True)
    result = past.tried(LOST, since=NOW + timedelta(seconds=30))
    assert (result.headline, result.evaluations) == (headline(), 2)
    wider = LOST.replace("61", "[61, 7]")
    assert past.tried(wider, since=NOW + timedelta(seconds=30)).count("added") == 0


def test_erased_facts_are_undecidable(database: Database) -> None:
    past = PastRules(database, rules(LOST))
    condemned = past.happened(F, A).decisions[0]
    innocent = past.happened(P, A).decisions[0]
    past.happened(F, OTHER, document=deal(760))
    for decision in (condemned, innocent):
        erased(database, decision)
    result = past.tried(LOST)
    assert result.headline == headline(undecidable=2)
    assert "? 1 x evaluation: the facts it rested on were erased" in text(result)
    assert "a  deal:759  lost-deal  main-1\n    the facts it rested on were erased" in text(result)
    assert past.tried(a_rule(when="[lead.added]")).headline == headline(undecidable=1)


def test_what_no_rule_named_was_not_read_and_is_counted_by_event(database: Database) -> None:
    past = PastRules(database, rules(LOST))
    past.unnamed("lead:1", "lead:1", "lead:2")
    past.unnamed("contact:5", event="ONCRMCONTACTADD")
    assert past.tried(LOST).headline == headline()
    result = past.tried(LOST + a_rule("workflow.template_id: 5", name="b", when="[lead.updated]"))
    assert result.headline == headline(undecidable=3)
    assert "? 3 x ONCRMLEADUPDATE: nothing was read for it" in text(result)


def test_a_log_of_the_version_before_tells_what_its_tests_saw(database: Database) -> None:
    past = PastRules(database, rules(LOST))
    past.happened(F, OTHER, as_before=True)
    past.happened(F, as_before=True, document=deal(760))
    past.happened(F, as_before=True, document=deal(761), unlisted=Unknown("the portal is away"))
    by_template = LOST.replace("61", "7")
    assert past.tried(by_template).headline == headline(added=1)
    by_age = by_template.replace("7}", "7, workflow.age: {over: 1d}}")
    result = past.tried(by_age)
    assert result.headline == headline(undecidable=1)
    assert "workflow.age was not recorded" in text(result)
    by_starter = by_template.replace("7}", "7, starter.id: 7}")
    assert past.tried(by_starter).differences[0].facts == ("starter.id",)


def test_an_unlisted_portal_condemns_nothing(database: Database) -> None:
    past = PastRules(database, rules(LOST))
    past.happened(F, unlisted=Unknown("the portal is away"))
    past.happened(F, a_workflow("b", template_id=Unknown("the row does not tell")))
    assert past.tried(LOST.replace("61", "7")).headline == headline()


def test_a_call_for_one_workflow_judges_that_one_alone(database: Database) -> None:
    robot = LOST.replace("[deal.updated]", "[robot]")
    past = PastRules(database, rules(robot))
    past.happened(F, A, OTHER, a_workflow("b", template_id="7"), trigger="robot", only="other")
    result = past.tried(robot.replace("61", "[61, 7]"))
    assert [one.workflow_id for one in result.differences] == ["other"]


def test_a_wait_that_cleared_it_then_clears_it_now(database: Database) -> None:
    waiting = LOST.replace("then: kill", "wait: 10m\n  then: kill")
    past = PastRules(database, rules(waiting))
    decision = past.happened(F, A).decisions[0]
    database.write(
        partial(journal.conclude, decision_id=decision, outcome=Outcome.CLEARED, at=past.now)
    )
    assert past.tried(waiting).headline == headline()
    assert "its `wait` cleared it then" in text(past.tried(LOST))
    longer = past.tried(waiting.replace("10m", "20m"))
    assert longer.headline == headline(undecidable=1)
    assert "cleared, on facts that were not recorded" in text(longer)


def test_a_kill_that_would_wait_first_says_so(database: Database) -> None:
    past = PastRules(database, rules(LOST))
    past.happened(F, OTHER)
    waits = LOST.replace("61", "7").replace("then: kill", "wait: 10m\n  then: kill")
    assert "it waits 10m first" in text(past.tried(waits))
    night = "calendars:\n  night: {timezone: UTC, days: [mon], from: '01:00', to: '02:00'}\n"
    closed = LOST.replace("61", "7").replace("then: kill", "during: night\n  then: kill")
    result = past.tried(closed, head=night)
    assert "it waits for night to open" in text(result)


def test_keep_chooses_among_the_workflows_that_ran_on_the_document(database: Database) -> None:
    past = PastRules(database, rules(LOST))
    old = a_workflow("old", template_id="7", started="2026-09-01T12:00:00+03:00")
    past.happened(F, old, OTHER)
    keep = a_rule("workflow.template_id: 7", name="one", more="keep: newest")
    result = past.tried(keep)
    assert [(one.kind, one.workflow_id) for one in result.differences] == [("added", "old")]
    by_name = a_rule("workflow.template_id: 7, template.name: x", name="one", more="keep: newest")
    assert past.tried(by_name).headline == headline(undecidable=2)


def test_a_sweep_is_compared_where_it_condemned_something(database: Database) -> None:
    past = PastRules(database, rules(LOST))
    past.swept(F, A, OTHER)
    past.swept(P, a_workflow("b"), document=deal(760))
    assert past.tried(LOST).headline == headline()
    result = past.tried(LOST.replace("61", "7"))
    assert [(one.kind, one.workflow_id) for one in result.differences] == [
        ("removed", "a"),
        ("added", "other"),
    ]
    unswept = LOST.replace("then: kill", "sweep: false\n  then: kill")
    assert past.tried(unswept).headline == headline(removed=1)


def test_a_schedule_is_compared_with_the_rules_of_the_same_time(database: Database) -> None:
    stale = a_rule("workflow.template_id: 61", name="stale", when="[{every: 1d}]")
    past = PastRules(database, rules(stale))
    past.swept({}, A, OTHER, trigger="schedule")
    assert past.tried(stale).headline == headline()
    renamed = stale.replace("stale", "older").replace("61", "[61, 7]")
    assert past.tried(renamed).headline == headline(added=1)
    hourly = renamed.replace("1d", "1h")
    assert past.tried(hourly).headline == headline(removed=1)


def test_two_rulesets_are_compared_on_the_same_record(database: Database) -> None:
    past = PastRules(database, rules(LOST))
    past.happened(F, A, OTHER)
    past.happened(P, a_workflow("b"))
    old = rules(LOST.replace("61", "7"))
    result = past.tried(LOST.replace("61", "[61, 7]"), against=old)
    assert result.headline == headline(added=1)
    assert f"against revision {old.revision[:16]}, " in "\n".join(told.notes(result))
    added = past.tried(LOST + a_rule(when="[lead.added]"), against=rules(a_rule() + LOST))
    assert (added.untried, result.untried) == (("the-rule",), ())
    unknown = rules(LOST.replace("F,", "F, deal.opportunity: {over: 5},"))
    assert past.tried(LOST, against=unknown).headline == headline(undecidable=1)
    assert past.tried(LOST, portal="other").evaluations == 0


def test_more_than_a_limit_would_have_tripped_the_rule(database: Database) -> None:
    past = PastRules(database, rules(LOST))
    for number in range(4):
        past.happened(F, a_workflow(f"w{number}", template_id="7"), document=deal(number + 1))
    few = LOST.replace("61", "7").replace("then: kill", "limit: {per_hour: 3}\n  then: kill")
    assert "lost-deal would have tripped: 4 within an hour" in text(past.tried(few))


def test_programs_read_one_object_a_line(database: Database) -> None:
    past = PastRules(database, rules(LOST))
    past.happened(F, A, OTHER)
    past.unnamed("lead:1")
    new = LOST.replace("61", "7") + a_rule(
        "workflow.template_id: 5", name="b", when="[lead.updated]"
    )
    removed, added, bulk, summary = map(json.loads, told.to_lines(past.tried(new)))
    assert (removed["difference"], added["difference"]) == ("removed", "added")
    assert added["workflow"] == "other"
    assert added["document"] == "deal:759"
    assert added["test"]["value"] == "7"
    assert (bulk["what"], bulk["number"]) == ("ONCRMLEADUPDATE", 1)
    assert summary["summary"] == headline(added=1, removed=1, undecidable=1)
    assert summary["rules"] == {"lost-deal": {"then": 1, "now": 1}}


def test_rules_that_cannot_be_read_any_more_are_no_obstacle(database: Database) -> None:
    past = PastRules(database, rules(LOST))
    past.ruleset.text = "version: 0"
    past.happened(F, A, OTHER)
    result = past.tried(LOST.replace("61", "[61, 7]").replace("lost-deal", "b"))
    assert "condemned by lost-deal then, and by b now" in text(result)
    assert "the rules that decided then cannot be read by this version" in text(result)
