"""What is pinned of an application is kept, replaced, and changed by whoever may change it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from responder.store.applications import installations
from responder.store.applications.installations import Installation, State, token_digest
from responder.store.database.database import Database

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
INSTALLED = Installation(
    portal="main",
    state=State.INSTALLED,
    reason=None,
    domain="example.bitrix24.com",
    member_id="a" * 32,
    client_id="local.1.2",
    oauth_host="oauth.bitrix.info",
    user_id="1",
    application_token_sha256=token_digest("token"),
    key_mark="0123",
    tokens="sealed",
    expires_at=NOW + HOUR,
    installed_at=NOW,
    refreshed_at=NOW,
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.open()
    database.write(lambda tx: installations.pin(tx, INSTALLED))
    yield database
    database.close()


def found(database: Database) -> Installation | None:
    return database.read(lambda conn: installations.installed(conn, "main"))


def refreshed(database: Database, instead: str) -> bool:
    return database.write(
        lambda tx: installations.refreshed(
            tx, "main", "new", instead=instead, expires_at=NOW + 2 * HOUR, at=NOW + HOUR
        )
    )


def uninstalled(database: Database, token: str) -> bool:
    digest = token_digest(token)
    return database.write(lambda tx: installations.uninstall(tx, "main", digest))


def test_what_was_pinned_is_found(database: Database) -> None:
    assert found(database) == INSTALLED
    assert database.read(installations.every) == [INSTALLED]
    assert database.read(lambda conn: installations.installed(conn, "side")) is None


def test_another_installation_takes_its_place(database: Database) -> None:
    other = replace(INSTALLED, user_id="7", tokens="sealed too")
    database.write(lambda tx: installations.pin(tx, other))
    assert found(database) == other


def test_a_new_pair_ends_the_wait_for_an_answer(database: Database) -> None:
    database.write(lambda tx: installations.refresh_sent(tx, "main", NOW))
    sent = found(database)
    assert sent is not None
    assert sent.refresh_sent_at == NOW
    assert refreshed(database, "sealed")
    assert found(database) == replace(
        INSTALLED, tokens="new", expires_at=NOW + 2 * HOUR, refreshed_at=NOW + HOUR
    )


def test_a_new_pair_replaces_no_other_than_the_one_it_came_of(database: Database) -> None:
    assert not refreshed(database, "another")
    assert found(database) == INSTALLED


def test_a_refusal_is_of_the_pair_that_was_refused(database: Database) -> None:
    database.write(lambda tx: installations.refuse(tx, "main", "another", "invalid_grant"))
    assert found(database) == INSTALLED
    database.write(lambda tx: installations.refuse(tx, "main", "sealed", "invalid_grant"))
    assert found(database) == replace(INSTALLED, state=State.REFUSED, reason="invalid_grant")
    assert refreshed(database, "sealed")
    healed = found(database)
    assert healed is not None
    assert (healed.state, healed.reason) == (State.INSTALLED, None)


def test_what_was_uninstalled_is_not_brought_back_by_a_late_pair(database: Database) -> None:
    assert uninstalled(database, "token")
    assert not refreshed(database, "sealed")
    database.write(lambda tx: installations.refuse(tx, "main", "sealed", "invalid_grant"))
    gone = found(database)
    assert gone is not None
    assert gone.state is State.UNINSTALLED


def test_late_news_that_a_former_application_was_deleted_is_of_no_other(
    database: Database,
) -> None:
    assert not uninstalled(database, "the token of the application that was deleted before")
    assert found(database) == INSTALLED


def test_what_is_registered_is_kept_beside_it(database: Database) -> None:
    assert database.read(lambda conn: installations.registration(conn, "main")) is None
    seen: dict[str, object] = {"missing": ["ONCRMDEALUPDATE"]}
    database.write(lambda tx: installations.set_registration(tx, "main", seen))
    assert database.read(lambda conn: installations.registration(conn, "main")) == seen
    assert found(database) == INSTALLED


def test_an_application_token_is_stored_as_its_digest() -> None:
    assert token_digest("token") == token_digest(b"token")
    assert "token" not in token_digest("token")
