"""Checks that a caller is a portal: its tokens, its member id, its secret path.

Every wrong credential gets the same answer. The reason, and the portal whose address a caller
named, are determined afterwards, for the log, `doctor` and `status`.
"""

import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from responder.bitrix24 import payload
from responder.settings.settings import PortalSettings


class Credentials:
    """The credentials of all portals."""

    def __init__(self, portals: Mapping[str, PortalSettings]) -> None:
        self._tokens = [
            (_encoded(token.get_secret_value()), name)
            for name, portal in portals.items()
            for token in portal.application_tokens
        ]
        self._url_keys = [
            (_encoded(portal.url_key.get_secret_value()), name)
            for name, portal in portals.items()
            if portal.url_key is not None
        ]
        self._member_ids = {
            name: _encoded(portal.member_id)
            for name, portal in portals.items()
            if portal.member_id is not None
        }
        self._hosts = {
            (urlsplit(f"//{portal.host}").hostname or "").lower(): name
            for name, portal in portals.items()
        }

    def portal_of(self, token: bytes | None, member_id: bytes | None) -> str | None:
        """Return the portal whose token this is, unless its member id is known and differs."""
        portal = _owner(self._tokens, token or b"")
        if portal is None or self._member_ids.get(portal, member_id) != member_id:
            return None
        return portal

    def portal_of_key(self, url_key: str) -> str | None:
        """Return the portal whose secret path this is, or None."""
        return _owner(self._url_keys, _encoded(url_key))

    def refusal(self, scanned: payload.Scan, url_key: str) -> tuple[str | None, str]:
        """Return the portal that a refused caller named, if any, and what is wrong."""
        tokens = _owner(self._tokens, scanned.token or b"")
        keys = self.portal_of_key(url_key) if url_key else None
        host = (payload.domain(scanned) or "").partition(":")[0].lower()
        named = tokens or keys or self._hosts.get(host)
        if url_key and keys is None:
            return named, "a wrong url_key"
        if scanned.token is None:
            return named, "no application token"
        if tokens is None:
            return named, "a wrong application token"
        if self.portal_of(scanned.token, scanned.member_id) is None:
            return named, "another member_id"
        return named, "the url_key of another portal"


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _owner(known: Iterable[tuple[bytes, str]], given: bytes) -> str | None:
    """Return the owner of a secret, in a time that does not depend on which one matches, if any."""
    owner = None  # all are compared, and none of them is empty
    for secret, name in known:
        if hmac.compare_digest(secret, given):
            owner = name
    return owner
