"""Issues the tokens of an application: access for an hour, refresh once, a code for 30 seconds.

A refresh token works a single time. With it the access token that came with it ends too, and the
answer has the next pair of the *chain*; a user may have many chains. The first eight hex digits of
a token are the second of its expiry, little-endian, as those of the cloud are; what follows says
plainly that it belongs to a test.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

ACCESS_SECONDS = 3600
REFRESH_SECONDS = 30 * 24 * 3600  # the mark on real tokens; the documentation says 180 days
CODE_SECONDS = 30
HOPS = 7  # calls by tokens of events, each of which sets off the next event, before it ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An access token and the refresh token that came with it, which an event's has not."""

    user_id: str
    access_token: str
    refresh_token: str
    expires: int


@dataclass(slots=True, kw_only=True)
class Access:
    """Whose an access token is, until when; it ends early where its chain was refreshed.

    `hops` is set for the token of an event: how many events may yet follow each other.
    """

    user_id: str
    expires: int
    ended: bool = False
    hops: int | None = None


@dataclass(frozen=True, slots=True)
class _Refresh:
    user_id: str
    expires: int
    access_token: str


class Tokens:
    """The tokens that were issued; `access_seconds` and `refresh_seconds` hold for the next."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.access_seconds = ACCESS_SECONDS
        self.refresh_seconds = REFRESH_SECONDS
        self._serial = itertools.count(1)
        self._access: dict[str, Access] = {}
        self._refresh: dict[str, _Refresh] = {}
        self._codes: dict[str, tuple[str, float]] = {}

    def issue(self, user_id: str) -> Grant:
        """Begin a chain for a user."""
        expires = self._from_now(self.access_seconds)
        refresh_until = self._from_now(self.refresh_seconds)
        access = self._text("Access", expires)
        refresh = self._text("Refresh", refresh_until)
        self._access[access] = Access(user_id=user_id, expires=expires)
        self._refresh[refresh] = _Refresh(user_id, refresh_until, access)
        return Grant(user_id=user_id, access_token=access, refresh_token=refresh, expires=expires)

    def refresh(self, token: str) -> Grant | None:
        """Use up a refresh token; None where it was used before, has expired, or is not ours."""
        known = self._refresh.pop(token, None)
        if known is None or known.expires <= self.clock():
            return None
        self._access[known.access_token].ended = True
        return self.issue(known.user_id)

    def code(self, user_id: str) -> str:
        """Return a code of an authorization, good for one use within 30 seconds."""
        until = self.clock() + CODE_SECONDS
        code = self._text("Code", int(until))
        self._codes[code] = (user_id, until)
        return code

    def redeem(self, code: str) -> Grant | None:
        """Use up a code."""
        user_id, until = self._codes.pop(code, ("", 0.0))
        return self.issue(user_id) if self.clock() < until else None

    def for_event(self, user_id: str, *, hops: int = HOPS) -> Grant:
        """Return an access token for the body of an event."""
        expires = self._from_now(self.access_seconds)
        token = self._text("Event", expires)
        self._access[token] = Access(user_id=user_id, expires=expires, hops=hops)
        return Grant(user_id=user_id, access_token=token, refresh_token="", expires=expires)

    def access(self, token: str) -> Access | None:
        """Return what is known of an access token."""
        return self._access.get(token)

    def has_expired(self, access: Access) -> bool:
        """Return whether an access token is no longer good."""
        return access.ended or access.expires <= self.clock()

    def expire_access(self) -> None:
        """End every access token, as if an hour had passed."""
        for access in self._access.values():
            access.ended = True

    def revoke(self) -> None:
        """Forget every token."""
        self._access.clear()
        self._refresh.clear()
        self._codes.clear()

    def _from_now(self, seconds: int) -> int:
        return int(self.clock()) + seconds

    def _text(self, kind: str, expires: int) -> str:
        mark = (expires % (1 << 32)).to_bytes(4, "little").hex()
        return f"{mark}Sandbox{kind}Token{next(self._serial):032d}"
