"""Asks an OAuth server for tokens: for those of a code, or for the next pair of a chain.

Both are form POSTs, so that no secret stands in an address (bitrix24/b24jssdk does so too). A
refresh token is good once: with it the old pair ends, and the answer has the new one. So a failure
says whether the old one may have been used up (*lost*), certainly was not (*not sent*, *later*,
*unusable*), or is of no use any more (*refused*). Codes come in any case and under any status
(docs: settings/oauth/error-codes.md); an answer without a pair of tokens is a failure whatever its
status.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlencode

from responder.adapters.transport import (
    BrokenError,
    NotSentError,
    Response,
    TimedOutError,
    Transport,
)
from responder.bitrix24.client.answers import CODE_LENGTH, TEXT_LENGTH, clipped, decoded
from responder.bitrix24.oauth import oauth_hosts
from responder.bitrix24.oauth.installation_message import LIFETIME_SECONDS

# Together less than a process has to end: an answer that comes while it stops is still stored.
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 10.0
MOST_BYTES = 64 * 1024
FORM = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/x-www-form-urlencoded",
    "User-Agent": "responder",
}
_SHORTEST_LIFETIME, _LONGEST_LIFETIME = 60, 86_400


class FailureKind(StrEnum):
    """What a failure says of the token or code that was sent."""

    REFUSED = "refused"  # it is of no use any more
    UNUSABLE = "unusable"  # it may be good: the client, the plan or the installation is not
    LATER = "later"  # nothing was done
    NOT_SENT = "not sent"
    LOST = "lost"  # nobody knows


@dataclass(frozen=True, slots=True)
class TokenFailure:
    """The reason why there are no tokens.

    `code` is the server's own in its known spelling, or a word of ours: `no_connection`, `timeout`,
    `dropped`, `not_json`, `http_500`.
    """

    kind: FailureKind
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A new pair of tokens."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    member_id: str | None


@dataclass(frozen=True, slots=True)
class ApplicationKeys:
    """The id and the secret of a local application, as its form in the portal shows them."""

    id: str
    secret: str = field(repr=False)


class Row(NamedTuple):
    """One line of the table of failures; an empty code or status matches everything."""

    code: str
    status: str
    kind: FailureKind
    source: str


_ERRORS = "settings/oauth/error-codes.md"
_PHP = "b24phpsdk, src/Core/ApiLevelErrorHandler.php"
_PY = "b24pysdk, api/requesters/_utils/parse_response.py"
_HTTP = "RFC 9110"

TABLE: tuple[Row, ...] = (
    Row("invalid_grant", "", FailureKind.REFUSED, _ERRORS),
    Row("bad_verification_code", "", FailureKind.REFUSED, _PHP),
    Row("expired_token", "", FailureKind.REFUSED, _PHP),
    Row("wrong_client", "", FailureKind.UNUSABLE, _PY),  # with 200
    Row("invalid_client", "", FailureKind.UNUSABLE, _ERRORS),
    Row("invalid_request", "", FailureKind.UNUSABLE, _ERRORS),
    Row("invalid_scope", "", FailureKind.UNUSABLE, _ERRORS),
    Row("insufficient_scope", "", FailureKind.UNUSABLE, _ERRORS),
    Row("PAYMENT_REQUIRED", "", FailureKind.UNUSABLE, _PY),
    Row("NOT_INSTALLED", "", FailureKind.UNUSABLE, _PY),
    Row("", "429", FailureKind.LATER, _HTTP),
    Row("", "5xx", FailureKind.LOST, _HTTP),
    Row("", "4xx", FailureKind.UNUSABLE, _HTTP),
    Row("", "", FailureKind.LOST, _HTTP),
)


class TokenEndpoint:
    """The token endpoints of the allowed OAuth servers, called for one portal after the other."""

    def __init__(
        self, *, connect_seconds: float = CONNECT_SECONDS, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._transport = Transport(
            connect_seconds=connect_seconds, answer_seconds=answer_seconds, most_bytes=MOST_BYTES
        )

    async def refresh(self, host: str, keys: ApplicationKeys, token: str) -> Granted | TokenFailure:
        """Send a refresh token, which is used up by that."""
        return await self._ask(host, keys, "refresh_token", {"refresh_token": token})

    async def exchange(self, host: str, keys: ApplicationKeys, code: str) -> Granted | TokenFailure:
        """Send the code of an authorization, which is used up by that."""
        return await self._ask(host, keys, "authorization_code", {"code": code})

    async def post(
        self, host: str, path: str, fields: Mapping[str, str]
    ) -> Response | TokenFailure:
        """Post a form to an OAuth server, and return its answer or why there is none."""
        try:
            url = f"{oauth_hosts.root(host)}{path}"
            came = await self._transport.post(url, FORM, urlencode(fields).encode())
        except NotSentError as error:
            return TokenFailure(FailureKind.NOT_SENT, "no_connection", _line(str(error)))
        except TimedOutError:
            return TokenFailure(FailureKind.LOST, "timeout", "it did not answer in time")
        except BrokenError as error:
            return TokenFailure(FailureKind.LOST, "dropped", _line(str(error)))
        is_readable = came.headers.get("content-encoding", "identity").lower() == "identity"
        if not came.whole or not is_readable:
            return TokenFailure(FailureKind.LOST, "not_json", "its answer cannot be read")
        return came

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def _ask(
        self, host: str, keys: ApplicationKeys, grant: str, proof: Mapping[str, str]
    ) -> Granted | TokenFailure:
        fields = {"grant_type": grant, "client_id": keys.id, "client_secret": keys.secret}
        came = await self.post(host, "/oauth/token/", {**fields, **proof})
        if isinstance(came, TokenFailure):
            return came
        return read(came.status, came.body, (keys.secret, *proof.values()))


def read(status: int, body: bytes, secrets: tuple[str, ...] = ()) -> Granted | TokenFailure:
    """Parse the answer of a token endpoint."""
    content = decoded(body)
    if content is None:
        code = "not_json" if status == 200 else f"http_{status}"
        return TokenFailure(_row("", status).kind, code, f"it answered {status}, and no JSON")
    pair = (content.get("access_token"), content.get("refresh_token"))
    if "error" not in content and 200 <= status < 300 and all(map(_is_token, pair)):
        return Granted(
            access_token=str(pair[0]),
            refresh_token=str(pair[1]),
            expires_in=_lifetime(content.get("expires_in")),
            member_id=_member(content.get("member_id")),
        )
    return _failure(content, status, secrets)


def _failure(content: Mapping[str, object], status: int, secrets: tuple[str, ...]) -> TokenFailure:
    error = content.get("error")
    sent = error if isinstance(error, str) else ""
    row = _row(sent, status)
    text = content.get("error_description")
    shown = text if isinstance(text, str) and text else f"it answered {status}"
    for secret in secrets:
        shown, sent = shown.replace(secret, "***"), sent.replace(secret, "***")
    code = row.code or clipped(sent, CODE_LENGTH) or f"http_{status}"
    return TokenFailure(row.kind, code, _line(shown))


def _row(code: str, status: int) -> Row:
    for row in TABLE:
        if row.code and row.code.casefold() != code.casefold():
            continue
        if not row.status or row.status in (str(status), f"{status // 100}xx"):
            return row
    raise AssertionError("the last row matches everything")


def _is_token(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= TOKEN_LENGTH and value.isprintable()


TOKEN_LENGTH = 4096


def _lifetime(value: object) -> int:
    """Return how many seconds an access token lives by the answer, or as is usual."""
    try:
        seconds = int(str(value))
    except ValueError:
        return LIFETIME_SECONDS
    if not 0 < seconds <= _LONGEST_LIFETIME:
        return LIFETIME_SECONDS
    # It is renewed half a minute before it ends: with less, there were a refresh for each request.
    return max(seconds, _SHORTEST_LIFETIME)


def _member(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _line(text: str) -> str:
    return clipped(text, TEXT_LENGTH)
