"""Slows down whoever guesses passwords, and locks nobody out.

Theory of operation. Each try takes from buckets that refill with time. There is a bucket for each
name, known or not, and one for all that strangers try together, so that many names are no way
around it and hashing never takes more than a part of one core. Addresses are not looked at: behind
a proxy there is only one.

Whoever logged in once in a browser has a cookie there that says so (signed with a key that changes
with the password). Such a browser has a bucket of its own. So an attacker who empties all the
others, for as long as it likes, does not lock out the admin.

The buckets are in the memory of one replica: with n replicas an attacker has n times the tries.
"""

from collections import OrderedDict
from dataclasses import dataclass

_MOST_KEYS = 1_000


@dataclass(frozen=True, slots=True)
class Rate:
    """How many tries at once, and how many seconds bring back one."""

    tries: int
    seconds: float


ONE_NAME = Rate(5, 12.0)
ONE_BROWSER = Rate(10, 6.0)
ALL_STRANGERS = Rate(20, 1.0)

_ALL = ("all", "")


class Throttle:
    """The buckets of one process."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[tuple[str, str], float] = OrderedDict()

    def wait(self, name: str, browser: str | None, now: float) -> float:
        """Take one try; return 0, or the seconds to wait where there is none left."""
        keys = [(("browser", browser), ONE_BROWSER)] if browser else self._of_strangers(name)
        wait = max(self._missing(key, rate, now) for key, rate in keys)
        if wait > 0:
            return wait
        for key, rate in keys:
            self._full_at[key] = max(self._full_at.get(key, now), now) + rate.seconds
            self._full_at.move_to_end(key)
        while len(self._full_at) > _MOST_KEYS:
            self._full_at.popitem(last=False)
        return 0.0

    def forgive(self, name: str, browser: str | None) -> None:
        """Forget the tries that led to the right password; it was no stranger who tried."""
        self._full_at.pop(("browser", browser) if browser else ("name", name[:64]), None)
        if browser is None and _ALL in self._full_at:
            self._full_at[_ALL] -= ALL_STRANGERS.seconds

    @staticmethod
    def _of_strangers(name: str) -> list[tuple[tuple[str, str], Rate]]:
        return [(("name", name[:64]), ONE_NAME), (_ALL, ALL_STRANGERS)]

    def _missing(self, key: tuple[str, str], rate: Rate, now: float) -> float:
        """Return how long until a bucket has a try; it is full at `_full_at`."""
        empty_for = self._full_at.get(key, now) - now - (rate.tries - 1) * rate.seconds
        return max(0.0, empty_for)
