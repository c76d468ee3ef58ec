"""The name of a rules file."""

from hashlib import sha256

import pytest

from responder.rules.revision import revision_of, same, shown

WHOLE = sha256(b"version: 1").hexdigest()


def test_a_file_is_named_by_its_whole_digest_and_people_see_its_beginning() -> None:
    assert revision_of(b"version: 1") == WHOLE
    assert shown(WHOLE) == WHOLE[:16]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (WHOLE, WHOLE, True),
        (WHOLE[:16], WHOLE[:16], True),
        (WHOLE[:16], WHOLE, True),
        (WHOLE, WHOLE[:16], True),
        (WHOLE, WHOLE[:16] + 48 * "0", False),  # two files of today that begin alike are two
        (WHOLE[:15], WHOLE, False),
        (WHOLE[:17], WHOLE, False),
        ("", WHOLE, False),
        ("0" * 16, WHOLE, False),
    ],
)
def test_a_name_of_an_older_version_is_the_beginning_of_one(
    one: str, other: str, *, alike: bool
) -> None:
    assert same(one, other) is alike
