"""Checks a rules file for its authors: every mistake at once, with its place and the right name."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Literal

from responder.authoring import advice, expectations
from responder.authoring.cases import case_runs, cases
from responder.rules import yaml_positions
from responder.rules.load.suggestions import corrections, indentation, yaml_text
from responder.rules.load.syntax import yaml_reader
from responder.rules.ruleset import IsKnown, RulesError, Ruleset, load
from responder.rules.yaml_positions import Mistake, Mistakes, Node, Table

Format = Literal["text", "json", "github"]

_FIELDS = ("file", "line", "column", "severity", "message", "suggestion")
_WIDEST = 160
_CUT_SHORT = re.compile(
    r"\s*(?:- )?(?:because|name|disabled|\w+\.[\w.]+):\s+([^\s\"'\[{|>#][^\"'\[{#]*?)\s+(#\d.*)"
)


def check(
    data: bytes,
    file: str,
    *,
    portals: Collection[str] | None = None,
    tested: Collection[str] = (),
    is_known: IsKnown | None = None,
    now: datetime | None = None,
) -> tuple[Mistake, ...]:
    """Return the errors of a file, then the warnings; without an error the file is fine.

    Those of its tests are among them, also where the rules are broken. `tested` are the rules that
    tests in another file expect in a verdict. Suggestions are those that hold when followed.
    """

    def checked(text: bytes) -> tuple[Mistake, ...]:
        return _checked(text, file, portals, tested, is_known, now)

    return corrections.follow(checked(data), data, checked)


def _checked(
    data: bytes,
    file: str,
    portals: Collection[str] | None,
    tested: Collection[str],
    is_known: IsKnown | None,
    now: datetime | None,
) -> tuple[Mistake, ...]:
    mistakes = Mistakes(file)
    ruleset: Ruleset | None
    try:
        ruleset = load(data, file=file, portals=portals, is_known=is_known)
        mistakes.found += ruleset.warnings
    except RulesError as error:
        ruleset = error.readable
        mistakes.found += error.mistakes
    broken = mistakes.fatal
    form = Mistakes(file)
    root = yaml_reader.read(data, form)
    if not broken:
        # A file that was in force once is loaded with what has become an error since.
        mistakes.found += [replace(one, severity="warning") for one in form.found]
    if isinstance(root, Table) and ruleset is not None:
        named = {*tested, *_tested(root, ruleset, mistakes)}
        if not broken:
            _warn_of_remarks(data, mistakes)
            # What a test with a mistake expects is not known, and may be any of the rules.
            named |= {rule.id for rule in ruleset.rules} if mistakes.fatal else set()
            advice.advise(root, ruleset.rules, named, mistakes, now)
    return mistakes.in_order()


def _warn_of_remarks(data: bytes, mistakes: Mistakes) -> None:
    """Warn of texts that end before a number sign, with which a remark begins: `Order #5`."""
    for number, line in enumerate(yaml_positions.lines(data.decode("utf-8", "replace")), start=1):
        found = _CUT_SHORT.fullmatch(line)
        if found is not None:
            node = Node(line=number, column=found.start(2) + 1, length=1, last_line=number)
            message = f"a remark begins here, so that the text is `{found[1]}`: write quotes"
            whole = line[found.start(1) :].rstrip()
            key = line[: found.start(1)].strip().removeprefix("- ")
            mistakes.warn(node, message, f"{key} {yaml_text.quoted(whole)}")


def check_tests(data: bytes, file: str, ruleset: Ruleset) -> tuple[Mistake, ...]:
    """Return the mistakes of a file that has tests alone, for rules that are elsewhere."""

    def checked(text: bytes) -> tuple[Mistake, ...]:
        try:
            case_runs.suite_of_tests(text, file, ruleset, expecting=True)
        except RulesError as error:
            return error.mistakes
        return ()

    return corrections.follow(checked(data), data, checked)


def followed(mistakes: Sequence[Mistake], data: bytes, file: str) -> tuple[Mistake, ...]:
    """Return mistakes of a file of rules with suggestions that hold when followed."""
    return corrections.follow(
        mistakes, data, lambda text: _checked(text, file, None, (), None, None)
    )


def _tested(root: Table, ruleset: Ruleset, mistakes: Mistakes) -> set[str]:
    """Read the tests in a rules file, record their mistakes, and return the rules they expect."""
    # What stands too far out was said when the rules were read.
    unsaid = Mistakes(mistakes.file)
    root = indentation.with_keys_further_in(root, "tests", cases.CASE_KEYS, unsaid)
    tests = root.get("tests")
    if tests is None:
        return set()
    found = cases.read(tests, ruleset, mistakes, expecting=True)
    return {rule for case in found for rule in expectations.rules_of(case.expected)}


def render(mistakes: Iterable[Mistake], data: bytes, *, format: Format = "text") -> str:  # noqa: A002  # the option's own name
    """Return mistakes for people or programs, each ending its line."""
    if format == "json":
        return "".join(f"{_json(mistake)}\n" for mistake in mistakes)
    if format == "github":
        return "".join(f"{_github(mistake)}\n" for mistake in mistakes)
    # What is not UTF-8 is shown as well as it can be: that is what the mistake is about.
    lines = yaml_positions.lines(data.decode("utf-8", "replace").removeprefix("\ufeff"))
    return "".join(f"{line}\n" for mistake in mistakes for line in _text(mistake, lines))


def count(mistakes: Collection[Mistake], *, format: Format = "text") -> str:  # noqa: A002  # as above
    """Return the line after the last mistake, which says how many there are; empty for none."""
    if not mistakes or format == "github":
        return ""
    file = next(iter(mistakes)).file
    errors = sum(one.severity == "error" for one in mistakes)
    warnings = len(mistakes) - errors
    if format == "json":
        row = {"file": file, "errors": errors, "warnings": warnings}
        return f"{json.dumps(row, ensure_ascii=False)}\n"
    said = [_number(errors, "error"), _number(warnings, "warning")]
    return f"{file}: {', '.join(filter(None, said))}\n"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}" if count else ""


def _json(mistake: Mistake) -> str:
    row = asdict(mistake)
    return json.dumps({name: row[name] for name in _FIELDS}, ensure_ascii=False)


def _github(mistake: Mistake) -> str:
    """Return a workflow command, which GitHub shows at the line.

    https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
    """
    place = f"file={_property(mistake.file)},line={mistake.line},col={mistake.column}"
    end = f"endColumn={mistake.column + max(mistake.length, 1)}"
    hint = f" (did you mean `{mistake.suggestion}`?)" if mistake.suggestion else ""
    return f"::{mistake.severity} {place},{end}::{_escaped(_printable(mistake.message) + hint)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _text(mistake: Mistake, lines: list[str]) -> Iterator[str]:
    place = f"{mistake.file}:{mistake.line}:{mistake.column}"
    yield f"{place}: {mistake.severity}: {_printable(mistake.message)}"
    line = lines[mistake.line - 1] if mistake.line <= len(lines) else ""
    start = max(0, mistake.column - 1 - _WIDEST // 2)
    shown = line[start : start + _WIDEST]
    if shown.strip():
        before = line[start : mistake.column - 1]
        # Tabs stay tabs, so that the caret stands under what it points at.
        indent = "".join(character if character == "\t" else " " for character in before)
        length = max(1, min(mistake.length, len(shown) - len(before)))
        yield f"    {_printable(shown)}"
        yield f"    {indent}{'^' * length}"
    if mistake.corrected:
        yield "    did you mean this?"
        yield from (f"    {_printable(line)}" for line in mistake.corrected)
    elif mistake.suggestion:
        yield f"    did you mean `{mistake.suggestion}`?"


def _printable(text: str) -> str:
    """Replace characters that a terminal would obey instead of show."""
    return "".join(one if one.isprintable() or one == "\t" else "\ufffd" for one in text)
