"""What is judged, and which rules are asked of it: an event, a look, a run, a stop that waited."""

from dataclasses import replace
from datetime import timedelta

import pytest

from responder.journal.entries import Spared
from responder.judge.jobs import (
    CHOSEN_IN_RUNS,
    Job,
    asked_again,
    asks,
    kept_workflows,
    of_look,
    of_stop,
    of_unmatched,
    of_waiting,
    split,
)
from responder.model import Document, Trigger, Unknown, Workflow
from responder.rules.ruleset import Ruleset
from responder.store.inbox.inbox import Alike, Waiting
from responder.store.inbox.second_looks import Look
from tests.judge.make import (
    DEAL,
    JOB,
    NOW,
    STOP,
    UPDATED,
    a_reading,
    a_rule,
    a_ruleset,
    a_workflow,
)

ON_DEALS = "workflow.template_id: 61"
RULESET = a_ruleset(
    a_rule(ON_DEALS, name="guard", when="[deal.updated]", then="leave")
    + a_rule(ON_DEALS, name="on-update")
    + a_rule(ON_DEALS, name="on-add", when="[deal.added]")
    + a_rule(ON_DEALS, name="on-robot", when="[robot]")
    + a_rule(ON_DEALS, name="hourly", when="[{every: 1h}]")
    + a_rule("lead.stage_id: JUNK, " + ON_DEALS, name="on-lead", when="[lead.updated]")
)
UPDATE = ("guard", "on-update")
OTHER_DEAL = replace(DEAL, item_id="7", id="DEAL_7")
LEAD = Document(kind="lead", item_id="7", module="crm", entity="CCrmDocumentLead", id="LEAD_7")


def job(
    trigger: Trigger = "event",
    events: tuple[str, ...] = (),
    asked: tuple[str, ...] | None = None,
    document: Document | None = DEAL,
) -> Job:
    return replace(JOB, trigger=trigger, events=events, asked=asked, document=document)


RULES = {
    "an event asks the rules that name it": (job("event", UPDATED), UPDATE),
    "several events ask for each of theirs": (
        job("event", ("ONCRMDEALADD", *UPDATED)),
        ("guard", "on-update", "on-add"),
    ),
    "an event that no rule names asks none": (job("event", ("ONCRMDEALDELETE",)), ()),
    "an event of another kind asks none of these": (
        job("event", UPDATED, document=LEAD),
        (),
    ),
    "a robot asks for its own": (job("robot"), ("on-robot",)),
    "a sweep asks what events set off": (job("sweep"), UPDATE),
    "a run asks for what it was made for": (job("sweep", asked=("on-add",)), ("on-add",)),
    "a guard comes with its rule": (job("sweep", asked=("on-update",)), UPDATE),
    "a schedule asks for its own": (job("schedule", asked=("hourly",)), ("hourly",)),
    "a rule that has no schedule any more acts after none": (
        job("schedule", asked=("on-update", "hourly")),
        ("hourly",),
    ),
    "a rule that is gone asks nothing": (job("sweep", asked=("gone",)), ()),
    "without a document nothing is asked": (job("event", UPDATED, document=None), ()),
}


@pytest.mark.parametrize(("of", "rules"), RULES.values(), ids=RULES)
def test_which_rules_are_asked(of: Job, rules: tuple[str, ...]) -> None:
    assert tuple(rule.id for rule in of.rules(RULESET)) == rules


def test_a_subject_names_its_document_and_its_newest_event() -> None:
    assert (JOB.ref, JOB.newest) == ("deal:759", UPDATED[-1])
    bare = job("robot", document=None)
    assert (bare.ref, bare.newest) == ("", None)


def test_a_situation_has_what_was_read_and_what_set_it_off() -> None:
    reading = a_reading(a_workflow())
    situation = JOB.situation(reading)
    assert situation.facts == {
        **reading.facts,
        "event.name": UPDATED,
        "document.kind": "deal",
        "document.id": "759",
    }
    assert "event.name" not in reading.facts
    assert (situation.workflows, situation.document) == (reading.workflows, DEAL)
    assert (situation.portal, situation.trigger, situation.events) == ("main", "event", UPDATED)


PER_TEMPLATE = a_ruleset(
    a_rule(when="[deal.updated, {every: 1h}]", more="keep: newest\nper: [template]")
)
PER_DOCUMENT = a_ruleset(a_rule(when="[deal.updated, {every: 1h}]", more="keep: newest"))
RUNNING = (a_workflow("a"), a_workflow("b"))
NOBODY = {"the-rule": dict.fromkeys(("a", "b"), CHOSEN_IN_RUNS)}
CHOICES = {
    "an event sees its own document": (job("event", UPDATED), PER_TEMPLATE, RUNNING, {}),
    "a run chooses over all documents": (
        job("schedule", asked=("the-rule",)),
        PER_TEMPLATE,
        RUNNING,
        NOBODY,
    ),
    "a sweep does so too": (job("sweep"), PER_TEMPLATE, RUNNING, NOBODY),
    "a rule that keeps one of each document": (job("sweep"), PER_DOCUMENT, RUNNING, {}),
    "a rule that keeps none": (job("sweep"), RULESET, RUNNING, {}),
    "nothing could be listed": (job("sweep"), PER_TEMPLATE, Unknown("no"), {}),
}


@pytest.mark.parametrize(("of", "ruleset", "listed", "spared"), CHOICES.values(), ids=CHOICES)
def test_whom_a_rule_spares_where_one_document_does_not_tell(
    of: Job, ruleset: Ruleset, listed: tuple[Workflow, ...] | Unknown, spared: object
) -> None:
    choices = of.choices(ruleset, listed)
    assert {rule: choice.spared for rule, choice in choices.items()} == spared


