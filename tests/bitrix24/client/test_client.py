"""A client batches by the time commands take, keeps to both limits, and waits where told to."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from responder.adapters.metrics import Metrics
from responder.bitrix24.client.answers import Answer, Command, FailureKind
from responder.bitrix24.client.client import Client, Handover
from responder.bitrix24.client.rate_limit import Bucket
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.bitrix24.sandbox.faults import Fault
from responder.model import Breaker

KILL = "bizproc.workflow.kill"
SCOPE = Command("scope", {})
ITEM = Command("crm.item.get", {"entityTypeId": 2, "id": 1})
NOON = datetime(2026, 9, 24, 12, tzinfo=UTC)


class Clock:
    """An instant that moves when it is told to; client and portal share it."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    def seconds(self) -> float:
        return self.at.timestamp()

    def go_on(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[SandboxServer]:
    with SandboxServer(Sandbox(clock=clock.seconds)) as server:
        yield server


Played = Callable[[Client], Awaitable[None]]


@pytest.fixture
def play(server: SandboxServer, clock: Clock) -> Callable[[Played], Metrics]:
    """Let something happen on a client to the sandbox; return its metrics."""

    def play(part: Played) -> Metrics:
        metrics = Metrics()

        async def run() -> None:
            portal = Portal("main", server.url)
            await part(Client(portal, rate=1e6, burst=10**6, metrics=metrics, now=clock.now))
            await portal.close()

        asyncio.run(run())
        return metrics

    return play


def kills(count: int) -> list[Command]:
    return [Command(KILL, {"ID": f"65e5a449e8f135.{number:08d}"}) for number in range(count)]


def sizes(server: SandboxServer, method: str) -> list[int]:
    """Return how many commands of a method came in each HTTP request that had some."""
    found: dict[object, int] = {}
    for number, call in enumerate(server.sandbox.calls_of(method)):
        key = ("alone", number) if call.batch is None else call.batch
        found[key] = found.get(key, 0) + 1
    return list(found.values())


def codes(answers: list[Answer]) -> list[str]:
    return ["ok" if answer.failure is None else answer.failure.code for answer in answers]


def test_twenty_stops_of_unknown_cost_go_out_first_and_then_fifty(
    server: SandboxServer, play: Callable[[Played], Metrics]
) -> None:
    kill = "bizproc.workflow.kill"
    deals = [("crm", "CCrmDocumentDeal", f"DEAL_{number}") for number in range(1, 131)]
    ids = [server.sandbox.start_workflow(deal, 61) for deal in deals]

    async def part(client: Client) -> None:
        assert client.capacity(kill) == 20
        answers = await client.send([Command(kill, {"ID": one}) for one in ids])
        assert codes(answers) == ["ok"] * 130
        assert client.capacity(kill) == 50

    play(part)
    assert sizes(server, kill) == [20, 50, 50, 10]


def test_reads_of_unknown_cost_go_out_by_fifty(
    server: SandboxServer, play: Callable[[Played], Metrics]
) -> None:
    async def part(client: Client) -> None:
        assert client.capacity("scope") == 50
        assert codes(await client.send([SCOPE] * 130)) == ["ok"] * 130

    play(part)
    assert sizes(server, "scope") == [50, 50, 30]


def test_a_batch_carries_what_took_ten_seconds_lately(
    server: SandboxServer, play: Callable[[Played], Metrics]
) -> None:
    server.sandbox.takes = {"scope": 2.5, "profile": 1.0}

    async def part(client: Client) -> None:
        await client.send([SCOPE, Command("profile", {})])
        assert (client.capacity("scope"), client.capacity("profile")) == (4, 10)
        await client.send([SCOPE] * 3 + [Command("profile", {})] * 5)
        server.sandbox.takes["scope"] = 0.1
        await client.send([SCOPE])
        assert client.capacity("scope") == 16
        await client.send([SCOPE])
        assert client.capacity("scope") == 50

    play(part)
    assert sizes(server, "scope") == [1, 3, 1, 1]
    assert sizes(server, "profile") == [1, 2, 3]


def test_a_batch_goes_beside_another_where_the_portal_is_quick_and_its_bucket_has_room(
    server: SandboxServer, play: Callable[[Played], Metrics]
) -> None:
    server.sandbox.takes[KILL] = 0.0199
    one = server.sandbox.start_workflow(("crm", "CCrmDocumentDeal", "DEAL_1"), 61)

    async def part(client: Client) -> None:
        assert not client.may_send_beside(kills(20))  # how long they take is not known
        await client.send([Command(KILL, {"ID": one})])
        assert not client.may_send_beside(kills(51))
        assert client.may_send_beside(kills(50))
        client.rate, client.burst = 2, 50
        client.bucket = Bucket(45, NOON.timestamp())
        assert not client.may_send_beside(kills(1))

    play(part)


def test_requests_side_by_side_are_each_counted_before_the_next_looks_at_the_bucket(
    play: Callable[[Played], Metrics],
) -> None:
    async def part(client: Client) -> None:
        client.rate, client.burst = 100, 10
        levels: list[float] = []

        async def ready() -> None:
            levels.append(client.level())
            await asyncio.sleep(0.01)

        client.keep = ready
        await asyncio.gather(*(client.send([SCOPE]) for _ in range(3)))
        assert levels == [0, 1, 2]

    play(part)


@pytest.mark.parametrize(
    ("fault", "code"), [("429_operating", "OPERATION_TIME_LIMIT"), ("401", "NO_AUTH_FOUND")]
)
def test_what_was_made_ready_is_not_sent_where_another_batchs_answer_opened_a_breaker(
    server: SandboxServer, play: Callable[[Played], Metrics], fault: Fault, code: str
) -> None:
    server.sandbox.fail_next("scope", fault)

    async def part(client: Client) -> None:
        answered = asyncio.Event()
        waits = iter([False, True])

        async def ready() -> None:
            if next(waits):
                await answered.wait()

        client.keep = ready
        first = asyncio.create_task(client.send([SCOPE]))
        second = asyncio.create_task(client.send([SCOPE] * 2))
        assert codes(await first) == [code]
        answered.set()
        assert codes(await second) == [code] * 2
        assert client.breakers.opened

    play(part)
    assert sizes(server, "scope") == [1]


def test_answers_stand_in_the_places_of_their_commands_however_they_were_sent(
    play: Callable[[Played], Metrics],
) -> None:
    async def part(client: Client) -> None:
        commands = [SCOPE, Command("no.such.method", {}), Command("profile", {})] * 30
        answers = await client.send(commands)
        assert codes(answers) == ["ok", "ERROR_METHOD_NOT_FOUND", "ok"] * 30
        assert [isinstance(answer.value, list) for answer in answers[::3]] == [True] * 30
        assert [isinstance(answer.value, dict) for answer in answers[2::3]] == [True] * 30

    play(part)


def test_what_gets_no_answer_goes_out_in_smaller_batches_afterwards(
    server: SandboxServer, clock: Clock, play: Callable[[Played], Metrics]
) -> None:
    server.sandbox.fail_next("batch", "hang")

    async def part(client: Client) -> None:
        client.portal = Portal("main", server.url, answer_seconds=0.2)
        sending = asyncio.ensure_future(client.send([SCOPE] * 20))
        await asyncio.sleep(0.05)
        clock.go_on(30)
        assert codes(await sending) == ["timeout"] * 20
        assert client.capacity("scope") == 6
        await client.portal.close()

    play(part)


def test_a_method_near_its_operating_limit_is_withheld_until_the_portal_forgets_some(
    server: SandboxServer, clock: Clock, play: Callable[[Played], Metrics]
) -> None:
    server.sandbox.limits = True
    server.sandbox.rate, server.sandbox.burst = 1e6, 10**6
    server.sandbox.takes = {"scope": 2.0}

    async def part(client: Client) -> None:
        answers = await client.send([SCOPE] * 300)
        assert codes(answers) == ["ok"] * 200 + ["OPERATION_TIME_LIMIT"] * 100
        assert {a.failure.kind for a in answers if a.failure} == {FailureKind.BUSY}
        assert client.breakers.withheld() == {"scope": "OPERATION_TIME_LIMIT"}
        assert client.capacity("scope") == 1
        assert codes(await client.send([Command("profile", {})])) == ["ok"]
        clock.go_on(599)
        assert client.breakers.withheld()
        clock.go_on(2)
        assert client.breakers.withheld() == {}
        assert client.capacity("scope") == 1
        assert codes(await client.send([SCOPE] * 9)) == ["ok"] * 9
        assert client.breakers.opened == {}

    metrics = play(part)
    assert server.sandbox.operating_time.most["scope"] == 400.0
    assert len(server.sandbox.calls_of("scope")) == 209
    assert 'responder_operating_seconds{method="scope",portal="main"} 18.0' in shown(metrics)


def test_a_refusal_for_operating_time_shuts_the_method_until_its_reset(
    server: SandboxServer, clock: Clock, play: Callable[[Played], Metrics]
) -> None:
    async def part(client: Client) -> None:
        await client.send([SCOPE])
        server.sandbox.limits = True
        server.sandbox.operating["scope"] = 500.0  # another application's
        assert codes(await client.send([SCOPE] * 3)) == ["OPERATION_TIME_LIMIT"] * 3
        assert codes(await client.send([SCOPE] * 3)) == ["OPERATION_TIME_LIMIT"] * 3
        assert len(server.sandbox.calls_of("scope")) == 4
        clock.go_on(601)
        assert codes(await client.send([SCOPE] * 3)) == ["OPERATION_TIME_LIMIT"] * 3
        assert len(server.sandbox.calls_of("scope")) == 5  # one, to see
        clock.go_on(61)
        del server.sandbox.operating["scope"]
        assert codes(await client.send([SCOPE] * 3)) == ["ok"] * 3
        assert client.breakers.opened == {}

    assert 'breaker_open{method="scope",portal="main"} 0.0' in shown(play(part))


def test_a_portal_that_counts_no_operating_time_is_believed_after_a_refusal(
    server: SandboxServer, clock: Clock, play: Callable[[Played], Metrics]
) -> None:
    server.sandbox.tells_operating = False
    server.sandbox.fail_next("scope", "429_operating")

    async def part(client: Client) -> None:
        assert codes(await client.send([SCOPE])) == ["OPERATION_TIME_LIMIT"]
        clock.go_on(61)
        assert codes(await client.send([SCOPE] * 5)) == ["ok"] * 5
        assert client.breakers.opened == {}

    play(part)


def test_one_command_probes_a_method_and_the_rest_follows_once_it_is_answered(
    server: SandboxServer, clock: Clock, play: Callable[[Played], Metrics]
) -> None:
    open_breaker = Breaker(
        portal="main", method=KILL, code="ACCESS_DENIED", opened_at=NOON, probe_at=NOON
    )

    async def part(client: Client) -> None:
        client.resume(None, [open_breaker])
        assert client.capacity(KILL) == 1
        server.sandbox.fail_next(KILL, ("error", 403, "ACCESS_DENIED", "no"))
        assert codes(await client.send(kills(5))) == ["ACCESS_DENIED"] * 5
        assert client.breakers.withheld() == {KILL: "ACCESS_DENIED"}
        clock.go_on(61)
        assert codes(await client.send(kills(5))) == [""] * 5

    play(part)
    assert sizes(server, KILL) == [1, 1, 4]


def test_no_command_overtakes_one_whose_method_is_probed(
    server: SandboxServer, play: Callable[[Played], Metrics]
) -> None:
    opened = Breaker(portal="main", method="scope", code="X", opened_at=NOON, probe_at=NOON)

    async def part(client: Client) -> None:
        client.resume(None, [opened])
        assert codes(await client.send([SCOPE, SCOPE, ITEM])) == ["ok", "ok", "NOT_FOUND"]

    play(part)
    assert [call.method for call in server.sandbox.calls] == ["scope", "scope", "crm.item.get"]


def test_none_overtakes_one_whose_probe_falls_due_while_a_request_waits(
    server: SandboxServer, clock: Clock, play: Callable[[Played], Metrics]
) -> None:
    due_soon = NOON + timedelta(seconds=1)
    opened = Breaker(portal="main", method="scope", code="X", opened_at=NOON, probe_at=due_soon)

    async def part(client: Client) -> None:
        async def waits() -> None:
            clock.go_on(2)

        client.resume(None, [opened])
        client.turn = waits  # type: ignore[method-assign]
        assert codes(await client.send([SCOPE, ITEM])) == ["X", "NOT_FOUND"]

    play(part)
    assert [call.method for call in server.sandbox.calls] == ["crm.item.get"]


def test_one_command_probes_a_portal(
    server: SandboxServer, clock: Clock, play: Callable[[Played], Metrics]
) -> None:
    server.sandbox.fail_next("*", "401")

    async def part(client: Client) -> None:
        assert codes(await client.send([SCOPE])) == ["NO_AUTH_FOUND"]
        assert codes(await client.send([SCOPE, Command("profile", {})])) == ["NO_AUTH_FOUND"] * 2
        clock.go_on(61)
        assert codes(await client.send([SCOPE] * 3)) == ["ok"] * 3

    play(part)
    assert sizes(server, "scope") == [1, 1, 2]


DENIED: Fault = ("error", 403, "ACCESS_DENIED", "REST is available only by subscription.")


@pytest.mark.parametrize("method", ["crm.item.get", "user.get", "bizproc.workflow.kill"])
@pytest.mark.parametrize("status", [401, 403])
def test_a_portal_that_denies_even_who_we_are_is_shut(
    server: SandboxServer, play: Callable[[Played], Metrics], status: int, method: str
) -> None:
    denied: Fault = ("error", status, "ACCESS_DENIED", "REST is available only by subscription.")
    server.sandbox.fail_next("*", denied, times=2)

    async def part(client: Client) -> None:
        (answer,) = await client.send([Command(method, {"ID": "1", "id": 1, "entityTypeId": 2})])
        assert answer.failure is not None
        assert (answer.failure.kind, answer.failure.code) == (FailureKind.PORTAL, "ACCESS_DENIED")
        assert list(client.breakers.opened) == [""]
        assert codes(await client.send([SCOPE])) == ["ACCESS_DENIED"]

    play(part)
    assert [one.method for one in server.sandbox.calls] == [method, "profile"]


def test_a_denial_where_we_may_say_who_we_are_is_that_methods_or_that_documents_alone(
    server: SandboxServer, clock: Clock, play: Callable[[Played], Metrics]
) -> None:
    server.sandbox.fail_next("crm.item.get", DENIED, times=3)
    server.sandbox.fail_next("user.get", DENIED)

    async def part(client: Client) -> None:
        for _ in range(2):
            (answer,) = await client.send([ITEM])
            assert answer.failure is not None
            assert answer.failure.kind is FailureKind.REJECTED
        assert len(server.sandbox.calls_of("profile")) == 1  # of many denials, once a while
        clock.go_on(6)
        (answer,) = await client.send([ITEM])
        assert answer.failure is not None
        assert answer.failure.kind is FailureKind.REJECTED
        assert len(server.sandbox.calls_of("profile")) == 2
        await client.send([Command("user.get", {})])
        assert list(client.breakers.opened) == ["user.get"]

    play(part)


def test_a_batch_that_was_answered_in_part_comes_from_a_portal_that_is_open(
    server: SandboxServer, play: Callable[[Played], Metrics]
) -> None:
    server.sandbox.fail_next("crm.item.get", DENIED, times=4)

    async def part(client: Client) -> None:
        told = codes(await client.send([ITEM, SCOPE, ITEM]))
        assert told == ["ACCESS_DENIED", "ok", "ACCESS_DENIED"]
        assert server.sandbox.calls_of("profile") == []
        server.sandbox.fail_next("profile", DENIED)
        answers = await client.send([ITEM, ITEM])
        assert {one.failure.kind for one in answers if one.failure} == {FailureKind.PORTAL}

    play(part)
    assert len(server.sandbox.calls_of("profile")) == 1


def test_a_denial_of_unknown_width_is_worth_another_try(
    server: SandboxServer, play: Callable[[Played], Metrics]
) -> None:
    server.sandbox.fail_next("user.get", DENIED)
    server.sandbox.fail_next("profile", "500")

    async def part(client: Client) -> None:
        (answer,) = await client.send([Command("user.get", {})])
        assert answer.failure is not None
        assert answer.failure.kind is FailureKind.BUSY
        assert client.breakers.opened == {}

    play(part)


def test_a_batch_refused_by_the_request_limit_is_one_refusal_and_fills_the_bucket(
    server: SandboxServer, play: Callable[[Played], Metrics]
) -> None:
    server.sandbox.fail_next("batch", "503_limit")

    async def part(client: Client) -> None:
        assert codes(await client.send(kills(20))) == ["QUERY_LIMIT_EXCEEDED"] * 20
        assert client.bucket.level == client.burst

    metrics = play(part)
    assert "responder_portal_limited_total 1.0" in shown(metrics)
    assert 'responder_bucket_level{portal="main"} 1e+06' in shown(metrics)
    assert sizes(server, KILL) == [20]  # no blind repetition


def test_a_batch_of_reads_whose_answer_is_too_large_is_halved(
    server: SandboxServer, play: Callable[[Played], Metrics]
) -> None:
    server.sandbox.fail_next("batch", "big")

    async def part(client: Client) -> None:
        assert codes(await client.send([SCOPE] * 4)) == ["ok"] * 4

    play(part)


def test_a_batch_that_reserves_offline_events_is_not_sent_twice(
    server: SandboxServer, play: Callable[[Played], Metrics]
) -> None:
    server.sandbox.fail_next("batch", "big")

    async def part(client: Client) -> None:
        reads = [SCOPE, Command("event.offline.get", {"clear": 0})]
        assert codes(await client.send(reads)) == ["too_big", "too_big"]

    play(part)
    assert sizes(server, "event.offline.get") == [1]


def test_room_is_committed_before_a_request_that_no_commit_counts(
    play: Callable[[Played], Metrics],
) -> None:
    kept: list[Handover] = []

    async def part(client: Client) -> None:
        client.burst = 30

        async def keep() -> None:
            kept.append(client.handover())
            client.saved(kept[-1])

        client.keep = keep
        for _ in range(7):
            await client.send([SCOPE])
        assert [handover.through for handover in kept] == [3, 6, 9]
        client.saved(client.handover())  # as a commit of the gate does
        for _ in range(3):
            await client.send([SCOPE])
        assert len(kept) == 3

    play(part)


def shown(metrics: Metrics) -> str:
    return metrics.render().decode()


def test_what_leaked_out_after_a_clock_was_set_back_makes_room(
    play: Callable[[Played], Metrics], clock: Clock
) -> None:
    async def part(client: Client) -> None:
        client.rate, client.burst = 2, 50
        client.bucket = Bucket(42, clock.seconds())
        clock.go_on(-36_000)
        assert not client.has_room()
        clock.go_on(60)
        assert client.has_room()

    play(part)


def test_a_question_opens_no_methods_breaker_and_closes_none_that_is_refused(
    server: SandboxServer, play: Callable[[Played], Metrics], clock: Clock
) -> None:
    server.sandbox.fail_next("scope", "scope", times=3)

    async def part(client: Client) -> None:
        refused = await client.send([SCOPE], opens_methods=False)
        assert codes(refused) == ["insufficient_scope"]
        assert client.breakers.opened == {}
        await client.send([SCOPE])
        clock.go_on(61)
        await client.send([SCOPE], opens_methods=False)
        assert set(client.breakers.opened) == {"scope"}
        clock.go_on(61)
        assert codes(await client.send([SCOPE], opens_methods=False)) == ["ok"]
        assert client.breakers.opened == {}

    play(part)
    assert len(server.sandbox.calls_of("scope")) == 4


def test_a_question_that_the_whole_portal_refuses_opens_its_breaker(
    server: SandboxServer, play: Callable[[Played], Metrics]
) -> None:
    server.sandbox.fail_next("scope", "401")

    async def part(client: Client) -> None:
        await client.send([SCOPE], opens_methods=False)
        assert client.breakers.of_portal is not None

    play(part)
