"""The receiver of notifications: one signed POST for a message, and what its answer means.

It is trusted with little: fifteen seconds, four KiB of answer, no redirect, and its address, which
may be a secret itself, stands in no text of ours.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from responder.adapters.transport import (
    NotSentError,
    Response,
    TimedOutError,
    Transport,
    TransportError,
)
from responder.journal.outbox import Notice
from responder.settings.webhook_signature import signature

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
MOST_BYTES = 4096
AT_ONCE = 8
LONGEST_WAIT = timedelta(hours=24)
_TEXT_LENGTH = 200
_GONE = 410
_THROTTLES = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of telling: taken, or why not.

    `gone`: the receiver wants no more messages. `ailing`: it is not this message, the receiver
    itself cannot take any now. `wait` is how long it asked us to wait.
    """

    taken: bool = False
    gone: bool = False
    ailing: bool = False
    why: str = ""
    wait: timedelta | None = None


class Receiver:
    """Where notifications go. Nothing it does raises."""

    def __init__(
        self,
        url: str,
        keys: tuple[bytes, ...],
        *,
        connect_seconds: float = CONNECT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self.host = urlsplit(url).hostname or ""
        self._url = url
        self._keys = keys
        self._transport = Transport(
            connect_seconds=connect_seconds,
            answer_seconds=answer_seconds,
            most_bytes=MOST_BYTES,
            connections=AT_ONCE,
        )

    def __repr__(self) -> str:
        return f"Receiver({self.host!r})"

    async def tell(self, notice: Notice, now: datetime) -> Told:
        """Send a message; `now` is the try's own instant, which is signed with it."""
        body = notice.body.encode()
        timestamp = int(now.timestamp())
        headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "user-agent": "responder",
            "webhook-id": notice.message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._keys, notice.message_id, timestamp, body),
        }
        try:
            came = await self._transport.post(self._url, headers, body)
        except NotSentError as error:
            return Told(ailing=True, why=self._said("no connection", error))
        except TimedOutError:
            return Told(ailing=True, why="no answer in time")
        except TransportError as error:
            return Told(ailing=True, why=self._said("the connection broke", error))
        return _meaning(came, now)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    def _said(self, what: str, error: TransportError) -> str:
        parts = urlsplit(self._url)
        text = f"{what}: {error}"
        for secret in (self._url, parts.path.strip("/"), parts.query):
            text = text.replace(secret, "***") if secret else text
        return text[:_TEXT_LENGTH]


def _meaning(came: Response, now: datetime) -> Told:
    if 200 <= came.status < 300:
        return Told(taken=True)
    return Told(
        gone=came.status == _GONE,
        ailing=came.status in _THROTTLES,
        why=f"answered {came.status}",
        wait=_asked_to_wait(came.headers.get("retry-after"), now),
    )


def _asked_to_wait(header: str | None, now: datetime) -> timedelta | None:
    """Read `Retry-After`: seconds, or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(text)
        wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return None
    return min(max(wait, timedelta(0)), LONGEST_WAIT)
