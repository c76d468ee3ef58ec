"""Interviews without a portal: whatever is answered, each question has one of three results."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from responder.bitrix24.client.answers import Answer, Command, Failure, FailureKind
from responder.bitrix24.lists.workflow_row import INSTANCE_FIELDS
from responder.bitrix24.probe.interview import MOST_CALLS, Interview, interview
from responder.bitrix24.probe.question import (
    Heard,
    Question,
    Reply,
    Result,
    Verdict,
    expected,
)
from responder.bitrix24.probe.questions.question_table import CRUCIAL, QUESTIONS

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
KEYS = st.sampled_from(
    (*INSTANCE_FIELDS, "USER_ID", "STATUS", "id", "items", "item", "tasks", "ACTIVE", "uf_x")
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=12,
)
FAILURES = st.builds(
    Failure, st.sampled_from(FailureKind), st.text(max_size=5), st.text(max_size=5)
)
ANSWERS = st.builds(
    Answer,
    value=VALUES,
    total=st.none() | st.integers(0, 99),
    next=st.none() | st.integers(0, 99),
    failure=st.none() | FAILURES,
)


def asked(answers: Sequence[Answer], questions: Sequence[Question] = QUESTIONS) -> Interview:
    count = 0

    async def ask(commands: Sequence[Command]) -> list[Reply]:
        nonlocal count
        replies = []
        for _ in commands:
            replies.append(Reply(answers[count % len(answers)], 200, {"result": 1}))
            count += 1
        return replies

    return asyncio.run(interview(ask, questions, NOW, lambda: [(200, {"result": {}})]))


@settings(max_examples=40)
@given(st.lists(ANSWERS, min_size=1, max_size=20))
def test_whatever_is_answered_each_question_has_a_result(answers: list[Answer]) -> None:
    found = asked(answers)
    assert [one.question.id for one in found.findings] == [one.id for one in QUESTIONS]
    assert {one.result for one in found.findings} <= set(Result)
    assert found.calls <= MOST_CALLS


@given(st.builds(Answer, failure=FAILURES))
def test_a_portal_that_fails_throughout_differs_in_nothing_crucial(
    answer: Answer,
) -> None:
    found = asked([answer], CRUCIAL)
    assert [one.question.id for one in found.of(Result.DIFFERS)] == []


def test_what_many_questions_need_is_asked_once_and_no_more_than_there_are_calls() -> None:
    many = tuple(
        Question(
            id=f"question-{number}",
            section="6",
            asks="?",
            expected="",
            leads_to="",
            commands=lambda _heard, number=number: {  # type: ignore[misc]
                "own": Command("user.get", {"FILTER": {"ID": number // 2}})
            },
            judge=lambda heard: _judged(heard),
        )
        for number in range(200)
    )
    found = asked([Answer(value=[])], many)
    assert found.calls <= MOST_CALLS
    results = [one.result for one in found.findings]
    assert results[:90] == [Result.AS_EXPECTED] * 90
    assert results[120:] == [Result.NOT_ASKED] * 80


def _judged(heard: Heard) -> Verdict:
    return expected(str(len(heard["own"].rows)))
