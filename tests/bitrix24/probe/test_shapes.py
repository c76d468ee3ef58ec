"""Shapes of values: words of ours, whatever the value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.bitrix24.probe.shapes import shape

WORDS = frozenset(
    {
        *("null", "boolean", "integer", "float", "other", "deeper", "empty text", "text", "Y or N"),
        *("digits", "decimal digits", "day", "instant with offset", "id of a workflow"),
        *("none", "one", "some", "a page", "more", "<code>", "", "NOT_FOUND"),
    }
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("65e5a449e8f135.21324397", "id of a workflow"),
        ("212", "digits"),
        ("52000.00", "decimal digits"),
        ("2026-11-28T12:00:00+03:00", "instant with offset"),
        ("2026-11-28", "day"),
        ("2026-11-28T12:00:00", "text"),
        ("", "empty text"),
        ("Y", "Y or N"),
        ("planted@planted.example", "text"),
        (None, "null"),
        (True, "boolean"),
        (7, "integer"),
        (0.5, "float"),
        ([], {"list": "none", "of": []}),
        ([1, 2, "x"], {"list": "some", "of": ["integer", "text"]}),
        ([1] * 50, {"list": "a page", "of": ["integer"]}),
        ({"error": "not_found"}, {"error": "NOT_FOUND"}),
        ({"error": "PLANTED"}, {"error": "<code>"}),
        ({"error": ""}, {"error": ""}),
        ({"UF_CRM_1": 1, "UF_CRM_2": "a"}, {"<UF>": ["integer", "text"]}),
        ({"ufCrm_1": 1}, {"<uf>": ["integer"]}),
        ({"7": {}, "planted": None}, {"<key>": ["null"], "<number>": [{}]}),
    ],
)
def test_a_value_becomes_the_word_for_its_kind(value: object, expected: object) -> None:
    assert shape(value) == expected


@given(JSON)
def test_nothing_but_our_words_is_kept(value: object) -> None:
    assert set(_texts(shape({"planted key": value}))) <= WORDS


def test_what_is_nested_deeply_is_cut_off() -> None:
    value: object = "planted"
    for _ in range(500):
        value = [value]
    assert "planted" not in json.dumps(shape(value))


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [str(value)]
