"""Remembers the runs that could not read everything, until they are made again and can.

Each rests for a minute, and is then ordered among all due runs by how long it has been overdue: so
however many there are, none of them starves another run. All tries of a run count as one run, so
what its tries condemned is added up. Nothing is stored: a run that is not recorded as done is made
again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from responder.judge.run_scope import DueRun

AGAIN_AFTER = timedelta(seconds=60)
FORGOTTEN_AFTER = timedelta(hours=1)  # then its rule or schedule no longer exists


@dataclass(slots=True, kw_only=True)
class _Tried:
    trigger: str
    until: datetime
    condemned: dict[str, set[str]] = field(default_factory=dict)


class UnfinishedRuns:
    """The unfinished runs of one portal, by their names (`DueRun.names`)."""

    def __init__(self) -> None:
        self._tried: dict[str, _Tried] = {}

    def resting(self, now: datetime) -> set[str]:
        """Return the names of runs that still rest; a clock set back must not lengthen that."""
        self._tried = {
            name: tried
            for name, tried in self._tried.items()
            if now - tried.until < FORGOTTEN_AFTER
        }
        return {
            name for name, tried in self._tried.items() if now < tried.until <= now + AGAIN_AFTER
        }

    def order(self, due: DueRun, now: datetime) -> tuple[bool, datetime]:
        """Return the sort key of a due run: new requests first, then the longest overdue.

        A run that was tried is overdue since the end of its rest.
        """
        rested = [self._tried[name].until for name in due.names if name in self._tried]
        is_new = due.request is not None and due.request.result is None and not rested
        return not is_new, min(now, max([due.since or now, *rested]))

    def condemned(self, due: DueRun) -> dict[str, set[str]]:
        """Return by rule the workflows that the tries of a run condemned so far."""
        found: dict[str, set[str]] = {}
        for tried in (self._tried[name] for name in due.names if name in self._tried):
            for rule, workflows in tried.condemned.items():
                found.setdefault(rule, set()).update(workflows)
        return found

    def add(self, due: DueRun, condemned: Mapping[str, Collection[str]], now: datetime) -> None:
        """Add a run that is to be made again, and what it condemned this time."""
        for name in due.names:
            tried = self._tried.setdefault(name, _Tried(trigger=due.trigger, until=now))
            tried.until = now + AGAIN_AFTER
            for rule, workflows in condemned.items():
                tried.condemned.setdefault(rule, set()).update(workflows)

    def forget(self, due: DueRun) -> None:
        """Remove a run that is done."""
        for name in due.names:
            self._tried.pop(name, None)

    def has(self, trigger: str) -> bool:
        """Return whether a run of this trigger is unfinished."""
        return any(tried.trigger == trigger for tried in self._tried.values())
