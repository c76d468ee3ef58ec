"""Spaces that only look like spaces."""

import pytest

from responder.rules.load import plain_words
from responder.rules.load.syntax import spaces
from responder.rules.yaml_positions import Mistakes

NBSP = plain_words.NO_BREAK_SPACE


@pytest.mark.parametrize(
    ("line", "plain", "column"),
    [
        (f"  {NBSP} when: [robot]", "    when: [robot]", 3),
        (f"  when:{NBSP}[robot]", "  when: [robot]", 8),
        (f"  - id:{NBSP}a", "  - id: a", 8),
        (f"  when{NBSP}: [robot]", "  when : [robot]", 7),
        ("\u2003\u2003then: kill", "  then: kill", 1),
        ("  th\u200ben: kill", "  then: kill", 5),
        (f"  because: five{NBSP}roubles", None, None),
        (f'  because: "of{NBSP}: that"', None, None),
    ],
)
def test_they_are_named_once_a_line_where_they_do_harm(
    line: str, plain: str | None, column: int | None
) -> None:
    mistakes = Mistakes("f")
    assert spaces.made_plain(f"a: 1\n{line}\n", mistakes) == f"a: 1\n{plain or line}\n"
    assert [(one.line, one.column) for one in mistakes.found] == ([(2, column)] if column else [])


def test_all_lines_are_named_at_once() -> None:
    mistakes = Mistakes("f")
    spaces.made_plain(f"a:\n{NBSP}b: 1\n{NBSP}b: 1\n", mistakes)
    assert [(one.line, one.column) for one in mistakes.found] == [(2, 1), (3, 1)]
