"""What people do, and what happens in the portal: each may come at any moment."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from responder.bitrix24.sandbox import Sandbox
from responder.bitrix24.sandbox.application.portal_account import Kind
from responder.journal import approvals, open_stops
from responder.stop import control
from responder.store import sweep_runs
from tests.random.model_drivers import PORTAL, Replica, SteppedDatabase
from tests.random.model_rules import ACTIVE, INDUSTRIES, VIP, Policy, Row, View
from tests.random.model_watch import Watch

DEALS = (1, 2, 3)
RULES = ("lost-deal", "small-deal", "often", "nightly", "one-each")
BEGINNING = 1_790_000_000.0
LATE_SECONDS = 58.0
CROWD = "crowd"  # a workflow for which half the company has to do something
A_DAY = timedelta(days=1)
_NIGHT = 3 * 3600.0
_DEAL = re.compile(r"DEAL_(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What there is at first: workflows on each deal, deals of the protected company.

    `waiting` is whom the workflows wait for, one of them each in turn. With `crowd` so many tasks
    wait in the portal besides, that they are read by ranges. In the `cloud` two workflows run on a
    deal at a time, and others begin when one of them ends.
    """

    templates: tuple[str, ...] = ("61", "62")
    of_vip: tuple[int, ...] = ()
    waiting: tuple[str, ...] = ()
    crowd: int = 0
    kind: Kind = "on_premise"


