"""Says how a portal is called now: by its application, by its webhook, or not at all, and why.

The settings say what is wanted, the stored installation what was proved. An application is used
where it is installed for the portal of the settings, with the client id of the settings, and its
tokens can be opened. Else the webhook is used, where the settings have one. Nothing is deleted by
that: a portal may move to and fro.
"""

import json
from dataclasses import dataclass, field
from enum import StrEnum

from responder.adapters.encryption import Seal, WrongKeyError
from responder.settings.settings import PortalSettings
from responder.store.applications.installations import Installation, State

NOT_INSTALLED = "not_installed"
NOT_CONFIGURED = "not_configured"
OTHER_CLIENT = "other_client"
UNINSTALLED = "uninstalled"
KEY_CHANGED = "key_changed"
LOST_ANSWER = "lost_answer"
NOT_REFRESHED = "not_refreshed"

_REINSTALL = "in the portal, open Developer resources > Integrations, and press Reinstall there"
_SETTINGS = "compare CLIENT_ID and CLIENT_SECRET with the application's form in the portal"

ADVICE = {
    NOT_INSTALLED: "`responder app` says what to fill in and to press",
    NOT_CONFIGURED: "set CLIENT_ID and CLIENT_SECRET as the application's form shows them",
    OTHER_CLIENT: f"CLIENT_ID names another application than was installed: {_REINSTALL}",
    UNINSTALLED: "it was deleted in the portal: add it again (`responder app`)",
    KEY_CHANGED: f"RESPONDER_SECRET_KEY is another: set the old one again, or {_REINSTALL}",
    LOST_ANSWER: f"the answer to a refresh was lost, and the old token is used up: {_REINSTALL}",
    NOT_REFRESHED: "the OAuth server gives no new token now; it is tried again by itself",
    "invalid_grant": f"the tokens are used up or too old: {_REINSTALL}",
    "wrong_client": f"the OAuth server does not know this client: {_SETTINGS}",
    "invalid_client": f"the client is not accepted: {_SETTINGS}",
    "PAYMENT_REQUIRED": "the portal's plan or subscription is over: an administrator renews it",
    "NOT_INSTALLED": f"the portal says that it is not installed: {_REINSTALL}",
}
"""What to do about each reason why an application is not used, to be read after the reason."""


def advice(code: str | None) -> str:
    """Return what to do about a reason."""
    return ADVICE.get(code or "", f"if it lasts: {_REINSTALL}")


class Way(StrEnum):
    """How a portal is called."""

    APPLICATION = "application"
    WEBHOOK = "webhook"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Tokens:
    """A pair of tokens, opened."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a portal is called; `why` is the code of the reason where it is not by its application.

    `tokens` are there only if it is.
    """

    way: Way
    why: str | None = None
    tokens: Tokens | None = None


def standing(given: PortalSettings, found: Installation | None, seal: Seal | None) -> Standing:
    """Return how a portal with these settings is called."""
    if given.domain is None or seal is None:
        return Standing(way=Way.WEBHOOK)
    why = _why_not(given, found, seal)
    if why is None and found is not None:
        try:
            return Standing(way=Way.APPLICATION, tokens=opened(seal, found))
        except WrongKeyError:
            why = KEY_CHANGED
    return Standing(way=Way.WEBHOOK if given.url else Way.NONE, why=why)


def _why_not(given: PortalSettings, found: Installation | None, seal: Seal) -> str | None:
    """Return why an application is not used, before its tokens are opened."""
    if found is None or found.domain != given.domain:
        return NOT_INSTALLED
    if found.state is State.UNINSTALLED:
        # the one that was added in its place has other keys
        return UNINSTALLED if given.client_id in (None, found.client_id) else NOT_INSTALLED
    if not given.application_is_configured:
        return NOT_CONFIGURED
    if found.client_id != given.client_id:
        return OTHER_CLIENT
    if found.state is State.REFUSED:
        return found.reason
    return KEY_CHANGED if found.key_mark != seal.mark else None


def sealed(seal: Seal, portal: str, tokens: Tokens) -> str:
    """Return tokens as they are stored: encrypted, and for this portal alone."""
    text = json.dumps({"access": tokens.access, "refresh": tokens.refresh})
    return seal.seal(text, _place(portal))


def opened(seal: Seal, found: Installation) -> Tokens:
    """Return the stored tokens of an application; raise WrongKeyError."""
    content = json.loads(seal.open(found.tokens, _place(found.portal)))
    return Tokens(access=content["access"], refresh=content["refresh"])


def _place(portal: str) -> str:
    return f"{portal}: tokens"
