"""Finds quotes that are not closed in their line, though the text ends there."""

import re
from collections.abc import Sequence

from responder.rules.load.plain_words import CURLY_SAID
from responder.rules.load.suggestions import yaml_text
from responder.rules.load.syntax import key_words
from responder.rules.load.syntax.edits import Broken, Edit

_KEY_BEFORE = re.compile(r"\s*(?:- +)*([\w.]+:\s+)?")
_OF_A_TEXT = re.compile(
    r"[{,]\s*(matches|contains|starts_with|ends_with|is|is_not):\s+([^\s\[{].*|\[[^\]]*\][^\s\]},].*)"
)
_CURLY = re.compile(
    "[\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab](.*)[\u201c\u201d\u2018\u2019\u00bb]"
)
_BEGINNINGS = {
    **dict.fromkeys("\"'", "a text with quotes in it stands in quotes of the other kind"),
    "`": "a text that begins with a backquote stands in quotes",
}
_A_REMARK = re.compile(r"#[^\s#]")
TEXT_KEYS = frozenset({"because", "name", "disabled"})
_SENTENCE = re.compile(r"(\s*(?:- +)*)([\w.]+):\s+(\S.*)")
# A block of text begins with `|` or `>`, too, and nothing else stands in its line.
_BEGINS_OTHERWISE = re.compile(r"[\[{*&!%@`\"'},\]]|[?-]\s|[|>](?![+-]?[1-9]?[+-]?\s*$)")
_MEANS_MORE = re.compile(r"[\[\]{}]|^[%@`&!|>\"']|:\s|\s#")
_NEXT_KEY = re.compile(r"[,}]\s*[\w.]+:\s")
_END_OF_FLOW = re.compile(r"[\]}\s,]*$")


def unclosed(lines: Sequence[str]) -> Broken | None:
    """Return the first quote that is not closed, where the next line is a key or an item again."""
    for number, line in enumerate(lines, start=1):
        column = open_in(line)
        if column is None:
            continue
        below = next((one for one in lines[number:] if one.strip()), None)
        if below is None or key_words.begins_like_a_key(below):
            return _broken(number, line, column)
    return None


def open_in(line: str) -> int | None:
    """Return the column (from 0) of a quote that a line opens and does not close, or None."""
    depth = place = 0
    while place < len(line):
        character, before = line[place], line[:place]
        if character == "#" and (not before or before[-1] in " \t"):
            return None
        if begins_a_value(before, depth):
            if character in "\"'":
                end = end_of_quoted(line, place)
                if end is None:
                    return place
                place = end
                continue
            depth += character in "[{"
        elif depth and character in "]}":
            depth -= 1
        place += 1
    return None


def end_of_quoted(line: str, start: int) -> int | None:
    """Return the column after the text in quotes that begins at a column; None if it goes on."""
    quote, place = line[start], start + 1
    while place < len(line):
        if line[place] == "\\" and quote == '"':
            place += 1
        elif line[place] == quote:
            if quote == '"' or line[place + 1 : place + 2] != "'":
                return place + 1
            place += 1
        place += 1
    return None


def begins_a_value(before: str, depth: int) -> bool:
    """Return whether a value begins after this text; `depth` is how many brackets are open."""
    said = before.rstrip()
    if depth and said[-1:] in ("[", "{", ",", ":"):
        return True
    return not said or (said[-1] in ":-[{" and said != before) or said[-1] in "[{"


