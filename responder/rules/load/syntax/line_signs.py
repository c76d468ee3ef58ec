"""Recognizes lines whose signs are not those of YAML, by what is written in them.

People who write rules know `=`, `>=`, `//`, round brackets and their word processor's dashes and
bullets better than YAML's signs. Only a line that YAML could not read is looked at.
"""

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from responder.rules.load.plain_words import SIGN, SIGNS, Said, as_a_map
from responder.rules.load.suggestions import yaml_text

_KEY = r"(\s*(?:- )?)([\w.]+)"
_SECOND_FACT = re.compile(r"\S\s+([a-z_0-9]+\.[a-z_0-9.]+)$")
_FIRST_OF_A_MAP = re.compile(r"[a-z_0-9]+(?:\.[a-z_0-9]+)?")
_Look = Callable[[re.Match[str]], Said]


def of_line(line: str) -> Said | None:
    """Return what is wrong with a line that YAML cannot read, where that is plain."""
    for pattern, look in _LOOKS.items():
        found = pattern.fullmatch(line)
        if found is not None:
            return look(found)
    return None


@dataclass(frozen=True, slots=True)
class _Says:
    """One message, at the first group of a match; `{0}` is that group, and so on.

    `meant` is what should stand there instead of the rest of the line; None where that is not said.
    """

    message: str
    meant: str | None = None

    def __call__(self, found: re.Match[str]) -> Said:
        said = self.meant
        if said is not None:
            said = re.sub(r"\{(\d)\}", lambda number: found[int(number[1])] or "", said)
        message = re.sub(r"\{(\d)\}", lambda number: found[int(number[1])] or "", self.message)
        return Said(found.start(1), message, said)


def _compared(found: re.Match[str]) -> Said:
    return Said(found.start(2), "a comparison is a map", as_a_map(found[2]))


def _sentence(found: re.Match[str]) -> Said:
    test = f"{found[1]}: {{{SIGNS[found[2]]}: {found[3]}}}"
    test = f"{found[1]}: {found[3]}" if SIGNS[found[2]] == "is" else test
    return Said(found.start(1), "a test is a map, not an expression", test)


def _in_round_brackets(found: re.Match[str]) -> Said:
    message = "a map stands in braces {…}, and a list in square brackets […]"
    meant = f"{{{found[3]}}}" if ": " in found[3] else f"[{found[3]}]"
    return Said(found.start(3) - 1, message, f"{found[2]}: {meant}", found.start(2))


def _colon_in_a_text(found: re.Match[str]) -> Said:
    key, text = found[2], re.split(r"\s#\s", found[3])[0].strip()
    first = re.split(r":\s", text)[0]
    column, start = found.start(3) + len(first), found.start(2)
    if (second := _SECOND_FACT.search(first)) is not None:
        message = f"`{second[1]}` is a test of its own: it begins a line of its own"
        above = re.sub(r"(?:[,;]|\s+(?:and|и|&&?))\s*$", "", first[: second.start(1)].rstrip())
        lines = f"{key}: {above}\n{text[second.start(1) :]}"
        return Said(found.start(3) + second.start(1), message, lines, start)
    if text.count("}") > text.count("{"):
        message = "`}` closes nothing: `{` is missing"
        if found[1].endswith("- "):
            return Said(start, message, f"{{{key}: {text}")
        return Said(found.start(3), message, f"{key}: {{{text}", start)
    if _FIRST_OF_A_MAP.fullmatch(first):
        message = "a map within a line stands in braces"
        return Said(column, message, f"{key}: {{{text}}}", start)
    meant = f"{key}: {yaml_text.quoted(text)}"
    return Said(column, "a text with `: ` in it stands in quotes", meant, start)


def _wide_colon(found: re.Match[str]) -> Said:
    message = "a full-width colon (U+FF1A) stands here: write an ordinary one"
    return Said(found.start(3), message, f"{found[2]}:{found[4]}", found.start(2))


def _comma(found: re.Match[str]) -> Said:
    return Said(found.end(2), "no comma stands at the end of a line", found[2], found.start(2))


def _double_quotes(found: re.Match[str]) -> Said:
    message = "double quotes stand within double quotes: write the outer ones as '…'"
    meant = f"{found[1]}: '{found[2]}'" if "'" not in found[2] else None
    return Said(found.start(1), message, meant)


