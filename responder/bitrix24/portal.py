"""Calls a portal: one POST for a command, one for a batch of up to fifty.

Theory of operation. The address of a portal's incoming webhook *is* its secret, and a client is
talkative about addresses: it logs each one, repeats it in exceptions, carries it to where a
redirect or a proxy of the environment points. So calls go through httpx's transport, one floor
below its client, which does none of this. Exceptions end here; what leaves is a `Failure` whose
text has been searched for the secret.

An answer is not trusted with our memory or time: a deadline over the whole call (httpx's own is
for each read, and a drip of bytes never meets it), at most 1 MiB, never compressed.
"""

import asyncio
import functools
import json
import ssl
from collections.abc import Sequence
from urllib.parse import quote, urlencode, urlsplit

import httpx

from responder.bitrix24.answers import (
    TEXT_LENGTH,
    Answer,
    Command,
    Failure,
    FailureKind,
    clipped,
    is_done,
    query,
    read,
    read_batch,
    uncertain,
)

__all__ = ["Answer", "Command", "Failure", "FailureKind", "Portal", "is_done"]

MAX_ANSWER_BYTES = 1 << 20
MAX_COMMANDS = 50

_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
    "User-Agent": "responder",
}
# The pool is searched from end to end on every call, so each portal has a small one of its own.
_LIMITS = httpx.Limits(max_connections=4, max_keepalive_connections=2)
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@functools.cache
def _tls() -> ssl.SSLContext:
    """Return the one TLS context. SSL_CERT_FILE may name a company's own authority."""
    return httpx.create_ssl_context()


class _UnreadError(Exception):
    """An answer that is not read to its end."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Portal:
    """One portal, called through its incoming webhook. Nothing it does raises."""

    def __init__(
        self, name: str, url: str, *, connect_seconds: float = 5, answer_seconds: float = 30
    ) -> None:
        self.name = name
        self._url = url if url.endswith("/") else url + "/"
        self._transport = httpx.AsyncHTTPTransport(verify=_tls(), trust_env=False, limits=_LIMITS)
        timeout = httpx.Timeout(answer_seconds, connect=connect_seconds, pool=connect_seconds)
        self._timeout = timeout.as_dict()
        self._deadline_seconds = connect_seconds + answer_seconds

    def __repr__(self) -> str:
        return f"Portal({self.name!r})"

    async def call(self, command: Command) -> Answer:
        """Call one method."""
        came = await self._post(command.method, dict(command.params))
        if isinstance(came, Failure):
            return Answer(failure=came)
        status, body = came
        return read(status, body, command.method, self._redacted)

    async def batch(self, commands: Sequence[Command]) -> list[Answer]:
        """Call up to fifty methods in one request, in their order; one's failure stops no other.

        The keys are text: with numbers PHP would turn the maps of the answer into lists
        (docs: how-to-call-rest-api/batch.md).
        """
        if len(commands) > MAX_COMMANDS:
            raise ValueError(f"a batch has at most {MAX_COMMANDS} commands, not {len(commands)}")
        if not commands:
            return []
        keyed = {f"c{place}": command for place, command in enumerate(commands)}
        cmd = {
            key: f"{command.method}?{urlencode(query(command.params))}"
            for key, command in keyed.items()
        }
        came = await self._post("batch", {"halt": 0, "cmd": cmd})
        if isinstance(came, Failure):
            return [Answer(failure=came)] * len(commands)
        status, body = came
        methods = {key: command.method for key, command in keyed.items()}
        return list(read_batch(status, body, methods, self._redacted).values())

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def _post(self, method: str, params: dict[str, object]) -> tuple[int, bytes] | Failure:
        request = httpx.Request(
            "POST",
            self._url + method,
            headers=_HEADERS,
            content=json.dumps(params).encode(),
            extensions={"timeout": self._timeout},
        )
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await self._exchange(request)
        except _UnreadError as unread:
            return uncertain(unread.code, unread.text)
        except _NEVER_SENT as error:
            return Failure(FailureKind.BUSY, "no_connection", self._told("no connection", error))
        except (TimeoutError, httpx.TimeoutException):
            return uncertain("timeout", "the portal did not answer in time")
        except (httpx.HTTPError, OSError) as error:
            return uncertain("dropped", self._told("the connection broke", error))

    async def _exchange(self, request: httpx.Request) -> tuple[int, bytes]:
        response = await self._transport.handle_async_request(request)
        try:
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise _UnreadError("encoded", "the answer is compressed, which was not asked for")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise _UnreadError("too_big", "the answer is over 1 MiB")
            return response.status_code, bytes(body)
        finally:
            await response.aclose()

    def _told(self, what: str, error: Exception) -> str:
        why = str(error) or type(error).__name__
        return clipped(self._redacted(f"{what}: {why}"), TEXT_LENGTH)

    def _redacted(self, text: str) -> str:
        for secret in (self._url, *_secret_parts(self._url)):
            text = text.replace(secret, "***")
        return text


def _secret_parts(url: str) -> tuple[str, ...]:
    """Return what must not be told of `https://host/rest/<user>/<secret>/`, longest first."""
    path = urlsplit(url).path.strip("/")
    secret = path.rpartition("/")[2]
    parts = (path, quote(path, safe=""), secret, quote(secret, safe=""))
    return tuple(part for part in parts if part)
