"""Lists all questions, and which of them `serve` asks and which the sandbox answers by a switch."""

from collections.abc import Iterable, Iterator

from responder.bitrix24.probe.question import Question, Switch
from responder.bitrix24.probe.questions import (
    about_answers,
    about_filters,
    about_items,
    about_people,
    about_rows,
    about_tasks,
)

QUESTIONS: tuple[Question, ...] = (
    *about_filters.QUESTIONS,
    *about_rows.QUESTIONS,
    *about_tasks.QUESTIONS,
    *about_items.QUESTIONS,
    *about_people.QUESTIONS,
    *about_answers.QUESTIONS,
)
READING = tuple(one for one in QUESTIONS if not one.kills)
CRUCIAL = tuple(one for one in READING if one.crucial)
BY_ID = {one.id: one for one in QUESTIONS}


def switches(signs: Iterable[tuple[str, str]]) -> Iterator[Switch]:
    """Yield the sandbox's switches that answers with these signs, by question, imply."""
    for name, sign in signs:
        question = BY_ID.get(name)
        if question is not None and sign in question.like:
            yield question.like[sign]
