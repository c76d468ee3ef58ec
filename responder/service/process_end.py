"""Ends the process though a thread waits for a database that does not answer.

What is asked of a database cannot be cut off, and Python waits for such threads before it ends.
"""

import os
import sys
import threading

import structlog

ENDING_SECONDS = 18.0  # what is under way has ended long before, unless something hangs

log = structlog.get_logger()


def in_any_case() -> None:
    """End after a while, whatever still hangs; a process that ends sooner is left alone."""

    def end() -> None:
        log.warning("ended without waiting any longer for what hangs")
        sys.stderr.flush()
        os._exit(0)

    timer = threading.Timer(ENDING_SECONDS, end)
    timer.daemon = True
    timer.start()
