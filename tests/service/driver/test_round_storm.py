"""Tests storms: many documents are read together and stopped in full batches."""

from datetime import timedelta

import pytest

from responder.bitrix24.client.rate_limit import Bucket
from responder.judge import fact_reader
from responder.judge.context import IDS
from tests.support.rounds import KILL, RULES, Driving, play
from tests.support.sqlite_first import migrated_url as migrated_url
from tests.support.storms import MANY, all_is_done, begin, read_singly
from tests.support.storms import driven as driven
from tests.support.storms import driven_on_premise as driven_on_premise

on_both = pytest.mark.parametrize("migrated_url", ["sqlite", "postgresql"], indirect=True)


@on_both
def test_many_documents_are_read_by_pages_and_killed_in_full_batches(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.lost_deals([9_999])
        there.deliver([9_999])
        await there.until_idle()  # now it is known how long a kill takes
        await begin(there)
        while there.agenda is not None and there.agenda.rounds.is_amid_work:
            await there.round()
        assert there.batches_of(KILL) == [1, 50, 50, 20]
        assert read_singly(there) == 1
        assert not there.sandbox.calls_of("crm.item.get")[1:]
        await all_is_done(there, range(121))

    play(driven, story)


def test_no_document_is_read_before_the_list_of_what_runs(driven: Driving) -> None:
    """Else a workflow that begins in between is judged by what its document was before."""

    async def story(there: Driving) -> None:
        await begin(there)
        listed = [call.batch or 0 for call in there.sandbox.calls_of("bizproc.workflow.instances")]
        read = [call.batch or 0 for call in there.sandbox.calls_of("crm.item.list")]
        assert listed
        assert read
        assert max(listed) < min(read)

    play(driven, story)


def test_no_last_few_documents_are_read_by_a_request_of_their_own(
    driven: Driving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fact_reader, "IN_BULK", 100)

    async def story(there: Driving) -> None:
        await begin(there)
        read = there.sandbox.calls_of("crm.item.list")
        ids = [call.params["filter"]["@id"] for call in read]  # type: ignore[index]
        assert sum(map(len, ids)) == 100
        await all_is_done(there)

    play(driven, story)


def test_before_it_is_known_how_long_a_kill_takes_batches_are_small(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        await all_is_done(there)
        assert there.batches_of(KILL)[0] <= 20
        assert there.batches_of(KILL)[1] == 50

    play(driven, story)


def test_one_list_of_all_that_runs_verifies_a_storm(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        await there.until_idle()
        left = [one for one in there.decisions() if not one["verified_at"]]
        there.later(seconds=3)
        before = there.sandbox.http_requests
        assert await there.round() is bool(left)  # a slow machine has verified some already
        # a few are looked for by their ids, and what runs on their documents beside it
        requests = 0 if not left else 1 if len(left) > IDS else 2
        assert there.sandbox.http_requests == before + requests
        assert all(one["verified_at"] for one in there.decisions())

    play(driven, story)


async def stop(there: Driving, numbers: range) -> None:
    there.lost_deals(numbers)
    there.deliver(numbers)
    await there.until_idle()


@on_both
def test_what_falls_due_within_two_seconds_is_looked_for_in_one_list(driven: Driving) -> None:
    async def looked_for(there: Driving) -> tuple[int, int]:
        """Return how many requests a search costs now, and how many are found to be gone."""
        before = there.sandbox.http_requests
        await there.until_idle()
        gone = sum(bool(one["verified_at"]) for one in there.decisions())
        return there.sandbox.http_requests - before, gone

    async def story(there: Driving) -> None:
        await stop(there, range(1, 61))
        there.later(seconds=1.5)
        await stop(there, range(61, 121))
        there.later(seconds=1)
        assert await looked_for(there) == (0, 0)
        await stop(there, range(121, 126))  # so few that no list is read for them
        there.later(seconds=1)
        assert await looked_for(there) == (0, 0)
        there.later(seconds=1)
        assert await looked_for(there) == (1, 125)

    at = driven.now()
    driven.now = lambda: at + driven.offset  # type: ignore[method-assign] # a machine may be slow
    play(driven, story)


def test_nothing_that_was_stopped_is_looked_for_more_than_twenty_seconds_late(
    driven: Driving,
) -> None:
    async def story(there: Driving) -> None:
        await stop(there, range(1, 61))
        seconds = 0.0
        while not any(one["verified_at"] for one in there.decisions()):
            assert seconds <= 22
            there.later(seconds=1.5)
            seconds += 1.5
            first = 100 + round(seconds * 10)
            await stop(there, range(first, first + 5))
        assert seconds > 20

    at = driven.now()
    driven.now = lambda: at + driven.offset  # type: ignore[method-assign] # a machine may be slow
    play(driven, story)


def test_a_reading_by_pages_verifies_what_was_stopped_before(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        await there.until_idle()
        there.later(seconds=3)
        await begin(there, range(201, 321))
        while there.agenda is not None and there.agenda.rounds.is_amid_work:
            await there.round()
        verified = [one for one in there.decisions() if one["verified_at"]]
        assert len(verified) == len(MANY)
        assert read_singly(there) == 0

    play(driven, story)


def test_with_far_more_running_than_due_documents_are_read_one_by_one(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        for number in range(4_000):
            there.sandbox.start_workflow(("crm", "CCrmDocumentDeal", f"DEAL_{10**6 + number}"), 7)
        numbers = range(1, 31)
        await begin(there, numbers)
        assert there.sandbox.http_requests <= 2  # they told how many there are
        await there.come_to_rest()
        assert read_singly(there) >= len(numbers)
        assert len(there.sandbox.killed) == len(numbers)

    play(driven, story)


def test_a_limit_holds_over_all_slices(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.rules_path.write_text(RULES.replace("100000", "70"), encoding="utf-8")
        there.rules.reload(at_once=True)
        await begin(there)
        await there.come_to_rest()
        assert len(there.sandbox.killed) == 70
        assert there.outcomes() == {"killed": 70, "held": len(MANY) - 70}

    play(driven, story)


def test_a_document_with_more_workflows_than_it_allows_is_left_whole(
    driven_on_premise: Driving,
) -> None:
    async def story(there: Driving) -> None:
        there.rules_path.write_text(RULES.replace("per_document: 100", "per_document: 2"))
        there.rules.reload(at_once=True)
        there.lost_deals([500], workflows=3)
        there.deliver([500])
        await begin(there)
        await there.come_to_rest()
        assert len(there.sandbox.workflows) == 3
        assert {str(row["DOCUMENT_ID"]) for row in there.sandbox.workflows.values()} == {"DEAL_500"}

    play(driven_on_premise, story)


def test_a_document_with_more_workflows_than_a_batch_has_them_all_stopped(
    driven_on_premise: Driving,
) -> None:
    async def story(there: Driving) -> None:
        there.lost_deals([500], workflows=60)
        there.deliver([500])
        await begin(there)
        await all_is_done(there, range(180))
        assert max(there.batches_of(KILL)) == 50

    play(driven_on_premise, story)


@on_both
def test_a_document_with_very_many_is_not_read_again_for_each_batch(
    driven_on_premise: Driving,
) -> None:
    async def story(there: Driving) -> None:
        text = RULES.replace("per_document: 100", "per_document: 1000")
        there.rules_path.write_text(text, encoding="utf-8")
        there.rules.reload(at_once=True)
        there.lost_deals([500], workflows=320)
        there.deliver([500])
        await there.come_to_rest()
        assert len(there.sandbox.killed) == 320
        assert there.killed_once()
        # for the evaluation, and for what was left of it: with each of four requests for the list
        assert len(there.sandbox.calls_of("crm.item.get")) <= 8
        assert there.batches_of(KILL).count(50) >= 5

    play(driven_on_premise, story)


def test_a_limit_that_is_lowered_amid_a_document_with_very_many_holds_the_rest(
    driven_on_premise: Driving,
) -> None:
    async def story(there: Driving) -> None:
        text = RULES.replace("per_document: 100", "per_document: 1000")
        there.rules_path.write_text(text, encoding="utf-8")
        there.rules.reload(at_once=True)
        there.lost_deals([500], workflows=320)
        there.deliver([500])
        while len(there.sandbox.killed) < 100:
            await there.round()
        killed = len(there.sandbox.killed)
        there.rules_path.write_text(RULES, encoding="utf-8")
        there.rules.reload(at_once=True)
        await there.come_to_rest()
        assert len(there.sandbox.killed) == killed
        assert there.outcomes() == {"killed": killed, "held": 320 - killed}

    play(driven_on_premise, story)


@on_both
def test_what_waited_for_its_time_is_stopped_in_full_batches(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        waits = RULES.replace("then: kill", "then: kill\n    wait: 1m")
        there.rules_path.write_text(waits, encoding="utf-8")
        there.rules.reload(at_once=True)
        await begin(there)
        await there.until_idle()
        assert there.outcomes() == {"waiting": len(MANY)}
        there.later(seconds=61)
        await all_is_done(there)
        assert sorted(there.batches_of(KILL))[-2:] == [50, 50]
        assert read_singly(there) == 0

    play(driven, story)


@on_both
def test_what_a_sweep_finds_is_stopped_in_full_batches(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.sweep_every = timedelta(minutes=15)
        await there.drive()
        there.lost_deals(range(1, 551))
        await there.until_idle()
        there.later(minutes=16)
        await there.come_to_rest()
        assert not there.sandbox.workflows
        assert len(there.sandbox.killed) == 550
        assert there.batches_of(KILL).count(50) >= 550 // 50 - 2
        assert there.sandbox.http_requests < 60

    play(driven, story)


def test_events_that_no_rule_names_cost_no_call(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.deliver(range(1, 1_001), "ONCRMDEALADD")
        await there.until_idle()
        assert (there.sandbox.http_requests, there.waiting) == (0, 0)

    play(driven, story)


def test_what_no_rule_names_is_concluded_as_one_and_counted(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.deliver(range(1, 3_001), "ONCRMDEALADD")
        there.deliver(range(1, 1_001), "ONCRMLEADADD")
        await there.round()
        assert there.waiting == 0
        told = there.decisions()
        assert {(one["reason"], one["document"]) for one in told} == {("no_rule", None)}
        assert len(told) <= 4
        assert sum(int(str(one["events"])) for one in told) == 4_000
        assert told[-1]["event_names"] == ["ONCRMDEALADD", "ONCRMLEADADD"]

    play(driven, story)


def test_what_a_rule_may_be_asked_about_is_not_concluded_with_what_none_names(
    driven: Driving,
) -> None:
    async def story(there: Driving) -> None:
        there.lost_deals([700])
        there.deliver(range(1, 601), "ONCRMDEALADD")
        there.deliver([700], "ONCRMDEALADD")
        there.deliver([700])
        await there.until_idle()
        assert len(there.sandbox.killed) == 1
        assert there.waiting == 0
        (killed,) = [one for one in there.decisions() if one["outcome"] == "killed"]
        assert killed["event_names"] == ["ONCRMDEALADD", "ONCRMDEALUPDATE"]

    play(driven, story)


def test_events_that_come_amid_a_storm_are_judged_on_facts_read_after_them(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        for number in MANY:
            there.sandbox.add_item(2, number, stageSemanticId="P")
        there.deliver(MANY)
        await there.round()
        there.lost_deals(MANY)
        there.deliver(MANY)
        await all_is_done(there)

    play(driven, story)


def test_once_much_of_the_bucket_is_used_what_is_due_gathers(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.client.rate, there.client.burst = 2, 50
        there.client.bucket = Bucket(30, there.now().timestamp())
        await begin(there, range(1, 2))
        assert len(there.sandbox.killed) == 1
        await begin(there, range(2, 3))
        assert len(there.sandbox.killed) == 1
        there.later(seconds=2.1)
        await begin(there, range(3, 4))
        assert len(there.sandbox.killed) == 3

    play(driven, story)


def test_before_a_long_list_is_read_for_few_what_is_due_gathers(
    driven: Driving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fact_reader, "GATHERS_FOR", timedelta(minutes=5))

    async def story(there: Driving) -> None:
        there.lost_deals(range(1, 5_001))
        there.deliver(range(1, 101))
        await there.until_idle()
        assert there.sandbox.http_requests == 1  # it told how long the list is
        there.deliver(range(101, 201))
        there.later(minutes=2)
        await there.until_idle()
        assert there.sandbox.http_requests == 1
        there.later(minutes=3)
        await there.until_idle()
        assert len(there.sandbox.killed) == 200

    play(driven, story)


def test_tasks_of_all_are_evidence_where_there_are_few_of_them(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.lost_deals(MANY)
        for one in list(there.sandbox.workflows):
            there.sandbox.add_bizproc_task(one, 1, "Approve")
        await begin(there)
        await all_is_done(there)
        tasks = there.sandbox.calls_of("bizproc.task.list")
        assert not any("WORKFLOW_ID" in str(call.params.get("FILTER")) for call in tasks)

    play(driven, story)


def test_evidence_is_asked_for_slice_by_slice_where_there_are_many_tasks(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        numbers = range(1, 41)
        busy = there.sandbox.start_workflow(("crm", "CCrmDocumentDeal", "DEAL_777"), 7)
        for _ in range(2_100):
            there.sandbox.add_bizproc_task(busy, 1, "Approve")
        await begin(there, numbers)
        await there.come_to_rest()
        assert len(there.sandbox.killed) == len(numbers)
        tasks = there.sandbox.calls_of("bizproc.task.list")
        assert sum("FILTER" in call.params for call in tasks) == len(numbers)

    play(driven, story)
