"""Builds the parts that drive one portal under a lease: gate, rounds, sweeper, agenda."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from responder.judge.context import Context
from responder.service.driver.agenda import Agenda
from responder.service.driver.round import Rounds
from responder.service.driver.sweeper import Sweeper
from responder.service.driver.upkeep.withholding import Withholding
from responder.stop.gate import Gate
from responder.store.group_commit import SharedCommit
from responder.store.leases import Lease

if TYPE_CHECKING:
    from responder.service.application.steps import ApplicationSteps


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """The classes that a driver is built of, and how often its portal is swept.

    `asks`: the portal is asked the crucial questions at each start, and hourly.
    """

    sweep_every: timedelta
    asks: bool = False
    gate: type[Gate] = Gate
    sweeper: type[Sweeper] = Sweeper
    rounds: type[Rounds] = Rounds

    def build(
        self,
        context: Context,
        lease: Lease,
        commits: SharedCommit,
        has_time: Callable[[Lease], bool],
        application: "Callable[[Context, Gate], ApplicationSteps | None] | None" = None,
    ) -> Agenda:
        """Build a portal's agenda. `has_time` returns whether a lease has time left."""
        gate = self.gate(context, lease, commits, has_time)
        rounds = self.rounds(context, gate)
        sweeper = self.sweeper(context, gate, self.sweep_every)
        steps = None if application is None else application(context, gate)
        withholding = Withholding(context, gate) if self.asks else None
        return Agenda(context, gate, rounds, sweeper, steps, withholding)
