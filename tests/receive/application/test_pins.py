"""What is pinned is known at the next read, and wakes the driver of its portal."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from responder.receive.application.pins import Pins
from responder.store.applications import held_messages, installations
from responder.store.applications.installations import State
from responder.store.database.database import Database
from tests.receive.application.test_application_endpoint import MEMBER, NOW, PINNED, TOKEN


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    database.open()
    database.migrate()
    yield database
    database.close()


def read(pins: Pins) -> None:
    asyncio.run(pins.reload())


def test_a_pin_is_known_after_the_next_read_and_wakes_its_driver(database: Database) -> None:
    woken: list[str] = []
    pins = Pins(database, woken.append, lambda: NOW, verifiable=[])
    pins.load()
    assert not pins.is_pinned("main", TOKEN.encode())
    database.write(lambda tx: installations.pin(tx, PINNED))
    read(pins)
    assert pins.is_pinned("main", TOKEN.encode())
    assert pins.member_id("main") == MEMBER.encode()
    assert woken == ["main"]
    read(pins)
    assert woken == ["main"]
    database.write(lambda tx: installations.uninstall(tx, "main"))
    read(pins)
    assert woken == ["main", "main"]


@pytest.mark.parametrize("token", [None, b"", b"x", TOKEN.upper().encode(), b"\xff"])
def test_no_other_token_is(database: Database, token: bytes | None) -> None:
    database.write(lambda tx: installations.pin(tx, PINNED))
    unknown = replace(PINNED, portal="side", application_token_sha256="", state=State.INSTALLED)
    database.write(lambda tx: installations.pin(tx, unknown))
    pins = Pins(database, lambda _: None, lambda: NOW, verifiable=[])
    pins.load()
    assert not pins.is_pinned("main", token)
    assert not pins.is_pinned("side", token)
    assert not pins.is_pinned("nobody", token)
    assert pins.member_id("nobody") is None


@pytest.mark.parametrize(("verifiable", "woken"), [(["main"], ["main"]), ([], [])])
def test_a_message_wakes_whoever_can_verify_it(
    database: Database, verifiable: list[str], woken: list[str]
) -> None:
    database.write(lambda tx: held_messages.hold(tx, "main", "d", "m", NOW, is_asked_for=False))
    heard: list[str] = []
    read(Pins(database, heard.append, lambda: NOW, verifiable=verifiable))
    assert heard == woken
