"""The drivers of `model_world`: the real ones, with a moment at each of their awaits."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs

from sqlalchemy import Engine

from responder.bitrix24.client.answers import Failure, uncertain
from responder.bitrix24.client.client import Client
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.fetch.templates import Templates
from responder.bitrix24.sandbox import Sandbox
from responder.bitrix24.sandbox.wire import Message
from responder.judge.context import Context
from responder.judge.rules_in_force import RulesInForce
from responder.service.driver.agenda import Agenda
from responder.service.driver.assembly import Assembly
from responder.service.driver.sweeper import Sweeper
from responder.store import leases
from responder.store.database.database import Connection, Database
from responder.store.database.engines import StoreUnavailable
from responder.store.group_commit import SharedCommit
from tests.random.model_runs import Due
from tests.random.model_sweeper import SeenSweeper

if TYPE_CHECKING:
    from tests.random.model_world import World

T = TypeVar("T")

PORTAL = "main"
KILL, TERMINATE = "bizproc.workflow.kill", "bizproc.workflow.terminate"
LEASE_SECONDS = 1e8
NO_SWEEP = timedelta(0)
LIMITS = ("QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT")
_TASKS_OF = re.compile(r"WORKFLOW_ID\W+(w\.\d+)")
_kept: dict[Path, tuple[Engine, Engine]] = {}

Commands = list[tuple[str, dict[str, list[str]]]]


class Crash(BaseException):
    """The process is gone."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happens in the world: the name of one of its methods, and how."""

    name: str
    how: tuple[object, ...] = ()


Plan = Mapping[int, Happening]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts(Assembly):
    """What a driver is built of; a planted fault takes one's place."""

    sweep_every: timedelta = NO_SWEEP
    sweeper: type[Sweeper] = SeenSweeper
    few: int = 20  # documents read, and workflows looked for, one by one
    a_batch: int = 50  # calls that go out together


class Moments:
    """Counts the moments at which a driver waits, and lets things happen at chosen ones.

    `between` is what happens right before its requests, counted by themselves.
    """

    def __init__(self, world: "World", replica: "Replica") -> None:
        self.plan: dict[int, Happening] = {}
        self.between: dict[int, Happening] = {}
        self.asleep = asyncio.Event()
        self.awake = asyncio.Event()
        self.stumbles: list[bool] = []
        self.stumbled = False
        self._world = world
        self._replica = replica

    def begin(self, plan: Plan, between: Plan) -> None:
        """Start counting anew."""
        self.plan, self.between = dict(plan), dict(between)
        self.stumbles.clear()
        self.stumbled = False

    async def pass_by(self, *, may_pause: bool = True) -> None:
        """Let happen what is planned for this moment.

        Between a driver's last look at the clock and the call nothing can keep time from passing;
        that moment is so short that here none passes.
        """
        due, self.plan = _next_of(self.plan)
        if due is None:
            return
        if due.name in ("sleep", "pass_time") and not may_pause:
            self.plan.setdefault(0, due)
        elif due.name == "sleep":
            self.asleep.set()
            await self.awake.wait()
        elif due.name == "crash":
            raise Crash
        elif due.name == "stumble":
            self.stumbles.append(bool(due.how[0]))
        else:
            await self._world.happen(due)

    async def before_request(self) -> None:
        """Let happen what is planned for right before this request."""
        due, self.between = _next_of(self.between)
        if due is not None:
            await self._world.happen(due)

    def stumble(self, *, committed: bool) -> None:
        """Fail as the store would, if that is planned: before a commit, or in its midst."""
        if self.stumbles and self.stumbles[0] is committed:
            self.stumbles.pop(0)
            self.stumbled = True
            raise StoreUnavailable("the store stumbled")


