"""Tests which documents are read together, and that none waits behind all others for ever."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from responder.bitrix24.sandbox.faults import Fault
from responder.judge.backoff import Backoff
from responder.judge.lifecycle import RETRY_AFTER
from responder.store.database.database import Database
from tests.support.rounds import RULES, Driving, driving, play
from tests.support.storms import driven as driven

NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)
A_WHILE = timedelta(seconds=10)
ASKS_FOR_TASKS = RULES.replace("if: {", "if: {workflow.tasks: 0, ")


def test_what_failed_once_is_not_held_up_by_what_comes_steadily(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.lost_deals(range(1, 40))
        there.sandbox.fail_next("crm.item.get", "500")
        there.deliver([1])
        await there.round()
        assert there.waiting == 1
        there.later(seconds=RETRY_AFTER[0].total_seconds() + 1)
        for number in range(2, 8):
            there.deliver([number])
            await there.round()
            there.later(seconds=1)
        killed = {call.params["ID"] for call in there.sandbox.calls_of("bizproc.workflow.kill")}
        assert "65e5a449e8f135.00000100" in killed

    play(driven, story)


@pytest.mark.parametrize(
    "refusal",
    [("error", 401, "NO_AUTH_FOUND", "no"), ("error", 403, "ACCESS_DENIED", "by subscription")],
)
def test_an_event_waits_where_the_portal_shuts_amid_its_reading(
    database: Database, tmp_path: Path, refusal: Fault
) -> None:
    async def story(there: Driving) -> None:
        there.lost_deals([1])
        there.sandbox.fail_next("bizproc.task.list", refusal)
        there.sandbox.fail_next("profile", refusal)
        there.deliver([1])
        await there.round()
        assert there.client.shut is not None
        assert (there.waiting, there.decisions()) == (1, [])
        there.later(seconds=61)
        await there.come_to_rest()
        assert there.outcomes() == {"killed": 1}

    with driving(database, tmp_path, ASKS_FOR_TASKS) as driven:
        play(driven, story)


def test_sound_doubted_and_suspected_documents_are_read_apart_and_in_turn() -> None:
    backoff = Backoff("main")
    backoff.suspect("b", NOW, A_WHILE, among_many=True)
    backoff.suspect("c", NOW, A_WHILE, among_many=False)
    backoff.suspect("d", NOW, A_WHILE, among_many=False)
    read = [backoff.next_batch(["a", "b", "c", "d", "e"], most=9, few=2) for _ in range(6)]
    assert sorted(read[:3]) == sorted(read[3:]) == [["a", "e"], ["b"], ["c"]]
    assert backoff.next_batch([], most=9, few=2) == []


def test_a_document_that_was_judged_is_sound_again() -> None:
    backoff = Backoff("main")
    backoff.suspect("a", NOW, A_WHILE, among_many=False)
    backoff.judged("a", NOW)
    assert backoff.next_batch(["a", "b"], most=9, few=2) == ["a", "b"]


def test_the_fifth_stumble_is_the_last_and_begins_anew() -> None:
    backoff = Backoff("main")
    assert [backoff.stumbled("a", NOW) for _ in range(6)] == [1, 2, 3, 4, 5, 1]
