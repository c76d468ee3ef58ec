"""Writes byte streams such as no decent client sends, always the same ones for the same seed.

A stream is what one connection carries: some requests that are sound, mostly events with the right
token, and, before a point, something that RFC 9112 forbids. Every event has a name of its own. So
has every event that is hidden where none may be looked for: in the body of a request that is
refused, behind a length that is wrong, after an upgrade. Many streams are damaged besides, at
random; what may come of those only a reader can say (`http_reader`).
"""

import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.hostile_pieces import DIRT, FORM, HARMLESS, HOST, OTHERS, UNSOUND
from tests.support.processes import event

WRONG_TOKEN = b"&auth[application_token]=wrong-application-token-0001"
ENDINGS = ("waits", "says so", "leaves", "resets")
_NAMED = re.compile(rb"(?:^|&)event=(ONFUZZ[0-9A-F]{20})(?=&)", re.IGNORECASE)
_NAME = re.compile("ONFUZZ([0-9A-F]{12})([0-9A-F]{8})")


def name_of(number: int, place: int) -> str:
    """Name an event so that no damage turns the name into another one."""
    plain = f"{number:08X}{place:04X}"
    return f"ONFUZZ{plain}{zlib.crc32(plain.encode()):08X}"


def number_of(name: str) -> int | None:
    """Return the number of the stream that an event of this name was written for, if any."""
    found = _NAME.fullmatch(name)
    if found is None or zlib.crc32(found[1].encode()) != int(found[2], 16):
        return None
    return int(found[1][:8], 16)


def names_in(body: bytes) -> list[str]:
    """Return the names of the events that a body might be read as."""
    return [name.decode().upper() for name in _NAMED.findall(body)]


@dataclass(frozen=True, slots=True)
class Piece:
    """One request, or what stands where one is expected."""

    data: bytes
    status: int | None  # what a sound one is answered; None where it is none
    name: str = ""  # of the event, where it is one
    method: bytes = b"POST"
    closes: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """What one connection carries, where it is cut, and how its client ends it."""

    number: int
    pieces: tuple[Piece, ...]
    data: bytes
    cuts: tuple[int, ...]
    ending: str
    damaged: bool

    def promised(self) -> list[Piece]:
        """Return the requests that must be answered, in this order."""
        sound: list[Piece] = []
        for piece in self.pieces if not self.damaged else ():
            if piece.status is None:
                break
            sound.append(piece)
            if piece.closes:
                break
        return sound

    def segments(self) -> list[bytes]:
        """Return the pieces in which it is sent."""
        ends = [*self.cuts, len(self.data)]
        return [self.data[a:b] for a, b in zip([0, *self.cuts], ends, strict=True) if a < b]

    def __str__(self) -> str:
        """Say all that one must know to send it again."""
        shown = self.data if len(self.data) < 5_000 else self.data[:5_000] + b"..."
        return f"stream {self.number}, {self.ending}, cut at {self.cuts}:\n{shown!r}"


def stream(seed: int, number: int) -> Stream:
    """Write the stream of this number."""
    return _Writer(random.Random(f"{seed}/{number}"), number).stream()  # noqa: S311


