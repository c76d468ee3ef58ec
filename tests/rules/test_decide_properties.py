"""Properties of judging: only what holds condemns, and knowing less never condemns more."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from responder.model import Action, Judgement, Mode, Unknown
from responder.rules.decide import judge
from tests.rules.make import DEAL, NOW, a_rule, a_ruleset, a_situation, a_workflow

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
]
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
WORKFLOW = st.builds(
    lambda template, started, known: a_workflow(
        template_id=template, started=started, **{"template.known": known}
    ),
    st.sampled_from(["61", "7", None, DENIED]),
    st.sampled_from(["2026-09-20T12:00:00+03:00", "2026-09-24T11:59:00+03:00", None, "?"]),
    st.sampled_from([True, False, DENIED]),
)


@given(SEVERAL, FACTS, WORKFLOW)
def test_only_tests_that_hold_condemn(
    rules: str, facts: dict[str, object], workflow: object
) -> None:
    situation = a_situation(facts, (workflow,))  # type: ignore[arg-type]  # WORKFLOW makes them
    judgement = judge(a_ruleset(rules), situation, enforcing=True, now=NOW)
    for verdict in judgement.verdicts:
        own = [c for c in verdict.conditions if c.rule == verdict.rule]
        held = [c.holds for c in own if not c.path.startswith(("unless.", "if.not."))]
        if verdict.action is not Action.LEAVE:
            assert all(held)
            excepted = [c.holds for c in own if c.path.startswith(("unless.", "if.not."))]
            assert excepted == [False] * len(excepted)
        else:
            assert False not in held


@given(SEVERAL, FACTS, WORKFLOW, st.data())
def test_knowing_less_never_condemns_more(
    rules: str, facts: dict[str, object], workflow: object, data: st.DataObject
) -> None:
    ruleset = a_ruleset(rules)
    situation = a_situation(facts, (workflow,))  # type: ignore[arg-type]  # WORKFLOW makes them
    hidden = data.draw(st.sets(st.sampled_from(sorted(facts) or ["deal.title"])))
    blind = replace(
        situation, facts={path: DENIED if path in hidden else v for path, v in facts.items()}
    )

    def killed(judgement: Judgement) -> set[str]:
        return {v.rule for v in judgement.verdicts if v.mode is Mode.ENFORCE}

    before = judge(ruleset, situation, enforcing=True, now=NOW)
    after = judge(ruleset, blind, enforcing=True, now=NOW)
    if not killed(before):
        assert not killed(after)


@given(SEVERAL, FACTS)
def test_the_same_situation_gives_the_same_judgement(rules: str, facts: dict[str, object]) -> None:
    ruleset, situation = a_ruleset(rules), a_situation(facts, document=DEAL)
    first = judge(ruleset, situation, enforcing=True, now=NOW)
    assert judge(ruleset, situation, enforcing=True, now=NOW) == first
