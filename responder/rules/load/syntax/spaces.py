"""Makes plain spaces of those that only look like them, where YAML wants spaces.

They come from web pages, from office programs and from keyboards (Option-Space on a Mac).
"""

import re

from responder.rules.load import plain_words
from responder.rules.yaml_positions import Mistakes, lines

_ANY = rf"\s{plain_words.ODD_SPACES}{plain_words.INVISIBLE}"
# All of a line before its value: what indents it, dashes, a key and its colon.
_HEAD = re.compile(
    rf"[{_ANY}]*(?:-[{_ANY}]+)*(?:[\w.{plain_words.INVISIBLE}]+[{_ANY}]*:[{_ANY}]+)?"
)
_ODD = re.compile(f"[{plain_words.ODD_SPACES}]")
_INVISIBLE = re.compile(f"[{plain_words.INVISIBLE}]")


def made_plain(text: str, mistakes: Mistakes) -> str:
    """Return a text with plain spaces, and record each line in which others did harm."""
    if not plain_words.ODD.search(text):
        return text
    split = lines(text)
    for place, line in enumerate(split):
        head = _head(line)
        odd = plain_words.ODD.search(head)
        if odd is not None:
            mistakes.at(place + 1, odd.start() + 1, plain_words.odd_said(odd[0]))
            split[place] = _INVISIBLE.sub("", _ODD.sub(" ", head)) + line[len(head) :]
    return "\n".join(split)


def _head(line: str) -> str:
    found = _HEAD.match(line)
    return found[0] if found else ""
