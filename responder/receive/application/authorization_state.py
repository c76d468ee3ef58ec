"""Makes and checks the `state` of an authorization: who began it knows our secret key.

It goes with the link that `responder app` prints, and comes back with the browser. Nothing is
stored: it has a time and a proof, and holds for ten minutes.
"""

import hashlib
import hmac
from datetime import datetime, timedelta

HOLDS_FOR = timedelta(minutes=10)
_CLOCKS_DIFFER_BY = timedelta(minutes=1)  # of two replicas
_PURPOSE = b"responder: state of an authorization"


def made(secret_key: str, portal: str, now: datetime) -> str:
    """Return a state for a portal, which holds for ten minutes."""
    ends = int((now + HOLDS_FOR).timestamp())
    return f"{ends}.{_proof(secret_key, portal, ends)}"


def holds(secret_key: str, portal: str, state: str, now: datetime) -> bool:
    """Return whether a state is ours, of this portal, and not too old."""
    text, _, proof = state.partition(".")
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        return False
    ends = int(text)
    expected = _proof(secret_key, portal, ends).encode()
    if not hmac.compare_digest(proof.encode("utf-8", "replace"), expected):
        return False
    # Numbers are compared: a number of twelve digits may be no date at all.
    seconds_left = ends - now.timestamp()
    return 0 < seconds_left <= (HOLDS_FOR + _CLOCKS_DIFFER_BY).total_seconds()


def _proof(secret_key: str, portal: str, ends: int) -> str:
    key = hmac.new(_PURPOSE, secret_key.encode(), hashlib.sha256).digest()
    return hmac.new(key, f"{portal}\n{ends}".encode(), hashlib.sha256).hexdigest()
