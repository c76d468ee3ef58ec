"""What people do: each may come at any moment, as what happens in the portal may."""

import re
from datetime import timedelta
from pathlib import Path

from responder.bitrix24 import documents
from responder.journal import approvals, open_stops
from responder.stop import control
from responder.store import sweep_runs
from tests.random.model_drivers import PORTAL, Replica, SteppedDatabase
from tests.random.model_portal import BEGINNING, DEALS, PortalDeeds, Scene
from tests.random.model_rules import Policy
from tests.random.model_watch import Watch

RULES = ("lost-deal", "small-deal", "often", "nightly", "one-each", "leave-over", "stale")
A_DAY = timedelta(days=1)
_NIGHT = 3 * 3600.0
_DOCUMENT = re.compile(r"DOCUMENT_ID\W+((?:DEAL_)?\d+)")


class Deeds(PortalDeeds):
    """The portal and its people."""

    def __init__(self, scene: Scene, url: str, rules_path: Path) -> None:
        super().__init__(scene)
        self.watch = Watch(self)
        self.url = url
        self.rules_path = rules_path
        self.database = SteppedDatabase(url)
        self.database.open()
        self.driver: Replica | None = None
        self.acknowledged = 0
        self.stored: dict[int, int] = {}

    async def deliver(self, deal: int, name: str, times: int) -> None:
        """Send events of one deal."""
        for _ in range(times):
            await self._add("event", name, f"deal:{deal}", None)

    async def call_robot(self, deal: int, number: int) -> None:
        """Let a robot name a workflow, of that deal or not."""
        running = self.running or ["w.0"]
        named = running[number % len(running)]
        await self._add("robot", None, f"deal:{deal}", named)

    async def call_robot_on_element(self, element: str, number: int) -> None:
        """Let a robot name a workflow of an element, or not; it does not say of which list."""
        running = self.running or ["w.0"]
        named = running[number % len(running)]
        await self._add("robot", None, f"lists|{documents.LIST}|{element}", named)

    async def _add(
        self, trigger: str, name: str | None, document: str, workflow_id: str | None
    ) -> None:
        assert self.driver is not None
        number = self.acknowledged
        form = f"N={number}".encode()
        row = (PORTAL, int(self.now().timestamp() * 1e6), trigger, name, document, workflow_id)
        await self.driver.commits.add((*row, form))
        self.watch.runs.came(document_of(document), name or trigger)
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
            self.changed()

    def until_night(self) -> float:
        """Return in how many seconds it is three o'clock, by our clock."""
        seconds = self.now().timestamp()
        return A_DAY.total_seconds() - (seconds - _NIGHT) % A_DAY.total_seconds()

    def look_at_log(self, replica: Replica | None) -> None:
        """Look at what was just committed, and by whom."""
        raise NotImplementedError


def documents_named(params: object) -> list[str]:
    """Return the documents of which parameters of a call ask for the workflows."""
    return _DOCUMENT.findall(str(params))


def document_of(ref: str) -> str:
    """Return the portal's id of a document by its name: `deal:1`, `list_23:7` or a triple."""
    return ref.rpartition("|")[2].replace("deal:", "DEAL_").rpartition(":")[2]


__all__ = ["BEGINNING", "DEALS", "RULES", "Deeds", "Scene", "document_of", "documents_named"]
