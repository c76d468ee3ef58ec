"""Rules that ask first are read like those that act; where nothing is enforced nobody is asked."""

from responder.model import Mode, Verdict
from tests.rules.make import a_rule, judged

ASKING = a_rule(name="asking", mode="approve")


def said(verdicts: tuple[Verdict, ...]) -> list[tuple[str, Mode | None]]:
    return [(one.rule, one.mode) for one in verdicts]


def test_a_rule_that_asks_ends_the_reading() -> None:
    tried = a_rule(name="tried", mode="observe")
    judgement = judged(tried + ASKING + a_rule(name="meant"))
    assert said(judgement.verdicts) == [("tried", Mode.OBSERVE), ("asking", Mode.APPROVE)]
    above = judged(a_rule(name="meant") + ASKING)
    assert said(above.verdicts) == [("meant", Mode.ENFORCE)]


def test_where_nothing_is_enforced_it_reads_the_same_and_asks_nobody() -> None:
    judgement = judged(ASKING + a_rule(name="meant"), enforcing=False)
    assert said(judgement.verdicts) == [("asking", Mode.OBSERVE)]
