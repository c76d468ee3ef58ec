"""What proves that a caller is a portal: its tokens, its member id, its secret path.

Whatever is wrong with them is answered alike. Why, and whose address a caller named, is found out
afterwards, for those who may know.
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
            (urlsplit(portal.url.get_secret_value()).hostname or "").lower(): name
            for name, portal in portals.items()
        }

    def portal_of(self, token: bytes | None, member_id: bytes | None) -> str | None:
        """Name the portal whose token this is, unless its member id is known and differs."""
        portal = _owner(self._tokens, token or b"")
        if portal is None or self._member_ids.get(portal, member_id) != member_id:
            return None
        return portal

    def portal_of_key(self, url_key: str) -> str | None:
        """Name the portal whose secret path this is."""
        return _owner(self._url_keys, _encoded(url_key))

    def why_not(self, scanned: payload.Scan, url_key: str) -> tuple[str | None, str]:
        """Say of a caller that is none of ours whose address it named, and what is wrong."""
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
    """Compare with all of them, so that the time taken tells nothing. None of them is empty."""
    owner = None
    for secret, name in known:
        if hmac.compare_digest(secret, given):
            owner = name
    return owner
