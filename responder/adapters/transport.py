"""Sends an HTTP request and reads its answer: the only module that imports httpx.

Theory of operation. The addresses we post to are secrets themselves, and an HTTP client reveals
addresses: it logs each one, repeats it in exceptions, and sends it to the target of a redirect or
to a proxy that the environment names. So requests go through httpx's transport, the layer below its
client, which does none of this. The exceptions raised here say what is known of the request; their
text may hold the address, and the caller must remove its secrets from it.

An answer is not trusted with our memory or time: a deadline covers the whole exchange (httpx's own
is for each read, and a drip of bytes never meets it), and no more bytes are read than `most_bytes`.
"""

import asyncio
import functools
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class TransportError(Exception):
    """The error for a request without an answer. Its text may hold the address."""


class NotSentError(TransportError):
    """The error for a connection that was not made, so that nothing was sent."""


class TimedOutError(TransportError):
    """The error for an answer that did not come in time; the request may have been carried out."""


class BrokenError(TransportError):
    """The error for a connection that broke; the request may have been carried out."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, whatever its status. `whole` is False where its body is longer than was read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool


@functools.cache
def _tls() -> ssl.SSLContext:
    """Return the one TLS context. SSL_CERT_FILE may name a company's own authority."""
    return httpx.create_ssl_context()


class Transport:
    """A small pool of connections, without redirects, cookies and proxies of the environment.

    The pool is searched from end to end on every request, so each user has one of its own.
    """

    def __init__(
        self,
        *,
        connect_seconds: float,
        answer_seconds: float,
        most_bytes: int,
        connections: int = 4,
    ) -> None:
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=2)
        self._pool = httpx.AsyncHTTPTransport(verify=_tls(), trust_env=False, limits=limits)
        timeout = httpx.Timeout(answer_seconds, connect=connect_seconds, pool=connect_seconds)
        self._timeout = timeout.as_dict()
        self._deadline_seconds = connect_seconds + answer_seconds
        self._most_bytes = most_bytes

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        content: bytes,
        *,
        within_seconds: float | None = None,
    ) -> Response:
        """Send one POST and read the answer; raise TransportError where there is none.

        `within_seconds` is a shorter time than usual in which all of it must be done.
        """
        asked = {"timeout": self._timeout}
        deadline = self._deadline_seconds if within_seconds is None else within_seconds
        try:
            request = httpx.Request("POST", url, headers=headers, content=content, extensions=asked)
            async with asyncio.timeout(deadline):
                return await self._exchange(request)
        except (*_NEVER_SENT, httpx.InvalidURL, UnicodeError) as error:
            raise NotSentError(_words(error)) from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise TimedOutError(_words(error)) from error
        except (httpx.HTTPError, OSError) as error:
            raise BrokenError(_words(error)) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def _exchange(self, request: httpx.Request) -> Response:
        response = await self._pool.handle_async_request(request)
        try:
            body = bytearray()
            whole = True
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self._most_bytes:
                    whole = False
                    break
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Response(response.status_code, headers, bytes(body), whole)
        finally:
            await response.aclose()


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
