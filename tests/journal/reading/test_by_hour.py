"""Decisions are counted by hour, rule and outcome, from one index."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from responder.journal import record as journal
from responder.journal.reading.by_hour import Tally, tallies
from responder.model import Outcome
from responder.store.database.database import Database
from tests.support.evaluations import AT, NONE, evaluation, kill

HOUR = timedelta(hours=1)
NOON = AT.replace(minute=0, second=0, microsecond=0)


def test_what_was_condemned_is_counted_by_hour_and_the_rest_is_not(database: Database) -> None:
    for hours, decisions in (
        (0, (kill("1", Outcome.WOULD_KILL), kill("2", Outcome.WOULD_KILL), NONE)),
        (0.5, (kill("3", Outcome.WOULD_KILL, "won-deal"),)),
        (1, (kill("4", Outcome.WOULD_KILL),)),
        (30, (kill("5", Outcome.WOULD_KILL),)),
    ):
        made = replace(evaluation(*decisions), at=AT + hours * HOUR)
        database.write(partial(journal.record, evaluation=made))
    found = database.read(lambda conn: tallies(conn, NOON, NOON + 24 * HOUR))
    assert sorted(found) == [
        Tally(NOON, "lost-deal", "would_kill", 2),
        Tally(NOON, "won-deal", "would_kill", 1),
        Tally(NOON + HOUR, "lost-deal", "would_kill", 1),
    ]
