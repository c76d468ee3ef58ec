"""The name of a rules file: the SHA-256 of its bytes, as 64 hexadecimal digits.

People are shown the first 16. That was the whole name once, and the log of an older version holds
it: such a name is read as the beginning of one. But two files that begin alike can be made, one of
which protects what the other kills; so what names a file today names it whole.
"""

from hashlib import sha256

SHOWN_DIGITS = 16


def revision_of(data: bytes) -> str:
    """Return the revision of a rules file."""
    return sha256(data).hexdigest()


def shown(revision: str) -> str:
    """Return what people are shown of a revision."""
    return revision[:SHOWN_DIGITS]


def same(one: str, other: str) -> bool:
    """Tell whether two name one file, of which either may be a name of an older version."""
    return one == other or (
        SHOWN_DIGITS in (len(one), len(other)) and (one.startswith(other) or other.startswith(one))
    )