class Deeds:
    """The portal and its people. `real` is real time, `offset` how wrong our clock is."""

    def __init__(self, scene: Scene, url: str, rules_path: Path) -> None:
        self.scene = scene
        self.url = url
        self.rules_path = rules_path
        self.real = BEGINNING
        self.offset = 0.0
        self.broken = False
        self.sandbox = Sandbox(kind=scene.kind, clock=lambda: self.real)
        self.watch = Watch(self)
        self.late_next = False
        self.late: list[tuple[float, str, dict[str, object]]] = []
        self.database = SteppedDatabase(url)
        self.database.open()
        self.driver: Replica | None = None
        self.acknowledged = 0
        self.stored: dict[int, int] = {}
        self.names = iter(range(1, 10_000))
        self._rows: dict[str, dict[str, str | None]] = {}

    def now(self) -> datetime:
        """Return our time, right or wrong."""
        return datetime.fromtimestamp(self.real + self.offset, UTC)

    async def populate(self) -> None:
        """Set up deals and workflows."""
        self._add_what_deals_link_to()
        for deal in DEALS:
            fields = {"stageSemanticId": "F", "opportunity": "500", "UF_CRM_PRICE": "150|RUB"}
            fields |= {"companyId": VIP if deal in self.scene.of_vip else "5", "assignedById": "9"}
            self.sandbox.add_item(2, deal, categoryId=0, **fields)
        for deal in DEALS:
            for template in self.scene.templates:
                await self.start_workflow(deal, template)
        for place, workflow_id in enumerate(list(self.sandbox.workflows)):
            if self.scene.waiting:
                user = self.scene.waiting[place % len(self.scene.waiting)]
                self.sandbox.add_bizproc_task(workflow_id, user, "Approve")
        if self.scene.crowd:
            self.sandbox.start_workflow(("lists", "BizprocDocument", "77"), "7", id=CROWD)
            for number in range(self.scene.crowd):
                self.sandbox.add_bizproc_task(CROWD, 100 + number, "Read")
        self.changed()

    def _add_what_deals_link_to(self) -> None:
        for number, industry in INDUSTRIES.items():
            self.sandbox.add_item(4, number, industry=industry)
        for user, active in ACTIVE.items():
            self.sandbox.add_user(user, active=active == "true")

    # The portal.

    async def start_workflow(self, deal: int, template: str) -> None:
        """Start a workflow on a deal."""
        triple = ("crm", "CCrmDocumentDeal", f"DEAL_{deal}")
        self.sandbox.start_workflow(triple, template, id=f"w.{next(self.names)}")
        self.changed()

    @property
    def running(self) -> list[str]:
        """Return the names of the workflows that run on deals."""
        return [name for name in self.sandbox.workflows if name != CROWD]

    async def end_workflow(self, number: int) -> None:
        """Let a workflow end by itself."""
        running = self.running
        if running:
            ended = running[number % len(running)]
            self.sandbox.end_workflow(ended)
            self.watch.ended[ended] += 1
            self.changed()

    async def come_back(self, number: int) -> None:
        """Let a workflow that was stopped write itself back."""
        stopped = dict.fromkeys(self.watch.stopped)
        gone = [name for name in stopped if name not in self.sandbox.workflows]
        if gone:
            back = gone[number % len(gone)]
            self.sandbox.workflows[back] = dict(self._rows[back])
            self.watch.came_back(back)
            self.changed()

    async def move_task(self, number: int, user: str) -> None:
        """Let a workflow wait for another user: what it asks is a new task, with a new number."""
        running = self.running
        if running:
            moved = running[number % len(running)]
            for task_id, task in list(self.sandbox.bizproc_tasks.items()):
                if task["WORKFLOW_ID"] == moved:
                    del self.sandbox.bizproc_tasks[task_id]
            self.sandbox.add_bizproc_task(moved, user, "Approve")
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

    def changed(self) -> None:
        """Remember how the world is now."""
        self._rows |= {name: dict(row) for name, row in self.sandbox.workflows.items()}
        waiting: dict[str, list[str]] = {}
        for task in self.sandbox.bizproc_tasks.values():
            if task["STATUS"] == task["USER_STATUS"] == "0":  # what is done is kept
                waiting.setdefault(str(task["WORKFLOW_ID"]), []).append(str(task["USER_ID"]))
        self.watch.state(
            View(
                deals={deal: dict(self.sandbox.items[2, deal]) for deal in DEALS},
                denied=frozenset(deal for _, deal in self.sandbox.denied_items),
                workflows={
                    name: Row(str(row["DOCUMENT_ID"]), str(row["TEMPLATE_ID"]), str(row["STARTED"]))
                    for name, row in self.sandbox.workflows.items()
                },
                tasks={name: tuple(users) for name, users in waiting.items() if name != CROWD},
            )
        )

    # People.

    async def deliver(self, deal: int, name: str, times: int) -> None:
        """Send events of one deal."""
        for _ in range(times):
            await self._add("event", name, f"deal:{deal}", None)

    async def call_robot(self, deal: int, number: int) -> None:
        """Let a robot name a workflow, of that deal or not."""
        running = self.running or ["w.0"]
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
        self.watch.runs.came(document.replace("deal:", "DEAL_"), name or trigger)
        self.stored[number] = self.watch.next_order()
        self.acknowledged += 1

    async def pause(self) -> None:
        """Pause everything, or resume."""
        if self.watch.paused:
            control.resume(self.database, [PORTAL], by="somebody", at=self.now())
        else:
            control.pause(self.database, [PORTAL], by="somebody", at=self.now())
        self.watch.paused = not self.watch.paused
        self.look_at_log(None)

    async def approve(self, number: int) -> None:
        """Approve some of what waits for it, none where there is none."""
        waiting = self.database.read(lambda conn: approvals.pending(conn, [PORTAL]))
        names = [one.decision_id for one in waiting][:number]
        control.approve(self.database, names, by="somebody", at=self.now())
        self.look_at_log(None)

    async def cancel(self, number: int) -> None:
        """Cancel one of the decisions that wait or are held."""
        stops = self.database.read(lambda conn: open_stops.open_stops(conn, PORTAL))
        waiting = [stop.decision_id for stop in stops if stop.outcome != "in_doubt"]
        if waiting:
            name = waiting[number % len(waiting)]
            control.cancel(self.database, name, by="somebody", at=self.now())
            self.look_at_log(None)

    async def rearm(self, rule: str) -> None:
        """Rearm a rule."""
        control.rearm(self.database, [PORTAL], rule, known=RULES, by="somebody", at=self.now())
        self.look_at_log(None)

    async def ask_for_sweep(self, rule: str | None) -> None:
        """Ask for a sweep of a rule, or of all that are swept."""
        self.database.write(
            lambda tx: sweep_runs.add_request(
                tx, PORTAL, rule=rule, observe=False, by="somebody", at=self.now()
            )
        )

    def asked_for(self, rule: str) -> bool:
        """Return whether somebody asked for a sweep of this rule, or of all, that is not done."""
        since = self.now() - 30 * A_DAY
        asked = self.database.read(lambda conn: sweep_runs.open_requests(conn, PORTAL, since))
        return any(request.rule in (None, rule) for request in asked)

    async def change_rules(self, policy: Policy) -> None:
        """Write other rules; whoever drives takes them up at once."""
        self.rules_path.write_text(policy.text, encoding="utf-8")
        self.watch.ruled(policy)
        if self.driver is not None:
            self.driver.rules.reload(at_once=True)

    async def set_clock(self, seconds: float) -> None:
        """Set our clock. Not forward while a stop is late: nobody could know that it still runs."""
        if seconds < 0 or not self.late:
            self.offset += seconds
            self.watch.runs.set_back(self.now().timestamp())

    def until_night(self) -> float:
        """Return in how many seconds it is three o'clock, by our clock."""
        seconds = self.now().timestamp()
        return A_DAY.total_seconds() - (seconds - _NIGHT) % A_DAY.total_seconds()

    def look_at_log(self, replica: Replica | None) -> None:
        """Look at what was just committed, and by whom."""
        raise NotImplementedError


def deals_named(params: object) -> list[str]:
    """Return the numbers of the deals that parameters of a call name."""
    return _DEAL.findall(str(params))


__all__ = ["BEGINNING", "DEALS", "RULES", "Deeds", "Scene", "deals_named"]
