"""Tests that what is said of rules, that they never hold or are never reached, is always true."""

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from responder.rules.decide import judge
from responder.rules.facts.conditions import All, AnyOf, View
from responder.rules.logic import futile
from responder.rules.reach import shadowed
from responder.rules.ruleset import load, was_in_force
from tests.rules.logic.conditions import A_TOPIC, FACTS, ZONES, a_head
from tests.rules.make import NOW, a_rule, a_situation, a_workflow, in_a_file

WORLDS = st.lists(FACTS, min_size=1, max_size=5)


def some_of(conditions: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(conditions, min_size=1, max_size=2)
    return several.map(lambda some: f"all: [{', '.join(some)}]")


KEYS = st.sampled_from(
    ["", "wait: 1d", "limit: {per_hour: 1}", "sweep: false", "keep: newest", "expires: 2026-12-31",
     "portals: [main]", "portals: [other]", "disabled: for now"]
)  # fmt: skip


@st.composite
def a_drawn_rule(draw: st.DrawFn, name: str, conditions: st.SearchStrategy[str]) -> str:
    guards = draw(st.booleans())
    unless = draw(st.one_of(st.none(), conditions))
    more = [] if guards else ["every_template: true", draw(KEYS)]
    more += [f"unless: {unless}"] if unless else []
    events = st.sampled_from(["[deal.updated]", "[deal.added]", "[deal.updated, deal.added]"])
    return a_rule(
        draw(some_of(conditions)),
        name=name,
        when=draw(st.one_of(st.none(), events) if guards else events),
        then="leave" if guards else draw(st.sampled_from(["kill", "terminate"])),
        mode=draw(st.sampled_from(["observe", "approve", "enforce", "enforce"])),
        more="\n".join(filter(None, more)),
    )


RULES = A_TOPIC.flatmap(
    lambda topic: st.tuples(*(a_drawn_rule(f"r{n}", topic) for n in range(3)))
).map("".join)
TESTS_OF_A_RULE = A_TOPIC.flatmap(lambda topic: st.tuples(some_of(topic), topic, topic))


@given(RULES, ZONES, WORLDS)
@settings(max_examples=200)
def test_a_rule_that_is_never_reached_gives_no_verdict(
    rules: str, zone: str, worlds: list[Mapping[str, object]]
) -> None:
    ruleset = load(in_a_file(rules, a_head(zone)).encode(), file="r", is_known=was_in_force)
    never = {one.rule.id for one in shadowed(ruleset.rules)}
    for facts in worlds if never else ():
        for event in ("ONCRMDEALUPDATE", "ONCRMDEALADD"):
            own = {path: one for path, one in facts.items() if path.startswith("workflow.")}
            workflow = a_workflow(facts["workflow.id"], **own)
            situation = a_situation(facts, (workflow,), events=(event,))
            judgement = judge(ruleset, situation, enforcing=True, now=NOW)
            assert never.isdisjoint(one.rule for one in judgement.verdicts)


@given(TESTS_OF_A_RULE, ZONES, WORLDS)
@settings(max_examples=200)
def test_what_is_futile_does_nothing(
    tests: tuple[str, str, str], zone: str, worlds: list[Mapping[str, object]]
) -> None:
    condition, other, exception = tests
    asked = f"{condition}, any: [{other}, {exception}]"
    rule = a_rule(asked, more=f"every_template: true\nunless: {exception}")
    text = in_a_file(rule, a_head(zone)).encode()
    rule_read = load(text, file="r", is_known=was_in_force).rules[0]
    asks, excepts = rule_read.condition, rule_read.exception
    exclusion = futile.exclusion(asks)
    excepts_all, excepts_none = (
        futile.excepts_all(asks, excepts),
        futile.excepts_nothing(asks, excepts),
    )
    dead = [] if exclusion else list(futile.dead_alternatives(asks))
    for facts in worlds:
        view = View(facts=facts, now=NOW)
        holds, excepted = asks.holds(view), excepts.holds(view)
        if exclusion is not None:
            assert All(tuple(asks.parts[n] for n in exclusion.places)).holds(view) is not True
        assert not (excepts_all and holds and excepted is False)
        assert not (excepts_none and holds and excepted is not False)
        for part in asks.parts:
            always = futile.never_false(part)
            assert always is None or always.holds(view) is not False
        for place, item in dead:
            group = asks.parts[place]
            assert isinstance(group, AnyOf)
            assert not (holds and group.parts[item].holds(view))
