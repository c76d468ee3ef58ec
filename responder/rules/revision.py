"""Names a rules file: the SHA-256 of its bytes, as 64 hexadecimal digits.

People are shown the first 16 digits. Older versions used those as the whole name, and their log
entries hold it: such a name matches every name that begins with it. New entries hold all 64 digits,
since two files with the same first 16 can be made, one of which protects what the other kills.
"""

from hashlib import sha256

SHOWN_DIGITS = 16


def revision_of(data: bytes) -> str:
    """Return the revision of a rules file."""
    return sha256(data).hexdigest()


def shown(revision: str) -> str:
    """Return the digits of a revision that people are shown."""
    return revision[:SHOWN_DIGITS]


def same(one: str, other: str) -> bool:
    """Return whether two revisions name one file; either may be an older version's short name."""
    return one == other or (
        SHOWN_DIGITS in (len(one), len(other)) and (one.startswith(other) or other.startswith(one))
    )
