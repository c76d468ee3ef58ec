"""Tests which documents are read together, and that none waits behind all others for ever."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.bitrix24.client.answers import FailureKind
from responder.bitrix24.client.rate_limit import OPERATING_LIMIT, QUERY_LIMIT
from responder.bitrix24.fetch.document_facts import Reading
from responder.bitrix24.sandbox.faults import Fault
from responder.judge.backoff import AWAY_AGAIN, AWAY_REST, REST, Backoff
from responder.judge.stop_lifecycle import BUSY_AGAIN, REFUSED_AGAIN, RETRY_AFTER, TRIES
from responder.store.database.database import Database
from tests.judge.make import DENIED, a_failure, a_reading
from tests.support.rounds import RULES, Driving, driving, play
from tests.support.sqlite_first import migrated_url as migrated_url
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


@pytest.mark.portal
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
        assert there.client.breakers.of_portal is not None
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
    assert [backoff.count_fault("a", NOW) for _ in range(6)] == [1, 2, 3, 4, 5, 1]


def failed(kind: FailureKind = FailureKind.UNCERTAIN, code: str = "timeout") -> Reading:
    return a_reading(stage=DENIED, failure=a_failure(kind, code))


def defers(backoff: Backoff, reading: Reading, *, among_many: bool) -> bool:
    """Return whether a document waits because of what was read of it, alone or with another."""
    beside = {"beside": a_reading()} if among_many else {}
    return "a" in backoff.deferred({"a": reading, **beside}, NOW, few=1)


PORTAL, METHOD = FailureKind.PORTAL, FailureKind.METHOD
UNLISTED = a_reading(unlisted=DENIED, failure=a_failure(METHOD, "ACCESS_DENIED"))
# what was read, alone or with many others; how long its document rests, or that it is judged
WAITS = {
    "all was read": (a_reading(), False, None),
    "the portal is shut": (failed(PORTAL, "NO_AUTH_FOUND"), False, REFUSED_AGAIN),
    "the right to list is missing": (UNLISTED, False, REFUSED_AGAIN),
    "another right is missing: it is judged by what is known": (
        failed(METHOD, "insufficient_scope"),
        False,
        None,
    ),
    "its time is used up": (failed(code=OPERATING_LIMIT), False, REFUSED_AGAIN),
    "too many requests": (failed(code=QUERY_LIMIT), False, BUSY_AGAIN),
    "no answer came": (failed(), False, RETRY_AFTER[0]),
    "no answer came for many": (failed(), True, RETRY_AFTER[0]),
}


@pytest.mark.parametrize(("reading", "among_many", "wait"), WAITS.values(), ids=WAITS)
def test_how_long_a_document_rests_that_could_not_be_read(
    reading: Reading, among_many: bool, wait: timedelta | None
) -> None:
    backoff = Backoff("main")
    assert defers(backoff, reading, among_many=among_many) == (wait is not None)
    if wait is None:
        assert backoff.resting(NOW) == set()
    else:
        assert backoff.resting(NOW + wait - timedelta(seconds=1)) == {"a"}
        assert backoff.resting(NOW + wait) == set()


def test_a_document_that_cannot_be_read_five_times_is_judged_by_what_is_known() -> None:
    backoff = Backoff("main")
    tries = [defers(backoff, failed(), among_many=False) for _ in range(TRIES)]
    assert tries == [True] * (TRIES - 1) + [False]


def test_each_failed_try_rests_longer() -> None:
    backoff = Backoff("main")
    for wait in RETRY_AFTER:
        assert defers(backoff, failed(), among_many=False)
        assert backoff.seconds_until_first(NOW, 1e6) == wait.total_seconds()


def test_what_failed_among_many_is_doubted_and_not_counted() -> None:
    backoff = Backoff("main")
    for _ in range(2 * TRIES):
        assert defers(backoff, failed(), among_many=True)
    assert backoff.next_batch(["a"], most=9, few=2) == ["a"]
    assert defers(backoff, failed(), among_many=False)  # the first that counts


def test_what_was_limited_is_neither_doubted_nor_counted() -> None:
    backoff = Backoff("main")
    for _ in range(2 * TRIES):
        assert defers(backoff, failed(code=QUERY_LIMIT), among_many=False)
    assert backoff.next_batch(["a", "b"], most=9, few=2) == ["a", "b"]


def test_while_the_portal_is_away_everybody_waits_for_as_long_as_that_takes() -> None:
    backoff = Backoff("main")
    waited = []
    for _ in range(2 * TRIES):
        backoff.mark_away(NOW)
        assert defers(backoff, failed(), among_many=False)
        waited.append(backoff.seconds_until_first(NOW, 1e6))
    assert waited[:3] == [wait.total_seconds() for wait in AWAY_AGAIN]
    assert set(waited[3:]) == {AWAY_AGAIN[-1].total_seconds()}
    backoff.mark_answering()
    assert defers(backoff, failed(), among_many=False)
    assert backoff.seconds_until_first(NOW, 1e6) == RETRY_AFTER[0].total_seconds()


def test_a_portal_that_is_away_is_left_alone_for_two_seconds() -> None:
    backoff = Backoff("main")
    assert not backoff.is_left_alone(NOW)
    backoff.mark_away(NOW)
    assert backoff.is_away
    assert backoff.is_left_alone(NOW + AWAY_REST - timedelta(milliseconds=1))
    assert not backoff.is_left_alone(NOW + AWAY_REST)
    assert not backoff.is_left_alone(NOW - timedelta(seconds=1))  # our clock was set back
    backoff.mark_answering()
    assert not backoff.is_left_alone(NOW)
    assert not backoff.is_away


def test_a_portal_is_away_since_it_first_did_not_answer() -> None:
    backoff = Backoff("main")
    backoff.mark_answering()
    assert backoff.away_since is None
    backoff.mark_away(NOW)
    backoff.mark_away(NOW + A_WHILE)
    assert backoff.away_since == NOW
    backoff.mark_answering()
    assert backoff.away_since is None


def test_a_document_rests_a_second_after_it_was_judged() -> None:
    backoff = Backoff("main")
    backoff.judged("a", NOW)
    assert backoff.resting(NOW) == {"a"}
    assert backoff.resting(NOW + REST) == set()


def test_a_clock_that_was_set_back_makes_no_document_rest_for_long() -> None:
    backoff = Backoff("main")
    backoff.judged("a", NOW)
    assert backoff.resting(NOW - timedelta(days=1)) == set()


def test_who_waits_for_the_first_to_have_rested_waits_no_longer_than_asked() -> None:
    backoff = Backoff("main")
    assert backoff.seconds_until_first(NOW, 5) == 5
    backoff.rest("a", NOW, timedelta(seconds=3))
    backoff.rest("b", NOW, timedelta(seconds=2))
    assert backoff.seconds_until_first(NOW, 5) == 2
    assert backoff.seconds_until_first(NOW, 1) == 1
    assert backoff.seconds_until_first(NOW + timedelta(seconds=2), 5) == 1
    assert backoff.seconds_until_first(NOW, 0) == 0.001


@given(
    st.lists(st.sampled_from("abcdef"), unique=True),
    st.sets(st.sampled_from("abcdef")),
    st.sets(st.sampled_from("abcdef")),
)
def test_every_document_has_its_turn(
    refs: list[str], doubted: set[str], suspected: set[str]
) -> None:
    backoff = Backoff("main")
    for ref in sorted(doubted):
        backoff.suspect(ref, NOW, A_WHILE, among_many=True)
    for ref in sorted(suspected):
        backoff.suspect(ref, NOW, A_WHILE, among_many=False)
    left = list(refs)
    for _ in range(3 * len(refs)):
        chosen = backoff.next_batch(left, most=2, few=1)
        assert set(chosen) <= set(left)
        left = [ref for ref in left if ref not in chosen]
    assert left == []
