"""Tests what is believed of the list of templates."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from responder.bitrix24.client.answers import Answer, Command
from responder.bitrix24.fetch.templates import Templates, TemplatesRead
from responder.bitrix24.lists.paged import read_all
from responder.model import Unknown

NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)
PATHS = frozenset({"template.name", "template.known"})


class Listed:
    """A portal's templates; between the first request and the others one goes and one comes."""

    def __init__(self, rows: list[dict[str, object]]) -> None:
        self.rows = rows
        self.asked = 0

    async def send(self, commands: Sequence[Command]) -> list[Answer]:
        answers = [self._page(int(str(one.params.get("start", 0)))) for one in commands]
        if not self.asked:
            del self.rows[4]
            self.rows.append({"ID": "999", "NAME": "New"})
        self.asked += 1
        return answers

    def _page(self, start: int) -> Answer:
        more = start + 50 if start + 50 < len(self.rows) else None
        return Answer(value=self.rows[start : start + 50], total=len(self.rows), next=more)


def facts_of(rows: list[dict[str, object]], template_id: object) -> dict[str, object]:
    read = TemplatesRead(Templates(), NOW, PATHS)
    asyncio.run(read_all(Listed(rows).send, read.reads()))
    read.keep()
    return read.facts({"TEMPLATE_ID": template_id, "STARTED": "2026-09-01T10:00:00+03:00"}, PATHS)[
        0
    ]


def test_a_row_that_slipped_between_two_pages_is_known_all_the_same() -> None:
    rows: list[dict[str, object]] = [{"ID": f"{n}", "NAME": f"T{n}"} for n in range(1, 121)]
    assert facts_of(rows, "51") == {
        "template.id": "51",
        "template.known": True,
        "template.name": "T51",
    }


def test_a_template_whose_name_is_not_told_has_an_unknown_one() -> None:
    found = facts_of([{"ID": f"{number}"} for number in range(1, 10)], "7")
    assert found["template.known"] is True
    assert isinstance(found["template.name"], Unknown)


def test_what_is_no_id_of_a_template_says_nothing_of_the_list() -> None:
    for odd in ("061", " 61", "abc", True, -1):
        found = facts_of([{"ID": f"{n}", "NAME": "T"} for n in range(1, 10)], odd)
        assert isinstance(found["template.known"], Unknown)
