"""Tests of whom a rule tells: people whom the facts name, and nobody else."""

import pytest

from responder.model import Audience, Unknown
from responder.rules.telling.recipients import MOST_WAITING, Recipient, recipients

T, S, R, W = Audience.TIMELINE, Audience.STARTER, Audience.RESPONSIBLE, Audience.WAITING
DEAL = {"deal.assigned_by_id": 7}
RUN = {"workflow.started_by": "12", "waiting_for.id": ["5", 6]}


def test_the_facts_name_them() -> None:
    assert recipients((T, S, R, W), "deal", DEAL, RUN) == (
        Recipient(T),
        Recipient(S, "12"),
        Recipient(R, "7"),
        Recipient(W, "5"),
        Recipient(W, "6"),
    )


def test_nobody_is_told_twice() -> None:
    run = {"workflow.started_by": 7, "waiting_for.id": ["7", "7", "8"]}
    assert recipients((R, S, W), "deal", DEAL, run) == (Recipient(R, "7"), Recipient(W, "8"))


@pytest.mark.parametrize("value", ["0", 0, None, "", "x", "-1", True, [7], "1" * 30])
def test_a_workflow_that_nobody_started_has_nobody_to_tell(value: object) -> None:
    (one,) = recipients((S,), "deal", DEAL, {"workflow.started_by": value})
    assert (one.user, one.why) == (None, "nobody started it")


def test_what_could_not_be_read_says_so() -> None:
    facts = {"deal.assigned_by_id": Unknown("denied")}
    assert recipients((R, S, W), "deal", facts, {}) == (
        Recipient(R, why="denied"),
        Recipient(S, why="it was not read"),
        Recipient(W, why="its tasks were not read"),
    )


def test_a_task_has_no_timeline_and_a_user_of_its_own_who_is_responsible() -> None:
    assert recipients((T, R), "task", {"task.responsible_id": "9"}, {}) == (
        Recipient(T, why="such a document has no timeline"),
        Recipient(R, "9"),
    )


def test_a_task_of_hundreds_of_people_is_told_to_some() -> None:
    many = {"waiting_for.id": [str(number) for number in range(1, 31)]}
    found = recipients((W,), "deal", {}, many)
    assert len(found) == MOST_WAITING + 1
    assert found[-1].why == "10 more wait, and are not told"
