"""Properties of judging: only what holds condemns, and knowing less never condemns more."""

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from responder.bitrix24 import documents
from responder.model import Action, Judgement, Mode, Situation, Unknown
from responder.rules.decide import judge
from responder.rules.ruleset import Ruleset
from tests.rules.make import NOW, a_rule, a_ruleset, a_situation, a_workflow

DENIED = Unknown("access was denied")
RULES = [
    a_rule("deal.company_id: 17", name="g1", then="leave", when=None),
    a_rule("deal.title: {contains: x}", name="g2", then="leave", when="[deal.updated]"),
    a_rule("deal.category_id: [0, 2], workflow.template_id: 61", name="k1"),
    a_rule("deal.opportunity: {below: 10}, workflow.template_id: 61", name="k2", mode="observe"),
    a_rule("not: {deal.closed: true}", name="k3", more="every_template: true"),
    a_rule(
        "workflow.age: {over: 1d}",
        name="k4",
        then="terminate",
        more="every_template: true\nunless: {deal.assigned_by_id: [7]}",
    ),
    a_rule("document.running: {at_least: 2}, workflow.template_id: 61", name="k5"),
    a_rule("deal.assigned_by.active: false", name="g3", then="leave", when=None),
    a_rule(
        "deal.company.title: x, deal.contact.company_id: {none_of: [17]}, workflow.template_id: 61",
        name="k6",
        more="unless: {deal.created_by.id: [17]}",
    ),
    a_rule("deal.uf_price: {over: 1, currency: RUB}, workflow.template_id: 61", name="k7"),
    a_rule("workflow.idle: {over: 1wd, in: office}, workflow.template_id: 61", name="k8"),
    a_rule(name="k9", more="keep: {newest: 1}\nper: [starter.id]"),
    a_rule(name="k10", more="keep: oldest\nper: [deal.company_id, template]"),
    a_rule("starter.active: false, workflow.template_id: 61", name="k11"),
]
HEAD = """
calendars:
  office: {timezone: Europe/Moscow, days: [mon, tue, wed, thu, fri], from: "09:00", to: "18:00"}
"""
VALUES = st.sampled_from(
    [DENIED, None, "", 0, "0", 1, "2", 17, "17", "Y", "N", "x", [17], [], "2|RUB", "2|EUR"]
)
FACTS = st.dictionaries(
    st.sampled_from(
        [
            *("deal.company_id", "deal.title", "deal.category_id", "deal.opportunity"),
            *("deal.closed", "deal.assigned_by_id", "document.running"),
            *("deal.company.title", "deal.contact.company_id", "deal.assigned_by.active"),
            *("deal.created_by.id", "deal.uf_price"),
        ]
    ),
    VALUES,
)
SEVERAL = st.lists(st.sampled_from(RULES), unique=True, min_size=1).map("".join)
MOMENTS = st.sampled_from(
    [*("2026-09-20T12:00:00+03:00", "2026-09-24T11:59:00+03:00", "2026-09-23T12:00:00+03:00"), None]
)
OF_WORKFLOW = st.fixed_dictionaries(
    {
        "workflow.template_id": st.sampled_from(["61", "61", "7", None, DENIED]),
        "workflow.started": st.one_of(MOMENTS, st.just("?")),
        "workflow.modified": MOMENTS,
        "template.known": st.sampled_from([True, False, DENIED]),
        "workflow.started_by": st.sampled_from(["7", "8", None, 0, DENIED]),
        "starter.active": st.sampled_from([True, False, DENIED]),
    }
)
WORKFLOWS = st.lists(OF_WORKFLOW, min_size=1, max_size=3).map(
    lambda rows: tuple(a_workflow(f"w{place}", **row) for place, row in enumerate(rows))
)

