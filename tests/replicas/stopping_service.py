"""The real service, which stops itself (SIGSTOP) once: `stopping_service.py intent|outcome`.

Stopped after `intent`, it has committed an intent and has not called; before `outcome`, it knows
the portal's answer and has not committed it. Somebody else must let it go on.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine

from responder.service import app
from responder.settings.settings import load
from responder.stop.gate import Gate

Work = Callable[..., Coroutine[object, object, object]]


def stop_once(where: str, *, before: bool) -> None:
    """Stop before a method of the gate, or after it has returned something."""
    really: Work = getattr(Gate, where)
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            os.kill(os.getpid(), signal.SIGSTOP)

    async def stopping(*given: object, **named: object) -> object:
        if before:
            stop()
        result = await really(*given, **named)
        if result:
            stop()
        return result

    setattr(Gate, where, stopping)


if __name__ == "__main__":
    if sys.argv[1] == "intent":
        stop_once("pass_through", before=False)
    else:
        stop_once("insist", before=True)
    asyncio.run(app.serve(load()))
