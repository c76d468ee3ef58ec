"""Runs Alembic: imported only when the schema changes, since importing Alembic is slow."""

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

_ONE_AT_A_TIME = threading.Lock()  # Alembic keeps its state in globals of the process
_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(tx: Connection, to: str = "head") -> None:
    """Run the missing migrations, up to `to`, inside the given transaction."""
    config = configuration()
    config.attributes["connection"] = tx
    with _ONE_AT_A_TIME:
        command.upgrade(config, to)


def configuration() -> Config:
    """Return Alembic's configuration, with the folder of the migrations."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