class _Writer:
    """Writes one stream."""

    def __init__(self, chance: random.Random, number: int) -> None:
        self._chance = chance
        self._number = number
        self._named = 0

    def stream(self) -> Stream:
        kinds = (self._alone, self._sound, self._hostile)
        (kind,) = self._chance.choices(kinds, (30, 20, 50))
        damaged = kind == self._hostile and self._chance.random() < 0.4
        pieces = kind()
        data = b"".join(piece.data for piece in pieces)
        if damaged:
            for _ in range(self._chance.randint(1, 3)):
                data = self._damaged(data)
        ending = self._chance.choices(ENDINGS, (45, 45, 7, 3))[0]
        return Stream(self._number, pieces, data, self._cuts(data), ending, damaged)

    def _alone(self) -> tuple[Piece, ...]:
        return (self._event(),)

    def _sound(self) -> tuple[Piece, ...]:
        return tuple(self._sound_one() for _ in range(self._chance.randint(2, 8)))

    def _hostile(self) -> tuple[Piece, ...]:
        before = [self._sound_one() for _ in range(self._chance.choice((0, 0, 1, 1, 2, 4)))]
        after = [self._event() for _ in range(self._chance.choice((0, 1, 2)))]
        return (*before, self._unsound(), *after)

    def _sound_one(self) -> Piece:
        return self._event() if self._chance.random() < 0.6 else self._other()

    def _name(self) -> str:
        self._named += 1
        return name_of(self._number, self._named)

    def _hidden(self) -> bytes:
        """Write an event that nobody may find."""
        body = event(self._name(), 1).encode()
        padding = self._chance.choice((b"", b"", b"\r\n", b"\r\n" * 2048, b"x"))
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        return padding + b"POST /events HTTP/1.1\r\n" + HOST + FORM + length + body

    def _event(self) -> Piece:
        """Write an event as a decent, though odd, client might."""
        pick, name = self._chance.choice, self._name()
        note = "x" * pick((0, 0, 0, 0, 100, 3_000, 9_000))
        body = event(name, 1, note=note).encode()
        target = pick((b"/events",) * 5 + (b"/events/", b"/events?a=%ff", b"http://b/events"))
        old = self._chance.random() < 0.08
        lines = [
            pick((HOST, b"hOST:a:80 \t\r\n")),
            pick((FORM, FORM, FORM, b"Content-Type:\r\n", b"")),
        ]
        lines += self._chance.sample(HARMLESS, pick((0, 0, 1, 2)))
        last = self._chance.random() < 0.08
        if last:
            lines.append(b"Connection: close\r\n")
        self._chance.shuffle(lines)
        head = b"POST %s HTTP/1.%d\r\n" % (target, not old) + b"".join(lines)
        blank = b"\r\n" * pick((0, 0, 0, 0, 1, 2))
        return Piece(blank + head + self._framed(body), 200, name, closes=last or old)

    def _framed(self, body: bytes) -> bytes:
        """End a head, and add the body."""
        if self._chance.random() < 0.6:
            zeros, after = self._chance.choice(((b"", b""), (b"", b""), (b"000", b" \t")))
            return b"Content-Length: %s%d%s\r\n\r\n" % (zeros, len(body), after) + body
        # a tab behind it is allowed, but the parser knows no such coding
        coding = self._chance.choice((b"chunked", b"Chunked", b" \tchunked "))
        return b"Transfer-Encoding:%s\r\n\r\n" % coding + self._chunked(body)

    def _chunked(self, body: bytes) -> bytes:
        pick, written, most = self._chance.choice, [], self._chance.choice((5, 300, 10_000))
        while body:
            size = self._chance.randint(1, most)
            chunk, body = body[:size], body[size:]
            number = pick((b"%x", b"%X", b"00%x")) % len(chunk)
            written.append(number + pick((b"", b"", b";a", b';a="b"')) + b"\r\n" + chunk + b"\r\n")
        trailers = pick((b"", b"", b"X: y\r\n", b"Upgrade: x\r\nConnection: upgrade\r\n", HOST))
        return b"".join(written) + pick((b"0", b"000", b"0;a=b")) + b"\r\n" + trailers + b"\r\n"

    def _other(self) -> Piece:
        """Write a sound request that stores nothing."""
        method, target, lines, status = self._chance.choice(OTHERS)
        head = b"%s %s HTTP/1.1\r\n" % (method, target) + HOST + lines
        if method in (b"HEAD", b"OPTIONS"):
            return Piece(head + b"\r\n", status, method=method)
        body = b"a=" + self._hidden() + WRONG_TOKEN
        if status == 413:
            body = body.ljust(66_000, b"x")
        return Piece(head + self._framed(body), status, method=method)

    def _unsound(self) -> Piece:
        """Write what is no request, with an event hidden behind its head."""
        how = self._chance.choice(UNSOUND)
        return Piece(how(self._hidden(), self._chance), None)

    def _damaged(self, data: bytes) -> bytes:
        if not data:
            return self._chance.choice(DIRT)
        at = self._chance.randrange(len(data))
        to = at + self._chance.randint(1, 12)
        dirt = self._chance.choice(DIRT)
        return self._chance.choice(
            (
                data[:at] + dirt + data[at:],
                data[:at] + data[to:],
                data[:at] + bytes((self._chance.randrange(256),)) + data[at + 1 :],
                data[:to] + data[at:],
                data[:at] or b"\r",
            )
        )

    def _cuts(self, data: bytes) -> tuple[int, ...]:
        """Cut it nowhere, somewhere, near the ends of lines, or, where it is short, all over."""
        how = self._chance.randrange(5)
        if how < 2:
            return ()
        if how == 2 and len(data) < 400:
            return tuple(range(1, len(data)))
        places: Sequence[int] = range(len(data))
        if how == 3:
            places = [
                one.start() + self._chance.randint(0, 2) for one in re.finditer(b"\r\n", data)
            ]
        count = min(len(places), self._chance.randint(1, 6))
        return tuple(sorted(self._chance.sample(places, count)))
