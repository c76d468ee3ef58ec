"""Sends one message to the receiver by a signed POST, and interprets its answer.

The receiver is trusted with little: fifteen seconds, four KiB of answer, no redirect. Its URL may
be a secret, and is in no text of ours.
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
from responder.journal.notices.outbox import Notice
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
class SendResult:
    """The result of sending a message: accepted, or why not.

    `gone`: the receiver wants no more messages. `unavailable`: the receiver cannot accept any
    message now. `wait` is how long it asked us to wait.
    """

    accepted: bool = False
    gone: bool = False
    unavailable: bool = False
    why: str = ""
    wait: timedelta | None = None


class WebhookSink:
    """The receiver of notifications. None of its methods raises."""

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

    async def send(self, notice: Notice, now: datetime) -> SendResult:
        """Send a message; `now` is the instant of this try, which is signed with it."""
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
            return SendResult(unavailable=True, why=self._redacted("no connection", error))
        except TimedOutError:
            return SendResult(unavailable=True, why="no answer in time")
        except TransportError as error:
            return SendResult(unavailable=True, why=self._redacted("the connection broke", error))
        return _result_of(came, now)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    def _redacted(self, what: str, error: TransportError) -> str:
        parts = urlsplit(self._url)
        text = f"{what}: {error}"
        for secret in (self._url, parts.path.strip("/"), parts.query):
            text = text.replace(secret, "***") if secret else text
        return text[:_TEXT_LENGTH]


def _result_of(came: Response, now: datetime) -> SendResult:
    if 200 <= came.status < 300:
        return SendResult(accepted=True)
    return SendResult(
        gone=came.status == _GONE,
        unavailable=came.status in _THROTTLES,
        why=f"answered {came.status}",
        wait=_asked_to_wait(came.headers.get("retry-after"), now),
    )


def _asked_to_wait(header: str | None, now: datetime) -> timedelta | None:
    """Parse `Retry-After`: seconds, or a date (RFC 9110, 10.2.3)."""
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
