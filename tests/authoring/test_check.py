"""Tests of how mistakes in a rules file are shown."""

import json

from hypothesis import given
from hypothesis import strategies as st

from responder.authoring.check import check, count, render

BAD = """\
version: 1
rules:
  - id: small-deal
    when: [deal.updated]
    if:
      deal.oportunity: {below: 1000}
\t
    then: kil
""".replace("\t\n", "")


def test_a_mistake_is_shown_with_its_line_a_caret_and_the_right_name() -> None:
    data = BAD.encode()
    assert render(check(data, "rules.yaml"), data) == (
        "rules.yaml:6:7: error: there is no fact `deal.oportunity`\n"
        "          deal.oportunity: {below: 1000}\n"
        "          ^^^^^^^^^^^^^^^\n"
        "    did you mean `deal.opportunity`?\n"
        "rules.yaml:7:11: error: `then` is one of kill, terminate, leave\n"
        "        then: kil\n"
        "              ^^^\n"
        "    did you mean `kill`?\n"
    )


def test_programs_read_one_object_a_line() -> None:
    data = BAD.encode()
    rows = render(check(data, "rules.yaml"), data, format="json").splitlines()
    assert json.loads(rows[0]) == {
        "file": "rules.yaml",
        "line": 6,
        "column": 7,
        "severity": "error",
        "message": "there is no fact `deal.oportunity`",
        "suggestion": "deal.opportunity",
    }
    assert len(rows) == 2


def test_a_file_without_mistakes_shows_nothing() -> None:
    data = b"version: 1\nrules:\n  - {id: a, if: {deal.id: 1}, then: leave, when: [robot]}\n"
    data += b"  - {id: b, because: x, if: {workflow.id: x}, then: kill, when: [robot]}\n"
    assert check(data, "rules.yaml") == ()
    assert render((), data) == ""


def test_an_empty_file_is_shown_without_a_line() -> None:
    assert render(check(b"", "r.yaml"), b"") == "r.yaml:1:1: error: the file is empty\n"


def test_long_lines_are_clipped_around_the_mistake() -> None:
    data = b"version: 1\nrules: [{id: a, " + b"x" * 5000 + b": 1, zz: 2}]\n"
    shown = render(check(data, "f"), data)
    assert all(len(line) < 5200 for line in shown.splitlines())
    carets = [line for line in shown.splitlines() if set(line.strip()) == {"^"}]
    assert carets
    assert max(map(len, carets)) < 200


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    data = "version: 1\nrules: []\n\u202eabc: 1\n".encode()
    assert "\u202e" not in render(check(data, "f"), data)


@given(st.binary(max_size=100) | st.text(max_size=60).map(str.encode))
def test_whatever_is_in_a_file_its_mistakes_can_be_shown(data: bytes) -> None:
    mistakes = check(data, "f")
    assert mistakes
    assert render(mistakes, data).count("f:") >= len(mistakes)
    assert len(render(mistakes, data, format="json").splitlines()) == len(mistakes)


def test_errors_stand_before_warnings_and_their_number_at_the_end() -> None:
    text = "{deal.opportunity: {below: 1}, workflow.id: a}, then: kill, when: [robot]}\n"
    data = f"version: 1\nrules:\n  - {{id: a, if: {text}  - {{id: b}}\n".encode()
    mistakes = check(data, "r.yaml")
    assert [one.severity for one in mistakes] == ["error", "warning"]
    assert count(mistakes) == "r.yaml: 1 error, 1 warning\n"
    assert json.loads(count(mistakes, format="json")) == {
        "file": "r.yaml",
        "errors": 1,
        "warnings": 1,
    }
    assert count(()) == ""


def test_of_a_file_that_was_in_force_what_is_an_error_today_is_a_warning() -> None:
    data = b"""\
version: 1
rules:
  - {id: a, because: Why not., when: [robot], if: {workflow.template_id: 61}, then: kill}
tests:
  - {name: x, event: robot, expect: {a: none, b none}, workflows: [{id: a}, {id: b}]}
"""
    assert [one.severity for one in check(data, "f")] == ["error"]
    assert [one.severity for one in check(data, "f", is_known=lambda _: True)] == ["warning"]