def around_text(number: int, line: str) -> Broken | None:
    """Return what is wrong with a sentence whose signs mean something to YAML: `{x} is lost`.

    It is the value of a key of texts, or of a fact where a bracket or quote is only a part of it.
    """
    found = _SENTENCE.fullmatch(line)
    if found is None:
        return None
    start, text = found.start(3), re.split(r"\s#", found[3])[0].rstrip()
    if _A_REMARK.match(text) and found[2].count("."):
        meant = yaml_text.quoted(text)
        edit = Edit(number, start, start + len(text), meant)
        said = "a remark begins with `#`, so that nothing stands here: write quotes"
        return Broken(number, start + 1, said, meant, edit)
    is_a_text = found[2] in TEXT_KEYS and text not in ("[]", "{}")
    if not is_a_text and not ("." in found[2] and _goes_on(text)):
        return None
    if text[0] in "\"'" and not _goes_on(text):
        return None
    is_cut = is_a_text and (_goes_on(text) or text.endswith(":"))
    if not _BEGINS_OTHERWISE.match(text) and not is_cut:
        return None
    meant = f"{found[2]}: {yaml_text.quoted(text)}"
    edit = Edit(number, found.start(2), start + len(text), meant)
    said = "a text with a colon at its end stands in quotes" if text[-1] == ":" else ""
    said = said or _BEGINNINGS.get(text[0], f"a text that begins with `{text[0]}` stands in quotes")
    return Broken(number, start + 1, said, meant, edit)


def _goes_on(text: str) -> bool:
    """Return whether a text goes on behind the bracket or quote that it begins with."""
    if text[0] in "\"'":
        end = end_of_quoted(text, 0)
        is_whole = text.endswith(text[0])
        return end is not None and not is_whole and bool(text[end:].strip(" ,;"))
    closing = {"{": "}", "[": "]"}.get(text[0])
    end = text.rfind(closing) if closing else -1
    return end >= 0 and re.match(r"\s+[^\s,\]}]", text[end + 1 :]) is not None


def missing(number: int, line: str) -> Broken | None:
    """Return what is wrong with a text in braces whose signs mean something to YAML.

    It is the operand of a test of texts, such as a regular expression with brackets.
    """
    found = _OF_A_TEXT.search(line)
    if found is None:
        return None
    start, before = found.start(2), line[: found.start(2)]
    closers = "}" * (before.count("{") - before.count("}")) + "]" * (
        before.count("[") - before.count("]")
    )
    text = line[start:].rstrip()
    if not closers or not text.endswith(closers):
        return None
    text = text.removesuffix(closers)
    if text[0] in "\"'" and not _goes_on(text):
        return None
    curly = _CURLY.fullmatch(text)
    quoted = yaml_text.quoted(curly[1] if curly else text)
    if curly is None and (not _MEANS_MORE.search(text) or _NEXT_KEY.search(text)):
        return None
    said = "a text with such signs stands in quotes"
    if found[1] != "matches" and text[0] in "%*" and text.strip("%*"):
        said, quoted = f"`{text[0]}` stands for no other characters here", text.strip("%*")
    edit = Edit(number, start, start + len(text), quoted)
    return Broken(number, start + 1, CURLY_SAID if curly else said, quoted, edit)


def backslash(number: int, line: str, column: int) -> Broken:
    """Return what is wrong with a backslash within double quotes, which is no letter there."""
    message = "a backslash within double quotes means something else: write single quotes"
    start, end = line.rfind('"', 0, column), line.find('"', column)
    inner = line[start + 1 : end]
    if start < 0 or end < 0 or "'" in inner:
        return Broken(number, column, message)
    meant = f"'{inner}'"
    return Broken(number, start + 1, message, meant, Edit(number, start, end + 1, meant))


def _broken(number: int, line: str, column: int) -> Broken:
    message = "this quote is not closed: write another one at the end of the text"
    quote, end = line[column], len(line.rstrip())
    whole = _KEY_BEFORE.fullmatch(line[:column])
    if whole is None:
        closers = _END_OF_FLOW.search(line)
        end = closers.start() if closers else end
        if set(",:") & set(line[column:end]):
            return Broken(number, column + 1, message)
    key = whole[1] if whole is not None and whole[1] else ""
    edit = Edit(number, end, end, quote)
    return Broken(number, column + 1, message, f"{key}{line[column:end]}{quote}", edit)
