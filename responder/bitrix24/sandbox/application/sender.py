"""Sends events to handlers on this machine, each once, as the queue server would."""

import threading
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from responder.bitrix24.sandbox.application.event_bindings import Outgoing

TIMEOUT_SECONDS = 10
_THIS_MACHINE = ("127.0.0.1", "localhost")


def send(events: Sequence[Outgoing]) -> threading.Thread:
    """Send events from a thread of their own, and return it; the answers do not matter.

    Raise `ValueError` for one that would leave this machine.
    """
    for event in events:
        if urlsplit(event.url).hostname not in _THIS_MACHINE:
            raise ValueError(f"the sandbox sends nothing to {urlsplit(event.url).hostname}")
    thread = threading.Thread(target=_send_all, args=(events,), name="sandbox events", daemon=True)
    thread.start()
    return thread


def _send_all(events: Sequence[Outgoing]) -> None:
    for event in events:
        _send(event)


def _send(event: Outgoing) -> None:
    url = urlsplit(event.url)
    connection = HTTPConnection(url.hostname or "", url.port or 80, timeout=TIMEOUT_SECONDS)
    target = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        connection.request("POST", target, event.body.encode(), headers)
        connection.getresponse().read()
    except (OSError, HTTPException):
        return  # nobody hears of it, and nothing is repeated
    finally:
        connection.close()
