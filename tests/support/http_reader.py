"""Reads requests as another implementation does, and answers more strictly than any client.

h11 is the other implementation. It forgives more than the program does (lines that end in LF alone,
folded lines), so what it counts is how many requests a stream has at most. Only where RFC 9112 lets
a server choose to forgive, and h11 does not, is it helped.
"""

import re
from dataclasses import dataclass

import h11

_FIRST_SPACES = re.compile(rb"\A(\S+) +(\S+) +(HTTP/\S+\r?\n)")
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Za-z -]+\Z")
_FIELD = re.compile(rb"([a-z0-9-]+): ([\x20-\x7e]*)\Z")
_ENOUGH = 1 << 20


class NoAnswerError(Exception):
    """What the program sent is no answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as far as it matters here."""

    method: bytes
    target: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    status: int
    closes: bool


def requests(data: bytes) -> tuple[list[Request], bool]:
    """Return the whole requests of a stream, and whether there is anything behind them."""
    found: list[Request] = []
    while data := data.lstrip(b"\r\n"):
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_ENOUGH)
        connection.receive_data(_FIRST_SPACES.sub(rb"\1 \2 \3", data))
        try:
            request = _one(connection)
        except h11.RemoteProtocolError:
            return found, True
        if request is None:
            return found, True
        found.append(request)
        data = connection.trailing_data[0]
        if connection.their_state is h11.MUST_CLOSE:
            return found, False
    return found, False


def _one(connection: h11.Connection) -> Request | None:
    head, body = connection.next_event(), b""
    if not isinstance(head, h11.Request):
        return None
    while True:
        came = connection.next_event()
        if isinstance(came, h11.EndOfMessage):
            return Request(head.method, head.target, body)
        if not isinstance(came, h11.Data):
            return None
        body += came.data


def answers(data: bytes, methods: list[bytes]) -> tuple[list[Answer], bytes]:
    """Return the whole answers to requests with these methods, and what is left.

    A `100 Continue` is one of them. Raise NoAnswerError for what is no answer.
    """
    found: list[Answer] = []
    final = 0
    while b"\r\n\r\n" in data:
        head, _, rest = data.partition(b"\r\n\r\n")
        status, fields = _head(head)
        method = methods[final] if final < len(methods) else b""
        length = 0 if method == b"HEAD" or status == 100 else _length(fields, head)
        if len(rest) < length:
            break
        found.append(Answer(status, fields.get(b"connection") == b"close"))
        final += status != 100
        data = rest[length:]
    return found, data


def _head(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    first, *lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    fields = [_FIELD.fullmatch(line) for line in lines]
    if status is None or None in fields:
        raise NoAnswerError(head)
    named = {field[1]: field[2] for field in fields if field}
    if len(named) != len(lines):
        raise NoAnswerError(head)
    return int(status[1]), named


def _length(fields: dict[bytes, bytes], head: bytes) -> int:
    """Return how long a body is; all answers of the program say so."""
    length = fields.get(b"content-length", b"")
    if not length.isdigit() or b"transfer-encoding" in fields or b"date" not in fields:
        raise NoAnswerError(head)
    return int(length)