def _single_quotes(found: re.Match[str]) -> Said:
    message = "a single quote stands within single quotes: write the outer ones as double"
    meant = f'{found[1]}: "{found[2]}"' if '"' not in found[2] else None
    return Said(found.start(1), message, meant)


def _entity(found: re.Match[str]) -> Said:
    sign, rest = html.unescape(found[1]), html.unescape(f"{found[1]}{found[2]}").strip()
    if found[1] == "&nbsp;":
        message = "`&nbsp;` is what a web page writes for a space: write an ordinary one"
        return Said(found.start(1), message, f" {found[2]}")
    message = f"`{found[1]}` is what a web page writes for `{sign}`"
    return Said(found.start(1), message, as_a_map(rest) or rest)


_BY_PATTERN: Mapping[str, _Look] = {
    r".*?(&(?:gt|lt|amp|quot|nbsp|#39);=?)(.*)": _entity,
    r"\s*((?:```|~~~)\w*)\s*": _Says(
        "this line belongs to the page that the rules were copied from: delete it", ""
    ),
    r"\s*(\{(\w+\.[\w.]+: [^{}]+)\})\s*": _Says("a test stands without braces here", "{2}"),
    r"\s*(kill|terminate|leave)\s*": _Says("an action stands behind `then`", "then: {1}"),
    r"\s*((//|/\*|<!--|;|--)\s*(.*?)\s*(?:\*/|-->)?)": _Says(
        "a remark begins with `#`, and not with `{2}`", "# {3}"
    ),
    r"(\s*(?:- )?[\w.]+:\s*)((?:>=|<=|>|<)\s*[^\s<>=#|&].*)": _compared,
    r"\s*(?:- )?(([\w.]+)\s*=\s*([^\s=].*))": _Says(
        "a key and its value are joined by a colon, not by `=`", "{2}: {3}"
    ),
    rf"\s*([a-z_0-9]+\.[a-z_0-9]+)\s*({SIGN})\s*(\S+|\"[^\"]*\")\s*": _sentence,
    rf"{_KEY}:\s+\((.+)\)\s*": _in_round_brackets,
    rf"{_KEY}:\s+([^\"'{{\[&*!|>].*:\s.*)": _colon_in_a_text,
    r"\s*([\u2010-\u2015\u2212]\s+(\S.*))": _Says(
        "a list's item begins with `-`, and this is a longer dash", "- {2}"
    ),
    r"\s*(([\u2022\u00b7\u25cf\u25aa\u25e6\u2023\u2043*+])\s+(\S.*))": _Says(
        "a list's item begins with `-`, and here stands `{2}`", "- {3}"
    ),
    r"\s*(\d{1,2}[.)]\s+(\w+:\s.*))": _Says(
        "a list's item begins with `-`, and with no number", "- {2}"
    ),
    r"\s*(-([a-z_]+:(?:\s.*)?))": _Says("a space stands after the dash of a list's item", "- {2}"),
    r"(\s*)([^\uff1a]*)(\uff1a)(.*\S)\s*": _wide_colon,
    r"\s*(?:- )?(([a-z_]+(?:\.[a-z_0-9]+)*):([^\s:].*))": _Says(
        "a space stands after the colon of a key", "{2}: {3}"
    ),
    r"(\s*)((?:- )?[\"']?[\w.]+[\"']?:\s+(?:\"[^\"]*\"|'[^']*'|[^,{\[]*|.*[\]}])),\s*": _comma,
    r"\s*(?:- )?([\w.]+):\s+\"([^\"]*\"[^\"]+\"[^\"]*)\"\s*": _double_quotes,
    r"\s*(?:- )?([\w.]+):\s+'([^']*'[^']*)'\s*": _single_quotes,
    r"\s*(?:- )?\w+\.[\w.]+:\s+(([*%])([^*%\s][^*%]*)\2)\s*": _Says(
        "`{2}` stands for no other characters here", "{contains: {3}}"
    ),
    r"\s*(?:- )?\w+\.[\w.]+:\s+(%([^*%\s][^*%]*))\s*": _Says(
        "`%` stands for no other characters here", "{ends_with: {2}}"
    ),
    r"\s*(?:- )?[\w.]+:\s+(\*)\s*": _Says(
        "`*` means nothing here: without the test, every value is meant"
    ),
}
_LOOKS = {re.compile(pattern): look for pattern, look in _BY_PATTERN.items()}
