"""Signs a message as Standard Webhooks 1.0 has it: HMAC-SHA256 over `<id>.<timestamp>.<body>`.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import re

PREFIX = "whsec_"
FEWEST_BYTES, MOST_BYTES = 24, 64
_BETWEEN = re.compile(r"[\s,]+")


def texts_of(secrets: str) -> tuple[str, ...]:
    """Split `whsec_new,whsec_old` into the base64 texts, without their prefix."""
    return tuple(one.removeprefix(PREFIX) for one in _BETWEEN.split(secrets.strip()) if one)


def keys_of(secrets: str) -> tuple[bytes, ...]:
    """Decode one secret, or several while one replaces another. Raise ValueError, without values.

    The message of the error completes the sentence that begins with the setting's name.
    """
    return tuple(_key(text) for text in texts_of(secrets))


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"must be {PREFIX} and then base64") from None
    if not FEWEST_BYTES <= len(key) <= MOST_BYTES:
        raise ValueError(
            f"must be {PREFIX} and then {FEWEST_BYTES} to {MOST_BYTES} random bytes in base64"
        )
    return key


def fingerprint(secret: str, *keys: str) -> str:
    """Return a fingerprint of a secret: 16 hexadecimal digits, useless without the keys."""
    key = "\n".join(keys).encode("utf-8", "surrogatepass")
    return hmac.new(key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]


def signature(keys: tuple[bytes, ...], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the header `webhook-signature`: one signature for each key, spaces between them."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    made = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in made)
