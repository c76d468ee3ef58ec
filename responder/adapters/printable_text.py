"""Writes what strangers sent so that it cannot move the cursor, colour the terminal or hide."""

import json


def printable(text: str) -> str:
    """Put U+FFFD in place of every character that is not printable."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def to_json(value: object) -> str:
    """Write JSON on one line; what is not printable is escaped, and reads as what it was."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
