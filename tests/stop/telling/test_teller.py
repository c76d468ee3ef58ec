"""Stories of what people are told in the portal: after the outcome, and once, whatever it does."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from responder.bitrix24.client.answers import COMMENT, NOTIFY
from responder.bitrix24.sandbox import Sandbox
from responder.bitrix24.sandbox.contents.timeline import Comment
from responder.journal.telling.tellings import State
from responder.stop.gate import Gate
from responder.stop.telling import teller
from responder.store.database.portal_tables import tellings
from tests.support.rounds import KILL, Driving
from tests.support.sqlite_first import migrated_url as migrated_url
from tests.support.stories import Tell, a_deal, after, begin, rule, rules
from tests.support.stories import tell as tell
from tests.support.whole_log import erased

pytestmark = pytest.mark.portal

SEARCH = "crm.timeline.comment.list"
TOLD = rules(
    rule(
        "[deal.updated]",
        "because: It took too long.",
        "tell: [timeline, starter, waiting]",
        tests=", deal.title: {exists: true}",
    )
)
OVER = timedelta(seconds=80)  # by then the portal has carried a request out, or never will


def rows(there: Driving) -> list[tuple[str, str | None, str]]:
    query = select(tellings.c.audience, tellings.c.user_id, tellings.c.state)
    found = there.database.read(
        lambda conn: conn.execute(query.order_by(tellings.c.kind, tellings.c.place)).all()
    )
    return [(one.audience, one.user_id, one.state) for one in found]


def states(there: Driving) -> list[str]:
    return [state for _, _, state in rows(there)]


def comments(there: Driving) -> list[str]:
    return [one.text for one in there.sandbox.timeline.comments]


def notified(there: Driving) -> list[tuple[str, str]]:
    return [(one.user_id, one.text) for one in there.sandbox.notifications.alerts]


async def ready(there: Driving, *faults: tuple[str, str]) -> None:
    """Let a workflow run on a deal; it waits for user 8, and user 12 has started it."""
    await begin(there)
    sandbox = there.sandbox
    sandbox.scopes = (*sandbox.scopes, "im")
    for user in (8, 12):
        sandbox.add_user(user)
    for method, fault in faults:
        sandbox.fail_next(method, fault)
    a_deal(there, 1, "a", title="Acme [b]Ltd[/b]", assignedById=7)
    sandbox.workflows["a"]["STARTED_BY"] = "12"
    sandbox.add_bizproc_task("a", 8, "Please answer")


async def stopped(there: Driving) -> None:
    """Let it be stopped, and look no further yet."""
    there.deliver([1])
    while not there.sandbox.killed:
        await there.round()
    assert there.sandbox.killed == ["a"]
    assert not there.sandbox.calls_of(COMMENT)


async def go_on(there: Driving, *waits: timedelta) -> None:
    for wait in waits:
        await after(there, seconds=wait.total_seconds())


class ErasedMeanwhile(Gate):
    """A gate of a time in which the facts are erased while people are told."""

    def why_not_sent(self) -> str | None:
        database = self._context.database
        query = select(tellings.c.place).where(tellings.c.state == State.SENDING)
        if database.read(lambda conn: conn.execute(query).first()):
            erased(database, "main-1-1", at=self._context.now())
        return super().why_not_sent()


def _later(one: Comment, by: int) -> Comment:
    return replace(one, id=one.id + by, text="Somebody else's")


def test_those_concerned_are_told_once_it_is_stopped(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await ready(there)
        await stopped(there)
        await go_on(there, timedelta(seconds=2))
        said = (
            "Stopped, and deleted with its data: “Approval” on deal 1 “Acme (b)Ltd(/b)”. It took "
            "too long. (main-1-1)"
        )
        assert notified(there) == [("12", said), ("8", said)]
        [comment] = comments(there)
        assert comment.startswith(f"{said} #r-")
        assert rows(there) == [
            ("timeline", None, "told"),
            ("starter", "12", "told"),
            ("waiting", "8", "told"),
        ]
        calls = [call.method for call in there.sandbox.calls]
        assert calls.index(KILL) < min(calls.index(COMMENT), calls.index(NOTIFY))
        await go_on(there, OVER, OVER)
        assert len(comments(there)) == 1
        assert len(notified(there)) == 2

    tell(TOLD, story)


@pytest.mark.parametrize("fault", ["act_then_drop", "act_then_500", "half", "twice", "not_json"])
def test_a_comment_whose_answer_was_lost_is_found_by_its_mark(tell: Tell, fault: str) -> None:
    async def story(there: Driving) -> None:
        await ready(there, (COMMENT, fault))
        await stopped(there)
        await go_on(there, timedelta(seconds=2), OVER, OVER)
        assert len(comments(there)) == 1
        assert len(there.sandbox.calls_of(COMMENT)) == 1
        assert states(there)[0] == State.TOLD

    tell(TOLD.replace(", starter, waiting", ""), story)


def test_a_portal_that_answers_late_or_never_is_asked_once(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teller, "ANSWER_SECONDS", 0.3)

    async def story(there: Driving) -> None:
        await ready(there, (COMMENT, "act_then_hang"))
        await stopped(there)
        await go_on(there, timedelta(seconds=2), timedelta(seconds=60))
        assert states(there) == [State.SENDING]
        await go_on(there, OVER)
        assert states(there) == [State.TOLD]
        assert len(comments(there)) == len(there.sandbox.calls_of(COMMENT)) == 1

    tell(TOLD.replace(", starter, waiting", ""), story)


def test_a_comment_that_did_not_arrive_is_sent_again_once_that_is_certain(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await ready(there, (COMMENT, "drop_before"))
        await stopped(there)
        await go_on(there, timedelta(seconds=2), timedelta(seconds=60))
        assert states(there) == [State.SENDING]
        assert not there.sandbox.calls_of(SEARCH)
        await go_on(there, OVER)
        assert len(comments(there)) == 1
        assert states(there) == [State.TOLD]

    tell(TOLD.replace(", starter, waiting", ""), story)


def test_a_comment_that_cannot_be_looked_for_is_not_repeated(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await ready(there, (COMMENT, "drop_before"))
        await stopped(there)
        there.sandbox.denied_methods.add(SEARCH)
        await go_on(there, *[OVER] * 4, timedelta(hours=25))
        assert len(there.sandbox.calls_of(COMMENT)) == 1
        assert states(there) == [State.IN_DOUBT]

    tell(TOLD.replace(", starter, waiting", ""), story)


def test_among_too_many_comments_ours_is_neither_found_nor_repeated(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await ready(there, (COMMENT, "act_then_drop"))
        await stopped(there)
        await go_on(there, timedelta(seconds=2))
        [ours] = there.sandbox.timeline.comments
        there.sandbox.timeline.comments += [_later(ours, number) for number in range(1, 200)]
        await go_on(there, OVER, OVER)
        assert len(there.sandbox.calls_of(COMMENT)) == 1
        assert states(there) == [State.IN_DOUBT]

    tell(TOLD.replace(", starter, waiting", ""), story)


@pytest.mark.parametrize("fault", ["act_then_drop", "drop_before", "half", "twice"])
def test_a_notification_whose_answer_was_lost_is_in_doubt_and_never_repeated(
    tell: Tell, fault: str
) -> None:
    async def story(there: Driving) -> None:
        await ready(there, (NOTIFY, fault))
        await stopped(there)
        await go_on(there, timedelta(seconds=2), OVER, timedelta(hours=3))
        assert len(there.sandbox.calls_of(NOTIFY)) == 1
        assert rows(there) == [("starter", "12", "in_doubt")]

    tell(TOLD.replace("timeline, starter, waiting", "starter"), story)


def test_what_a_portal_refuses_for_good_is_given_up_at_once(tell: Tell) -> None:
    def no_scope(sandbox: Sandbox) -> None:
        sandbox.scopes = tuple(scope for scope in sandbox.scopes if scope != "im")

    async def story(there: Driving) -> None:
        await ready(there)
        no_scope(there.sandbox)
        there.sandbox.timeline.read_only.add((2, 1))
        await stopped(there)
        await go_on(there, timedelta(seconds=2), OVER, timedelta(hours=3))
        assert states(there) == [State.FAILED] * 3
        assert len(there.sandbox.calls_of(NOTIFY)) == 2
        assert not there.client.breakers.opened
        told = there.metrics.render().decode()
        assert 'responder_tellings_total{result="failed",way="notification"} 2.0' in told
        assert 'responder_tellings_total{result="failed",way="comment"} 1.0' in told

    tell(TOLD, story)


def test_who_has_left_is_not_told_and_nobody_else_is_in_their_stead(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await ready(there)
        there.sandbox.add_user(12, active=False)
        await stopped(there)
        await go_on(there, timedelta(seconds=2))
        assert states(there) == [State.TOLD, State.FAILED, State.TOLD]
        assert [user for user, _ in notified(there)] == ["8"]

    tell(TOLD, story)


@pytest.mark.parametrize(
    ("fault", "waits"),
    [("503_limit", [timedelta(seconds=12)]), ("credentials", [timedelta(seconds=65), OVER])],
)
def test_what_was_not_carried_out_is_tried_again(
    tell: Tell, fault: str, waits: Sequence[timedelta]
) -> None:
    async def story(there: Driving) -> None:
        await ready(there, (NOTIFY, fault))
        await stopped(there)
        await go_on(there, timedelta(seconds=2), *waits)
        assert [user for user, _ in notified(there)] == ["12"]
        assert states(there) == [State.TOLD]

    tell(TOLD.replace("timeline, starter, waiting", "starter"), story)


def test_what_was_erased_while_it_was_sent_is_not_sent_again_to_anybody(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        there.gate = ErasedMeanwhile
        await ready(there, (NOTIFY, "503_limit"))
        await stopped(there)
        await go_on(there, timedelta(seconds=2), timedelta(seconds=12), OVER)
        assert not comments(there)
        assert not notified(there)
        assert rows(there) == [("starter", None, "in_doubt")]

    tell(TOLD.replace("timeline, starter, waiting", "starter"), story)


def test_a_portal_that_hangs_is_left_in_peace_and_stops_go_on(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await ready(there, (COMMENT, "act_then_drop"))
        await stopped(there)
        await go_on(there, timedelta(seconds=2))
        a_deal(there, 2, "b", title="x")
        there.deliver([2])
        await there.until_idle()
        assert there.sandbox.killed == ["a", "b"]
        assert len(there.sandbox.calls_of(COMMENT)) == 1
        await go_on(there, OVER, OVER)
        assert len(comments(there)) == 2

    tell(TOLD.replace(", starter, waiting", ""), story)


def test_a_stop_goes_before_whatever_is_to_be_told(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await ready(there)
        await stopped(there)
        there.later(seconds=5)  # all of it is due
        a_deal(there, 2, "b", title="x")
        there.deliver([2])
        await there.until_idle()
        calls = [call.method for call in there.sandbox.calls]
        kills = [place for place, method in enumerate(calls) if method == KILL]
        assert len(kills) == 2
        assert kills[-1] < min(calls.index(COMMENT), calls.index(NOTIFY))

    tell(TOLD, story)


def test_an_event_of_our_own_comment_leads_to_no_other(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await ready(there)
        await stopped(there)
        before = dict(there.sandbox.items[2, 1])
        await go_on(there, timedelta(seconds=2))
        assert there.sandbox.items[2, 1]["updatedBy"] == 1
        assert "updatedBy" not in before
        there.deliver([1])  # as the portal sends it, for somebody else is responsible for the deal
        await there.come_to_rest()
        await go_on(there, OVER)
        assert there.outcomes() == {"killed": 1, None: 1}
        assert len(comments(there)) == 1

    tell(TOLD, story)


def test_of_what_only_observes_nobody_is_told(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        there.sandbox.scopes = (*there.sandbox.scopes, "im")
        a_deal(there, 1, "a", title="x")
        there.deliver([1])
        await there.come_to_rest()
        await go_on(there, timedelta(seconds=2), OVER)
        assert not rows(there)
        assert not comments(there)

    tell(TOLD.replace("mode: enforce", "mode: observe"), story)


def test_while_a_portal_is_only_observed_nobody_is_told_of_what_was_stopped_before(
    tell: Tell,
) -> None:
    async def story(there: Driving) -> None:
        await ready(there)
        await stopped(there)
        there.client.withheld = {"a question": "another answer"}
        await go_on(there, timedelta(seconds=2), timedelta(seconds=12))
        assert states(there) == [State.DUE] * 3
        assert not comments(there)
        assert not notified(there)
        there.client.withheld = {}
        await go_on(there, timedelta(minutes=2))
        assert states(there) == [State.TOLD] * 3

    tell(TOLD, story)


def test_what_ended_otherwise_is_not_told(tell: Tell) -> None:
    async def story(there: Driving) -> None:
        await begin(there)
        there.sandbox.fail_next(KILL, "empty_error")
        a_deal(there, 1, "a", title="x")
        there.deliver([1])
        await there.round()
        there.sandbox.end_workflow("a")
        await there.come_to_rest()
        await go_on(there, timedelta(seconds=2), OVER)
        assert there.outcomes() == {"already_gone": 1}
        assert set(states(there)) <= {State.DROPPED, State.NOBODY}
        assert not comments(there)

    tell(TOLD, story)
