"""A portal that is not called stands in the banner of every page."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from responder.model import Breaker
from responder.store import client_state
from responder.store.database.database import Database
from tests.service.pages.visiting import HASHED, pages, settings

pytestmark = pytest.mark.portal

NOW = datetime(2026, 9, 24, 12, 0, tzinfo=UTC)
FINE = {"driving": True, "webhook_silent": False, "breaker": None, "unreachable_since": None}


def test_a_portal_whose_breaker_is_open_is_an_alarm(database: Database, tmp_path: Path) -> None:
    for portal, method in (("main", ""), ("main", "crm.item.list"), ("gone", "")):
        opened = Breaker(
            portal=portal, method=method, code="NO_AUTH_FOUND", opened_at=NOW, probe_at=NOW
        )
        database.write(partial(client_state.open_breaker, breaker=opened))
    given = settings(tmp_path, anna=HASHED)
    with pages(database, given, logged_in=True, condition=FINE) as visitor:
        words = visitor.get("/rules").words
    assert "Portal main cannot be called: NO_AUTH_FOUND . Its events wait." in words
    assert words.count("cannot be called") == 1


def test_a_portal_that_does_not_answer_us_is_an_alarm(database: Database, tmp_path: Path) -> None:
    away = FINE | {"unreachable_since": "2026-09-24T12:00:00Z"}
    given = settings(tmp_path, anna=HASHED)
    with pages(database, given, logged_in=True, condition=away) as visitor:
        said = "Portal main cannot be called: it does not answer. Its events wait."
        assert said in visitor.get("/").words
        assert said in visitor.get("/rules").words
        cookies = visitor.cookies
    with pages(database, given, condition=FINE) as visitor:
        visitor.cookies = cookies
        assert "cannot be called" not in visitor.get("/").words
