"""Slows down whoever guesses passwords, and locks nobody out.

Theory of operation. Each try takes a token from a bucket that refills with time. There is a bucket
for each name, an admin's or not, so that the two cannot be told apart. An admin's bucket exists for
as long as the process runs; of made-up names, the thousand that came last have one. Hashing is
limited by the admins' own buckets, and for all other names by one shared bucket: where that is
empty, a made-up name is refused without being checked. So trying many names gives no more tries,
and keeps no admin out. Addresses do not matter: behind a proxy there is only one.

Whoever logged in once in a browser has a cookie there that proves it (signed with a key that
changes with the password). Such a browser has a bucket of its own. So an attacker who empties all
the others, for as long as they like, does not lock out the admin.

The buckets are in the memory of one replica: with n replicas an attacker has n times the tries.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass

_MOST_KEYS = 1_000


@dataclass(frozen=True, slots=True)
class Rate:
    """The size of a bucket, and how many seconds bring back one try."""

    tries: int
    seconds: float


ONE_NAME = Rate(5, 12.0)
ONE_BROWSER = Rate(10, 6.0)
ALL_STRANGERS = Rate(3, 10.0)  # few: an admin waits for them


class Throttle:
    """The buckets of one process. Tries are counted in one thread, and forgiven in another."""

    def __init__(self) -> None:
        self._known = _Buckets()
        self._made_up = _Buckets()
        self._strangers = _Buckets()
        self._turn = threading.Lock()

    def wait(self, name: str, browser: str | None, now: float, *, is_known: bool) -> float:
        """Count one try; return 0, or the seconds to wait where none is left.

        `is_known` means that an admin has this name; `browser` is one in which they logged in
        before.
        """
        with self._turn:
            if browser is not None:
                return self._known.count_try(("browser", browser), ONE_BROWSER, now)
            buckets = self._known if is_known else self._made_up
            return buckets.count_try(("name", name[:64]), ONE_NAME, now)

    def may_be_hashed(self, now: float) -> bool:
        """Return whether a stranger's try may use the time of a check, and count it."""
        with self._turn:
            return self._strangers.count_try(("all", ""), ALL_STRANGERS, now) == 0

    def forgive(self, name: str, browser: str | None) -> None:
        """Refill the bucket of tries that led to the right password."""
        with self._turn:
            self._known.forget(("browser", browser) if browser else ("name", name[:64]))


class _Buckets:
    """Buckets by key, each full until it is first used; the thousand that were used last."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[tuple[str, str], float] = OrderedDict()

    def count_try(self, key: tuple[str, str], rate: Rate, now: float) -> float:
        """Count one try; return 0, or the seconds until there is one."""
        full_at = self._full_at.get(key, now)
        wait = full_at - now - (rate.tries - 1) * rate.seconds
        if wait > 0:
            return wait
        self._full_at[key] = max(full_at, now) + rate.seconds
        self._full_at.move_to_end(key)
        if len(self._full_at) > _MOST_KEYS:
            self._full_at.popitem(last=False)
        return 0.0

    def forget(self, key: tuple[str, str]) -> None:
        """Fill a bucket."""
        self._full_at.pop(key, None)
