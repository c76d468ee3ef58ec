"""Breakers open, probe and close by what the portal answered, and say what is to be stored."""

from datetime import UTC, datetime, timedelta

import pytest

from responder.adapters.metrics import Metrics
from responder.bitrix24.client.answers import Answer, Command, Failure, FailureKind
from responder.bitrix24.client.breakers import PROBE_EVERY, WHOLE_PORTAL, Breakers
from responder.bitrix24.client.operating_time import MethodTimes
from responder.bitrix24.client.rate_limit import OPERATING_LIMIT
from responder.model import Breaker

NOON = datetime(2026, 9, 24, 12, tzinfo=UTC)
KILL, SCOPE = "bizproc.workflow.kill", "scope"


class At:
    """The breakers of one portal, at an instant that moves when it is told to."""

    def __init__(self, address: str | None = "here") -> None:
        self.now = NOON
        metrics = Metrics()
        times = MethodTimes("main", metrics, lambda: self.now.timestamp())
        self.breakers = Breakers(
            "main", times=times, metrics=metrics, now=lambda: self.now, address=address
        )

    def answered(self, method: str, failure: Failure | None = None) -> None:
        self.breakers.learn(Command(method, {}), Answer(failure=failure))


def failed(kind: FailureKind, code: str = "SOME_CODE") -> Failure:
    return Failure(kind, code, "in words")


ANSWERS = {
    "an answer opens nothing": (None, set()),
    "a rejection of one command opens nothing": (failed(FailureKind.REJECTED), set()),
    "a busy portal opens nothing": (failed(FailureKind.BUSY), set()),
    "no answer opens nothing": (failed(FailureKind.UNCERTAIN), set()),
    "a refusal of the portal opens all of it": (failed(FailureKind.PORTAL), {WHOLE_PORTAL}),
    "a refusal of a method opens that one": (failed(FailureKind.METHOD), {KILL}),
    "used up operating time opens the method": (failed(FailureKind.BUSY, OPERATING_LIMIT), {KILL}),
}


@pytest.mark.parametrize(("failure", "opened"), ANSWERS.values(), ids=ANSWERS)
def test_what_an_answer_opens(failure: Failure | None, opened: set[str]) -> None:
    there = At()
    there.answered(KILL, failure)
    assert set(there.breakers.opened) == opened
    assert there.breakers.changed is bool(opened)


@pytest.mark.parametrize("failure", [None, failed(FailureKind.REJECTED)])
def test_an_answer_closes_the_portals_breaker_and_the_methods_own(failure: Failure | None) -> None:
    there = At()
    for method, kind in ((KILL, FailureKind.METHOD), (SCOPE, FailureKind.PORTAL)):
        there.answered(method, failed(kind))
    there.answered(KILL, failure)
    assert there.breakers.opened == {}


def test_one_command_probes_a_method_after_a_minute_and_no_other_until_the_next() -> None:
    there = At()
    there.answered(KILL, failed(FailureKind.METHOD))
    assert (there.breakers.allowed(KILL), there.breakers.withheld()) == (0, {KILL: "SOME_CODE"})
    there.now += PROBE_EVERY
    assert (there.breakers.allowed(KILL), there.breakers.withheld()) == (1, {})
    there.breakers.set_next_probe([KILL])
    assert there.breakers.allowed(KILL) == 0


def test_a_clock_that_was_set_back_prolongs_no_breaker() -> None:
    there = At()
    there.answered(SCOPE, failed(FailureKind.PORTAL))
    assert not there.breakers.is_probe_due
    there.now -= timedelta(hours=1)
    assert there.breakers.is_probe_due


def opened_at(address: str | None) -> Breaker:
    return Breaker(
        portal="main",
        method=KILL,
        code="ACCESS_DENIED",
        opened_at=NOON,
        probe_at=NOON + PROBE_EVERY,
        address=address,
    )


@pytest.mark.parametrize(
    ("known", "theirs", "resumed"),
    [("here", "here", True), ("here", None, True), (None, "there", True), ("here", "there", False)],
)
def test_breakers_of_another_address_are_not_resumed(
    known: str | None, theirs: str | None, resumed: bool
) -> None:
    breakers = At(known).breakers
    breakers.resume([opened_at(theirs)])
    assert bool(breakers.opened) is resumed
    assert breakers.changed is not resumed  # so that the row of one that is not goes too


def test_what_opens_while_others_are_stored_is_stored_next() -> None:
    there = At()
    assert there.breakers.to_store() is None
    there.answered(KILL, failed(FailureKind.METHOD))
    storing = there.breakers.to_store()
    assert storing is not None
    there.answered(SCOPE, failed(FailureKind.METHOD))
    there.breakers.stored(storing)
    again = there.breakers.to_store()
    assert again is not None
    assert [one.method for one in again] == [KILL, SCOPE]
    there.breakers.stored(again)
    assert there.breakers.to_store() is None
