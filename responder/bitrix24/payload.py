"""Parses what Bitrix24 posts: from bytes to token, document, and a form that may be stored.

Bitrix24 is written in PHP and encodes names as PHP does: `data[FIELDS][ID]=759`, its brackets
percent-encoded or raw. So a name here means exactly what it means to PHP's `parse_str`:

- names and values are decoded once; a bad percent sign stays as it is, `+` is a space;
- leading spaces are dropped, and the name ends at NUL; spaces and dots before the first bracket
  become underscores; a pair without a name is ignored;
- `a[]` appends; text after a closing bracket, other than an opening one, is ignored; an opening
  bracket that is never closed is an underscore in the first place and ignored later;
- of two pairs with one name the last counts, also where one of them is nested (`a=1&a[b]=2` is only
  `a[b]`; `a[b]=2&a=1` is only `a`).

All events of a portal have the same few names, and parsing names is most of the work. `scan` goes
over the pairs once and looks each raw name up in a bounded cache, which holds whether the pair is
stored and whether it affects one of the dozen places that decide token, shape and document. Values
are decoded only when they are used. `event` builds the whole tree, away from the hot path.
"""

import operator
import re
from functools import lru_cache
from typing import Literal, NamedTuple

from responder.bitrix24 import documents
from responder.model import Document

MOST_PAIRS = 200
MOST_BRACKETS = 5
MOST_KEPT = 1024  # of a form; what a portal sends keeps a quarter of that
_LONGEST_KNOWN_NAME = 128
_MOST_KNOWN_NAMES = 1024
_LONGEST_WORD = 255  # the portal's own columns are no wider

_Path = tuple[str | None, ...]  # None stands for `[]`

_EVENT: _Path = ("event",)
_TOKEN: _Path = ("auth", "application_token")
_MEMBER_ID: _Path = ("auth", "member_id")
_DOMAIN: _Path = ("auth", "domain")
_WANTED: frozenset[_Path] = frozenset((_EVENT, _TOKEN, _MEMBER_ID, *documents.PATHS))
# The places that may be stored: those of the event, its document, its time and its portal. Secrets
# are in other places, and so is everything that a caller could fill the disk with.
_KEPT: frozenset[_Path] = frozenset((_EVENT, ("ts",), _MEMBER_ID, _DOMAIN, *documents.PATHS))
_OF_ROBOTS = frozenset(("document_id", "workflow_id"))
_NOWHERE: _Path = ()
_TOO_DEEP: _Path = (None,)  # no name begins with `[]`, so this value is free to mean all of them


class TooLarge(Exception):  # noqa: N818 - says what the body is
    """A body with more pairs, or a name with more brackets, than Bitrix24 ever sends."""


class Unreadable(Exception):  # noqa: N818 - says what the body is
    """A body that has none of the shapes that Bitrix24 sends."""


# Both are made for every delivery, and a frozen dataclass costs twice as much to make.
class Scan(NamedTuple):
    """The result of one pass over a body. Token and member id are percent-decoded, not checked."""

    token: bytes | None
    member_id: bytes | None
    found: dict[_Path, bytes]
    kept: list[bytes]


class Call(NamedTuple):
    """The content of a body, and its `form`: the part that is stored, small and without secrets."""

    shape: Literal["event", "robot", "webhook_robot"]
    event: str | None
    document_ref: str | None
    workflow_id: str | None
    form: bytes


def scan(body: bytes) -> Scan:
    """Find the token in a body, and all that `call` needs. Raise `TooLarge` past 200 pairs."""
    pairs = body.split(b"&")
    if len(pairs) > MOST_PAIRS:
        pairs = [pair for pair in pairs if pair]
        if len(pairs) > MOST_PAIRS:
            raise TooLarge(f"more than {MOST_PAIRS} pairs")
    found: dict[_Path, bytes] = {}
    kept: list[bytes] = []
    known = _KNOWN_NAMES.get
    for pair in pairs:
        raw, _, value = pair.partition(b"=")
        storable, place, displaced = known(raw) or _cached_meaning(raw)
        if storable:
            kept.append(pair)
        if place:
            found[place] = value
        if displaced:
            for other in displaced:
                found.pop(other, None)
    token, member_id = found.get(_TOKEN), found.get(_MEMBER_ID)
    return Scan(
        None if token is None else _decoded(token),
        None if member_id is None else _decoded(member_id),
        found,
        kept,
    )


def call(scanned: Scan) -> Call:
    """Return the content of a scanned body: its shape, its event, its document.

    Raise `TooLarge` for a name with more than five brackets, and `Unreadable` for a body that is
    neither an event nor a robot's call.
    """
    found = scanned.found
    if _TOO_DEEP in found:
        raise TooLarge(f"a name with more than {MOST_BRACKETS} brackets")
    form = b"&".join(scanned.kept)
    name = found.get(_EVENT)
    if not name:
        return _robot(form)
    if len(name) > _LONGEST_WORD:
        raise Unreadable("an event's name is not that long")

    def value_at(path: documents.Path) -> str | None:
        value = found.get(path)
        return None if value is None else _text(value)

    event_name = _event_name(name)
    return Call("event", event_name, documents.ref_at(event_name, value_at), None, _stored(form))


def _robot(form: bytes) -> Call:
    """Parse a robot's call. It is rare, so the whole tree is built."""
    tree = event(form)
    document = _document(tree.get("document_id"))
    if document is None:
        raise Unreadable("neither an event nor a robot's call")
    if "workflow_id" not in tree:
        return Call("webhook_robot", None, document.ref, None, _stored(form))
    workflow_id = _word(tree["workflow_id"])
    if workflow_id is None:  # to judge all workflows instead would be wider than was asked
        raise Unreadable("a robot's call whose workflow has no id")
    return Call("robot", None, document.ref, workflow_id, _stored(form))


