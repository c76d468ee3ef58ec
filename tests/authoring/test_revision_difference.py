"""The difference of two texts of the rules is what `diff -u` would show, and soon there."""

from responder.authoring.revision_difference import CONTEXT, difference, unified

LINES = [f"line {n}" for n in range(1, 41)]
OLD = "\n".join(LINES)
NEW = "\n".join([*LINES[:9], "another ten", *LINES[10:29], *LINES[30:], "line 41"])


def test_it_shows_what_unified_diff_shows_with_its_numbers() -> None:
    found = difference(OLD, NEW)
    assert found is not None
    signs = {"same": " ", "removed": "-", "added": "+"}
    shown = [signs[one.kind] + one.text for one in found if one.kind != "gap"]
    told = unified(OLD, NEW, ("old", "new"))
    assert told[:2] == ["--- old", "+++ new"]
    assert shown == [line for line in told[2:] if not line.startswith("@@")]
    assert [one.kind for one in found].count("gap") == 3  # before, and between three places
    for one in found:
        if one.old is not None:
            assert OLD.splitlines()[one.old - 1] == one.text
        if one.new is not None:
            assert NEW.splitlines()[one.new - 1] == one.text


def test_what_is_alike_has_no_difference() -> None:
    assert difference(OLD, OLD) == []
    assert unified(OLD, OLD, ("a", "b")) == []


def test_a_small_change_of_a_large_file_is_found_at_once() -> None:
    lines = [f"rule {n}" for n in range(100_000)]
    changed = [*lines[:50_000], "new", *lines[50_000:]]
    found = difference("\n".join(lines), "\n".join(changed))
    assert found is not None
    assert [one.kind for one in found] == [
        "gap",
        *["same"] * CONTEXT,
        "added",
        *["same"] * CONTEXT,
        "gap",
    ]


def test_too_much_that_differs_is_not_compared() -> None:
    assert difference("\n".join("a" * 4_000), "\n".join("b" * 4_000)) is None
