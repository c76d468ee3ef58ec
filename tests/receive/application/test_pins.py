"""What is pinned is known at the next read, and wakes the driver of its portal."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from responder.receive.application.pins import Pins
from responder.settings.settings import PortalSettings
from responder.store.applications import held_messages, installations
from responder.store.applications.installations import State
from responder.store.database.database import Database
from tests.receive.application.test_application_endpoint import (
    MEMBER,
    NOW,
    PINNED,
    PORTALS,
    TOKEN,
)


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    database.open()
    yield database
    database.close()


def read(pins: Pins) -> None:
    asyncio.run(pins.reload())


def test_a_pin_is_known_after_the_next_read_and_wakes_its_driver(database: Database) -> None:
    woken: list[str] = []
    pins = Pins(database, woken.append, lambda: NOW, portals=PORTALS)
    pins.load()
    assert not pins.is_pinned("main", TOKEN.encode())
    database.write(lambda tx: installations.pin(tx, PINNED))
    read(pins)
    assert pins.is_pinned("main", TOKEN.encode())
    assert pins.member_id("main") == MEMBER.encode()
    assert woken == ["main"]
    read(pins)
    assert woken == ["main"]
    database.write(lambda tx: installations.uninstall(tx, "main", PINNED.application_token_sha256))
    read(pins)
    assert woken == ["main", "main"]


@pytest.mark.parametrize(
    ("changed", "is_pinned"),
    [
        ({}, True),
        ({"member_id": MEMBER}, True),
        ({"client_id": None, "client_secret": None}, True),
        ({"domain": "other.bitrix24.com"}, False),
        ({"client_id": "local.9.9"}, False),
        ({"member_id": "f" * 32}, False),
    ],
)
def test_an_installation_is_pinned_where_the_settings_name_it(
    database: Database, changed: dict[str, str | None], is_pinned: bool
) -> None:
    database.write(lambda tx: installations.pin(tx, PINNED))
    named = {"domain": PINNED.domain, "client_id": PINNED.client_id, "client_secret": "s" * 16}
    portal = PortalSettings.model_validate(
        {name: value for name, value in {**named, **changed}.items() if value is not None}
    )
    pins = Pins(database, lambda _: None, lambda: NOW, portals={"main": portal})
    pins.load()
    assert pins.is_pinned("main", TOKEN.encode()) == is_pinned
    assert (pins.member_id("main") is not None) == is_pinned


@pytest.mark.parametrize("token", [None, b"", b"x", TOKEN.upper().encode(), b"\xff"])
def test_no_other_token_is(database: Database, token: bytes | None) -> None:
    database.write(lambda tx: installations.pin(tx, PINNED))
    unknown = replace(PINNED, portal="side", application_token_sha256="", state=State.INSTALLED)
    database.write(lambda tx: installations.pin(tx, unknown))
    pins = Pins(database, lambda _: None, lambda: NOW, portals=PORTALS)
    pins.load()
    assert not pins.is_pinned("main", token)
    assert not pins.is_pinned("side", token)
    assert not pins.is_pinned("nobody", token)
    assert pins.member_id("nobody") is None


KEYS = {"client_id": "local.1.2", "client_secret": "s" * 16}


@pytest.mark.parametrize(("keys", "woken"), [(KEYS, ["main"]), ({}, [])])
def test_a_message_wakes_whoever_can_verify_it(
    database: Database, keys: dict[str, str], woken: list[str]
) -> None:
    database.write(
        lambda tx: held_messages.hold(tx, "main", "d", "m", NOW, held_messages.Sender.ANYBODY)
    )
    heard: list[str] = []
    portal = PortalSettings.model_validate({"domain": PINNED.domain, **keys})
    read(Pins(database, heard.append, lambda: NOW, portals={"main": portal}))
    assert heard == woken
