"""A portal, its people and our drivers in one program that can be stopped at every await.

Theory of operation. The drivers are real: `Rounds`, `Sweeper`, `Gate`, `Client`, `SharedCommit`,
SQLite. They are stepped by hand, one round at a time, against the sandbox's own state, which they
reach through `Portal` with the wire left out. There are two clocks: real time, which only passes,
and ours, which may be set.

Each time a driver waits (for the portal, for a commit, for a read) is a *moment*, and a moment is
where anything may happen: the process dies, or sleeps past its lease, or somebody changes the
world. What happens *between* two requests is planned by their numbers, so that the portal changes
while it is read. What must never be is watched at the two places where it could come to be: when an
intent is committed and when a call arrives. What the watcher believes it has from the world itself
(`model_history`) and from its own reading of the rules (`model_rules`), never from the code under
test; only who was condemned together is read from the log (`model_sets`). In the end everything
comes to rest, time passes for a sweep and for a night, and nothing may have been passed over
(`model_rest`).
"""

import asyncio
import contextlib
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import select

from responder.adapters.metrics import Metrics
from responder.bitrix24.client.answers import Failure
from responder.journal import open_stops
from responder.journal import record as journal
from responder.journal.audit.integrity import check_log
from responder.journal.reading import decisions as log
from responder.store.database.engines import StoreUnavailable
from responder.store.database.tables import decisions, entries
from responder.store.decision_ids import decision_name
from responder.store.inbox import inbox
from responder.store.leases import LeaseLost
from tests.random.model_deeds import A_DAY, Deeds, Scene, document_of, documents_named
from tests.random.model_deeds import DEALS as DEALS
from tests.random.model_deeds import RULES as RULES
from tests.random.model_drivers import (
    PORTAL,
    Commands,
    Crash,
    Happening,
    Parts,
    Plan,
    Replica,
    ask_sandbox,
    commands_of,
    is_first,
)
from tests.random.model_facts import ELEMENTS
from tests.random.model_rest import log_is_true, nothing_is_held_idly, passed_over
from tests.random.model_rules import Policy
from tests.support.next_due import next_due

SETTLING_ROUNDS = 120
A_MOMENT = 11.0  # until what was stopped, or may start late, is looked for
SOON = 7200.0  # what waits longer is not waited for
MOST_ZOMBIES = 2


