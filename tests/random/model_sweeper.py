"""The runs of `model_drivers`: the real ones, of which is seen when they begin and write."""

from collections.abc import Callable

from responder.judge.run_scope import DueRun, Run
from responder.rules.ruleset import Ruleset
from responder.service.driver.sweeper import Sweeper
from tests.random.model_runs import Due


class SeenSweeper(Sweeper):
    """Runs of which is seen when they write something, and what was due when they began."""

    is_at_work = False
    now_due: Callable[[], Due] | None = None
    began: Due | None = None
    _stepped: Due | None = None

    async def step(self) -> bool:
        """Go one request further."""
        self.is_at_work = True
        # Before its first await: what a run looks for is what is due at this moment, and while it
        # reads that, somebody may set our clock.
        self._stepped = self.now_due() if self.now_due else None
        try:
            return await super().step()
        finally:
            self.is_at_work = False

    def _begin(self, due: DueRun, ruleset: Ruleset) -> Run:
        self.began = self._stepped
        return super()._begin(due, ruleset)