def _stored(form: bytes) -> bytes:
    """Return the form to store; empty where it is longer than any that Bitrix24 sends."""
    return form if len(form) <= MOST_KEPT else b""


def domain(scanned: Scan) -> str | None:
    """Return the portal's address as the body claims it, which proves nothing."""
    for pair in reversed(scanned.kept):
        raw, _, value = pair.partition(b"=")
        if _path(_decoded(raw)) == _DOMAIN:
            return _text(value)
    return None


_CLASS_NAME = re.compile(r"[A-Za-z0-9_.\\]+")


def _document(value: object) -> Document | None:
    if not isinstance(value, dict):
        return None
    module, entity, document_id = (_word(value.get(key)) for key in "012")
    if module is None or entity is None or document_id is None:
        return None
    if not (_CLASS_NAME.fullmatch(module) and _CLASS_NAME.fullmatch(entity)):
        return None
    return documents.from_triple(module, entity, document_id)


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_WORD else None


def event(form: bytes) -> dict[str, object]:
    """Return a form as nested dicts of text, as PHP nests it.

    A list has the keys "0", "1" and so on. Values are forgiven: what is not UTF-8, and NUL, becomes
    U+FFFD. Names nested deeper than `call` accepts are left out.
    """
    tree: dict[str, object] = {}
    for pair in form.split(b"&"):
        if not pair:
            continue  # a stranger may send 64 KiB of them, which would hold the event loop
        raw, _, value = pair.partition(b"=")
        path = _path(_decoded(raw))
        if path and len(path) <= MOST_BRACKETS + 1:
            _insert(tree, path, _text(value))
    return tree


def _insert(tree: dict[str, object], path: _Path, text: str) -> None:
    for part in path[:-1]:
        key = _next_index(tree) if part is None else part
        below = tree.get(key)
        if not isinstance(below, dict):
            below = tree[key] = {}
        tree = below
    tree[_next_index(tree) if path[-1] is None else path[-1]] = text


_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")


def _next_index(tree: dict[str, object]) -> str:
    return str(max((int(key) + 1 for key in tree if _INDEX.fullmatch(key)), default=0))


# The meaning of a raw name: whether its pair is stored; the place among those that `scan` returns
# where its value is, if any; and the places that it overwrites. A plain tuple, because that is the
# cheapest to unpack.
_Meaning = tuple[bool, _Path, tuple[_Path, ...]]

_KNOWN_NAMES: dict[bytes, _Meaning] = {}


def _cached_meaning(raw: bytes) -> _Meaning:
    """Return the meaning of a raw name, and cache it: no long name, and at most a thousand."""
    meaning = _meaning(raw)
    if len(raw) <= _LONGEST_KNOWN_NAME:
        # Strangers can fill this cache, for names are read before the token is known. Then it
        # starts again: parsing a name afresh is cheap enough.
        if len(_KNOWN_NAMES) >= _MOST_KNOWN_NAMES:
            _KNOWN_NAMES.clear()
        _KNOWN_NAMES[raw] = meaning
    return meaning


def _meaning(raw: bytes) -> _Meaning:
    path = _path(_decoded(raw))
    if not path:
        return (False, _NOWHERE, ())
    place = path if path in _WANTED else _NOWHERE
    if len(path) > MOST_BRACKETS + 1:
        place = _TOO_DEEP
    # `a` displaces `a[b]`, and `a[b]` displaces `a`: the shorter is how the longer begins.
    displaced = tuple(
        other for other in _WANTED if other != path and all(map(operator.eq, other, path))
    )
    return (path in _KEPT or path[0] in _OF_ROBOTS, place, displaced)


def _path(name: bytes) -> _Path:
    """Split a decoded name as PHP's php_register_variable_ex does; () if it is no name."""
    name = name.partition(b"\0")[0].lstrip(b" ")
    head = name.partition(b"[")[0]
    if not head:
        return ()
    parts: list[str | None] = [_php_name(head)]
    at = len(head)
    while name[at : at + 1] == b"[" and len(parts) <= MOST_BRACKETS + 1:
        end = name.find(b"]", at + 1)
        if end < 0:
            return tuple(parts) if len(parts) > 1 else (_php_name(name),)
        key = name[at + 1 : end]
        appends = not key or (len(key) == 1 and key.isspace())
        parts.append(None if appends else key.decode("utf-8", "replace"))
        at = end + 1
    return tuple(parts)


_MANGLED = bytes.maketrans(b" .[", b"___")


def _php_name(name: bytes) -> str:
    return name.translate(_MANGLED).decode("utf-8", "replace")


@lru_cache(maxsize=256)
def _event_name(raw: bytes) -> str:
    # Upper case of ASCII alone: in Unicode more than one letter becomes an I.
    return _decoded(raw).upper().decode("utf-8", "replace").replace("\0", "\ufffd")


def _text(raw: bytes) -> str:
    return _decoded(raw).decode("utf-8", "replace").replace("\0", "\ufffd")


_PERCENT, _PLUS = b"%+"  # as numbers, which `in` finds five times faster than bytes


# Not urllib's unquote_to_bytes: 64 KiB of bad percent signs, which any stranger may send, would
# hold the event loop for 30 ms.
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_HEX = "0123456789ABCDEFabcdef"
_BYTES = {(high + low).encode(): bytes.fromhex(high + low) for high in _HEX for low in _HEX}


def _decoded(raw: bytes) -> bytes:
    if _PERCENT in raw or _PLUS in raw:
        return _ESCAPE.sub(_unescaped, raw.replace(b"+", b" "))
    return raw


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return _BYTES[escape[1]]
