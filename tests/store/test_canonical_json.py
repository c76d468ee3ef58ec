"""Tests of canonical JSON: one text for one value, on every machine, whatever a portal sent."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.model import Mode, Unknown
from responder.store.canonical_json import canonical, instant_text

AT = datetime(2026, 9, 24, 9, 0, 0, 123_456, tzinfo=UTC)
WRITTEN = {
    "nothing": (None, "null"),
    "true is no number": (True, "true"),
    "a number": (61, "61"),
    "a number that is none": (float("nan"), '"nan"'),
    "an infinite number": (float("-inf"), '"-inf"'),
    "a number of thousands of digits": (1 << 14_000, f'"{1 << 14_000:#x}"'),
    "the longest number that is one": ((1 << 14_000) - 1, str((1 << 14_000) - 1)),
    "a text in ASCII": ("сделка", '"\\u0441\\u0434\\u0435\\u043b\\u043a\\u0430"'),
    "half a character": ("\ud800", '"\\ud800"'),
    "a word of ours": (Mode.OBSERVE, '"observe"'),
    "a list": ([1, "2", None], '[1,"2",null]'),
    "a tuple is a list": ((1, 2), "[1,2]"),
    "keys in order": ({"b": 1, "a": {"d": 1, "c": 2}}, '{"a":{"c":2,"d":1},"b":1}'),
    "keys that are none": ({1: "x", None: "y"}, '{"1":"x","None":"y"}'),
    "what is unknown, and why": (Unknown("denied"), '{"unknown":"denied"}'),
    "an instant": (AT, '"2026-09-24T09:00:00.123Z"'),
    "what JSON does not have": (timedelta(hours=1), '"1:00:00"'),
}


@pytest.mark.parametrize(("value", "text"), WRITTEN.values(), ids=WRITTEN)
def test_how_a_value_is_written(value: object, text: str) -> None:
    assert canonical(value) == text


def test_what_is_nested_too_deeply_is_cut_and_not_refused() -> None:
    value: object = "core"
    for _ in range(40):
        value = [value]
    assert canonical(value) == "[" * 40 + '"core"' + "]" * 40
    assert canonical([value]) == "[" * 41 + '"nested too deeply"' + "]" * 41


def test_an_instant_is_the_same_in_every_zone() -> None:
    moscow = AT.astimezone(timezone(timedelta(hours=3)))
    assert instant_text(moscow) == instant_text(AT) == "2026-09-24T09:00:00.123Z"


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=12,
)


@given(plain)
def test_what_json_can_hold_reads_back_as_it_was(value: object) -> None:
    text = canonical(value)
    assert text.isascii()
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_keys_makes_no_difference(value: dict[str, int]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)
