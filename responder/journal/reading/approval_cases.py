"""Reads what a person must see before approving: why each decision was made, and on which facts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from responder.journal import approvals
from responder.journal.approvals import PendingApproval
from responder.journal.naming import names, names_in_words
from responder.journal.reading import decisions as log
from responder.store.canonical_json import instant_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalCase:
    """A decision that waits for approval, with its reasons.

    `tests` are those of its rule, each with the value that was seen: facts of a decision that waits
    cannot be erased. `about` says by names what it is about, and `names` has those.
    """

    asked: PendingApproval
    because: str | None
    template_id: object
    about: str
    names: Mapping[str, Any]
    tests: tuple[Mapping[str, Any], ...]

    def to_json(self) -> dict[str, object]:
        """Return what is asked as machines read it, without the tests."""
        given = asdict(self.asked)
        shown = {"id": given.pop("decision_id"), **given}
        shown |= {name: instant_text(given[name]) for name in ("condemned_at", "lapses_at")}
        shown |= {"because": self.because, "template_id": self.template_id}
        return shown | {"names": self.names}


def waiting(
    conn: Connection, portals: Collection[str], *, most: int, rule: str | None = None
) -> list[ApprovalCase]:
    """Return what waits for approval, the oldest first; with `rule`, what that rule condemned."""
    return cases(conn, approvals.pending(conn, portals, rule=rule, most=most))


def first_to_lapse(conn: Connection, portals: Collection[str], most: int) -> list[ApprovalCase]:
    """Return a few of what waits for approval, the first to lapse first."""
    return cases(conn, approvals.first_to_lapse(conn, portals, most))


def cases(conn: Connection, asked: Sequence[PendingApproval]) -> list[ApprovalCase]:
    """Return the reasons of these decisions; one that was pruned meanwhile is left out."""
    found = [(one, log.one(conn, one.decision_id)) for one in asked]
    return [_case(one, decision) for one, decision in found if decision is not None]


def _case(asked: PendingApproval, decision: Mapping[str, Any]) -> ApprovalCase:
    given = decision["names"] or {}
    return ApprovalCase(
        asked=asked,
        because=decision["because"],
        template_id=decision["workflow"]["template_id"],
        about=names_in_words.sentence(names.from_json(given), decision["document"]),
        names=given,
        tests=tuple(one for one in decision["conditions"] if one["rule"] == asked.rule),
    )