class SteppedPortal(Portal):
    """The portal without the wire: its state is asked in this process."""

    def __init__(self, world: "World", replica: "Replica") -> None:
        super().__init__(PORTAL, "http://portal.invalid/rest/1/a-secret-of-nobody/")
        self._world = world
        self._replica = replica

    async def _post(
        self, method: str, params: dict[str, object], _within_seconds: float | None = None
    ) -> tuple[int, bytes] | Failure:
        commands = commands_of(method, params)
        stops = [ids["ID"][0] for name, ids in commands if name in (KILL, TERMINATE)]
        await self._replica.moments.pass_by(may_pause=not stops)
        await self._replica.moments.before_request()
        world = self._world
        world.listed(self._replica, commands)
        for workflow_id in stops:
            world.watch.called(self._replica, workflow_id)
        came: tuple[int, bytes] | Failure
        if stops and world.late_next:
            world.postpone(method, params, stops)
            came = uncertain("timeout", "no answer in time")
        else:
            came = await world.ask(method, params)
        for workflow_id, (refused, lost) in _shown(came, method, params) if stops else ():
            world.watch.answered(workflow_id, refused=refused, lost=lost)
        await self._replica.moments.pass_by()
        return came


class SteppedDatabase(Database):
    """A database whose reads are moments.

    All worlds have theirs at the same place, one after the other, and so share the engines: most of
    the time would go into compiling the same statements for each anew.
    """

    moments: Moments | None = None

    def _make_engines(self) -> tuple[Engine, Engine]:
        assert self.path is not None
        if self.path not in _kept:
            _kept.clear()
            _kept[self.path] = super()._make_engines()
        return _kept[self.path]

    def close(self) -> None:
        """Leave the connections to those who share them."""
        self._engines = None

    def dispose(self) -> None:
        """Close every connection."""
        for engine in self._engines or ():
            engine.dispose()

    async def reading(self, fn: Callable[[Connection], T]) -> T:
        """Read, in this thread: so the order of things is the same each time."""
        if self.moments is not None:
            await self.moments.pass_by()
        return self.read(fn)


class SteppedCommit(SharedCommit):
    """A shared commit with a moment before and after; what it wrote is looked at."""

    def __init__(self, world: "World", replica: "Replica") -> None:
        super().__init__(replica.database)
        self._world = world
        self._replica = replica
        self._under_way: list[asyncio.Event] = []

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Write as ever."""
        moments = self._replica.moments
        await moments.pass_by()
        moments.stumble(committed=False)
        self._under_way.append(done := asyncio.Event())
        try:
            written = await super().write(fn)
            self._world.look_at_log(self._replica)
        finally:
            self._under_way.remove(done)
            done.set()
        moments.stumble(committed=True)
        await moments.pass_by()
        return written

    async def idle(self) -> None:
        """Wait until what is being written is written, and was looked at."""
        while self._under_way:
            await self._under_way[0].wait()


class SmallClient(Client):
    """A client whose batches carry few calls."""

    a_batch = 50

    def capacity(self, method: str) -> int:
        """Say how many commands of a method one batch carries."""
        return min(self.a_batch, super().capacity(method))


class Replica:
    """One process of ours, as far as it drives the portal."""

    def __init__(self, world: "World", name: str, *, enforcing: bool) -> None:
        self.name = name
        self.enforcing = enforcing
        self.moments = Moments(world, self)
        self.database: SteppedDatabase = SteppedDatabase(world.url)
        self.database.open()
        self.commits = SteppedCommit(world, self)
        self.rules = RulesInForce(world.rules_path, portals=[PORTAL], now=world.now)
        self.task: asyncio.Task[bool] | None = None
        self.began_in = 0
        self.run_began: int | None = None
        self.read: dict[str, tuple[int, float]] = {}
        self.tasks_seen: dict[str, int] = {}
        self.portal = SteppedPortal(world, self)
        self._world = world
        self._client = SmallClient(
            self.portal, rate=1e6, burst=50, metrics=world.metrics, now=world.now
        )
        self._client.a_batch = world.parts.a_batch
        self._templates = Templates()
        self.agenda: Agenda | None = None

    @property
    def is_running(self) -> bool:
        """Return whether what it writes now is what a run found."""
        return self._sweeper is not None and self._sweeper.is_at_work

    @property
    def run_due(self) -> Due | None:
        """Return what was due when its newest run began."""
        return None if self._sweeper is None else self._sweeper.began

    @property
    def _sweeper(self) -> SeenSweeper | None:
        sweeper = None if self.agenda is None else self.agenda.sweeper
        return sweeper if isinstance(sweeper, SeenSweeper) else None

    async def claim(self) -> None:
        """Take the lease from whoever has it, and begin anew."""
        self.database.moments = None
        self.run_began = None

        def claim(tx: Connection) -> leases.Lease | None:
            return leases.claim(tx, PORTAL, self.name, LEASE_SECONDS, force=True)

        lease = self.database.write(claim)
        assert lease is not None
        world = self._world
        context = Context(
            client=self._client,
            database=self.database,
            rules=self.rules,
            templates=self._templates,
            enforcing=self.enforcing,
            metrics=world.metrics,
            now=world.now,
            few=world.parts.few,
            few_ids=world.parts.few,
        )
        self.agenda = world.parts.build(context, lease, self.commits, has_time=lambda _: True)
        if self._sweeper is not None:
            self._sweeper.now_due = world.watch.now_due
        await self.agenda.load()
        self.database.moments = self.moments

    def asked_for_tasks(self, params: Mapping[str, Sequence[str]], place: int) -> None:
        """Remember in which state it asked for the tasks of a workflow."""
        self.tasks_seen |= dict.fromkeys(_TASKS_OF.findall(str(params)), place)

    async def close(self) -> None:
        """Vanish, with whatever was under way."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.commits.close()
        self.database.close()
        await self.portal.close()