class World(Deeds):
    """Everything outside of the drivers, and the drivers that there are."""

    def __init__(
        self, place: Path, migrated: Path, parts: Parts, scene: Scene | None = None
    ) -> None:
        for rest in place.glob("responder.db-*"):
            rest.unlink()  # of the world before
        shutil.copyfile(migrated, place / "responder.db")  # which stays the very file it was
        super().__init__(
            scene or Scene(), f"sqlite:///{place / 'responder.db'}", place / "rules.yaml"
        )
        self.parts = parts
        self.metrics = Metrics()
        self.zombies: list[Replica] = []
        self.rounds = 0
        self._seen_stops = (0, 0)

    async def begin(self, policy: Policy, *, enforcing: bool) -> None:
        """Set up deals with workflows, and the first driver."""
        await self.populate()
        self.rules_path.write_text(policy.text, encoding="utf-8")
        self.watch.ruled(policy)
        await self.replace_driver(enforcing=enforcing)

    async def end(self) -> None:
        """Let go of everything."""
        for replica in (*self.zombies, *([self.driver] if self.driver else [])):
            await replica.close()
        self.database.dispose()

    async def happen(self, happening: Happening) -> None:
        """Let it happen."""
        deed: Callable[..., Awaitable[None]] = getattr(self, happening.name)
        await deed(*happening.how)

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

    # What becomes of drivers.

    async def replace_driver(self, *, enforcing: bool) -> None:
        """Let another process take the lease; the old one does not know yet."""
        if self.driver is not None:
            self.zombies.append(self.driver)
        while len(self.zombies) > MOST_ZOMBIES:
            await self.wake_zombie()
        if self.driver is not None:  # a call of its sleeps, but what it writes still has its lease
            await self.driver.commits.idle()
        changes = self.driver is not None and self.driver.enforcing is not enforcing
        self.driver = Replica(self, f"replica {next(self.names)}", enforcing=enforcing)
        self.driver.commits.start()
        self._driver_is_gone()
        if changes:
            self.watch.sets.changed()
        await self.driver.claim()

    def _driver_is_gone(self) -> None:
        """Remember that whoever drove knows nothing any more of its run and its calls."""
        self.watch.sets.run_over([])
        stops = self.database.read(lambda conn: open_stops.open_stops(conn, PORTAL))
        self.watch.sets.lost_sight_of(s.decision_id for s in stops if s.outcome == "in_doubt")

    async def restart(self, *, enforcing: bool) -> None:
        """Let the driver die and another process take its place."""
        dead, self.driver = self.driver, None
        if dead is not None:
            await dead.close()
        await self.replace_driver(enforcing=enforcing)

    async def round(self, plan: Plan, between: Plan | None = None) -> bool:
        """Let the driver do a round; return whether there was something to do."""
        replica = self.driver
        assert replica is not None
        assert replica.agenda is not None
        self.rounds += 1
        replica.moments.begin(plan, between or {})
        if not replica.agenda.rounds.is_amid_work:
            replica.began_in = self.watch.history.place
        replica.task = asyncio.create_task(replica.agenda.step())
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
            self._driver_is_gone()
            await replica.claim()
        return True

    async def go_on(self, plan: Plan, between: Plan, most: int) -> None:
        """Let the driver do rounds until nothing is due; the plans go on from one to the next."""
        for _ in range(most):
            driver = self.driver
            done = await self.round(plan, between)
            assert driver is not None
            plan, between = driver.moments.plan, driver.moments.between
            due = self.database.read(lambda conn: next_due(conn, PORTAL))
            wait = 0.0 if due is None else (due - self.now()).total_seconds()
            if not done and (due is None or wait > A_MOMENT):
                return
            await self.pass_time(1.1 if done else max(1.1, wait + 0.1))

    async def wake_zombie(self) -> None:
        """Let a process that lost its lease go on where it stopped, until it notices."""
        if not self.zombies:
            return
        zombie = self.zombies.pop(0)
        assert zombie.agenda is not None
        zombie.moments.begin({}, {})
        zombie.moments.awake.set()
        task = zombie.task or asyncio.create_task(zombie.agenda.step())
        zombie.task = None
        with contextlib.suppress(LeaseLost):
            await task
        await zombie.close()
        self.watch.check()

    # What is seen.

    def listed(self, replica: Replica, commands: Commands) -> None:
        """Remember which documents a driver has just read: all, where it lists all that runs."""
        for name, params in commands:
            if name == "bizproc.task.list":
                replica.asked_for_tasks(params, self.watch.history.place)
            if name != "bizproc.workflow.instances":
                continue
            named = documents_named(params)
            if not any("FILTER" in key.upper() for key in params) and is_first(params):
                named = [*(f"DEAL_{deal}" for deal in DEALS), *ELEMENTS]
                if replica.run_began is None:
                    replica.run_began = self.watch.history.place
            for document in named:
                replica.read[document] = (self.watch.next_order(), self.real)

    async def ask(self, method: str, params: dict[str, object]) -> tuple[int, bytes] | Failure:
        """Ask the portal, and see what it did."""
        came = await ask_sandbox(self.sandbox, method, params)
        killed, terminated = self._seen_stops
        stopped = [*self.sandbox.killed[killed:], *self.sandbox.terminated[terminated:]]
        self._seen_stops = (len(self.sandbox.killed), len(self.sandbox.terminated))
        if stopped:
            self.changed()
            self.watch.were_stopped(stopped)
        return came

    def look_at_log(self, replica: Replica | None) -> None:
        """Look at what was just committed, and by whom; then at what is held."""
        query = (
            select(entries.c.seq, entries.c.kind, entries.c.at, entries.c.body)
            .where(entries.c.seq > self.watch.seen_seq)
            .order_by(entries.c.seq)
        )
        found = self.database.read(lambda conn: conn.execute(query).all())
        some = [(seq, kind, at.timestamp(), json.loads(body)) for seq, kind, at, body in found]
        # What was allowed with what made a rule trip is written in the same commit, and after it.
        for seq, kind, at, body in sorted(some, key=lambda one: one[3].get("control") == "trip"):
            self.watch.seen_seq = max(self.watch.seen_seq, seq)
            self.watch.written(replica, kind, seq, at, body)
        if self.watch.sets.open:
            self.watch.sets.look_at_holds(self._holds())
        if replica is not None:
            self._look_at_deliveries(replica)

    def _holds(self) -> dict[str, str]:
        """Return by what each decision is held that is."""
        held = decisions.c
        query = select(held.portal, held.seq, held.n, held.hold).where(held.outcome == "held")
        found = self.database.read(lambda conn: conn.execute(query).all())
        return {decision_name(*place): str(hold) for *place, hold in found}

    def _look_at_deliveries(self, replica: Replica) -> None:
        """Check that each event was concluded on facts read after it came."""
        for delivery in inbox.received(self.database) if self.stored else ():
            number = int(delivery.form.decode().partition("=")[2])
            if delivery.evaluation is None or number not in self.stored:
                continue
            stored = self.stored.pop(number)
            document = document_of(str(delivery.document))
            if self._is_named(delivery.event):
                read, _ = replica.read.get(document, (0, 0.0))
                self.watch.must(
                    stored < read,
                    f"delivery {number} was concluded on facts read before it came",
                )

    def _is_named(self, event: str | None) -> bool:
        """Return whether some rule asks about an event, or about robots' calls."""
        acting = [rule for rule in self.watch.policy.rules if rule.acts]
        return any((event or "robot") in rule.triggers for rule in acting)

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
        await self._rest()
        if self.parts.sweep_every:
            await self._rest_through_runs()
        nothing_is_held_idly(self.watch)
        self._check_what_is_left()

    async def _rest_through_runs(self) -> None:
        """Let a sweep or two find what is left, then the night."""
        length = self.parts.sweep_every.total_seconds()
        for wait, nightly in ((length, False), (self.until_night(), True)):
            await self.pass_time(wait + 1.0)
            await self._rest()
            missed = passed_over(self.watch, nightly=nightly)
            if missed:  # what asks may have lapsed a moment ago, and is asked for by the next run
                await self.pass_time(A_DAY.total_seconds() if nightly else length + 1.0)
                await self._rest()
                missed &= passed_over(self.watch, nightly=nightly)
            self.watch.must(not missed, f"passed over, though each run condemns it: {missed}")

    async def _rest(self) -> None:
        for _ in range(SETTLING_ROUNDS):
            if await self.round({}):
                await self.pass_time(1.1)
            elif not await self._wait_for_next():
                break

    async def _wait_for_next(self) -> bool:
        due = self.database.read(lambda conn: next_due(conn, PORTAL))
        waiting = self.database.read(inbox.depth)
        if due is None and not waiting and not self.late:
            return False
        until = 61.0 if due is None else (due - self.now()).total_seconds() + 0.1
        if until > SOON and self.parts.sweep_every:  # what asks lapses, and is asked for again
            if not waiting and not self.late:
                return False
            until = 61.0
        await self.pass_time(max(1.1, until))
        return True

    def _check_what_is_left(self) -> None:
        waiting = self.database.read(inbox.depth)
        self.watch.must(not waiting, f"acknowledged and not concluded: {waiting}")
        stops = self.database.read(lambda conn: open_stops.open_stops(conn, PORTAL))
        lasting = [stop for stop in stops if stop.outcome != "held"]
        self.watch.must(not lasting, f"never settled: {lasting}")
        wrong = check_log(self.database)[1]
        self.watch.must(not wrong, f"the log does not hold: {wrong}")
        deliveries = list(inbox.received(self.database))
        self.watch.must(len(deliveries) == self.acknowledged, "stored is not what was acknowledged")
        log_is_true(
            self.watch,
            list(log.decisions(self.database)),
            [one.evaluation for one in deliveries],
        )
