"""The program of a later day: it has one more migration, and is otherwise the same.

`newer_service.py` serves; the migration lies beside it, and takes its time.
"""

import asyncio
from pathlib import Path

from alembic.config import Config

from responder.service import app
from responder.settings.settings import load
from responder.store.database import database, upgrade

REVISION = "9000"
VERSIONS = Path(__file__).parent / "newer"
_really = upgrade.configuration


def configuration() -> Config:
    """Say where the migrations are, the newest among them."""
    config = _really()
    released = Path(upgrade.__file__).parent / "migrations" / "versions"
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{released}\n{VERSIONS}")
    return config


if __name__ == "__main__":
    vars(database)["SCHEMA"] = REVISION
    vars(upgrade)["configuration"] = configuration
    asyncio.run(app.serve(load()))
