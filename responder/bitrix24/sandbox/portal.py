"""Serves the sandbox: a Bitrix24 portal in miniature, as an ASGI application.

A request is authorised, recorded, counted in the leaky bucket, then carried out: alone, or as a
batch of at most 50 commands that always answers 200. A fault planned with `fail_next` strikes at
the moment its call would be carried out.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from responder.bitrix24.sandbox import batch, php, wire
from responder.bitrix24.sandbox.answers import Answer, BrokenLineError, RefusedError
from responder.bitrix24.sandbox.application.portal_account import Actor, Kind
from responder.bitrix24.sandbox.faults import MISSING, REFUSALS, Fault, Faults
from responder.bitrix24.sandbox.method_time import OperatingTime
from responder.bitrix24.sandbox.methods.table import METHODS, Method
from responder.bitrix24.sandbox.state import State

DOOR = "/__sandbox__/"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxCall:
    """One call as it arrived, whether it was carried out or not; its access token is left out.

    `batch` is the number of the HTTP request that brought it in a batch, None for a single call. A
    batch itself is no call: it is counted in `http_requests`.
    """

    method: str
    params: Mapping[str, object]
    batch: int | None
    at: float
    application: bool = False


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
        self.application_time = OperatingTime()
        self.calls: list[SandboxCall] = []
        self.http_requests = 0
        self.limited = 0
        self.faults = Faults()
        self.door: Callable[[wire.Inquiry], wire.Reply] | None = None  # `control.open_door`
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
        asked = await wire.inquiry(scope, receive)
        if asked.path.startswith("/oauth/"):
            await self.oauth.serve(asked, scope, receive, send)
            return
        if self.door and asked.path.startswith(DOOR):
            await wire.send_reply(self.door(asked), send)
            return
        request = wire.request(asked)
        commands = batch.commands(request.params) if request.method == "batch" else ()
        began = time.monotonic()
        try:
            with self.lock:
                reply = self._answer(request, commands)
        except BrokenLineError as line:
            await wire.send_broken(line.fault, scope, receive, send)
        else:
            seconds = self.answer_seconds * max(1, len(commands))
            left = seconds - (time.monotonic() - began)
            if left > 0:
                await wire.wait_until_gone(receive, within=left)
            await wire.send_reply(reply, send)

    def _answer(self, request: wire.Request, commands: Sequence[batch.Command]) -> wire.Reply:
        self.http_requests += 1
        try:
            self._acting = self._authorised(request)
            self._record(request, commands)
            self._count()
            if self.plan_refused:
                raise REFUSALS["plan"].error()
            if request.method == "batch":
                answer = self.faults.strike("batch", lambda: self._batch(request, commands))
            else:
                answer = self._carry_out(request.method, request.params)
            return wire.encode(200, self._envelope(request.method, answer))
        except RefusedError as refusal:
            status = refusal.status if self.kind == "cloud" else refusal.on_premise
            return wire.error(status, refusal.code, refusal.text)
        finally:
            self._acting = None

    def _authorised(self, request: wire.Request) -> Actor:
        if request.user is None:
            return self._authorised_by_token(request.token)
        if (request.user, request.secret) != (self.user_id, self.secret):
            raise REFUSALS["credentials"].error()
        return self.actor

    def _authorised_by_token(self, token: str | None) -> Actor:
        if token is None:
            raise REFUSALS["401"].error()
        application = self.application
        if application and application.deleted:
            raise REFUSALS["application"].error()
        access = application.tokens.access(token) if application else None
        if application is None or access is None:
            raise REFUSALS["invalid_token"].error()
        if application.tokens.has_expired(access):
            raise REFUSALS["expired_token"].error()
        user = self.users.get(access.user_id)
        if user is None or not user["ACTIVE"]:
            raise REFUSALS["inactive_user"].error()
        return Actor(
            user_id=access.user_id,
            admin=self.is_admin(access.user_id),
            scopes=application.scopes,
            application=True,
            hops=access.hops,
        )

    def _record(self, request: wire.Request, commands: Sequence[batch.Command]) -> None:
        if request.method != "batch":
            self._record_call(request.method, request.params, batch=None)
        for command in commands:
            self._record_call(command.method, command.params, batch=self.http_requests)

    def _record_call(self, method: str, params: Mapping[str, object], batch: int | None) -> None:
        self.calls.append(
            SandboxCall(
                method=method,
                params=params,
                batch=batch,
                at=self.clock(),
                application=self.actor.application,
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
        self._check_rights(known, params)
        if method in self.denied_methods:
            raise REFUSALS["denied"].error()
        now = self.clock()
        counted = self.limits and self.tells_operating
        if counted and self._meter.is_over(method, now):
            raise REFUSALS["429_operating"].error()
        self._meter.spend(method, self._takes(method), now)
        if self.zombie_days is not None:
            self.clear_zombies()
        return known.run(self, params)

    def _check_rights(self, method: Method, params: Mapping[str, object]) -> None:
        actor = self.actor
        if method.application_only and not actor.application:
            raise REFUSALS["wrong_auth"].error()
        if not method.granted(actor.scopes):
            raise REFUSALS["scope"].error()
        if actor.application and "rest_auth_connector" not in self.features:
            names = {name.lower() for name, value in params.items() if value}
            if "auth_connector" in names:
                raise REFUSALS["license"].error()

    @property
    def _meter(self) -> OperatingTime:
        """Return the operating time of who calls: a webhook and an application have one each."""
        return self.application_time if self.actor.application else self.operating_time

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
            times["operating_reset_at"] = self._meter.reset_at(method, now)
            times["operating"] = self._meter.used(method, now)
        return self.oddities.times(times)
