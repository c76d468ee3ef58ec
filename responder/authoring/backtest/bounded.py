"""Tries one revision of the rules against another on the end of the log, within bounds.

A page must be there soon, and must not slow down receiving. So it is tried on the newest entries
alone, for a short time, and the result says how much that was. `responder backtest` has no bounds.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.authoring.backtest.backtest import Backtest
from responder.authoring.backtest.result import Result
from responder.journal.reading.history import Span
from responder.rules.ruleset import RulesError, Ruleset, load, was_in_force
from responder.store.database.database import Database

SINCE = timedelta(days=30)
ENTRIES = 1_500  # of each portal, the newest
SECONDS = 1.5
LONGEST = 100_000  # characters of a rules file: to load a longer one takes too long


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of a bounded backtest; with `is_whole`, nothing of those days was left out."""

    result: Result
    is_whole: bool


def loaded(text: str) -> Ruleset | None:
    """Return the rules of a revision; None where they are too long, or of another version."""
    if len(text) > LONGEST:
        return None
    try:
        return load(text.encode(), file="rules.yaml", is_known=was_in_force)
    except RulesError:
        return None


def tried(
    database: Database,
    old: Ruleset,
    new: Ruleset,
    now: datetime,
    *,
    entries: int = ENTRIES,
    seconds: float = SECONDS,
) -> Tried:
    """Return what the new rules would have decided otherwise than the old ones, lately."""
    trial = Backtest(database=database, new=new, since=now - SINCE, against=old)
    spans = trial.spans(None)
    newest = [_newest(span, entries) for span in spans]
    ends = time.monotonic() + seconds
    left_out = newest != spans

    def is_over() -> bool:
        nonlocal left_out
        time.sleep(0)  # another thread may acknowledge deliveries
        over = time.monotonic() > ends
        left_out |= over
        return over

    result = trial.run(newest, lambda _: None, is_over)
    return Tried(result, is_whole=not left_out)


def _newest(span: Span, entries: int) -> Span:
    return span._replace(first=max(span.first, span.last - entries + 1))
