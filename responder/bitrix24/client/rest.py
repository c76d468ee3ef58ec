"""Calls a portal: one POST for a command, one for a batch of up to fifty.

Theory of operation. The address of a portal's incoming webhook *is* its secret, so calls go through
`transport`, which reveals it to nobody. Exceptions end here: callers get a `Failure`, from whose
text the secrets of the address (`addresses`) have been removed.

An answer is not trusted with our memory or time: it has a deadline, at most 1 MiB, and is never
compressed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlencode

from responder.adapters.transport import (
    BrokenError,
    NotSentError,
    Response,
    TimedOutError,
    Transport,
)
from responder.bitrix24.client.addresses import Address, WebhookAddress
from responder.bitrix24.client.answers import (
    TEXT_LENGTH,
    Answer,
    Command,
    Failure,
    FailureKind,
    clipped,
    query,
    read,
    read_batch,
    uncertain,
)

CONNECT_SECONDS = 5.0  # a call may leave so long after it was begun
MAX_ANSWER_BYTES = 1 << 20
MAX_COMMANDS = 50

UNSENDABLE = Failure(FailureKind.REJECTED, "unsendable", "its parameters cannot be written down")
_UNWRITABLE = (ValueError, TypeError, RecursionError)  # half a character, no number, too deep

_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
    "User-Agent": "responder",
}


OnAnswer = Callable[[str, Mapping[str, object], int, bytes], None]
"""Receives each answer as it came: method and parameters of the request, status, body."""


class Portal:
    """One portal, called at its `address`. A failed call returns, and never raises.

    A plain text is the address of an incoming webhook. Another address may be set between calls.
    `on_answer` receives each answer that can be read.
    """

    def __init__(
        self,
        name: str,
        address: Address | str,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        answer_seconds: float = 30,
    ) -> None:
        self.name = name
        self.address = WebhookAddress(address) if isinstance(address, str) else address
        self.on_answer: OnAnswer | None = None
        self._transport = Transport(
            connect_seconds=connect_seconds,
            answer_seconds=answer_seconds,
            most_bytes=MAX_ANSWER_BYTES,
        )

    def __repr__(self) -> str:
        return f"Portal({self.name!r})"

    async def call(self, command: Command, within_seconds: float | None = None) -> Answer:
        """Call one method and return its answer; `within_seconds` is less time than usual."""
        came = await self._post(command.method, dict(command.params), within_seconds)
        if isinstance(came, Failure):
            return Answer(failure=came)
        status, body = came
        return read(status, body, command.method, self._redacted)

    async def batch(
        self, commands: Sequence[Command], within_seconds: float | None = None
    ) -> list[Answer]:
        """Call up to fifty methods in one request, and return their answers in the same order.

        A failure of one stops no other. Raise ValueError for more than fifty.
        """
        if len(commands) > MAX_COMMANDS:
            raise ValueError(f"a batch has at most {MAX_COMMANDS} commands, not {len(commands)}")
        if not commands:
            return []
        # The keys are text: with numbers PHP would turn the maps of the answer into lists
        # (docs: how-to-call-rest-api/batch.md).
        keyed = {f"c{place}": command for place, command in enumerate(commands)}
        texts = {key: written(command) for key, command in keyed.items()}
        cmd = {key: text for key, text in texts.items() if text is not None}
        answers = dict.fromkeys(keyed, Answer(failure=UNSENDABLE))
        if cmd:
            came = await self._post("batch", {"halt": 0, "cmd": cmd}, within_seconds)
            if isinstance(came, Failure):
                answers |= dict.fromkeys(cmd, Answer(failure=came))
            else:
                methods = {key: keyed[key].method for key in cmd}
                answers |= read_batch(*came, methods, self._redacted)
        return list(answers.values())

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def _post(
        self, method: str, params: dict[str, object], within_seconds: float | None
    ) -> tuple[int, bytes] | Failure:
        try:
            # Invalid JSON would be read as a call without parameters: a list without filter.
            signed = self.address.signed(params)
            body = json.dumps(signed, ensure_ascii=False, allow_nan=False).encode()
        except _UNWRITABLE:
            return UNSENDABLE
        try:
            came = await self._transport.post(
                self.address.root + method, _HEADERS, body, within_seconds=within_seconds
            )
        except NotSentError as error:
            return Failure(
                FailureKind.BUSY, "no_connection", self._failure_text("no connection", error)
            )
        except TimedOutError:
            return uncertain("timeout", "the portal did not answer in time")
        except BrokenError as error:
            return uncertain("dropped", self._failure_text("the connection broke", error))
        unread = _why_unread(came)
        if unread is None and self.on_answer is not None:
            self.on_answer(method, params, came.status, came.body)
        return unread or (came.status, came.body)

    def _failure_text(self, what: str, error: Exception) -> str:
        return clipped(self._redacted(f"{what}: {error}"), TEXT_LENGTH)

    def _redacted(self, text: str) -> str:
        for secret in self.address.secrets:
            text = text.replace(secret, "***")
        return text


def written(command: Command) -> str | None:
    """Return a command as a batch holds it, None where it cannot be written."""
    try:
        return f"{command.method}?{urlencode(query(command.params))}"
    except _UNWRITABLE:
        return None


def _why_unread(came: Response) -> Failure | None:
    """Return why an answer is not read, None where it is."""
    if came.headers.get("content-encoding", "identity").lower() != "identity":
        return uncertain("encoded", "the answer is compressed, which was not asked for")
    if not came.whole:
        return uncertain("too_big", "the answer is over 1 MiB")
    return None
