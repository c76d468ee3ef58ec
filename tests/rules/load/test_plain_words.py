"""Plain words for what YAML's own messages do not name."""

import pytest

from responder.rules.load import plain_words

NBSP = plain_words.NO_BREAK_SPACE


@pytest.mark.parametrize(
    ("line", "column", "suggestion"),
    [
        ("    then = kill", 4, "then: kill"),
        ("  - id = a", 4, "id: a"),
        ("      deal.probability: >= 50", 24, "{at_least: 50}"),
        ("      deal.opportunity >= 1000", 6, "deal.opportunity: {at_least: 1000}"),
        ("      deal.probability: > 5", 24, "{over: 5}"),
        ("    because: Note: lost", 17, 'because: "Note: lost"'),
        ("    if: deal.closed: true", 19, "if: {deal.closed: true}"),
        ('    because: The "best": none', 23, None),
    ],
)
def test_a_line_that_yaml_cannot_read(line: str, column: int, suggestion: str | None) -> None:
    said = plain_words.of_line(line)
    assert said is not None
    assert (said.column, said.suggestion) == (column, suggestion)


@pytest.mark.parametrize(
    "line", ["  because: >", "  when: [a", "  then: kill", "", "  a: |- # = b"]
)
def test_other_lines_are_left_to_yaml(line: str) -> None:
    assert plain_words.of_line(line) is None


@pytest.mark.parametrize(
    ("line", "column"),
    [
        (f"  {NBSP} when: [robot]", 2),
        (f"  when:{NBSP}[robot]", 7),
        (f"  - id:{NBSP}a", 7),
        (f"  when{NBSP}: [robot]", 6),
        (f"  because: five{NBSP}roubles", None),
        (f'  because: "of{NBSP}: that"', None),
    ],
)
def test_no_break_spaces_are_found_where_they_do_harm(line: str, column: int | None) -> None:
    assert plain_words.no_break_space_in(line) == column


def test_a_key_that_is_twice_is_no_second_rule() -> None:
    assert plain_words.second_item(["id", "when", "id"]) is None
    assert plain_words.second_item(["id", "when", "id", "when"]) == 2
    assert plain_words.second_item(["a", "b", "a", "b"]) is None
