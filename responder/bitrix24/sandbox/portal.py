"""Serves the sandbox: a Bitrix24 portal in miniature, as an ASGI application.

A request is authorised, recorded, counted in the leaky bucket, then carried out: alone, or as a
batch of at most 50 commands that always answers 200. A fault planned with `fail_next` strikes at
the moment its call would be carried out.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from responder.bitrix24.sandbox import batch, php, wire
from responder.bitrix24.sandbox.answers import Answer, BrokenLineError, RefusedError
from responder.bitrix24.sandbox.faults import MISSING, REFUSALS, Fault, Faults
from responder.bitrix24.sandbox.method_time import OperatingTime
from responder.bitrix24.sandbox.methods.table import METHODS
from responder.bitrix24.sandbox.state import Kind, State

HANG_SECONDS = 60.0
DRIP_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxCall:
    """One call as it arrived, whether it was carried out or not.

    `batch` is the number of the HTTP request that brought it in a batch, None for a single call. A
    batch itself is no call: it is counted in `http_requests`.
    """

    method: str
    params: Mapping[str, object]
    batch: int | None
    at: float


class Sandbox(State):
    """A portal in miniature: its contents, the calls it got, and its planned faults.

    `limits` turns on the leaky bucket (`rate` a second, `burst` at once) and, in the cloud, the
    blocking of methods. `answer_seconds` is how long each call takes, and the caller waits; `takes`
    has, by method, a time that is only reported, and nobody waits. Both are in the answers and add
    up to operating time. `operating` has, by method, seconds that count as used already; with
    `limits`, 420 seconds block a method.
    """

    def __init__(
        self,
        *,
        user_id: str = "1",
        secret: str = "sandbox-secret-0001",  # noqa: S107 - the key of a portal that does not exist
        admin: bool = True,
        scopes: Sequence[str] = ("bizproc", "crm", "user_brief", "task"),
        kind: Kind = "cloud",
        rate: float = 2.0,
        burst: int = 50,
        limits: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(
            user_id=user_id, secret=secret, admin=admin, scopes=scopes, kind=kind, clock=clock
        )
        self.rate = rate
        self.burst = burst
        self.limits = limits
        self.answer_seconds = 0.0
        self.takes: dict[str, float] = {}
        self.operating_time = OperatingTime()
        self.operating = self.operating_time.added
        self.calls: list[SandboxCall] = []
        self.http_requests = 0
        self.limited = 0
        self.faults = Faults()
        self._level = 0.0
        self._level_at = clock()

    def fail_next(self, method: str, fault: Fault, times: int = 1) -> None:
        """Plan a fault for the next calls of a method; `batch` is a whole batch, `*` anything."""
        with self.lock:
            self.faults.plan(method, fault, times)

    def calls_of(self, method: str) -> list[SandboxCall]:
        """Return the calls of one method so far."""
        with self.lock:
            return [call for call in self.calls if call.method == method]

    async def __call__(self, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        """Serve one HTTP request."""
        request = await wire.read(scope, receive)
        commands = batch.commands(request.params) if request.method == "batch" else ()
        try:
            with self.lock:
                reply = self._answer(request, commands)
        except BrokenLineError as line:
            await _send_broken(line.fault, scope, receive, send)
        else:
            if self.answer_seconds:
                await _wait_until_gone(receive, within=self.answer_seconds * max(1, len(commands)))
            await wire.send_reply(reply, send)

    def _answer(self, request: wire.Request, commands: Sequence[batch.Command]) -> wire.Reply:
        self.http_requests += 1
        try:
            self._authorise(request)
            self._record(request, commands)
            self._count()
            if self.plan_refused:
                raise REFUSALS["plan"].error()
            if request.method == "batch":
                answer = self.faults.strike("batch", lambda: self._batch(request, commands))
            else:
                answer = self._carry_out(request.method, request.params)
        except RefusedError as refusal:
            status = refusal.status if self.kind == "cloud" else refusal.on_premise
            return wire.error(status, refusal.code, refusal.text)
        return wire.encode(200, self._envelope(request.method, answer))

    def _authorise(self, request: wire.Request) -> None:
        if request.user is None:
            raise REFUSALS["401"].error()
        if (request.user, request.secret) != (self.user_id, self.secret):
            raise REFUSALS["credentials"].error()

    def _record(self, request: wire.Request, commands: Sequence[batch.Command]) -> None:
        at = self.clock()
        if request.method != "batch":
            single = SandboxCall(method=request.method, params=request.params, batch=None, at=at)
            self.calls.append(single)
        for command in commands:
            self.calls.append(
                SandboxCall(
                    method=command.method, params=command.params, batch=self.http_requests, at=at
                )
            )

    def _count(self) -> None:
        if not self.limits:
            return
        now = self.clock()
        self._level = max(0.0, self._level - self.rate * max(0.0, now - self._level_at))
        self._level_at = now
        if self._level + 1 > self.burst:
            self.limited += 1
            raise REFUSALS["503_limit"].error()
        self._level += 1

    def _carry_out(self, method: str, params: Mapping[str, object]) -> Answer:
        return self.faults.strike(method, lambda: self.oddities.altered(method, params, self._run))

    def _run(self, method: str, params: Mapping[str, object]) -> Answer:
        known = METHODS.get(method)
        if known is None or method in self.absent_methods:
            raise RefusedError(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
        if not known.granted(self.scopes):
            raise REFUSALS["scope"].error()
        if method in self.denied_methods:
            raise REFUSALS["denied"].error()
        now = self.clock()
        counted = self.limits and self.tells_operating
        if counted and self.operating_time.is_over(method, now):
            raise REFUSALS["429_operating"].error()
        self.operating_time.spend(method, self._takes(method), now)
        return known.run(self, params)

    def _takes(self, method: str) -> float:
        return self.takes.get(method, self.answer_seconds)

    def _batch(self, request: wire.Request, commands: Sequence[batch.Command]) -> Answer:
        halt = not php.is_empty(request.params.get("halt"))
        answer = batch.run(commands, halt=halt, carry_out=self._carry_out, time=self._time)
        return self.oddities.batch(answer)

    def _envelope(self, method: str, answer: Answer) -> dict[str, object]:
        envelope: dict[str, object] = {"result": answer.value}
        if answer.value is MISSING:
            del envelope["result"]
        if answer.next is not None:
            envelope["next"] = answer.next
        if answer.total is not None:
            envelope["total"] = answer.total
        return {**envelope, "time": self._time(method)}

    def _time(self, method: str) -> dict[str, object]:
        now = self.clock()
        takes = self._takes(method)
        times: dict[str, object] = {
            "start": now - takes,
            "finish": now,
            "duration": takes,
            "processing": takes,
            "date_start": self.instant(),
            "date_finish": self.instant(),
        }
        if method != "batch" and self.tells_operating:
            times["operating_reset_at"] = self.operating_time.reset_at(method, now)
            times["operating"] = self.operating_time.used(method, now)
        return self.oddities.times(times)


async def _send_broken(
    fault: str, scope: wire.Scope, receive: wire.Receive, send: wire.Send
) -> None:
    """Send the fault's own answer, or none, and close the connection."""
    reply = wire.broken(fault)
    if reply:
        await wire.send_reply(reply, send)
    elif fault == "drip":
        await _drip(receive, send)
    else:
        if fault.endswith("hang"):
            await _wait_until_gone(receive, within=HANG_SECONDS)
        _close(scope)
        await _wait_until_gone(receive, within=HANG_SECONDS)


async def _drip(receive: wire.Receive, send: wire.Send) -> None:
    """Send a byte every 50 ms, so that no single read ever times out."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    ends_at = time.monotonic() + HANG_SECONDS
    while time.monotonic() < ends_at:
        await send({"type": "http.response.body", "body": b" ", "more_body": True})
        if await _wait_until_gone(receive, within=DRIP_SECONDS):
            return


async def _wait_until_gone(receive: wire.Receive, *, within: float) -> bool:
    """Wait until the caller has gone, or the server stops; return whether that was in time."""
    try:
        async with asyncio.timeout(within):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


def _close(scope: wire.Scope) -> None:
    state = scope.get("state")
    close = state.get("close") if isinstance(state, dict) else None
    if callable(close):
        close()
