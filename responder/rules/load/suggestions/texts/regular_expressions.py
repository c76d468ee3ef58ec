"""Says in plain words why a regular expression cannot be read."""

from collections.abc import Mapping

_PLAIN: Mapping[str, str] = {
    "missing ]": "a `[` is not closed",
    "missing )": "a `(` is not closed",
    "unexpected )": "a `)` closes nothing",
    "no argument for repetition operator": "nothing stands before a sign that repeats it",
    "bad repetition operator": "two signs of repetition stand together",
    "invalid repetition size": "a repetition is of at most 1000 times",
    "invalid character class range": "a range within `[…]` ends before it begins",
    "invalid escape sequence": "a backslash stands before what has no such meaning",
    "trailing \\": "a backslash stands at its end",
    "invalid perl operator": "it has no such group, and looks neither ahead nor behind",
    "invalid named capture group": "the name of a group is wrong",
}


def said(error: Exception) -> str:
    """Return what is wrong with a regular expression, from the error of RE2."""
    words = error.args[0] if error.args else ""
    words = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    problem, _, part = words.partition(": ")
    plain = _PLAIN.get(problem)
    if plain is not None:
        words = f"{plain}: {part}" if part else plain
    return f"this pattern cannot be read: {words}"
