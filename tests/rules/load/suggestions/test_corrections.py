"""Suggestions that are followed to the letter, with a check that knows one right text."""

from collections.abc import Callable

from responder.rules.load.suggestions.corrections import follow
from responder.rules.yaml_positions import Mistake

WRONG = Mistake("f", 2, 3, "error", "wrong", "right", length=3)


def knows(right: str) -> Callable[[bytes], tuple[Mistake, ...]]:
    """Return a check that finds the mistake in every text but one."""
    return lambda text: () if text.decode() == right else (WRONG,)


def followed(text: str, right: str) -> Mistake:
    (found,) = follow([WRONG], text.encode(), knows(right))
    return found


def test_the_mark_is_as_long_as_what_is_replaced() -> None:
    found = followed("a:\n  key: 1", "a:\n  right")
    assert (found.is_followed, found.length, found.corrected) == (True, 6, ())


def test_whole_lines_are_shown_where_another_stretch_is_meant() -> None:
    pair = Mistake("f", 2, 6, "error", "wrong", "key: 2", length=1)
    (found,) = follow([pair], b"a:\n  k: 1", lambda text: () if b"  key: 2" in text else (pair,))
    assert found.corrected == ("  key: 2",)


def test_what_is_refused_itself_is_not_suggested() -> None:
    other = Mistake("f", 2, 3, "error", "no such thing")
    (found,) = follow([WRONG], b"a:\n  key: 1", lambda _: (other,))
    assert found.suggestion is None


def test_what_leaves_another_mistake_behind_it_is_suggested_as_it_is() -> None:
    other = Mistake("f", 1, 1, "error", "something else")
    (found,) = follow([WRONG], b"a:\n  key: 1", lambda _: (other,))
    assert (found.suggestion, found.is_followed) == ("right", False)
