"""Judges, for `doctor`, the deliveries that were refused within a day, as for a wrong token."""

from collections.abc import Sequence

from responder.service.alarms.refusal_advice import refusal_advice
from responder.service.doctor.checks import Finding, fine, warning
from responder.store.inbox.refusals import Refused


def refused(found: Sequence[Refused], portal: str) -> list[Finding]:
    """Return a warning for each reason for which deliveries that named this portal were refused."""
    return [_finding(one, portal) for one in found] or [
        fine("refused", "nothing that named its address was refused within a day")
    ]


def of_nobody(found: Sequence[Refused]) -> list[Finding]:
    """Return a warning for each reason for which deliveries that named no portal were refused."""
    return [_finding(one, None) for one in found]


def _finding(one: Refused, portal: str | None) -> Finding:
    deliveries = "1 delivery" if one.count == 1 else f"{one.count:,} deliveries"
    whose = "its address" if portal else "no portal of ours"
    message = (
        f"{deliveries} within a day named {whose} and got no 200: {one.why} "
        f"(the last at {one.last_at:%Y-%m-%d %H:%M} UTC)"
    )
    return warning("refused", message, refusal_advice(one.why, portal))
