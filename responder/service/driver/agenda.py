"""Orders the work of a driver for its portal: the most urgent first, one step at a time.

What concerns the portal's local application comes first, for without it there may be no way to
call. Then the portal is asked whether it may be acted upon (`withholding`). Upkeep follows, which
needs no call, and what people want started anew (`restarter`). Then comes a round of what is due
(`round`), and between rounds, however many there are, a step of a run (`sweeper`). Where there is
nothing else to do, people are told in the portal of what was stopped (`telling.teller`), and
workflows that observing rules would have stopped are checked (`would_kill_check`).
"""

from typing import TYPE_CHECKING

from responder.judge.context import Context
from responder.service.driver.round import Rounds
from responder.service.driver.sweeper import Sweeper
from responder.service.driver.upkeep.clock_watch import ClockWatch
from responder.service.driver.upkeep.withholding import Withholding
from responder.stop.approval_expiry import ApprovalExpiry
from responder.stop.gate import Gate
from responder.stop.rearm_release import RearmRelease
from responder.stop.restart.restarter import Restarter
from responder.stop.telling.teller import Teller
from responder.stop.would_kill_check import WouldKillCheck

if TYPE_CHECKING:
    from responder.service.application.steps import ApplicationSteps


class Agenda:
    """The agenda of one portal's driver, under one lease.

    `application` is None where the settings name no local application of the portal.
    """

    def __init__(
        self,
        context: Context,
        gate: Gate,
        rounds: Rounds,
        sweeper: Sweeper,
        application: "ApplicationSteps | None" = None,
        withholding: Withholding | None = None,
    ) -> None:
        self.rounds = rounds
        self.sweeper = sweeper
        self._context = context
        self._gate = gate
        self._application = application
        self._upkeep = (
            ClockWatch(context, gate),
            RearmRelease(context, gate),
            ApprovalExpiry(context, gate),
            Restarter(context, gate),
        )
        self._withholding = withholding
        self._teller = Teller(context, gate)
        self._would_kills = WouldKillCheck(context, gate)
        self._address = context.client.breakers.address

    async def load(self) -> None:
        """Read the last driver's bucket and open breakers, and continue with them."""
        if self._application is None:
            await self._gate.load_client()
        else:
            await self._application.load()
        if self._withholding is not None:
            await self._withholding.load()
        self._address = self._context.client.breakers.address

    async def step(self) -> bool:
        """Run the next step that is due. Return False when nothing was due."""
        client = self._context.client
        was_shut = client.breakers.of_portal is not None
        done = self._application is not None and await self._application.step()
        await client.probe()
        self._forget_another_way()
        if self._application is not None and was_shut and client.breakers.of_portal is None:
            self.rounds.end_refusals()  # it may have waited for a new token for a second alone
        if self._withholding is not None and await self._withholding.step():
            self.rounds.drop()  # it was judged as if the portal were, or were not, acted upon
        done |= await self._upkeep_step()
        if client.breakers.of_portal is None:
            done |= await self._judge_and_run()
        else:
            self.rounds.drop()
        if client.breakers.changed:  # and nothing else was committed since
            await self._gate.save_client()
        return done

    def _forget_another_way(self) -> None:
        """Forget what was judged, and is remembered of the portal, where the way to call is new.

        Another user may see other templates, people and items.
        """
        address = self._context.client.breakers.address
        if address != self._address:
            self._address = address
            self.rounds.drop()
            self._context.templates.forget()

    async def _upkeep_step(self) -> bool:
        for upkeep in self._upkeep:
            if await upkeep.step():
                return True
        return False

    async def _judge_and_run(self) -> bool:
        judged = await self.rounds.round()
        if self.rounds.heard_of_offline_events() and self._application is not None:
            self._application.announce()
        if self.rounds.is_amid_work:
            return True
        if await self.sweeper.step() or judged:
            return True
        return await self._teller.step() or await self._would_kills.step()

    def idle_seconds(self, at_most: float) -> float:
        """Return how long to wait when nothing is due: until the first document has rested."""
        if self._application is not None:
            at_most = self._application.idle_seconds(at_most)
        return self.rounds.idle_seconds(at_most)
