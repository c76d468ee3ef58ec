"""Stores the local application of each portal: what was pinned when it was installed, its tokens.

The tokens are encrypted by the caller (`adapters.encryption`), and the application token that the
portal's events carry is stored as its SHA-256 alone: it is 128 bits of the portal's, so nobody
finds it from that, and events are still known where the key was changed.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, select, update

from responder.store.canonical_json import canonical
from responder.store.database.portal_tables import applications
from responder.store.database.tables import insert


class State(StrEnum):
    """Whether an application can be called by: REFUSED and UNINSTALLED until it is reinstalled."""

    INSTALLED = "installed"
    REFUSED = "refused"
    UNINSTALLED = "uninstalled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The local application of one portal, as it was verified.

    `tokens` is encrypted, by the key whose mark is `key_mark`. `reason` says why it is refused.
    `refresh_sent_at` is set while the answer to a refresh is not known.
    """

    portal: str
    state: State
    reason: str | None
    domain: str
    member_id: str
    client_id: str
    oauth_host: str
    user_id: str
    application_token_sha256: str
    key_mark: str
    tokens: str
    expires_at: datetime
    installed_at: datetime
    refreshed_at: datetime
    refresh_sent_at: datetime | None = None


def token_digest(application_token: str | bytes) -> str:
    """Return the SHA-256 of an application token, as it is stored and compared."""
    token = application_token.encode() if isinstance(application_token, str) else application_token
    return hashlib.sha256(token).hexdigest()


def installed(conn: Connection, portal: str) -> Installation | None:
    """Return the application of a portal, None where none was ever installed."""
    found = conn.execute(select(*_COLUMNS).where(applications.c.portal == portal)).one_or_none()
    return None if found is None else _installation(found._asdict())


def every(conn: Connection) -> list[Installation]:
    """Return the applications of all portals."""
    found = conn.execute(select(*_COLUMNS).order_by(applications.c.portal))
    return [_installation(one._asdict()) for one in found]


def pin(tx: Connection, installation: Installation) -> None:
    """Write an application that was just verified, in the place of an earlier one."""
    values = {name: getattr(installation, name) for name in _NAMES if name != "portal"}
    tx.execute(
        insert(tx, applications)
        .values(portal=installation.portal, **values)
        .on_conflict_do_update(index_elements=["portal"], set_=values)
    )


def refresh_sent(tx: Connection, portal: str, at: datetime | None) -> None:
    """Write that a refresh is sent now, whose answer may be lost; None where it never left."""
    _set(tx, portal, refresh_sent_at=at)


def refreshed(
    tx: Connection, portal: str, tokens: str, *, instead: str, expires_at: datetime, at: datetime
) -> bool:
    """Write a new pair of tokens, which is not used before this is committed.

    It replaces the pair that it came of and no other: return False where that is not stored any
    more. A refusal that was stored meanwhile was of the old pair, and ends.
    """
    values = {"tokens": tokens, "expires_at": expires_at, "refreshed_at": at}
    done = tx.execute(
        update(applications)
        .where(
            applications.c.portal == portal,
            applications.c.tokens == instead,
            applications.c.state != State.UNINSTALLED,
        )
        .values(**values, refresh_sent_at=None, state=State.INSTALLED, reason=None)
    )
    return bool(done.rowcount)


def refuse(tx: Connection, portal: str, tokens: str, reason: str) -> None:
    """Write that this pair of tokens is of no use any more, unless another is stored by now."""
    tx.execute(
        update(applications)
        .where(
            applications.c.portal == portal,
            applications.c.tokens == tokens,
            applications.c.state == State.INSTALLED,
        )
        .values(state=State.REFUSED, reason=reason)
    )


def uninstall(tx: Connection, portal: str, application_token_sha256: str) -> bool:
    """Write that an administrator has deleted the application that has this token.

    The news may come late: return False where another application is pinned by now.
    """
    done = tx.execute(
        update(applications)
        .where(
            applications.c.portal == portal,
            applications.c.application_token_sha256 == application_token_sha256,
        )
        .values(state=State.UNINSTALLED, reason=None)
    )
    return bool(done.rowcount)


def registration(conn: Connection, portal: str) -> dict[str, object] | None:
    """Return what was last seen of the portal's registered events, None where nothing was."""
    query = select(applications.c.registration).where(applications.c.portal == portal)
    found = conn.execute(query).scalar()
    return None if found is None else json.loads(found)


def set_registration(tx: Connection, portal: str, seen: dict[str, object]) -> None:
    """Write what is registered in the portal, and what could not be."""
    _set(tx, portal, registration=canonical(seen))


def _set(tx: Connection, portal: str, **values: object) -> None:
    tx.execute(update(applications).where(applications.c.portal == portal).values(**values))


_NAMES = tuple(Installation.__dataclass_fields__)
_COLUMNS = tuple(applications.c[name] for name in _NAMES)


def _installation(record: dict[str, object]) -> Installation:
    return Installation(**{**record, "state": State(str(record["state"]))})  # type: ignore[arg-type]