def _next_of(plan: dict[int, Happening]) -> tuple[Happening | None, dict[int, Happening]]:
    """Return what is planned for now, and the rest, which is one nearer."""
    return plan.pop(0, None), {number - 1: planned for number, planned in plan.items()}


def _shown(
    came: tuple[int, bytes] | Failure, method: str, params: Mapping[str, object]
) -> Iterator[tuple[str, tuple[bool, bool]]]:
    """Return of each stop in a request whether it was refused unseen, or its answer is lost."""
    batch = params.get("cmd")
    keys = list(batch) if method == "batch" and isinstance(batch, dict) else [""]
    for key, (name, ids) in zip(keys, commands_of(method, params), strict=True):
        if name in (KILL, TERMINATE):
            yield ids["ID"][0], _of_part(came, key)


def _of_part(came: tuple[int, bytes] | Failure, key: str) -> tuple[bool, bool]:
    if isinstance(came, Failure):
        return False, True
    status, body = came
    try:
        content = json.loads(body)
    except ValueError:
        return False, True
    if "error" not in content and key:
        errors, done = content["result"]["result_error"], content["result"]["result"]
        content = errors[key] if key in errors else {"result": dict(done or {}).get(key)}
        status = 500 if content.get("error") == "INTERNAL_SERVER_ERROR" else 400
    if "error" in content:
        refused = content["error"] in LIMITS
        return refused, status >= 500 and not refused
    return False, content.get("result") is not True


def commands_of(method: str, params: Mapping[str, object]) -> Commands:
    """Take a request apart into its commands, with their parameters as lists of text."""
    batch = params.get("cmd")
    if method != "batch" or not isinstance(batch, dict):
        return [(method, {name: [str(value)] for name, value in params.items()})]
    found = []
    for command in batch.values():
        name, _, query = str(command).partition("?")
        found.append((name, parse_qs(query)))
    return found


def is_first(params: Mapping[str, Sequence[str]]) -> bool:
    """Return whether it is the first page of a list: in it all the others were begun."""
    return params.get("start", ["0"]) == ["0"]


async def ask_sandbox(
    sandbox: Sandbox, method: str, params: dict[str, object]
) -> tuple[int, bytes] | Failure:
    """Ask the sandbox as a server would."""
    messages: list[Message] = [
        {"type": "http.request", "body": json.dumps(params).encode()},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0) if len(messages) > 1 else messages[0]

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Message = {
        "type": "http",
        "method": "POST",
        "path": f"/rest/{sandbox.user_id}/{sandbox.secret}/{method}",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    await sandbox(scope, receive, send)
    if not sent:
        return uncertain("dropped", "the connection broke")
    status, body = sent[0]["status"], sent[1]["body"]
    assert isinstance(status, int)
    assert isinstance(body, bytes)
    return status, body
