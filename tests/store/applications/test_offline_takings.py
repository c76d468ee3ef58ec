"""Which documents' events are being taken is kept until the taking ends."""

from datetime import UTC, datetime

from responder.store.applications import offline_takings
from responder.store.applications.offline_takings import Taking
from responder.store.database.database import Database

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def test_a_taking_is_under_way_until_it_ends(database_url: str) -> None:
    database = Database(database_url)
    database.open()

    def under_way() -> Taking | None:
        return database.read(lambda conn: offline_takings.under_way(conn, "main"))

    assert under_way() is None
    database.write(lambda tx: offline_takings.begin(tx, "main", ["deal:2", "deal:1"], NOW))
    assert under_way() == Taking(documents=frozenset({"deal:1", "deal:2"}), sent_at=NOW)
    database.write(lambda tx: offline_takings.begin(tx, "main", ["deal:3"], NOW))
    assert under_way() == Taking(documents=frozenset({"deal:3"}), sent_at=NOW)
    database.write(lambda tx: offline_takings.end(tx, "main"))
    assert under_way() is None
    database.close()
