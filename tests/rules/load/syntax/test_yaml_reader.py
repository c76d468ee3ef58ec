"""Tests of reading YAML: what is refused, and where it is said to be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.rules.load.syntax.tree_builder import MAX_DEPTH
from responder.rules.load.syntax.yaml_reader import MAX_BYTES, read
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table, lines


def tree_of(data: bytes | str) -> tuple[Node | None, list[str]]:
    mistakes = Mistakes("f")
    root = read(data.encode() if isinstance(data, str) else data, mistakes)
    return root, [str(mistake) for mistake in mistakes.in_order()]


def scalar(text: str) -> Scalar:
    root, found = tree_of(f"a: {text}\n")
    assert found == []
    assert isinstance(root, Table)
    value = root.get("a")
    assert isinstance(value, Scalar)
    return value


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2", "number"),
        ("-0.5", "number"),
        ("0", "number"),
        ("0123", "text"),
        ("00", "text"),
        ("1e3", "text"),
        ("0x1F", "text"),
        (".5", "text"),
        ("+5", "text"),
        ("1_000", "text"),
        ("18:00", "text"),
        ("12:30:45", "text"),
        ("on", "text"),
        ("no", "text"),
        ("Yes", "text"),
        ("2026-09-24", "text"),
        ("true", "truth"),
        ("False", "truth"),
        ("null", "null"),
        ("~", "null"),
        ("", "null"),
        ('"2"', "text"),
        ("'true'", "text"),
        ("=", "text"),
        ("<<", "text"),
    ],
)
def test_a_scalar_is_what_yaml_1_2_says_and_leading_zeros_are_text(text: str, kind: str) -> None:
    assert scalar(text).kind == kind


def test_a_long_number_keeps_all_its_digits() -> None:
    assert scalar("65450449083135.21284909").text == "65450449083135.21284909"


@pytest.mark.parametrize(
    ("data", "mistake"),
    [
        (b"", "f:1:1: error: the file is empty"),
        (b"  \n# a comment\n", "f:1:1: error: the file is empty"),
        (b"---\n", "f:1:1: error: the file is empty"),
        (b"null\n", "f:1:1: error: the file is empty"),
        (b"a: 1\nb: \0\n", "f:2:4: error: the character NUL is not allowed in a rules file"),
        (b"a: \xd0\xff\n", "f:1:4: error: byte 0xd0 here is not valid UTF-8"),
        ("a: é\nü: ".encode() + b"\xff", "f:2:4: error: byte 0xff here is not valid UTF-8"),
        (
            "a: 1\n".encode("utf-16"),
            "f:1:1: error: the file is written in UTF-16: save it as UTF-8",
        ),
        (
            "a: 1\n".encode("utf-16-be"),
            "f:1:1: error: the file is written in UTF-16: save it as UTF-8",
        ),
        (
            b"a: 1\nb: 2\n c: 3\nd: 4\n",
            "f:3:2: error: this line begins with 1 space, and those that it belongs with, with 0 "
            "spaces",
        ),
        (
            b"a: 'x\n",
            "f:1:4: error: this quote is not closed: write another one at the end of the text "
            "(did you mean `a: 'x'`?)",
        ),
        (b"a: 1\nb: 2\na: 3\n", "f:3:1: error: `a` is here twice, first on line 1"),
        (b"a: 1\n'a': 3\n", "f:2:1: error: `a` is here twice, first on line 1"),
        (b"a: 1\n---\nb: 2\n", "f:2:1: error: a rules file is one document: this starts a second"),
        (b"a: *b\n", "f:1:4: error: an alias (`*`) is not allowed: write the value out"),
        (b"a: &b 1\n", "f:1:4: error: an anchor (`&`) is not allowed: write the value out"),
        (b"a: &b [1]\n", "f:1:4: error: an anchor (`&`) is not allowed: write the value out"),
        (
            b"a: !x 1\n",
            "f:1:4: error: a tag (`!`) is not allowed: values are what they look like "
            "(did you mean `{is_not: x}`?)",
        ),
        (
            b"a: !!str 1\n",
            "f:1:4: error: a tag (`!`) is not allowed: values are what they look like",
        ),
        (b"? [a]\n: 1\n", "f:1:3: error: a key must be a plain word"),
        (b"[" * 33 + b"]" * 33, "f:1:33: error: this nests deeper than 32 levels"),
    ],
)
def test_what_a_reader_would_not_see_is_a_mistake_at_its_place(data: bytes, mistake: str) -> None:
    _, found = tree_of(data)
    assert found == [mistake]


def test_as_many_levels_as_allowed_are_read() -> None:
    root, found = tree_of("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert found == []
    assert isinstance(root, Items)


@pytest.mark.parametrize("opening", [b"[", b"{", b"- ", b"a: {", b"? "])
def test_nesting_without_end_is_a_mistake_and_no_crash(opening: bytes) -> None:
    root, found = tree_of(opening * 20000)
    assert root is None
    assert len(found) == 1


def test_a_file_of_1_mib_is_read_and_one_byte_more_is_not() -> None:
    assert tree_of(b"a: " + b"x" * (MAX_BYTES - 3))[1] == []
    assert tree_of(b"a: " + b"x" * (MAX_BYTES - 2))[1] == [
        "f:1:1: error: the file is larger than 1 MiB"
    ]


def test_a_byte_order_mark_and_windows_line_ends_change_no_place() -> None:
    root, found = tree_of(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert found == []
    assert isinstance(root, Table)
    key = root.key("b")
    assert key is not None
    assert (key.line, key.column) == (2, 1)


def test_indentation_by_tabs_is_named() -> None:
    _, found = tree_of("a:\n\tb: 1\n")
    assert "never with tabs" in found[0]


def test_a_block_ends_with_its_last_value_and_not_with_the_comment_after_it() -> None:
    root, _ = tree_of("a:\n  - b: 1\n    c: 2\n  # a comment\n\n  - d: |\n      text\n\n# end\n")
    assert isinstance(root, Table)
    value = root.get("a")
    assert isinstance(value, Items)
    assert [(item.line, item.last_line) for item in value.items] == [(2, 3), (6, 8)]


def test_what_can_be_mended_is_so_that_the_rest_is_read() -> None:
    root, found = tree_of("then kill\nb: 'x\nc: [1\nd: 2\nd: 3\n")
    assert isinstance(root, Table)
    assert [key.text for key, _ in root.pairs] == ["then", "b", "c", "d"]
    assert [one[: one.index(" error")] for one in found] == ["f:1:5:", "f:2:4:", "f:3:4:", "f:5:1:"]


def test_a_place_in_a_mended_line_is_that_of_the_line_as_it_stands_in_the_file() -> None:
    root, _ = tree_of("limit {per_hour: 5}\n")
    assert isinstance(root, Table)
    ((key, value),) = root.pairs
    assert (key.column, value.column) == (1, 7)
    assert isinstance(value, Table)
    assert [(one.column, other.column) for one, other in value.pairs] == [(8, 18)]


def test_so_many_mistakes_are_told_at_once_and_no_more() -> None:
    _, found = tree_of("because: a: 'b\n" * 60)
    assert 0 < len(found) <= 50


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_places_in_the_file(data: bytes) -> None:
    mistakes = Mistakes("f")
    read(data, mistakes)
    split = lines(data.decode("utf-8", "replace"))
    for mistake in mistakes.found:
        assert mistake.line >= 1
        assert mistake.column >= 1
        assert mistake.line <= len(split) + 1


@given(st.text(alphabet="ab:-[]{},#'\"&*!|>? \n\t01", max_size=80))
def test_anything_like_yaml_is_read_or_refused(text: str) -> None:
    tree_of(text)
