"""Lines whose signs are not those of YAML."""

import pytest

from responder.rules.load.syntax import line_signs


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
        ('    because: The "best": none', 23, "because: 'The \"best\": none'"),
    ],
)
def test_a_line_that_yaml_cannot_read(line: str, column: int, suggestion: str | None) -> None:
    said = line_signs.of_line(line)
    assert said is not None
    assert (said.column, said.suggestion) == (column, suggestion)


@pytest.mark.parametrize(
    "line", ["  because: >", "  when: [a", "  then: kill", "", "  a: |- # = b"]
)
def test_other_lines_are_left_to_yaml(line: str) -> None:
    assert line_signs.of_line(line) is None
