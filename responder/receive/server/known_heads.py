"""Remembers how heads were parsed, so that one that comes again byte for byte is not parsed again.

The deliveries of a portal have the same few heads: the same lines, and a length in one of them.
Parsing them costs most of what a delivery costs. What the parser makes of a head depends on its
bytes alone, as long as it was given nothing since the last request; and a head that announces a
body of N bytes announces N bytes whatever they are. So where a piece of data that comes between two
requests is a head that was parsed before, and exactly as many bytes after it as that time, the
result is the same.

Only the head of a delivery that came whole, in one piece and alone, is remembered, and only on a
connection that stays open. Whether a delivery is accepted is not remembered: its body, token and
all, is read each time.
"""

from typing import NamedTuple, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from responder.receive.endpoint import Target, target_of

LONGEST_PIECE = 4096
_MOST_HEADS = 256
_END = b"\r\n\r\n"


class KnownHead(NamedTuple):
    """The head of a delivery: what it is for, its length, and that of the whole request."""

    target: Target
    length: int
    whole: int


class KnownHeads:
    """The heads of deliveries that were parsed lately."""

    def __init__(self) -> None:
        self._heads: dict[bytes, KnownHead] = {}

    def of(self, piece: bytes) -> KnownHead | None:
        """Return the head of a piece that is one whole request, where such a head is known."""
        if len(piece) > LONGEST_PIECE:
            return None
        head = self._heads.get(piece[: piece.find(_END) + len(_END)])
        return head if head is not None and head.whole == len(piece) else None

    def remember(self, piece: bytes, parsed: RequestResponseCycle) -> KnownHead | None:
        """Remember and return the head of a delivery that is complete and began with this piece.

        Return None where it is no delivery, or is not the whole piece.
        """
        length = piece.find(_END) + len(_END)
        if (
            len(piece) > LONGEST_PIECE
            or piece[length:] != parsed.body  # it came in chunks, or there is more after it
            or not parsed.keep_alive
            or parsed.waiting_for_100_continue
        ):
            return None
        target = target_of(cast("Scope", parsed.scope))
        if target is None:
            return None
        # Anybody can fill it. Then it starts again: each head is parsed once more.
        if len(self._heads) >= _MOST_HEADS:
            self._heads.clear()
        self._heads[piece[:length]] = head = KnownHead(target, length, len(piece))
        return head
