"""The keys that a broken line is understood by are those that the readers of maps know."""

from responder.authoring.cases.cases import CASE_KEYS
from responder.rules.load import limit_parser, when_parser
from responder.rules.load.calendar_parser import CALENDAR_KEYS
from responder.rules.load.clause_parser import GROUPS
from responder.rules.load.loader import DEFAULT_KEYS, FILE_KEYS
from responder.rules.load.rule_parser import RULE_KEYS
from responder.rules.load.syntax import key_words


def test_every_map_has_the_keys_of_its_reader() -> None:
    readers = {
        "file": FILE_KEYS,
        "defaults": DEFAULT_KEYS,
        "rule": RULE_KEYS,
        "calendar": CALENDAR_KEYS,
        "limit": limit_parser.NAMES,
        "schedule": (*when_parser.SCHEDULE_KEYS, "timezone"),
        "test": tuple(CASE_KEYS),
    }
    assert {name: set(keys) for name, keys in readers.items()} == key_words.KEYS
    assert set(GROUPS) == key_words.GROUPS
