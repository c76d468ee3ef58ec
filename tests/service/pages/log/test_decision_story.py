"""What is told of a decision: how each rule came out, and what every outcome is called."""

import pytest

from responder.model import Action, Names, Outcome, Reason
from responder.service.pages import wording
from responder.service.pages.log import decision_story


def _conditions(*found: tuple[str, bool | None]) -> list[dict[str, object]]:
    return [
        {"rule": "r", "path": path, "test": "is 1", "value": "1", "holds": holds}
        for path, holds in found
    ]


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([("if.deal.id", True)], "holds"),
        ([("if.deal.id", True), ("if.deal.title", False)], "does not hold"),
        ([("if.deal.id", None), ("if.deal.title", False)], "does not hold"),
        ([("if.deal.id", None), ("if.deal.title", True)], "unknown"),
        ([("if.deal.id", True), ("unless.deal.title", True)], "an exception holds"),
        ([("if.deal.id", True), ("unless.deal.title", False)], "holds"),
        ([("if.deal.id", True), ("unless.deal.title", None)], "unknown"),
    ],
)
def test_a_rule_came_out_as_its_last_test_did(
    found: list[tuple[str, bool | None]], verdict: str
) -> None:
    (read,) = decision_story.grouped(_conditions(*found))
    assert read.verdict == verdict


def test_a_rule_is_told_for_each_workflow() -> None:
    conditions = [{**one, "workflow": name} for name in "ab" for one in _conditions(("keep", True))]
    assert [(read.workflow, read.tests[0].fact) for read in decision_story.grouped(conditions)] == [
        ("a", "keep"),
        ("b", "keep"),
    ]


@pytest.mark.parametrize("outcome", [*Outcome, None])
@pytest.mark.parametrize("action", [Action.KILL, Action.TERMINATE])
def test_every_outcome_has_a_word_a_sign_and_a_sentence(
    outcome: Outcome | None, action: Action
) -> None:
    shown = wording.outcome(outcome)
    assert shown.word
    assert shown.sign
    assert shown.meaning
    decision = {
        "workflow": {"id": "w"} if outcome else None,
        "document": ["crm", "CCrmDocumentDeal", "DEAL_1"],
        "action": action.value,
        "outcome": outcome,
        "rule": "r" if outcome else None,
        "reason": Reason.NO_MATCH,
        "receipt": False,
        "verified_at": None,
    }
    headline = wording.headline(decision)
    assert ("Workflow w of deal 1 " in headline) == (outcome is not None)
    names = Names(title="Acme", amount="52000", currency="RUB", template="Discount approval")
    named = wording.headline(decision, names)
    subject = "Discount approval on deal 1 «Acme, 52,000 RUB» "
    assert (subject in named) == (outcome is not None)
    assert wording.because(decision).startswith("because ")
    done_or_not = {"killed", "terminated", "would_kill", "would_terminate"}
    assert bool(wording.proofs(decision)) == (outcome in done_or_not)


def test_a_kill_without_a_receipt_says_so() -> None:
    said = wording.proofs({"outcome": "killed", "receipt": False, "verified_at": None})
    assert said == ["The portal's answer was lost; the workflow was looked for, and is gone."]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_said_in_words(reason: Reason) -> None:
    assert wording.reason(reason) != reason.value


def test_nothing_at_all_is_said_to_be_nothing() -> None:
    decision = {"workflow": None, "document": None, "outcome": None}
    assert wording.headline(decision) == "Nothing was done"
    assert wording.outcome("new").word == "new"
