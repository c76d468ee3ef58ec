"""Hashes the passwords of admins with scrypt, and checks them.

A hash is written `scrypt:<cost>:<block size>:<blocks>:<salt>:<hash>`, the last two in base64url. At
cost 15 with three blocks one check takes 32 MiB and some 150 ms: nobody tries many. Older hashes
have one block, and do not contain the number.
"""

import base64
import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Mapping

from responder.settings.validators import PASSWORD_HASH

SHORTEST = 12
LONGEST = 1024

_COST, _BLOCK, _BLOCKS = 15, 8, 3
_MEMORY = 160 * 1024 * 1024


class BadPassword(ValueError):  # noqa: N818 - it says what is wrong with a password
    """A password that is too short, too long or only spaces."""


def hashed(password: str) -> str:
    """Return the hash of a password, as the settings have it; raise BadPassword."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadPassword(f"a password has {SHORTEST} to {LONGEST} characters")
    if not password.strip():
        raise BadPassword("a password has more than spaces")
    salt = secrets.token_bytes(16)
    return _written(salt, _scrypt(password, salt, _COST, _BLOCK, _BLOCKS))


def matches(password: str, written: str) -> bool:
    """Return whether this is the password that was hashed, in constant time."""
    found = PASSWORD_HASH.fullmatch(written)
    if found is None or len(password) > LONGEST:
        return False
    cost, block, blocks, salt, expected = found.groups()
    given = _scrypt(password, _bytes(salt), int(cost), int(block), int(blocks or 1))
    return hmac.compare_digest(given, _bytes(expected))


class Admins:
    """The admins who may use the pages, with the hashes of their passwords."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        self._hashes = dict(hashes)
        # checked for an unknown name, so that it takes as long as a known one
        self._nobodys = _written(secrets.token_bytes(16), secrets.token_bytes(32))

    def has_password(self, name: str, password: str) -> bool:
        """Return whether an admin of this name has this password, in the same time for any name."""
        right = matches(password, self._hashes.get(name, self._nobodys))
        return right and name in self._hashes

    def mark(self, name: str) -> str | None:
        """Return a digest that changes with an admin's password; None if there is no such admin."""
        written = self._hashes.get(name)
        if written is None:
            return None
        return hmac.new(written.encode(), b"responder-session", hashlib.sha256).hexdigest()

    def session(self, name: str) -> str:
        """Return a new session token, which proves that it was made for a present admin."""
        words = secrets.token_urlsafe(32)
        return f"{words}.{self._proof(name, words)}"

    def made_token(self, token: str) -> bool:
        """Return whether a token was made for a present admin; the store knows if it expired."""
        words, _, proof = token.rpartition(".")
        given = proof.encode("utf-8", "surrogatepass")
        return any(
            hmac.compare_digest(self._proof(name, words).encode(), given) for name in self._hashes
        )

    def _proof(self, name: str, words: str) -> str:
        key = self._hashes[name].encode()
        return hmac.new(
            key, f"session\n{words}".encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()[:32]

    def sign(self, name: str, words: str) -> str | None:
        """Return a signature for an admin, by a key that changes with the password, or None."""
        written = self._hashes.get(name)
        if written is None:
            return None
        return hmac.new(written.encode(), f"device\n{words}".encode(), hashlib.sha256).hexdigest()


def _written(salt: bytes, result: bytes) -> str:
    return f"scrypt:{_COST}:{_BLOCK}:{_BLOCKS}:{_text(salt)}:{_text(result)}"


def _scrypt(password: str, salt: bytes, cost: int, block: int, blocks: int) -> bytes:
    words = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(
        words, salt=salt, n=1 << cost, r=block, p=blocks, maxmem=_MEMORY, dklen=32
    )


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
