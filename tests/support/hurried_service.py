"""The real service with a clock that is moved: a minute passes for it at each SIGUSR1.

So what it does ten seconds later, or a minute, need not be waited for. It is `responder serve` in
everything else.
"""

import signal
from datetime import UTC, datetime, timedelta
from functools import partial

from responder.commands.cli import main
from responder.service import app


class Clock:
    """Our time, which is ahead by the minutes that were let pass."""

    ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def pass_a_minute(self, _number: int, _frame: object) -> None:
        """Take the signal."""
        self.ahead += timedelta(minutes=1)


if __name__ == "__main__":
    clock = Clock()
    signal.signal(signal.SIGUSR1, clock.pass_a_minute)
    vars(app)["Service"] = partial(app.Service, now=clock)
    main(["serve"])
