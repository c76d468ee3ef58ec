"""The only way to Alembic, whose import is slow and needed only when the schema changes."""

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

_ONE_AT_A_TIME = threading.Lock()  # Alembic keeps what it does in globals of the process
_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(tx: Connection, to: str = "head") -> None:
    """Run every migration that is missing, up to one or all, inside the given transaction."""
    config = configuration()
    config.attributes["connection"] = tx
    with _ONE_AT_A_TIME:
        command.upgrade(config, to)


def configuration() -> Config:
    """Say where the migrations are."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
