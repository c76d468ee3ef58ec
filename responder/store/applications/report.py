"""Reports how a portal's local application stands, for `/readyz`, `status`, `doctor` and `app`."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection

from responder.adapters.encryption import Seal
from responder.settings.settings import PortalSettings, Settings
from responder.store.applications import installations
from responder.store.applications.installations import Installation
from responder.store.applications.standing import NOT_INSTALLED, Way, advice, standing
from responder.store.canonical_json import instant_text

OVERDUE = timedelta(days=14)  # a refresh token ends after thirty days


def is_overdue(found: Installation, now: datetime) -> bool:
    """Return whether tokens were not refreshed for so long that it must be looked after."""
    return now - found.refreshed_at > OVERDUE


def report(
    given: PortalSettings, found: Installation | None, seal: Seal | None, now: datetime
) -> dict[str, object]:
    """Return the state of an application in words and times, without anything secret.

    `hears_events` is False where no message has brought the application token yet, by which events
    that the portal sends are known.
    """
    at_present = standing(given, found, seal)
    is_ours = found is not None and found.domain == given.domain
    known = found if is_ours else None
    return {
        "state": known.state.value if known else NOT_INSTALLED,
        "called_by": at_present.way.value,
        "why": at_present.why,
        "advice": None if at_present.way is Way.APPLICATION else advice(at_present.why),
        "user": known.user_id if known else None,
        "hears_events": known is not None and bool(known.application_token_sha256),
        "installed_at": instant_text(known.installed_at) if known else None,
        "refreshed_at": instant_text(known.refreshed_at) if known else None,
        "refresh_overdue": known is not None and is_overdue(known, now),
    }


def registered(conn: Connection, portal: str) -> dict[str, object]:
    """Return what is registered in a portal of the events that the rules name, and what is not.

    `missing` has each event that could not be registered, with the reason; `unneeded` has those
    that no rule names any more, and that could not be removed. `others` is the number of events
    that do not go to our address: perhaps to a former one. `events_error` says why nothing could be
    compared.
    """
    return _registered(installations.registration(conn, portal) or {})


def _registered(seen: Mapping[str, object]) -> dict[str, object]:
    return {
        "events": seen.get("bound"),
        "events_at": seen.get("at"),
        "events_error": seen.get("error"),
        "missing": seen.get("missing", []),
        "unneeded": seen.get("unneeded", []),
        "others": seen.get("others", 0),
    }


def of_nothing(given: PortalSettings, seal: Seal | None, now: datetime) -> dict[str, object]:
    """Return the report of an application before the first start, when nothing is stored."""
    return report(given, None, seal, now) | _registered({})


def every(conn: Connection, settings: Settings, now: datetime) -> dict[str, dict[str, object]]:
    """Return the reports of all portals whose settings name an application."""
    stored = {one.portal: one for one in installations.every(conn)}
    seal = sealing(settings)
    return {
        name: report(given, stored.get(name), seal, now) | registered(conn, name)
        for name, given in settings.portals.items()
        if given.domain is not None
    }


def sealing(settings: Settings) -> Seal | None:
    """Return what opens the stored tokens; None where the settings have no key."""
    return Seal(settings.secret_key.get_secret_value()) if settings.secret_key else None
