"""Where a fact was not recorded, a ruling is given only if no value of it could make another."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from responder.authoring.backtest.past_situation import NOT_RECORDED
from responder.authoring.backtest.verdict import rulings
from responder.model import KILLING, Unknown
from responder.rules.decide import judge
from responder.rules.ruleset import load, was_in_force
from tests.rules.make import NOW, a_situation, a_workflow

PATHS = ("deal.stage_id", "deal.type_id", "deal.source_id")
VALUES = ("A", "B", None, Unknown("it could not be read"))

tests = st.builds(
    lambda path, operator, value: {path: {operator: value}},
    st.sampled_from([*PATHS, "workflow.template_id"]),
    st.sampled_from(["is", "is_not"]),
    st.sampled_from(["A", "B"]),
).map(
    lambda test: {
        k: {o: 61 if k == "workflow.template_id" else v for o, v in t.items()}
        for k, t in test.items()
    }
)
groups = st.one_of(
    tests,
    st.builds(lambda one, two: {"any": [one, two]}, tests, tests),
    st.builds(lambda one: {"not": one}, tests),
)
rules = st.builds(
    lambda condition, exception, then, mode: {
        "if": condition,
        **({"unless": exception} if exception else {}),
        "then": then,
        **(
            {}
            if then == "leave"
            else {"mode": mode, "when": ["deal.updated"], "every_template": True}
        ),
    },
    groups,
    st.none() | groups,
    st.sampled_from(["kill", "kill", "leave", "terminate"]),
    st.sampled_from(["observe", "enforce"]),
)
known_facts = st.fixed_dictionaries({path: st.sampled_from(VALUES) for path in PATHS})


def in_yaml(value: Any) -> str:  # noqa: ANN401 -- what YAML holds
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {in_yaml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(in_yaml, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


@settings(max_examples=150, deadline=None)
@given(st.lists(rules, min_size=1, max_size=4), known_facts, st.sets(st.sampled_from(PATHS)))
def test_a_ruling_without_a_doubt_is_the_one_that_all_facts_give(
    written: list[dict[str, object]], facts: dict[str, object], unread: set[str]
) -> None:
    lines = [in_yaml({"id": f"r{number}", **rule}) for number, rule in enumerate(written)]
    text = "\n".join(["version: 1", "rules:", *(f"  - {line}" for line in lines)])
    # Among them are rules that contradict themselves, which older versions loaded.
    ruleset = load(text.encode(), file="r", is_known=was_in_force)
    workflows = (a_workflow("a"), a_workflow("b", template_id="7"))
    whole = a_situation(facts, workflows)
    truth = judge(ruleset, whole, enforcing=True, now=NOW)
    condemned = {one.workflow.id for one in truth.verdicts if one.action in KILLING}
    recorded = a_situation({**facts, **dict.fromkeys(unread, NOT_RECORDED)}, workflows)
    asked = ruleset.in_question("event", recorded.events, "deal", "main")
    found = list(rulings(ruleset, asked, recorded, only=None, now=NOW, then=None, condemned=()))
    if asked:
        assert len(found) == len(workflows)
    for ruling in found:
        if ruling.doubt is None:
            assert bool(ruling.kills) == (ruling.workflow.id in condemned)
        else:
            assert set(ruling.doubt.facts) <= unread
            assert ruling.doubt.facts
