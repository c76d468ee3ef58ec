"""The real service, which kills itself at a named commit: `dying_service.py POINT before|after`.

A point is the function that writes, such as `journal.record.intend_all`. The transaction in which
it is called first is the one: the process dies when all is written and COMMIT is about to be sent,
or when it is committed and nobody has been told yet.

Its clock is a minute slow. So to the next process all it left behind is a minute old, and what has
to wait until the portal's own minute for a request is over need not be waited for.
"""

import asyncio
import importlib
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Connection, event

from responder.service import app
from responder.settings.settings import load
from responder.store.commit_batch import Batch
from responder.store.group_commit import SharedCommit

A_MINUTE = timedelta(seconds=76)  # and what passes until a call is sent: SENT_WITHIN


def die() -> None:
    """Die at once, as in a power cut."""
    os.kill(os.getpid(), signal.SIGKILL)


class DyingCommit(SharedCommit):
    """A shared commit whose process dies after a marked one."""

    marked = False

    def _report(self, batch: Batch) -> bool:
        if DyingCommit.marked:
            die()
        return super()._report(batch)


def mark(point: str, reached: Callable[[], None]) -> None:
    """Say when the function is called."""
    place, _, name = point.rpartition(".")
    module = importlib.import_module(f"responder.{place}")
    really = getattr(module, name)

    def marking(*given: object, **named: object) -> object:
        reached()
        return really(*given, **named)

    setattr(module, name, marking)


async def serve(point: str, when: str) -> None:
    """Build the service from its settings and run it until it dies."""
    service = app.Service(load(), now=lambda: app.utc_now() - A_MINUTE)
    here = False

    def reached() -> None:
        nonlocal here
        here = True

    def committing(_connection: Connection) -> None:
        if here and when == "before":
            die()
        DyingCommit.marked = here

    mark(point, reached)
    event.listen(service.database.writer, "commit", committing)
    service.commits.__class__ = DyingCommit
    async with app.serving(service):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
