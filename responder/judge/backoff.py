"""Keeps which documents rest before they are read again, and how often their reading failed.

A document rests for a second after it was judged, and longer after a reading that failed. Failed
readings are counted only while the portal itself answers. While it is away all documents wait, for
as long as that takes, since Bitrix24 never sends an event again; the portal is tried every two
seconds.

A document whose reading failed is read alone the next time, so that one which makes every answer
fail delays no other. A failed batch read says little of one document: the document is *doubted*, no
try is counted, and it is read again in a small batch of doubted ones.

None of this is stored: what waits is in the inbox.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from responder.bitrix24.client.answers import Failure, FailureKind
from responder.bitrix24.client.rate_limit import LIMIT_CODES, OPERATING_LIMIT
from responder.bitrix24.fetch.document_facts import Reading
from responder.judge.stop_lifecycle import BUSY_AGAIN, REFUSED_AGAIN, RETRY_AFTER, TRIES
from responder.model import Unknown

REST = timedelta(seconds=1)
AWAY_REST = timedelta(seconds=2)
AWAY_AGAIN = (timedelta(seconds=5), timedelta(seconds=15), timedelta(seconds=60))
LONGEST_REST = max(REST, REFUSED_AGAIN, BUSY_AGAIN, *AWAY_AGAIN, *RETRY_AFTER)

log = structlog.get_logger()


class Backoff:
    """The rests and failed tries of one portal's documents, by the documents' names."""

    def __init__(self, portal: str) -> None:
        self._portal = portal
        self._rests: dict[str, datetime] = {}
        self._tries: dict[str, int] = {}
        self._faults: dict[str, int] = {}
        self._refused: set[str] = set()
        self._doubted: set[str] = set()
        self._away = 0
        self.away_since: datetime | None = None
        self._away_until: datetime | None = None
        self._turn = -1

    def resting(self, now: datetime) -> set[str]:
        """Return the names of the documents that rest now."""
        # A clock that was set back must not make a document rest for as long as it was set back.
        latest = now + LONGEST_REST
        self._rests = {ref: at for ref, at in self._rests.items() if now < at <= latest}
        self._refused &= self._rests.keys()
        return set(self._rests)

    def seconds_until_first(self, now: datetime, at_most: float) -> float:
        """Return in how many seconds the first document's rest ends, `at_most` at most."""
        left = [(at - now).total_seconds() for at in self._rests.values()]
        return max(0.001, min([at_most, *(seconds for seconds in left if seconds > 0)]))

    def rest(self, ref: str, now: datetime, wait: timedelta = REST) -> None:
        """Start a document's rest."""
        self._rests[ref] = now + wait

    def end_refusals(self) -> None:
        """End the rest of documents that wait because the whole portal was not to be called."""
        for ref in self._refused:
            self._rests.pop(ref, None)
        self._refused.clear()

    def judged(self, ref: str, now: datetime) -> None:
        """Clear a document's failures once it was judged, and start its rest."""
        self._tries.pop(ref, None)
        self._faults.pop(ref, None)
        self._doubted.discard(ref)
        self.rest(ref, now)

    def next_batch(self, refs: Sequence[str], *, most: int, few: int) -> list[str]:
        """Return the next batch in rotation: sound documents, doubted ones, or one suspected.

        A batch has at most `most` sound or `few` doubted documents. Rotation keeps steady traffic
        of sound documents from starving the others.
        """
        calm = [ref for ref in refs if ref not in self._tries]
        sound = [ref for ref in calm if ref not in self._doubted][:most]
        doubted = [ref for ref in calm if ref in self._doubted][:few]
        suspected = [ref for ref in refs if ref in self._tries][:1]
        kinds = [some for some in (sound, doubted, suspected) if some]
        if not kinds:
            return []
        self._turn += 1
        return kinds[self._turn % len(kinds)]

    def suspect(self, ref: str, now: datetime, wait: timedelta, *, among_many: bool) -> None:
        """Mark a document that may be what makes a round fail: it is read alone from now on.

        `among_many`: it failed with many others, so it is read in a small batch instead.
        """
        if among_many:
            self._doubted.add(ref)
        else:
            self._tries.setdefault(ref, 0)
        self.rest(ref, now, wait)

    def count_fault(self, ref: str, now: datetime) -> int:
        """Count an exception of ours in judging this document alone, and return the count.

        The document rests longer each time. After the last try it is treated as judged.
        """
        times = self._faults.get(ref, 0) + 1
        if times >= TRIES:
            self.judged(ref, now)
        else:
            self._faults[ref] = times
            self.suspect(ref, now, RETRY_AFTER[times - 1], among_many=False)
        return times

    def mark_answering(self) -> None:
        """Record that the portal answers."""
        self._away = 0
        if self.away_since is not None:
            self.away_since = None
            log.warning("the portal answers again", portal=self._portal)

    def mark_away(self, now: datetime) -> None:
        """Record that the portal answers nothing, and start its rest."""
        self._away += 1
        if self.away_since is None:
            self.away_since = now
            log.warning("the portal cannot be reached", portal=self._portal)
        self._away_until = now + AWAY_REST

    def is_left_alone(self, now: datetime) -> bool:
        """Return whether the portal is away and was tried less than two seconds ago."""
        until = self._away_until
        return until is not None and self.is_away and now < until <= now + AWAY_REST

    @property
    def is_away(self) -> bool:
        """Return whether the portal did not answer even `profile`, which everybody may call."""
        return self._away > 0

    def deferred(self, readings: Mapping[str, Reading], now: datetime, *, few: int) -> set[str]:
        """Start the rest of the documents that could not be read, and return their names.

        Of more than `few` that were read in one batch, none is counted as a failed try.
        """
        among_many = len(readings) > few
        found = {
            ref
            for ref, reading in readings.items()
            if self._defer(ref, reading, now, among_many=among_many)
        }
        if found and among_many:
            log.warning(
                "the portal could not be read; documents wait",
                portal=self._portal,
                documents=len(found),
            )
        return found

    def _defer(self, ref: str, reading: Reading, now: datetime, *, among_many: bool) -> bool:
        """Start a document's rest if its reading failed; return whether it waits."""
        failure = reading.failure
        wait = None
        if failure is not None:
            wait = self._wait(ref, reading, failure, among_many=among_many)
        if failure is None or wait is None:
            return False
        self.rest(ref, now, wait)
        if failure.kind is FailureKind.PORTAL:
            self._refused.add(ref)
        # Of thousands that failed in one batch, the one line of `deferred` is enough.
        write = log.debug if among_many else log.warning
        write(
            "the portal could not be read; the document waits",
            portal=self._portal,
            document=ref,
            code=failure.code,
            why=failure.text,
            again_in_seconds=wait.total_seconds(),
        )
        return True

    def _wait(
        self, ref: str, reading: Reading, failure: Failure, *, among_many: bool
    ) -> timedelta | None:
        """Return how long a document waits after a failure; None where it is judged as it is."""
        if failure.kind is FailureKind.PORTAL:
            return REFUSED_AGAIN
        if failure.kind is FailureKind.METHOD:
            return REFUSED_AGAIN if isinstance(reading.workflows, Unknown) else None
        if failure.code == OPERATING_LIMIT:
            return REFUSED_AGAIN
        if failure.code in LIMIT_CODES:
            return BUSY_AGAIN
        if self.is_away:
            return AWAY_AGAIN[min(self._away, len(AWAY_AGAIN)) - 1]
        if among_many:
            self._doubted.add(ref)
            return RETRY_AFTER[0]
        tried = self._tries.get(ref, 0)
        if tried + 1 >= TRIES:
            return None
        self._tries[ref] = tried + 1
        return RETRY_AFTER[tried]
