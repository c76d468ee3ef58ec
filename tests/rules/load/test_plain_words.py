"""Plain words for what YAML's own messages do not name."""

from responder.rules.load import plain_words


def test_a_key_that_is_twice_is_no_second_rule() -> None:
    assert plain_words.second_item(["id", "when", "id"]) is None
    assert plain_words.second_item(["id", "when", "id", "when"]) == 2
    assert plain_words.second_item(["a", "b", "a", "b"]) is None
