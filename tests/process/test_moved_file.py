"""A database file that is taken from under the running service: nothing is answered 200 into it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import SandboxServer
from tests.support import under_load
from tests.support.processes import Running, event, eventually, running
from tests.support.under_load import QUICK, Load, numbers_of


@pytest.fixture
def portal() -> Iterator[SandboxServer]:
    """Serve a portal with deals that events tell of."""
    sandbox, _ = under_load.portal_with_deals()
    with SandboxServer(sandbox) as server:
        yield server


def is_down(service: Running) -> str | None:
    """Return why the store is not writable, as `/readyz` says it, once it says so."""
    status, body = service.get("/readyz")
    store = json.loads(body).get("store", {})
    return store.get("error") if status == 503 else None


def is_up(service: Running) -> bool | None:
    return service.get("/readyz")[0] == 200 or None


def files_of(database: Path) -> list[Path]:
    return sorted(database.parent.glob(f"{database.name}*"))


def test_a_file_that_was_moved_away_takes_nothing_more_until_it_is_back(
    portal: SandboxServer, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    away.mkdir()
    with running(tmp_path, portal.url, **QUICK) as service:
        database = tmp_path / "responder.db"
        load = Load(service, portal.sandbox, pause_seconds=0.005)
        with load.under_way():
            eventually(lambda: len(load.acknowledged) > 100 or None)
            for file in files_of(database):
                file.rename(away / file.name)
            why = eventually(lambda: is_down(service))
            before = len(load.acknowledged)
            eventually(lambda: len(load.unanswered) > 50 or None)
            assert len(load.acknowledged) == before
            eventually(lambda: why in service.log.read_text() or None)
            for file in files_of(away / "responder.db"):
                file.rename(tmp_path / file.name)
            eventually(lambda: is_up(service))
            eventually(lambda: len(load.acknowledged) > before + 50 or None)
        service.end()
        assert why.endswith("responder.db is gone: it was moved or deleted while it was open")
        assert not database.with_name("responder.db-wal").exists()
        assert load.acknowledged <= numbers_of(service.database_url)


def test_another_file_in_its_place_is_neither_written_nor_read(
    portal: SandboxServer, tmp_path: Path, migrated_file: Path
) -> None:
    with running(tmp_path, portal.url, **QUICK) as service:
        database = tmp_path / "responder.db"
        load = Load(service, portal.sandbox, pause_seconds=0.005)
        with load.under_way():
            eventually(lambda: len(load.acknowledged) > 100 or None)
            other = tmp_path / "other.db"
            shutil.copy(migrated_file, other)
            database.rename(tmp_path / "away.db")
            other.rename(database)
            why = eventually(lambda: is_down(service))
            before = set(load.acknowledged)
            eventually(lambda: len(load.unanswered) > 50 or None)
            assert load.acknowledged == before
        assert why.endswith("responder.db is another file than the one that was opened")
        assert database.read_bytes() == migrated_file.read_bytes()
        database.unlink()
        (tmp_path / "away.db").rename(database)
        eventually(lambda: is_up(service))
        service.end()
        assert before <= numbers_of(service.database_url)


def test_a_file_that_was_deleted_is_noticed_by_one_that_comes_alone(
    portal: SandboxServer, tmp_path: Path
) -> None:
    with running(tmp_path, portal.url) as service:
        assert service.post(event("ONCRMCONTACTADD", 1)) == 200
        service.settled(1)
        for file in files_of(tmp_path / "responder.db"):
            if not file.name.endswith(".lock"):
                file.unlink()
        assert [service.post(event("ONCRMCONTACTADD", 2)) for _ in range(3)] == [503] * 3
        assert eventually(lambda: is_down(service)) is not None
        assert service.get("/healthz")[0] == 200
        assert not (tmp_path / "responder.db").exists()


def test_a_service_whose_file_is_away_begins_no_kill(portal: SandboxServer, tmp_path: Path) -> None:
    with running(tmp_path, portal.url) as service:
        service.post(event("ONCRMCONTACTADD", 1))
        service.settled(1)
        (tmp_path / "responder.db").rename(tmp_path / "away.db")
        under_load.lost_deal(portal.sandbox, 900)
        service.post(event("ONCRMDEALUPDATE", 900))
        eventually(lambda: is_down(service))
        assert portal.sandbox.killed == []
        (tmp_path / "away.db").rename(tmp_path / "responder.db")
        eventually(lambda: is_up(service))
        assert service.post(event("ONCRMDEALUPDATE", 900)) == 200
        service.settled(2)
        assert len(portal.sandbox.killed) == 1
