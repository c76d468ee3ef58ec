"""A portal, its people and our drivers in one program that can be stopped at every await.

Theory of operation. The drivers are real: `Rounds`, `Gate`, `Lane`, `SharedCommit`, SQLite. They
are stepped by hand, one round at a time, against the sandbox's own state, which they reach through
`Portal` with the wire left out. There are two clocks: real time, which only passes, and ours, which
may be set.

Each time a driver waits (for the portal, for a commit, for a read) is a *moment*, and a moment is
where anything may happen: the process dies, or sleeps past its lease, or somebody changes the
world. What must never be is watched at the two places where it could come to be: when an intent is
committed and when a call arrives. What the watcher believes it has from the world itself and from
its own reading of the rules (`Policy.condemns`), never from the code under test.
"""

import asyncio
import contextlib
import json
import re
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from responder.bitrix24.answers import Failure
from responder.bitrix24.sandbox import Sandbox
from responder.runtime import operating
from responder.runtime.metrics import Metrics
from responder.store import approvals, inbox, journal
from responder.store.commits import StoreUnavailable
from responder.store.lanes import LeaseLost
from responder.store.tables import entries
from tests.model_drivers import (
    PORTAL,
    Commands,
    Crash,
    Happening,
    Parts,
    Replica,
    SteppedDatabase,
    ask_sandbox,
    commands_of,
    is_first,
)
from tests.model_watch import Policy, State, Watch

DEALS = (1, 2, 3)
RULES = ("lost-deal", "small-deal")
BEGINNING = 1_790_000_000.0
LATE_SECONDS = 45.0
SETTLING_ROUNDS = 120
MOST_ZOMBIES = 2
_DEAL = re.compile(r"DEAL_(\d+)")


