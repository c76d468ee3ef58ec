"""What strangers sent, on a terminal."""

import json

from hypothesis import given
from hypothesis import strategies as st

from responder.adapters.printable_text import printable, to_json

ANY = st.text(st.characters(exclude_categories=()))


@given(ANY)
def test_nothing_unprintable_is_left_and_nothing_printable_is_changed(text: str) -> None:
    written = printable(text)
    assert written.isprintable()
    assert [a for a, b in zip(written, text, strict=True) if a != b] == [
        "\ufffd" for c in text if not c.isprintable()
    ]


@given(ANY)
def test_json_is_printable_and_reads_as_what_it_was(text: str) -> None:
    written = to_json({"name": text})
    assert written.isprintable()
    assert json.loads(written) == {"name": text}


def test_json_keeps_other_languages_readable() -> None:
    assert to_json("Сделка\x1b\u202e\U000e0041") == '"Сделка\\u001b\\u202e\\udb40\\udc41"'
