"""Does the arithmetic of a portal's limits: levels, seconds and instants in, waits and counts out.

**Requests.** A portal keeps a leaky bucket for each caller's address: every request adds one,
`rate` a second leaks out, and above `burst` it answers QUERY_LIMIT_EXCEEDED (docs: limits.md). This
is our copy of it, kept a little fuller than theirs, since requests reach the portal sooner or later
than we sent them and others may call from the same address. Where the portal says that it is full,
it is right. A level above the line is a debt: calls that were promised a later moment. So there are
no instants in the future, and a clock that steps back costs only the time it stepped.

**One request** is cut at 60 s by the portal, and a batch of fifty commands is one request. So a
batch holds what took ten seconds lately. How long a command takes nobody knows before the first was
answered. Of one that stops something half a second is assumed, so that twenty go out first: they
come to an answer on a portal where each takes three. A read that was cut off is asked again, and no
harm is done; so fifty of them go out at once.

**Operating time.** What a method took is added up over ten minutes, and past the portal's limit the
method is refused (OPERATION_TIME_LIMIT) while others go on. Each answer tells the sum, whoever
used it up, and when the oldest minute of it is forgotten. The documentation's example of the limit
is 480 s, a portal's own default 420 s; we stop short of both by more than a batch takes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

SAFE_SHARE = 0.9
SAFE_RATE = 0.95
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
    """How full the bucket was (in requests), and when (Unix seconds)."""

    level: float
    at: float


def drained(bucket: Bucket, now: float, rate: float) -> Bucket:
    """Return the bucket as it is now, after what has leaked out since it was looked at."""
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
    """Return the bucket after the portal said that it is full."""
    return Bucket(max(bucket.level, float(burst)), now)


def ahead(burst: float) -> int:
    """Return for how many requests room is written down before they are made."""
    return max(1, int(burst * AHEAD_SHARE))


def recent(known: float | None, seen: float) -> float:
    """Return the seconds that a command took lately: at once where it took longer than was known.

    A method that was slow once is trusted again by degrees, four times as much with each answer.
    """
    seen = max(0.0, seen)
    return seen if known is None else max(seen, known / FORGIVEN)


def fitting(seconds: Iterable[float]) -> int:
    """Say how many of these commands, from the first on, go out in one batch: at least one."""
    spent, count = 0.0, 0
    for one in seconds:
        spent += one
        if count and (count == BATCH or spent > BATCH_SECONDS):
            break
        count += 1
    return count


@dataclass(frozen=True, slots=True)
class Operating:
    """The operating time that a method had used, when the portal told so, and when it forgets some.

    Instants are Unix seconds by our clock.
    """

    used: float
    at: float
    forgets_at: float


def told(used: float, reset_at: float | None, finished_at: float | None, now: float) -> Operating:
    """Take what an answer tells; `reset_at` and `finished_at` are by the portal's clock."""
    left = 0.0 if reset_at is None else reset_at - (now if finished_at is None else finished_at)
    return Operating(used, now, now + min(max(0.0, left), WINDOW_SECONDS))


def refused(known: Operating | None, now: float) -> Operating:
    """Take it that the time is used up: the portal refused, and does not say for how long."""
    forgets_at = now if known is None else known.forgets_at
    return Operating(OPERATING_SECONDS, now, forgets_at)


def used(known: Operating | None, now: float) -> float:
    """Return the operating time that counts now: what was told ten minutes ago is forgotten."""
    if known is None or not 0 <= now - known.at < WINDOW_SECONDS:
        return 0.0
    return known.used


def room(known: Operating | None, now: float, each_seconds: float) -> int:
    """Say how many commands of a method its operating time allows in one batch; 0: none."""
    left = OPERATING_SECONDS - used(known, now)
    if left <= 0:
        return 0
    return BATCH if each_seconds * BATCH <= left else max(1, int(left / each_seconds))


def shut_seconds(known: Operating | None, now: float) -> float:
    """Say how long to leave a method alone that has used up its operating time.

    Until the portal forgets the oldest minute of it; a minute where that is not known. Then some of
    it is free, perhaps.
    """
    left = 0.0 if known is None else known.forgets_at - now
    return left if left > 0 else MINUTE_SECONDS
