"""Encrypts what must not be readable in the database: AES-256-GCM under the key of the settings.

A sealed text says for what it was sealed, so that it cannot be put into another row's place. The
library is imported where it is used first: only an installation with a local application needs it.
"""

import base64
import hashlib
import hmac
import secrets

_NONCE_BYTES = 12  # what GCM is made for; random, since few texts are sealed under one key
_VERSION = "1"


class WrongKeyError(Exception):
    """A text cannot be opened: it was sealed under another key, for another place, or changed."""


class Seal:
    """Seals and opens texts under one key. `mark` tells keys apart and reveals nothing of them."""

    def __init__(self, secret_key: str) -> None:
        self._key = _derived(secret_key, b"responder: encryption")
        self.mark = _derived(secret_key, b"responder: mark").hex()[:16]

    def seal(self, text: str, place: str) -> str:
        """Return a text encrypted for this place (such as `main: tokens`)."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._key).encrypt(nonce, text.encode(), place.encode())
        return f"{_VERSION}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, place: str) -> str:
        """Return the text that was sealed for this place; raise WrongKeyError if that fails."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        version, _, encoded = sealed.partition(":")
        try:
            if version != _VERSION:
                raise ValueError("another version")
            raw = base64.b64decode(encoded, validate=True)
            nonce, rest = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
            return AESGCM(self._key).decrypt(nonce, rest, place.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise WrongKeyError(place) from error


def _derived(secret_key: str, purpose: bytes) -> bytes:
    """Return 32 bytes for one purpose (HKDF's extract and one expand, RFC 5869, with SHA-256)."""
    extracted = hmac.new(bytes(32), secret_key.encode(), hashlib.sha256).digest()
    return hmac.new(extracted, purpose + b"\x01", hashlib.sha256).digest()
