"""Parses the messages by which a portal hands over an application's first tokens.

There are two forms (docs: settings/app-installation). An application that "uses only API" gets the
event ONAPPINSTALL from the portal's servers. One with an interface gets a form from the browser of
whoever opens it. Anybody can send either, so nothing in them is believed here: a message is only
well formed or not. The host to call is never taken from it, and the OAuth server it names is only
looked up in a list (`oauth_hosts`).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

INSTALLED, UNINSTALLED = "ONAPPINSTALL", "ONAPPUNINSTALL"
LIFETIME_SECONDS = 3600  # of an access token, where the message does not say
_LONGEST = 512

Form = Literal["api", "interface", "code"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An installation message, or what came of a code: not verified. `endpoint` is OAuth's.

    A `code` that is not exchanged yet has no tokens.
    """

    form: Form
    domain: str | None = None
    member_id: str | None = None
    endpoint: str | None = None
    expires_in: int = LIFETIME_SECONDS
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    application_token: str = field(default="", repr=False)
    code: str = field(default="", repr=False)


def parse(tree: Mapping[str, object], query: Mapping[str, str]) -> Message | None:
    """Return the message in a form that is nested as PHP nests it; None where it is none."""
    if _text(tree, "event").upper() == INSTALLED:
        auth = tree.get("auth")
        message = _of_api(auth) if isinstance(auth, dict) else None
    else:
        message = _of_interface(tree, query)
    if message is None or not (message.access_token and message.refresh_token):
        return None
    return message if message.member_id else None


def _of_api(auth: Mapping[str, object]) -> Message:
    return Message(
        form="api",
        domain=_text(auth, "domain") or None,
        member_id=_text(auth, "member_id") or None,
        endpoint=_text(auth, "server_endpoint") or None,
        expires_in=_seconds(_text(auth, "expires_in")),
        access_token=_text(auth, "access_token"),
        refresh_token=_text(auth, "refresh_token"),
        application_token=_text(auth, "application_token"),
    )


def _of_interface(tree: Mapping[str, object], query: Mapping[str, str]) -> Message:
    return Message(
        form="interface",
        domain=_text(query, "DOMAIN") or _text(tree, "DOMAIN") or None,
        member_id=_text(tree, "member_id") or None,
        endpoint=_text(tree, "SERVER_ENDPOINT") or None,
        expires_in=_seconds(_text(tree, "AUTH_EXPIRES")),
        access_token=_text(tree, "AUTH_ID"),
        refresh_token=_text(tree, "REFRESH_ID"),
        application_token=_text(tree, "APPLICATION_TOKEN"),
    )


def of_code(query: Mapping[str, str]) -> Message | None:
    """Return the code that a browser brought back from the portal; None where there is none."""
    code = _text(query, "code")
    if not code:
        return None
    return Message(
        form="code",
        code=code,
        domain=_text(query, "domain") or None,
        member_id=_text(query, "member_id") or None,
        endpoint=_text(query, "server_domain") or None,
    )


def to_text(message: Message) -> str:
    """Return a message as text, which is to be encrypted."""
    return json.dumps(asdict(message))


def of_text(text: str) -> Message:
    """Return the message that `to_text` wrote."""
    return Message(**json.loads(text))


def _text(tree: Mapping[str, object], name: str) -> str:
    """Return a value that is a printable text of a length that such values have; else ""."""
    value = tree.get(name)
    if not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable():
        return ""
    return value.strip()


def _seconds(text: str) -> int:
    known = text.isascii() and text.isdigit() and len(text) <= len("86400")
    return min(int(text), 86_400) if known else LIFETIME_SECONDS
