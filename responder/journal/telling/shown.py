"""Reads what was told in the portal of one decision, for people and programs."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, select
from sqlalchemy import Row as Record

from responder.journal.telling.tellings import State
from responder.store.canonical_json import instant_text
from responder.store.database.portal_tables import tellings
from responder.store.decision_ids import place_of

_WORDS = {
    State.PLANNED: "waits for the outcome",
    State.DUE: "is to be sent",
    State.SENDING: "was sent, and its answer not seen",
    State.TOLD: "told",
    State.FAILED: "not told",
    State.IN_DOUBT: "perhaps told",
    State.DROPPED: "not sent",
    State.NOBODY: "nobody to tell",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was told to one recipient of a decision, or why it was not.

    `at` is when it ended so, or when it is due. Whom and what is None once it was erased.
    """

    kind: str
    audience: str
    user: str | None
    message: str | None
    state: str
    at: datetime | None
    why: str | None

    @property
    def who(self) -> str:
        """Return who it is, in words: `timeline`, `starter, user 12`."""
        return self.audience if self.user is None else f"{self.audience}, user {self.user}"

    @property
    def words(self) -> str:
        """Return what became of it, in words."""
        said = _WORDS[State(self.state)]
        return said if self.why is None else f"{said}: {self.why}"

    def as_json(self) -> dict[str, object]:
        """Return it as one JSON object."""
        return {
            "kind": self.kind,
            "audience": self.audience,
            "user": self.user,
            "message": self.message,
            "state": self.state,
            "at": None if self.at is None else instant_text(self.at),
            "why": self.why,
        }


def told(conn: Connection, decision_id: str) -> tuple[Told, ...]:
    """Return what was told of a decision, warnings first; nothing where it told nobody."""
    place = place_of(decision_id)
    if place is None:
        return ()
    portal, seq, n = place
    is_its = and_(tellings.c.portal == portal, tellings.c.seq == seq, tellings.c.n == n)
    found = conn.execute(select(tellings).where(is_its)).all()
    return tuple(
        _told(row) for row in sorted(found, key=lambda row: (row.kind != "warn", row.place))
    )


def _told(row: "Record[tuple[object, ...]]") -> Told:
    return Told(
        kind=row.kind,
        audience=row.audience,
        user=row.user_id,
        message=row.message,
        state=row.state,
        at=row.ended_at or row.due_at,
        why=row.result,
    )
