"""Defines the right to call a portal that ends and is renewed: an application's access token."""

from datetime import timedelta
from typing import NamedTuple, Protocol

from responder.bitrix24.client.answers import Answer, Failure, FailureKind

EXPIRED_CODES = ("expired_token", "invalid_token")


class Blocked(NamedTuple):
    """The reason why no request may be made now, and when to ask again: within a minute."""

    failure: Failure
    again_in: timedelta


class Access(Protocol):
    """The right to call a portal, where it does not lie in the address alone, but ends.

    An answer that names an expired token says that the command was not carried out.
    """

    async def ready(self) -> Blocked | None:
        """Return why no request may be made now; renew the right first where it has ended."""

    async def renew(self) -> Blocked | bool:
        """Renew the right that an answer says has ended.

        Return True to send again, False to take the answer as it is, or why nothing can be sent.
        """

    def worked(self) -> None:
        """Record that the portal accepted the right."""


def is_expired(answer: Answer) -> bool:
    """Return whether a command was not carried out because the access token has expired."""
    return answer.failure is not None and answer.failure.code in EXPIRED_CODES


def is_accepted(answer: Answer) -> bool:
    """Return whether the portal let the caller in, whatever it said to this command."""
    accepted = (None, FailureKind.REJECTED, FailureKind.METHOD)
    return (None if answer.failure is None else answer.failure.kind) in accepted
