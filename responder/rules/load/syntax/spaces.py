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
_NBSP = plain_words.NO_BREAK_SPACE
_ONCE_REFUSED = re.compile(
    rf"\s*(?={_NBSP})|(?: *- )* *[\w.]+(?={_NBSP}+:)|(?: *- )* *[\w.]+:(?={_NBSP})"
)
_ODD = re.compile(f"[{plain_words.ODD_SPACES}]")
_INVISIBLE = re.compile(f"[{plain_words.INVISIBLE}]")


def made_plain(text: str, mistakes: Mistakes) -> str:
    """Return a text with plain spaces, and record each line in which others did harm.

    Older versions told only of no-break spaces, and of fewer; what they loaded is loaded still.
    """
    if not plain_words.ODD.search(text):
        return text
    split = lines(text)
    for place, line in enumerate(split):
        head, is_new = _head(line), _ONCE_REFUSED.match(line) is None
        odd = plain_words.ODD.search(head)
        if odd is not None and not (is_new and mistakes.forgives_new):
            said = plain_words.odd_said(odd[0])
            mistakes.at(place + 1, odd.start() + 1, said, new=is_new)
            split[place] = _INVISIBLE.sub("", _ODD.sub(" ", head)) + line[len(head) :]
    return "\n".join(split)


def _head(line: str) -> str:
    found = _HEAD.match(line)
    return found[0] if found else ""