def waiting(ref: str | None = "deal:759") -> Waiting:
    return Waiting(
        document_ref=ref,
        trigger="event",
        workflow_id="a",
        ids=(1, 2),
        events=UPDATED,
        newest=UPDATED[-1],
        received_at=NOW,
    )


def test_deliveries_that_wait_become_one_job() -> None:
    of = of_waiting("main", waiting())
    assert (of.portal, of.document, of.trigger, of.events) == ("main", DEAL, "event", UPDATED)
    assert (of.only, of.deliveries, of.received_at) == ("a", (1, 2), NOW)
    assert (of.look, of.stop, of.asked) == (None, None, None)
    assert of_waiting("main", waiting(None)).document is None


def alike(event: str | None, *ids: int, minutes_ago: int = 0) -> Alike:
    received_at = NOW - timedelta(minutes=minutes_ago)
    return Alike(trigger="event", event=event, kind="deal", received_at=received_at, ids=ids)


def test_deliveries_that_no_rule_is_asked_about_become_one_job() -> None:
    added, updated = alike("ADD", 3, 4), alike("UPDATE", 1, minutes_ago=5)
    of = of_unmatched("main", [added, updated, alike("ADD", 9), alike(None, 10)])
    assert (of.document, of.trigger, of.events) == (None, "event", ("UPDATE", "ADD"))
    assert (of.deliveries, of.received_at) == ((3, 4, 1, 9, 10), NOW - timedelta(minutes=5))


def a_look(trigger: Trigger, asked: frozenset[str] | None) -> Look:
    return Look(
        portal="main",
        document_ref="deal:759",
        trigger=trigger,
        workflow_id="a",
        event_names=UPDATED,
        due_at=NOW,
        asked=asked,
    )


BOTH = frozenset({"on-update", "hourly"})
ASKED_BY_A_LOOK = {
    "after an event its trigger tells": ("event", None, None),
    "after a sweep its trigger tells": ("sweep", None, None),
    "after a sweep by name it says so": ("sweep", BOTH, ("hourly", "on-update")),
    "after a schedule it says so": ("schedule", BOTH, ("hourly", "on-update")),
    "after a schedule of the version before nothing is asked": ("schedule", None, ()),
}


@pytest.mark.parametrize(
    ("trigger", "kept", "asked"), ASKED_BY_A_LOOK.values(), ids=ASKED_BY_A_LOOK
)
def test_which_rules_a_second_look_asks(
    trigger: Trigger, kept: frozenset[str] | None, asked: tuple[str, ...] | None
) -> None:
    look = a_look(trigger, kept)
    of = of_look("main", look)
    assert of.asked == asked
    assert (of.look, of.only, of.events, of.deliveries) == (look, "a", UPDATED, ())
    assert (of.document, of.received_at) == (DEAL, None)


ASKED_BY_A_STOP = {
    "after an event its trigger tells": ("event", None, None),
    "after a robot's call too": ("robot", None, None),
    "after a sweep it says so": ("sweep", BOTH, ("hourly", "on-update")),
    "after a sweep of the version before it is its own rule": ("sweep", None, ("the-rule",)),
    "after a schedule it says so": ("schedule", BOTH, ("hourly", "on-update")),
    "after a schedule of the version before it is its own rule": (
        "schedule",
        None,
        ("the-rule",),
    ),
}


@pytest.mark.parametrize(
    ("trigger", "kept", "asked"), ASKED_BY_A_STOP.values(), ids=ASKED_BY_A_STOP
)
def test_which_rules_a_stop_asks_again(
    trigger: Trigger, kept: frozenset[str] | None, asked: tuple[str, ...] | None
) -> None:
    stop = replace(STOP, trigger=trigger, asked=kept)
    of = of_stop(stop)
    assert of.asked == asked
    assert asked_again(stop) == (None if asked is None else frozenset(asked))
    assert (of.stop, of.only, of.deliveries) == (stop, "a", ())


def test_a_document_is_asked_about_once_for_all_that_speaks_of_it() -> None:
    wanted = asks(
        [
            job("event", UPDATED),
            replace(of_stop(STOP), document=DEAL),
            job("event", ("ONCRMLEADUPDATE",), document=LEAD),
            job("event", UPDATED, document=None),
        ],
        RULESET,
    )
    assert set(wanted) == {"deal:759", "lead:7"}
    deal, lead = wanted["deal:759"], wanted["lead:7"]
    assert (deal.document, deal.stops) == (DEAL, frozenset("a"))
    assert (lead.document, lead.stops) == (LEAD, frozenset())
    assert "workflow.template_id" in deal.paths
    assert "lead.stage_id" in lead.paths - deal.paths


def test_the_workflows_that_were_kept_are_looked_for_with_the_stops() -> None:
    kept = replace(STOP, spared=Spared("is not the newest", ("x", "y")))
    ready = [JOB, of_stop(STOP), of_stop(kept), of_stop(replace(kept, decision_id="main-1-2"))]
    assert kept_workflows(ready) == {"x", "y"}


def test_what_no_rule_names_is_told_apart_and_a_stop_never_is() -> None:
    named, unnamed = job("event", UPDATED), job("event", ("ONCRMDEALDELETE",))
    stop = of_stop(replace(STOP, event_names=("ONCRMDEALDELETE",)))
    assert split([unnamed, named, stop], RULESET) == ([named, stop], [unnamed])
