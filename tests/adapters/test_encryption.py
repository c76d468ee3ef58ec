"""What is sealed opens with the same key, for the same place, unchanged; and not otherwise."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.adapters.encryption import Seal, WrongKeyError

KEY, OTHER = "a-key-of-more-than-thirty-two-characters", "another-key-of-thirty-two-characters"


@given(st.text())
def test_what_was_sealed_opens(text: str) -> None:
    sealed = Seal(KEY).seal(text, "main: tokens")
    assert Seal(KEY).open(sealed, "main: tokens") == text


def test_the_same_text_is_never_sealed_alike() -> None:
    seal = Seal(KEY)
    assert seal.seal("text", "place") != seal.seal("text", "place")


def test_a_sealed_text_does_not_show_its_content() -> None:
    assert "secret" not in Seal(KEY).seal("a secret", "place")


@pytest.mark.parametrize(
    ("key", "place"), [(OTHER, "main: tokens"), (KEY, "side: tokens"), (KEY, "main: installation")]
)
def test_another_key_or_place_does_not_open(key: str, place: str) -> None:
    sealed = Seal(KEY).seal("text", "main: tokens")
    with pytest.raises(WrongKeyError):
        Seal(key).open(sealed, place)


@given(st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_text_does_not_open(place: int, change: int) -> None:
    version, _, encoded = Seal(KEY).seal("text", "place").partition(":")
    raw = bytearray(base64.b64decode(encoded))
    raw[place % len(raw)] ^= change
    with pytest.raises(WrongKeyError):
        Seal(KEY).open(f"{version}:{base64.b64encode(raw).decode()}", "place")


@pytest.mark.parametrize("sealed", ["", "1:", "2:AAAA", "1:%%%", "1:AAAA", "x"])
def test_what_was_never_sealed_does_not_open(sealed: str) -> None:
    with pytest.raises(WrongKeyError):
        Seal(KEY).open(sealed, "place")


def test_a_mark_tells_keys_apart() -> None:
    assert Seal(KEY).mark == Seal(KEY).mark != Seal(OTHER).mark
    assert KEY not in Seal(KEY).mark
