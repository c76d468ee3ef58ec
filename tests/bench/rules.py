"""What deciding costs: `python -m tests.bench.rules` prints each figure beside its target.

Each figure is the best of many short runs, for whatever else the machine does only adds to it;
loading is told in seconds of the processor. For comparison, in the same run: a loop that does
nothing but make 300 conditions, and judgements of a value that no test has seen.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from timeit import repeat

from responder.model import Condition, Document, Situation, Workflow
from responder.rules.decide import judge
from responder.rules.ruleset import Ruleset, load
from tests.bench.figures import Figure, show

NOW = datetime(2026, 9, 24, 9, 0, tzinfo=UTC)
DEAL = Document(kind="deal", item_id="759", module="crm", entity="CCrmDocumentDeal", id="DEAL_759")
UPDATED = ("ONCRMDEALUPDATE",)
UNNAMED = ("ONCRMLEADADD",)
SITUATION = Situation(
    portal="main",
    trigger="event",
    events=UPDATED,
    document=DEAL,
    facts={"deal.category_id": 2, "deal.stage_id": "NEW", "deal.opportunity": "500.00"},
    workflows=(Workflow(id="a", facts={"workflow.template_id": "61", "template.known": True}),),
)


def a_file(tests: list[str]) -> bytes:
    """Write a rules file with one short rule for each text of tests."""
    rules = (
        f"- {{id: r{number}, when: [deal.updated], if: {{{test}}}, every_template: true,"
        f" then: kill}}\n"
        for number, test in enumerate(tests)
    )
    return ("version: 1\nrules:\n" + "".join(rules)).encode()


def of_three_tests(last: str) -> Ruleset:
    """Load 100 rules whose first two tests hold and whose third, another in each, does not."""
    two = "deal.category_id: [0, 2], deal.stage_id: NEW"
    return load(a_file([f"{two}, {last.format(100 + n)}" for n in range(100)]), file="rules.yaml")


def microseconds(act: Callable[[], object], number: int) -> float:
    """Return what one call costs at best."""
    act()
    return min(repeat(act, number=number, repeat=50)) / number * 1e6


def judging(ruleset: Ruleset) -> Callable[[], object]:
    """Return what judges the situation and leaves 300 conditions."""

    def act() -> object:
        judgement = judge(ruleset, SITUATION, enforcing=True, now=NOW)
        assert len(judgement.conditions) == 300
        return judgement

    return act


def of_other_amounts(ruleset: Ruleset) -> Callable[[], object]:
    """Return what judges a deal of another amount each time, which no test has seen."""
    amounts = count(1000)

    def act() -> object:
        facts = {**SITUATION.facts, "deal.opportunity": f"{next(amounts)}.00"}
        return judge(ruleset, replace(SITUATION, facts=facts), enforcing=True, now=NOW)

    return act


def only_conditions() -> list[Condition]:
    """Make as many conditions as the judgement has, and nothing else."""
    return [Condition("r", "if.deal.stage_id", "is NEW", "NEW", True, None) for _ in range(300)]


def measure() -> list[Figure]:
    """Measure deciding, and loading."""
    data = a_file([f"workflow.template_id: {number}" for number in range(1, 10_001)])
    began = time.process_time()
    many = load(data, file="rules.yaml")
    loading = time.process_time() - began
    unnamed = microseconds(lambda: many.in_question("event", UNNAMED, "lead", "main"), 1000)
    by_workflow = microseconds(judging(of_three_tests("workflow.template_id: {}")), 20)
    of_amounts = of_three_tests("deal.opportunity: {{at_most: {}}}")
    by_document = microseconds(judging(of_amounts), 20)
    unseen = microseconds(of_other_amounts(of_amounts), 20)
    return [
        Figure("an event that none of 10,000 rules names", unnamed, "us", at_most=1),
        Figure("100 rules x 3 tests, the last of the workflow", by_workflow, "us", at_most=150),
        Figure("100 rules x 3 tests, the last of the document", by_document, "us", at_most=150),
        Figure("  the same, with a value that no test has seen", unseen, "us"),
        Figure("  only making its 300 conditions", microseconds(only_conditions, 20), "us"),
        Figure("loading 10,000 rules", loading, "s", at_most=5),
    ]


if __name__ == "__main__":
    show(measure())
