"""Ends the process even where a thread waits for a database that does not answer.

A database call cannot be interrupted, and Python waits for such threads before it exits.
"""

import os
import sys
import threading

import structlog

ENDING_SECONDS = 18.0  # what is under way has ended long before, unless something hangs

log = structlog.get_logger()


def end_later() -> None:
    """Start a timer that ends the process, unless it has ended by then."""

    def end() -> None:
        log.warning("ended while a thread still waited for an answer")
        sys.stderr.flush()
        os._exit(0)

    timer = threading.Timer(ENDING_SECONDS, end)
    timer.daemon = True
    timer.start()