# Elements of lists, which schedules alone meet.
HOURLY = "[{every: 1h}]"
OF_LISTS = [
    a_rule("list_23.property_1: 17", name="l1", then="leave", when=None),
    a_rule("list_23.property_2: {older_than: 1d}, workflow.id: {starts_with: w}, "
           "workflow.template_id: 61", name="l2", when=HOURLY),
    a_rule("list_23.created_by.active: false, workflow.template_id: 61", name="l3", when=HOURLY),
    a_rule("list_23.bp_published: true, document.running: {below: 3}", name="l4", when=HOURLY,
           more="every_template: true\nunless: {list_23.property_3: {over: 5, currency: RUB}}"),
    a_rule(name="l5", when=HOURLY, more="keep: newest\nper: [list_23.property_1]"),
]  # fmt: skip
ELEMENT = documents.in_list(documents.from_triple("lists", documents.LIST, "777"), 23)
FACTS_OF_LISTS = st.dictionaries(
    st.sampled_from(
        [
            *(f"list_23.property_{number}" for number in (1, 2, 3)),
            *("list_23.created_by.active", "list_23.bp_published", "document.running"),
        ]
    ),
    st.one_of(VALUES, st.sampled_from(["18.09.2026", "05/06/2026", "2026-09-20", "150|RUB"])),
)
A_DEAL = st.tuples(SEVERAL, FACTS, WORKFLOWS).map(
    lambda drawn: (a_ruleset(drawn[0], head=HEAD), a_situation(drawn[1], drawn[2]))
)
AN_ELEMENT = st.tuples(
    st.lists(st.sampled_from(OF_LISTS), unique=True, min_size=1).map("".join),
    FACTS_OF_LISTS,
    WORKFLOWS,
).map(
    lambda drawn: (
        a_ruleset(drawn[0]),
        a_situation(drawn[1], drawn[2], trigger="schedule", events=(), document=ELEMENT),
    )
)
JUDGED = st.one_of(A_DEAL, AN_ELEMENT)


@given(JUDGED)
def test_only_tests_that_hold_condemn(judged: tuple[Ruleset, Situation]) -> None:
    judgement = judge(*judged, enforcing=True, now=NOW)
    for verdict in judgement.verdicts:
        own = [c for c in verdict.conditions if c.rule == verdict.rule]
        held = [c.holds for c in own if not c.path.startswith(("unless.", "if.not."))]
        if verdict.action is not Action.LEAVE:
            assert all(held)
            excepted = [c.holds for c in own if c.path.startswith(("unless.", "if.not."))]
            assert excepted == [False] * len(excepted)
        else:
            assert False not in held


def killed(judgement: Judgement) -> set[str]:
    return {one.workflow.id for one in judgement.verdicts if one.mode is Mode.ENFORCE}


@given(JUDGED, st.data())
def test_knowing_less_never_condemns_more(
    judged: tuple[Ruleset, Situation], data: st.DataObject
) -> None:
    ruleset, situation = judged
    before = judge(ruleset, situation, enforcing=True, now=NOW)
    after = judge(ruleset, blinded(situation, data), enforcing=True, now=NOW)
    assert killed(after) <= killed(before)


def blinded(situation: Situation, data: st.DataObject) -> Situation:
    """Return a situation in which some facts of the document and of its workflows are denied."""
    assert isinstance(situation.workflows, tuple)
    workflows = tuple(replace(one, facts=hidden(one.facts, data)) for one in situation.workflows)
    return replace(situation, facts=hidden(situation.facts, data), workflows=workflows)


def hidden(facts: Mapping[str, object], data: st.DataObject) -> dict[str, object]:
    paths = sorted(path for path in facts if path != "workflow.id")
    denied = data.draw(st.sets(st.sampled_from(paths))) if paths else set()
    return {path: DENIED if path in denied else value for path, value in facts.items()}


@given(JUDGED)
def test_the_same_situation_gives_the_same_judgement(judged: tuple[Ruleset, Situation]) -> None:
    first = judge(*judged, enforcing=True, now=NOW)
    assert judge(*judged, enforcing=True, now=NOW) == first
