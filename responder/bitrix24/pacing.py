"""Does the arithmetic of a portal's request limit: levels and instants in, waits out.

A portal keeps a leaky bucket for each caller's address: every request adds one, `rate` a second
leaks out, and above `burst` it answers QUERY_LIMIT_EXCEEDED (docs: limits.md). This is our copy of
it, kept a little fuller than theirs, since requests reach the portal sooner or later than we sent
them and others may call from the same address. Where the portal says that it is full, it is right.

A level above the line is a debt: calls that were promised a later moment. So there are no instants
in the future, and a clock that steps back costs only the time it stepped.
"""

from dataclasses import dataclass

SAFE_SHARE = 0.9
SAFE_RATE = 0.95


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
