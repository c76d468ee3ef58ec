"""Computes a portal's limits: from levels, seconds and instants to waits and counts.

**Requests.** A portal keeps a leaky bucket for each caller's address: every request adds one,
`rate` a second leaks out, and above `burst` it answers QUERY_LIMIT_EXCEEDED (docs: limits.md). This
is our copy of it, kept a little fuller than theirs: a tenth of the room is left free, because
requests reach the portal sooner or later than we sent them, and a fiftieth of the rate, because two
clocks differ and others may call from the same address. When the portal says that it is full, the
copy is set to full. The level may exceed the burst: each unit above it is a request that waits its
turn. No future instants are stored, so a clock set back by n seconds delays by n seconds.

**One request** is cut off at 60 s by the portal, and a batch of fifty commands is one request. So a
batch holds what took ten seconds lately. How long a command takes is not known before the first
answer. For one that stops something half a second is assumed, so that twenty go out first: they are
answered in time on a portal where each takes three. A read that was cut off is repeated, and no
harm is done; so fifty of them go out at once.

**Operating time.** The time that a method took is added up over ten minutes, and past the portal's
limit the method is refused (OPERATION_TIME_LIMIT) while others go on. Each answer contains the sum,
whoever used it up, and when the oldest minute of it is forgotten. The documentation's example of
the limit is 480 s, a portal's own default 420 s; we stop short of both by more than a batch takes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

QUERY_LIMIT = "QUERY_LIMIT_EXCEEDED"
OPERATING_LIMIT = "OPERATION_TIME_LIMIT"
LIMIT_CODES = (QUERY_LIMIT, OPERATING_LIMIT)

SAFE_SHARE = 0.9
SAFE_RATE = 0.98
AHEAD_SHARE = 0.1

BATCH = 50
BATCH_SECONDS = 10.0
UNKNOWN_SECONDS = 0.5
UNKNOWN_READ_SECONDS = 0.2
FORGIVEN = 4

OPERATING_SECONDS = 400.0
WINDOW_SECONDS = 600.0
MINUTE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """The level of the bucket (in requests) at an instant (Unix seconds)."""

    level: float
    at: float


def drained(bucket: Bucket, now: float, rate: float) -> Bucket:
    """Return the bucket as it is now, less what has leaked out since its instant."""
    leaked = max(0.0, now - bucket.at) * rate * SAFE_RATE
    return Bucket(max(0.0, bucket.level - leaked), now)


def take(
    bucket: Bucket, now: float, rate: float, burst: float, cost: float = 1
) -> tuple[Bucket, float]:
    """Return the bucket with one more request in it, and the seconds to wait before sending it."""
    level = drained(bucket, now, rate).level + cost
    over = level - max(cost, burst * SAFE_SHARE)
    return Bucket(level, now), max(0.0, over / (rate * SAFE_RATE))


def filled(bucket: Bucket, now: float, burst: float) -> Bucket:
    """Return the bucket as full, because the portal said that it is."""
    return Bucket(max(bucket.level, float(burst)), now)


def ahead(burst: float) -> int:
    """Return how many requests are stored as made before they are made."""
    return max(1, int(burst * AHEAD_SHARE))


def recent(known: float | None, seen: float) -> float:
    """Return the new estimate of a command's seconds after one took `seen`.

    The estimate rises at once to a slower command, and falls to no less than a quarter with each
    faster one.
    """
    seen = max(0.0, seen)
    return seen if known is None else max(seen, known / FORGIVEN)


def fitting(seconds: Iterable[float], within_seconds: float = BATCH_SECONDS) -> int:
    """Return how many of these commands, from the first on, go out in one batch: at least one."""
    spent, count = 0.0, 0
    for one in seconds:
        spent += one
        if count and (count == BATCH or spent > within_seconds):
            break
        count += 1
    return count


@dataclass(frozen=True, slots=True)
class Operating:
    """The operating time of a method: seconds used, when that was measured, when some is forgotten.

    Instants are Unix seconds by our clock.
    """

    used: float
    at: float
    forgets_at: float


def measured(
    used: float, reset_at: float | None, finished_at: float | None, now: float
) -> Operating:
    """Return the operating time in an answer, whose two instants are by the portal's clock."""
    left = 0.0 if reset_at is None else reset_at - (now if finished_at is None else finished_at)
    return Operating(used, now, now + min(max(0.0, left), WINDOW_SECONDS))


def exhausted(known: Operating | None, now: float) -> Operating:
    """Return the operating time as used up, because the portal refused the method."""
    forgets_at = now if known is None else known.forgets_at
    return Operating(OPERATING_SECONDS, now, forgets_at)


def used(known: Operating | None, now: float) -> float:
    """Return the operating time that counts now; what was measured ten minutes ago is forgotten."""
    if known is None or not 0 <= now - known.at < WINDOW_SECONDS:
        return 0.0
    return known.used


def room(known: Operating | None, now: float, each_seconds: float) -> int:
    """Return how many commands of a method its operating time allows in one batch; 0 is none."""
    left = OPERATING_SECONDS - used(known, now)
    if left <= 0:
        return 0
    return BATCH if each_seconds * BATCH <= left else max(1, int(left / each_seconds))


def shut_seconds(known: Operating | None, now: float) -> float:
    """Return for how long not to call a method that has used up its operating time.

    That is until the portal forgets the oldest minute of it, or a minute where that is not known.
    """
    left = 0.0 if known is None else known.forgets_at - now
    return left if left > 0 else MINUTE_SECONDS
