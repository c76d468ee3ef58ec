"""Makes texts of strangers printable, so that they cannot move the cursor, colour or hide."""

import json


def printable(text: str) -> str:
    """Replace every character that is not printable by U+FFFD."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def to_json(value: object) -> str:
    """Return a value as JSON on one line; characters that are not printable are escaped."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
