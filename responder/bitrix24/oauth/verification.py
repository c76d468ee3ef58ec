"""Finds out whether an installation message is true, by asking those who know.

The OAuth server says whose a token is: of which application, on which portal. The portal of the
settings says whether its user is an administrator, who alone may list and stop workflows. Nobody
else is asked, whatever the message says (docs: api-reference/events/safe-event-handlers.md).

That proves the access token. The refresh token and the application token beside it are taken on
the word of whoever holds that: an administrator of the portal, who could as well delete the
application. Refreshing at once would prove the first of them, and is not done: a refresh token is
good for one use, and a lost answer would end the chain while the application is being installed;
and nobody can be asked about the second. Where they are wrong, *Reinstall* brings the true ones.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from responder.bitrix24.client import answers
from responder.bitrix24.client.addresses import ApplicationAddress
from responder.bitrix24.client.answers import Answer, Command, Failure, FailureKind, explain
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.oauth import oauth_hosts
from responder.bitrix24.oauth.installation_message import Message
from responder.bitrix24.oauth.token_endpoint import TokenEndpoint, TokenFailure

_OF_TOKEN = ("expired_token", "invalid_token", "NO_AUTH_FOUND")
_PRESS = "in the portal press Reinstall for a new message"
_NAMES_ANOTHER_PORTAL = "it names another portal than the settings"
_IS_OF_ANOTHER_MEMBER = "it is of another member_id than is known of this portal"
_ANOTHER_APPLICATION = "its token is of another application than CLIENT_ID"
_ANOTHER_MEMBER = "its token is of another member_id than is known of this portal"
_ANOTHER_PORTAL = "its token is of another portal than the settings"

BY_SETTINGS = (
    _NAMES_ANOTHER_PORTAL,
    _IS_OF_ANOTHER_MEMBER,
    _ANOTHER_APPLICATION,
    _ANOTHER_MEMBER,
    _ANOTHER_PORTAL,
)
"""The reasons that may be wrong settings of ours: with others the message may be true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a message must prove to be of: the client and the portal of the settings.

    `member_id` is the one of the settings, or pinned by an earlier installation.
    """

    client_id: str
    domain: str
    member_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was proved: the tokens are of this member, and of this user, an administrator."""

    member_id: str
    user_id: str
    oauth_host: str


@dataclass(frozen=True, slots=True)
class NotVerified:
    """Why a message is not believed, and whether it is worth another try."""

    why: str
    try_again: bool = False


def mismatch(message: Message, expected: Expected) -> NotVerified | None:
    """Return why a message is not for this portal by its own words; None where it may be."""
    if message.domain is not None and not _is_host(message.domain, expected.domain):
        return NotVerified(_NAMES_ANOTHER_PORTAL)
    if expected.member_id is not None and message.member_id not in (None, expected.member_id):
        return NotVerified(_IS_OF_ANOTHER_MEMBER)
    if oauth_hosts.chosen(message.endpoint, expected.domain) is None:
        return NotVerified("it names an OAuth server that is not one of Bitrix24's")
    return None


async def verify(
    message: Message,
    expected: Expected,
    endpoint: TokenEndpoint,
    count: Callable[[], Awaitable[None]],
) -> Verified | NotVerified:
    """Ask the OAuth server and the portal about a message; `count` is awaited before each call."""
    wrong = mismatch(message, expected)
    host = oauth_hosts.chosen(message.endpoint, expected.domain)
    if wrong is not None or host is None:
        return wrong or NotVerified("it names no OAuth server")
    await count()
    info = await _app_info(message, host, endpoint)
    if isinstance(info, NotVerified):
        return info
    wrong = _judge_info(info, message, expected)
    if wrong is not None:
        return wrong
    await count()
    user = await _administrator(message, expected.domain)
    if isinstance(user, NotVerified):
        return user
    if _id(info.get("user_id")) not in (None, user):
        return NotVerified("the OAuth server and the portal name different users")
    return Verified(member_id=_member_id(info) or "", user_id=user, oauth_host=host)


async def _app_info(
    message: Message, host: str, endpoint: TokenEndpoint
) -> Mapping[str, object] | NotVerified:
    came = await endpoint.post(host, "/rest/app.info", {"auth": message.access_token})
    if isinstance(came, TokenFailure):
        return NotVerified(f"the OAuth server {host}: {came.text}", try_again=True)

    def redact(text: str) -> str:
        return text.replace(message.access_token, "***")

    answer = answers.read(came.status, came.body, "app.info", redact)
    if answer.failure is not None:
        return _refused("the OAuth server", answer.failure)
    if not isinstance(answer.value, dict):
        return NotVerified("the OAuth server does not say whose the token is", try_again=True)
    return answer.value


def _judge_info(
    info: Mapping[str, object], message: Message, expected: Expected
) -> NotVerified | None:
    """Return what the OAuth server says otherwise than it must be; None where all is right."""
    if info.get("client_id") != expected.client_id:
        return NotVerified(_ANOTHER_APPLICATION)
    member_id = _member_id(info)
    if member_id is None or message.member_id not in (None, member_id):
        return NotVerified("its token is of another member_id")
    if expected.member_id not in (None, member_id):
        return NotVerified(_ANOTHER_MEMBER)
    if not _is_host(_domain(info), expected.domain):
        return NotVerified(_ANOTHER_PORTAL)
    return None


async def _administrator(message: Message, domain: str) -> str | NotVerified:
    """Return the id of the token's user, if the portal says that it is an administrator."""
    portal = Portal("", ApplicationAddress(domain, message.access_token))
    try:
        answer: Answer = await portal.call(Command("profile", {}))
    finally:
        await portal.close()
    if answer.failure is not None:
        return _refused("the portal", answer.failure)
    profile = answer.value if isinstance(answer.value, dict) else {}
    user = _id(profile.get("ID"))
    if user is None:
        return NotVerified("its user is not active")
    if profile.get("ADMIN") is not True:
        return NotVerified(f"user {user} is no administrator of the portal")
    return user


def _refused(who: str, failure: Failure) -> NotVerified:
    if failure.code in _OF_TOKEN:
        return NotVerified(f"{who} does not accept its token ({failure.code}): {_PRESS}")
    again = failure.kind in (FailureKind.BUSY, FailureKind.UNCERTAIN)
    return NotVerified(f"{who}: {explain(failure)}", try_again=again)


def _install(info: Mapping[str, object]) -> Mapping[str, object]:
    install = info.get("install")
    return install if isinstance(install, dict) else {}


def _member_id(info: Mapping[str, object]) -> str | None:
    member_id = _install(info).get("member_id")
    return member_id if isinstance(member_id, str) and member_id else None


def _domain(info: Mapping[str, object]) -> str:
    install = _install(info)
    domain = install.get("domain") or install.get("client_endpoint")
    return domain if isinstance(domain, str) else ""


def _is_host(given: str, domain: str) -> bool:
    return oauth_hosts.named(given.lower()) == oauth_hosts.named(domain)


def _id(value: object) -> str | None:
    text = str(value)
    is_id = not isinstance(value, bool) and isinstance(value, str | int)
    return text if is_id and text.isascii() and text.isdigit() and int(text) > 0 else None
