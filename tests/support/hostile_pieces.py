"""What a stream is made of: odd headers, sound requests that store nothing, and what is none."""

import random
from collections.abc import Callable

FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
HOST = b"Host: a\r\n"

HARMLESS = (
    b"Expect: 100-continue\r\n",
    b"X: \xff\xfe\t\x80\r\n",
    b"X:\r\n",
    b"X: " + b"y" * 9_000 + b"\r\n",
    b"Connection: keep-alive\r\n",
    b"Upgrade: h2c\r\n",
    b"Content-Encoding: identity\r\n",
    b"TE: trailers, chunked\r\n",
    b"Cookie: " + b"a=b; " * 50 + b"\r\n",
    b"".join(b"a%d: b\r\n" % number for number in range(80)),
)
_JSON = b"Content-Type: application/json\r\n"
OTHERS = (
    (b"POST", b"/events", FORM, 403),
    (b"POST", b"/events/no-such-key-00001", FORM, 403),
    (b"POST", b"/events", _JSON, 415),
    (b"POST", b"/events", FORM + b"Content-Encoding: gzip\r\n", 415),
    (b"POST", b"/events", FORM, 413),
    (b"PUT", b"/events", FORM, 405),
    (b"GET", b"/events", b"", 405),
    (b"HEAD", b"/events", b"", 405),
    (b"POST", b"/healthz", FORM, 405),
    (b"GET", b"/healthz", b"", 200),
    (b"GET", b"/readyz", b"Expect: 100-continue\r\n", 200),
    (b"HEAD", b"/healthz", b"", 200),
    (b"POST", b"/nothing", FORM, 404),
    (b"GET", b"http://b", b"", 404),
    (b"OPTIONS", b"*", b"", 404),
)
DIRT = (
    b"\r",
    b"\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b"0",
    b"\x80",
    b"\r\n",
    b"\r\n\r\n",
    b"HTTP/1.1",
    b"Content-Length: 0\r\n",
    b"\r\nTransfer-Encoding: chunked\r\n",
    b"\r\nX",
    b";",
    b"#",
)

