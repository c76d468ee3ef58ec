"""A SQLite file with the schema in it, to copy: making one takes a hundred times as long."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from responder.store.database.database import Database


@functools.cache
def migrated_file() -> Path:
    """Make the file, once for all tests of this process."""
    folder = Path(tempfile.mkdtemp(prefix="responder-schema-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    migrate(f"sqlite:///{folder / 'responder.db'}")
    return folder / "responder.db"


def laid_at(path: Path) -> str:
    """Put a file with the schema in it there, for its owner alone; return its URL."""
    path.touch(mode=0o600)
    shutil.copyfile(migrated_file(), path)
    return f"sqlite:///{path}"


def migrate(url: str) -> None:
    """Bring the schema of a database up to date."""
    database = Database(url)
    database.open()
    database.migrate()
    database.close()
