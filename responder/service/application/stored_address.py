"""Says at which address a portal is called, for a service that starts and for commands.

Commands call by the access token that is stored, if it has not ended. They never refresh it: only
the portal's driver may.
"""

from datetime import datetime

from responder.adapters.encryption import Seal
from responder.bitrix24.client.addresses import Address, ApplicationAddress, WebhookAddress
from responder.settings.settings import PortalSettings, Settings
from responder.settings.webhook_signature import fingerprint
from responder.store.applications import installations
from responder.store.applications.standing import Way, advice, standing
from responder.store.database.database import Connection


class NoAddress(Exception):  # noqa: N818 -- it says a state, not a mistake
    """A state: there is no way to call a portal at this moment. The text says why."""


def of_settings(given: PortalSettings) -> Address:
    """Return the address before it is known whether an application is installed."""
    if given.url is not None:
        return WebhookAddress(given.url.get_secret_value())
    return ApplicationAddress(given.domain or "", "")


def webhook_fingerprint(given: PortalSettings) -> str:
    """Return a fingerprint of a portal's address, by which breakers of another one are known."""
    url = given.url.get_secret_value() if given.url else ""
    return fingerprint(url, *(token.get_secret_value() for token in given.application_tokens))


def stored(conn: Connection, settings: Settings, name: str, now: datetime) -> Address:
    """Return the address at which a portal can be called now; raise NoAddress."""
    given = settings.portals[name]
    key = settings.secret_key
    found = installations.installed(conn, name) if given.domain is not None else None
    at_present = standing(given, found, Seal(key.get_secret_value()) if key else None)
    if at_present.way is Way.WEBHOOK:
        return of_settings(given)
    if found is None or at_present.tokens is None:
        why = at_present.why
        raise NoAddress(f"its application cannot be called by ({why}): {advice(why)}")
    if now >= found.expires_at:
        raise NoAddress("its access token has ended; the service renews it when it calls next")
    return ApplicationAddress(found.domain, at_present.tokens.access)