Unsound = Callable[[bytes, random.Random], bytes]  # hides an event; the result is no request
_POST = b"POST /events HTTP/1.1"
_BEGUN = _POST + b"\r\n" + HOST + FORM
_UPGRADES = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n",
    b"upgrade: x\r\nconnection: keep-alive, upgrade\r\n",
)
_LENGTHS = (
    b"Content-Length: +%d",
    b"Content-Length: -%d",
    b"Content-Length: 0x%d",
    b"Content-Length:",
    b"Content-Length: %d, %d",
    b"Content-Length: 0\r\nContent-Length: %d",
    b"Content-Length: %d\r\nContent-Length: %d",
    b"Content-Length: %d\r\nContent-Length: 0",
    b"Content-Length : %d",
    b"Content-Length: 1 %d",
    b"Content-Length: %d.0",
    b"Content-Length: %d\0",
    b"Content-Length:\r\n %d",
    b"Content-Length: %d;",
    b"Content-Length: \x0b%d",
    b"Content-Length: 99999999999999999999%d",
    b"Content-Length\t: %d",
    b"Content-Length: %d\r\nTransfer-Encoding: chunked",
    b"Content\0-Length: %d",
    b"Transfer-Encoding: chunked\r\nContent-Length: %d",
    b"Content-Length: %d\nX: y",
    b"Content-Length: %d\rX: y",
    b"X: y\r\r\nContent-Length: %d",
)
_CODINGS = (
    b" identity",
    b" xchunked",
    b" chunked, identity",
    b" chunked, chunked",
    b" gzip",
    b"",
    b" \x0bchunked",
    b' "chunked"',
    b" chunked;q=1",
    b" gzip, chunked",
    b" chunked\r\nTransfer-Encoding: identity",
    b" chunked\r\nTransfer-Encoding: chunked",
    b"\r\n chunked",
    b" chunked\0",
    b" gzip\r\nTransfer-Encoding: chunked",
)
_CHUNKS = (
    (b"0x%x\r\n", b"\r\n0\r\n\r\n"),
    (b"+%x\r\n", b"\r\n0\r\n\r\n"),
    (b"%x \r\n", b"\r\n0\r\n\r\n"),
    (b"%x\n", b"\n0\n\n"),
    (b"%x\r\n", b"0\r\n\r\n"),
    (b"-1\r\n", b""),
    (b"\r\n", b""),
    (b"g\r\n", b""),
    (b"1%x0000000000000000\r\n", b""),
    (b"%x;a=\n\r\n", b"\r\n0\r\n\r\n"),
    (b"1\r\nab\r\n0\r\n\r\n", b""),
    (b"0\r\nX y\r\n\r\n", b""),
    (b"0\r\n X: y\r\n\r\n", b""),
    (b"0\r\nX: \0\r\n\r\n", b""),
    (b"0\r\r\n", b""),
    (b'%x;a="\r\n"\r\n', b"\r\n0\r\n\r\n"),
)
_LINES = (
    b"X: y\r\n z\r\n",
    b"X\r\n",
    b": y\r\n",
    b"X: \0\r\n",
    b"X: a\rb\r\n",
    b"X\x80: y\r\n",
    b"X y: z\r\n",
    b"X: y\n",
    b"X: \x7f\r\n",
    b" X: y\r\n",
    HOST,
    b"".join(b"a%d:\r\n" % n for n in range(120)),
    b"X: " + b"y" * 70_000 + b"\r\n",
)
_HOSTS = (
    b"",
    b"Host: a b\r\n",
    b"Host: a/b\r\n",
    b"Host: a, b\r\n",
)
_FIRST_LINES = (
    b"POST /events HTTP/2.0",
    b"POST /events HTTP/0.9",
    b"POST /events HTTP/1.2",
    b"POST /events",
    b"POST /events HTTP/1.1 ",
    b"POST /events HTTP/11",
    b"POST /events http/1.1",
    b"POST\t/events\tHTTP/1.1",
    b"BREW /events HTTP/1.1",
    b"post /events HTTP/1.1",
    b"POST /ev\0ents HTTP/1.1",
    b"POST events HTTP/1.1",
    b" POST /events HTTP/1.1",
    b"CONNECT a:80 HTTP/1.1",
    b"PRI * HTTP/2.0",
    b"POST http://[::1/events HTTP/1.1",
    b"POST http://:b/ HTTP/1.1",
    b"POST /events\xff HTTP/1.1",
    b"POST HTTP/1.1",
    b"HTTP/1.1 200 OK",
)


def _with_length(form: bytes) -> Unsound:
    """Hide it in a body; `form` says wrongly how long that is."""
    return lambda hidden, _: (
        _BEGUN + form.replace(b"%d", b"%d" % len(hidden)) + b"\r\n\r\n" + hidden
    )


def _in_chunks(before: bytes, after: bytes) -> Unsound:
    """Hide it in or behind chunks that are broken."""
    head = _BEGUN + b"Transfer-Encoding: chunked\r\n\r\n"
    return lambda hidden, _: head + before.replace(b"%x", b"%x" % len(hidden)) + hidden + after


def _behind(head: bytes) -> Unsound:
    return lambda hidden, _: head + b"\r\n" + hidden


def _noise(_: bytes, chance: random.Random) -> bytes:
    return b"\x16\x03\x01" + chance.randbytes(chance.randint(1, 300))


def _cut_short(hidden: bytes, _: random.Random) -> bytes:
    """Begin a body that never ends; nothing that follows can be another request."""
    return _BEGUN + b"Content-Length: %d\r\n\r\n" % (len(hidden) + 1_000_000) + hidden


def _head_in_a_head(hidden: bytes, _: random.Random) -> bytes:
    return _BEGUN + b"X: " + hidden.lstrip(b"\r\n")


UNSOUND: tuple[Unsound, ...] = (
    *map(_with_length, _LENGTHS),
    *(_behind(_BEGUN + b"Transfer-Encoding:" + coding + b"\r\n") for coding in _CODINGS),
    *(_in_chunks(*around) for around in _CHUNKS),
    *(_behind(_BEGUN + lines) for lines in (*_LINES, *_UPGRADES)),
    *(_behind(_POST + b"\r\n" + hosts + FORM) for hosts in _HOSTS),
    *(_behind(first + b"\r\n" + HOST + FORM) for first in _FIRST_LINES),
    _behind(b"PRI * HTTP/2.0\r\n\r\nSM\r\n"),
    _noise,
    _cut_short,
    _head_in_a_head,
)
