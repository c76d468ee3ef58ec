"""Judges, for `doctor`, the deliveries that were refused within a day, as for a wrong token."""

from collections.abc import Sequence

from responder.service.doctor.checks import Finding, fine, warning
from responder.store.inbox.refusals import Refused

_ADVICE = {
    "a wrong application token": (
        "Compare RESPONDER_PORTALS__{name}__APPLICATION_TOKENS with the token that the portal's "
        "outbound webhook shows; if it is there, somebody else is trying."
    ),
    "no application token": (
        "Robots and activities without a token need the address with the url_key; "
        "see RESPONDER_PORTALS__{name}__URL_KEY."
    ),
    "a wrong url_key": (
        "Compare RESPONDER_PORTALS__{name}__URL_KEY with the address that the portal's designer "
        "calls."
    ),
    "an installation message that was not believed": (
        "If it was yours, `responder app` says why it was not believed; else somebody is trying."
    ),
    "an authorization that was not asked for": (
        "Open the link that `responder app` prints within ten minutes."
    ),
    "another member_id": "See RESPONDER_PORTALS__{name}__MEMBER_ID: the portal sends another one.",
}
_ELSE = "See what sends it: no webhook of Bitrix24's does."


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
    advice = _ADVICE.get(one.why, _ELSE)
    return warning("refused", message, advice.format(name=portal.upper() if portal else "<NAME>"))
