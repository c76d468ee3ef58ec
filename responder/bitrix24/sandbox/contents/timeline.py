"""Holds what people read: comments and log entries of timelines, and notifications."""

import itertools
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment on an item, which people see and may answer."""

    id: int
    entity_type_id: int
    entity_type: str
    entity_id: int
    author_id: str
    text: str
    created: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMessage:
    """An entry in the log of an item: no comment, nobody is told of it."""

    id: int
    entity_type_id: int
    entity_id: int
    author_id: str
    title: str
    text: str
    icon: str
    created: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A notification that a person has; one of the system has no author."""

    id: int
    user_id: str
    author_id: str
    text: str
    tag: str
    at: float


class Timeline:
    """The comments and log entries of all items."""

    def __init__(self) -> None:
        self.comments: list[Comment] = []
        self.log: list[LogMessage] = []
        self.read_only: set[tuple[int, int]] = set()  # (entityTypeId, id) that we may not edit
        self._ids = itertools.count(101)

    def next_id(self) -> int:
        """Return the number of the next entry."""
        return next(self._ids)


class Notifications:
    """The notifications that people have, and `alerts` of all that they ever heard.

    Who is `muted` gets none, and the caller is told a number all the same.
    """

    def __init__(self) -> None:
        self.all: list[Notification] = []
        self.alerts: list[Notification] = []
        self.muted: set[str] = set()
        self._ids = itertools.count(501)

    def add(self, *, user_id: str, author_id: str, text: str, tag: str, at: float) -> int:
        """Notify a person; one of the same tag is replaced, and alerts again."""
        if user_id in self.muted:
            return int(at)
        new = Notification(
            id=next(self._ids), user_id=user_id, author_id=author_id, text=text, tag=tag, at=at
        )
        if tag:
            self.all = [one for one in self.all if (one.user_id, one.tag) != (user_id, tag)]
        self.all.append(new)
        self.alerts.append(new)
        return new.id