class World:
    """Everything outside of the drivers, and the drivers that there are."""

    def __init__(self, place: Path, migrated: Path, parts: Parts) -> None:
        self.parts = parts
        self.place = place
        self.real = BEGINNING
        self.offset = 0.0
        self.metrics = Metrics()
        self.rules_path = place / "rules.yaml"
        self.url = f"sqlite:///{place / 'responder.db'}"
        for rest in place.glob("responder.db*"):
            rest.unlink()  # of the world before
        shutil.copy(migrated, place / "responder.db")
        self.sandbox = Sandbox(clock=lambda: self.real)
        self.watch = Watch(self)
        self.late_next = False
        self.late: list[tuple[float, str, dict[str, object]]] = []
        self.database = SteppedDatabase(self.url)
        self.database.open()
        self.driver: Replica | None = None
        self.zombies: list[Replica] = []
        self.broken = False
        self.acknowledged = 0
        self.rounds = 0
        self._names = iter(range(1, 10_000))
        self._stored: dict[int, int] = {}
        self._seen_stops = (0, 0)

    def now(self) -> datetime:
        """Tell our time, right or wrong."""
        return datetime.fromtimestamp(self.real + self.offset, UTC)

    async def begin(self, policy: Policy, *, enforcing: bool) -> None:
        """Set up three deals with two workflows each, and the first driver."""
        for deal in DEALS:
            self.sandbox.add_item(
                2, deal, stageSemanticId="F", opportunity="500", companyId=5, categoryId=0
            )
        for deal in DEALS:
            for template in ("61", "62"):
                await self.start_workflow(deal, template)
        self.watch.policy = policy
        self.rules_path.write_text(policy.text, encoding="utf-8")
        await self.replace_driver(enforcing=enforcing)

    async def end(self) -> None:
        """Let go of everything."""
        for replica in (*self.zombies, *([self.driver] if self.driver else [])):
            await replica.close()
        self.database.dispose()

    # What people and the portal do.

    async def happen(self, happening: Happening) -> None:
        """Let it happen."""
        deed: Callable[..., Awaitable[None]] = getattr(self, happening.name)
        await deed(*happening.how)

    async def start_workflow(self, deal: int, template: str) -> None:
        """Start a workflow on a deal."""
        triple = ("crm", "CCrmDocumentDeal", f"DEAL_{deal}")
        self.sandbox.start_workflow(triple, template, id=f"w.{next(self._names)}")
        self.changed()

    async def end_workflow(self, number: int) -> None:
        """Let a workflow end by itself."""
        running = list(self.sandbox.workflows)
        if running:
            ended = running[number % len(running)]
            self.sandbox.end_workflow(ended)
            self.watch.ended.add(ended)
            self.changed()

    async def change_deal(self, deal: int, name: str, value: object) -> None:
        """Change a field of a deal; None takes it away."""
        item = self.sandbox.items[2, deal]
        item.pop(name, None)
        if value is not None:
            item[name] = value
        self.changed()

    async def deny(self, deal: int) -> None:
        """Take away, or give back, the right to read a deal."""
        self.sandbox.denied_items ^= {(2, deal)}
        self.changed()

    async def drop_filters(self) -> None:
        """Let the portal forget its filters, or remember them again."""
        self.sandbox.drop_filters = not self.sandbox.drop_filters

    async def fail(self, method: str, fault: str) -> None:
        """Let the next call of a method fail."""
        self.sandbox.fail_next(method, fault)

    async def be_late(self) -> None:
        """Let the next stop take effect only after we gave up waiting for the answer."""
        self.late_next = True

    def postpone(self, method: str, params: dict[str, object], stops: Sequence[str]) -> None:
        """Let a request take effect later."""
        self.late_next = False
        self.late.append((self.real + LATE_SECONDS, method, params))
        self.watch.under_way.update(stops)

    async def deliver(self, deal: int, name: str, times: int) -> None:
        """Send events of one deal."""
        for _ in range(times):
            await self._add("event", name, f"deal:{deal}", None)

    async def call_robot(self, deal: int, number: int) -> None:
        """Let a robot name a workflow, of that deal or not."""
        running = list(self.sandbox.workflows) or ["w.0"]
        named = running[number % len(running)]
        await self._add("robot", None, f"deal:{deal}", named)

    async def _add(
        self, trigger: str, name: str | None, document: str, workflow_id: str | None
    ) -> None:
        assert self.driver is not None
        number = self.acknowledged
        form = f"N={number}".encode()
        row = (PORTAL, int(self.now().timestamp() * 1e6), trigger, name, document, workflow_id)
        await self.driver.commits.add((*row, form))
        self._stored[number] = self.watch.next_order()
        self.acknowledged += 1

    async def pause(self) -> None:
        """Pause everything, or resume."""
        if self.watch.paused:
            operating.resume(self.database, [PORTAL], by="somebody", at=self.now())
        else:
            operating.pause(self.database, [PORTAL], by="somebody", at=self.now())
        self.watch.paused = not self.watch.paused
        self.look_at_log(None)

    async def approve(self, number: int) -> None:
        """Approve some of what waits for it, none where there is none."""
        waiting = self.database.read(lambda conn: approvals.asking(conn, [PORTAL]))
        names = [one.decision_id for one in waiting][:number]
        operating.approve(self.database, names, by="somebody", at=self.now())
        self.look_at_log(None)

    async def cancel(self, number: int) -> None:
        """Cancel one of the decisions that wait or are held."""
        stops = self.database.read(lambda conn: journal.open_stops(conn, PORTAL))
        waiting = [stop.decision_id for stop in stops if stop.outcome != "in_doubt"]
        if waiting:
            name = waiting[number % len(waiting)]
            operating.cancel(self.database, name, by="somebody", at=self.now())
            self.look_at_log(None)

    async def rearm(self, rule: str) -> None:
        """Rearm a rule."""
        operating.rearm(self.database, [PORTAL], rule, known=RULES, by="somebody", at=self.now())
        self.watch.rearmed(rule)
        self.look_at_log(None)

    async def change_rules(self, policy: Policy) -> None:
        """Write other rules; whoever drives takes them up at once."""
        self.rules_path.write_text(policy.text, encoding="utf-8")
        self.watch.policy = policy
        if self.driver is not None:
            self.driver.rules.look(at_once=True)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass; what was late takes effect."""
        due = [one for one in self.late if one[0] <= self.real + seconds]
        for at, method, params in due:
            self.real, seconds = at, self.real + seconds - at
            self.late.remove((at, method, params))
            await self.ask(method, params)
            self.watch.under_way.difference_update(
                ids["ID"][0] for _, ids in commands_of(method, params)
            )
        self.real += seconds
        self.changed()

    async def set_clock(self, seconds: float) -> None:
        """Set our clock. Not forward while a stop is late: nobody could know that it still runs."""
        if seconds < 0 or not self.late:
            self.offset += seconds

    # What becomes of drivers.

    async def replace_driver(self, *, enforcing: bool) -> None:
        """Let another process take the lease; the old one does not know yet."""
        if self.driver is not None:
            self.zombies.append(self.driver)
        while len(self.zombies) > MOST_ZOMBIES:
            await self.wake_zombie()
        self.driver = Replica(self, f"replica {next(self._names)}", enforcing=enforcing)
        self.driver.commits.start()
        await self.driver.claim()

    async def restart(self, *, enforcing: bool) -> None:
        """Let the driver die and another process take its place."""
        dead, self.driver = self.driver, None
        if dead is not None:
            await dead.close()
        await self.replace_driver(enforcing=enforcing)

    async def round(self, plan: Mapping[int, Happening]) -> bool:
        """Let the driver do a round; return whether there was something to do."""
        replica = self.driver
        assert replica is not None
        assert replica.rounds is not None
        self.rounds += 1
        replica.moments.begin(plan)
        if not replica.rounds.is_amid_work:
            replica.began_in = self.watch.states_so_far
        replica.task = asyncio.create_task(replica.rounds.round())
        asleep = asyncio.create_task(replica.moments.asleep.wait())
        await asyncio.wait({replica.task, asleep}, return_when=asyncio.FIRST_COMPLETED)
        asleep.cancel()
        if not replica.task.done():
            await self.replace_driver(enforcing=replica.enforcing)
            return True
        try:
            return await self._ended(replica, replica.task)
        finally:
            self.watch.check()

    async def _ended(self, replica: Replica, task: asyncio.Task[bool]) -> bool:
        replica.task = None
        try:
            return await task
        except Crash:
            await self.restart(enforcing=replica.enforcing)
        except (StoreUnavailable, journal.NotOpen, inbox.AlreadyConcluded):
            assert replica.moments.stumbled, "a round failed without a reason"
            await replica.claim()
        return True

    async def wake_zombie(self) -> None:
        """Let a process that lost its lease go on where it stopped, until it notices."""
        if not self.zombies:
            return
        zombie = self.zombies.pop(0)
        assert zombie.rounds is not None
        zombie.moments.begin({})
        zombie.moments.awake.set()
        task = zombie.task or asyncio.create_task(zombie.rounds.round())
        zombie.task = None
        with contextlib.suppress(LeaseLost):
            await task
        await zombie.close()
        self.watch.check()

    # What is seen.

    def changed(self) -> None:
        """Remember how the world is now."""
        self.watch.state(
            State(
                since=self.real,
                deals={deal: dict(self.sandbox.items[2, deal]) for deal in DEALS},
                denied=frozenset(deal for _, deal in self.sandbox.denied_items),
                workflows={
                    name: (str(row["DOCUMENT_ID"]), str(row["TEMPLATE_ID"]))
                    for name, row in self.sandbox.workflows.items()
                },
            )
        )

    def listed(self, replica: Replica, commands: Commands) -> None:
        """Remember which documents a driver has just read: all, where it lists all that runs."""
        for name, params in commands:
            if name != "bizproc.workflow.instances":
                continue
            deals = _DEAL.findall(str(params))
            if not any("FILTER" in key.upper() for key in params) and is_first(params):
                deals = [str(deal) for deal in DEALS]
            for deal in deals:
                replica.read[f"DEAL_{deal}"] = (self.watch.next_order(), self.real)

    async def ask(self, method: str, params: dict[str, object]) -> tuple[int, bytes] | Failure:
        """Ask the portal, and see what it did."""
        came = await ask_sandbox(self.sandbox, method, params)
        killed, terminated = self._seen_stops
        stopped = [*self.sandbox.killed[killed:], *self.sandbox.terminated[terminated:]]
        self._seen_stops = (len(self.sandbox.killed), len(self.sandbox.terminated))
        if stopped:
            self.changed()
        for workflow_id in stopped:
            self.watch.was_stopped(workflow_id)
        return came

    def look_at_log(self, replica: Replica | None) -> None:
        """Look at what was just committed, and by whom."""
        query = (
            select(entries.c.seq, entries.c.kind, entries.c.body)
            .where(entries.c.seq > self.watch.seen_seq)
            .order_by(entries.c.seq)
        )
        for seq, kind, body in self.database.read(lambda conn: conn.execute(query).all()):
            self.watch.seen_seq = seq
            self.watch.written(replica, kind, json.loads(body))
        if replica is not None:
            self._look_at_deliveries(replica)

    def _look_at_deliveries(self, replica: Replica) -> None:
        """See that each event was concluded on facts read after it came."""
        for delivery in inbox.received(self.database) if self._stored else ():
            number = int(delivery.form.decode().partition("=")[2])
            if delivery.evaluation is None or number not in self._stored:
                continue
            stored = self._stored.pop(number)
            if delivery.event in (None, "ONCRMDEALUPDATE"):
                document = str(delivery.document).replace("deal:", "DEAL_")
                read, _ = replica.read.get(document, (0, 0.0))
                self.watch.must(
                    stored < read,
                    f"delivery {number} was concluded on facts read before it came",
                )

    # The end.

    async def settle(self) -> None:
        """Let everything come to rest, and look at what is left."""
        self.sandbox.faults.clear()
        self.sandbox.drop_filters = False
        self.late_next = False
        while self.zombies:
            await self.wake_zombie()
        if self.watch.paused:
            await self.pause()
        for _ in range(SETTLING_ROUNDS):
            if await self.round({}):
                await self.pass_time(1.1)
            elif not await self._wait_for_next():
                break
        self._check_what_is_left()

    async def _wait_for_next(self) -> bool:
        due = self.database.read(lambda conn: journal.next_due(conn, PORTAL))
        waiting = self.database.read(inbox.depth)
        if due is None and not waiting and not self.late:
            return False
        until = 61.0 if due is None else (due - self.now()).total_seconds() + 0.1
        await self.pass_time(max(1.1, until))
        return True

    def _check_what_is_left(self) -> None:
        waiting = self.database.read(inbox.depth)
        self.watch.must(not waiting, f"acknowledged and not concluded: {waiting}")
        stops = self.database.read(lambda conn: journal.open_stops(conn, PORTAL))
        lasting = [stop for stop in stops if stop.outcome != "held"]
        self.watch.must(not lasting, f"never settled: {lasting}")
        bad = journal.verify_chain(self.database, PORTAL)
        self.watch.must(bad is None, f"the chain is broken: {bad}")
        deliveries = list(inbox.received(self.database))
        self.watch.must(len(deliveries) == self.acknowledged, "stored is not what was acknowledged")
        self.watch.settled(
            list(journal.decisions(self.database)), [one.evaluation for one in deliveries]
        )
