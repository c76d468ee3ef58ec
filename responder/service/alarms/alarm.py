"""Defines an alarm: one thing that needs a person, is wrong, or was wrong lately."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from responder.store.canonical_json import instant_text

APPROVALS = "/approvals"


class Severity(StrEnum):
    """How much an alarm matters, the most first.

    What *needs you* ends only once somebody does something. What *is wrong* is tried again without
    that. What *was wrong* is over, and stands for a day so that it is known.
    """

    NEEDS_YOU = "needs_you"
    IS_WRONG = "is_wrong"
    WAS_WRONG = "was_wrong"


class Kind(StrEnum):
    """The kinds of alarms, in the order in which they are shown."""

    DATABASE_AWAY = "database_away"
    PAUSED = "paused"
    PORTAL_UNREACHABLE = "portal_unreachable"
    APPLICATION = "application"
    RULE_TRIPPED = "rule_tripped"
    APPROVAL = "approval"
    DELIVERIES_REFUSED = "deliveries_refused"
    WEBHOOK_SILENT = "webhook_silent"
    RULES_BROKEN = "rules_broken"
    DISK_LOW = "disk_low"
    METHOD_WITHHELD = "method_withheld"
    PORTAL_OBSERVED = "portal_observed"
    EVENTS_UNREGISTERED = "events_unregistered"
    RUN_INCOMPLETE = "run_incomplete"
    STOPS_FAILED = "stops_failed"
    APPROVAL_LAPSED = "approval_lapsed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm in one sentence, with what to do about it and the page that says more.

    `about` is what of the portal it concerns, where there may be several: a rule, a method, a
    reason. `number` counts what it is about. `until` is when it will be too late, or was over.
    """

    kind: Kind
    severity: Severity
    sentence: str
    todo: str
    link: str
    portal: str | None = None
    about: str = ""
    number: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def to_json(self) -> dict[str, object]:
        """Return the alarm as machines read it."""
        return {
            "kind": self.kind.value,
            "severity": self.severity.value,
            "portal": self.portal,
            "about": self.about or None,
            "sentence": self.sentence,
            "number": self.number,
            "since": None if self.since is None else instant_text(self.since),
            "until": None if self.until is None else instant_text(self.until),
            "todo": self.todo,
            "link": self.link,
        }


def portal_link(portal: str) -> str:
    """Return where a portal's state stands on the pages."""
    return f"/status#portal-{portal}"
