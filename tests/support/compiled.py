"""Keeps each statement as it was compiled, for all databases that the tests of a process open.

SQLAlchemy does so for each engine, and a program has two. The tests open some thousands, and for
each a third of the time went into compiling the same statements anew.
"""

from collections.abc import Iterator, MutableMapping
from typing import Any

from sqlalchemy import Connection, Engine, event

Key = tuple[Any, ...]


class _Shared(MutableMapping[Key, Any]):
    """What was compiled, by the statement and the kind and version of database, and no engine."""

    def __init__(self) -> None:
        self._compiled: dict[Key, Any] = {}

    def __getitem__(self, key: Key) -> Any:  # noqa: ANN401 -- what SQLAlchemy makes of it
        return self._compiled[self._of_any_engine(key)]

    def __setitem__(self, key: Key, compiled: Any) -> None:  # noqa: ANN401
        self._compiled[self._of_any_engine(key)] = compiled

    def __delitem__(self, key: Key) -> None:
        del self._compiled[self._of_any_engine(key)]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._compiled)

    def __len__(self) -> int:
        return len(self._compiled)

    def _of_any_engine(self, key: Key) -> Key:
        dialect, *rest = key
        return (type(dialect), dialect.dbapi, dialect.server_version_info, *rest)


_shared = _Shared()


def share() -> None:
    """Have all engines that connect from now on share what is compiled."""
    event.listen(Engine, "engine_connect", _let_share)


def _let_share(connection: Connection) -> None:
    if "compiled_cache" not in connection.get_execution_options():
        connection.engine.update_execution_options(compiled_cache=_shared)
        connection.execution_options(compiled_cache=_shared)
