"""Hears every statement that a run of tests sends to a big table, and writes each kind down once.

It is a plugin of pytest: `pytest -p tests.support.statements`, with the file to write to in
STATEMENTS_HEARD. What SQLAlchemy made for SQLite is written down as it would be sent to
PostgreSQL too, so most tests need to run on one of them alone.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, event
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Engine
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.exc import CompileError
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

import responder
from responder.store.database.columns import micros

FILE = "STATEMENTS_HEARD"
BIG = ("decisions", "entries", "deliveries", "evidence", "name_words")
_BIG = re.compile(rf"\b({'|'.join(BIG)})\b")
_SEARCHES = re.compile(r"\s*(SELECT|WITH|UPDATE|DELETE|INSERT\b.*\bSELECT)\b", re.DOTALL)
_LIST = re.compile(r"\((?:\?|%s|:\w+)(?:, (?:\?|%s|:\w+))*\)")
_HOME = str(Path(responder.__file__).parent)
# a test asks what it likes, and a migration goes through everything once
_OURS_NOT = (str(Path(__file__).parents[1]), f"{_HOME}/store/database/migrations")
_POSTGRES = postgresql.dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]


class Statement(NamedTuple):
    """A statement, who sends it (`journal/upkeep/prune._oldest`), and to which kind of database."""

    by: str
    dialect: Literal["sqlite", "postgresql"]
    sql: str
    given: Any


class _Heard:
    """What was heard so far: each kind of statement of each function, with one of its values."""

    def __init__(self) -> None:
        self.senders: set[str] = set()
        self.kinds: dict[tuple[str, str, str], list[Statement]] = {}

    def hear(
        self,
        conn: Connection,
        _cursor: object,
        sql: str,
        given: Sequence[Any],
        context: DefaultExecutionContext,
        many: bool,
    ) -> None:
        """Take a statement in, where it is a new one; of several rows of values the first."""
        by = _sender(sys._getframe(1))
        if by is None:
            return
        self.senders.add(by)
        if not _BIG.search(sql) or not _SEARCHES.match(sql):
            return
        kind = (by, conn.dialect.name, _LIST.sub("(...)", sql))
        if kind not in self.kinds:
            values = given[0] if many else given
            self.kinds[kind] = list(_on_each(by, conn.dialect.name, sql, values, context))


_heard = _Heard()
event.listen(Engine, "before_cursor_execute", _heard.hear)


def pytest_sessionfinish() -> None:
    """Write down what was heard."""
    found = [one for some in _heard.kinds.values() for one in some]
    told = {"senders": sorted(_heard.senders), "statements": found}
    Path(os.environ[FILE]).write_text(json.dumps(told, default=_plain))


def _on_each(
    by: str, dialect: str, sql: str, given: Sequence[Any], context: DefaultExecutionContext
) -> Iterator[Statement]:
    """Yield a statement as it was sent, and as it would be sent to PostgreSQL."""
    if dialect == "sqlite":
        yield Statement(by, "sqlite", sql, len(given))
    compiled, sent = context.compiled, context.invoked_statement
    if not isinstance(compiled, SQLCompiler) or not isinstance(sent, ClauseElement):
        if dialect == "postgresql":
            yield Statement(by, "postgresql", sql, list(given))
        return
    try:
        there = sent.compile(dialect=_POSTGRES, column_keys=compiled.column_keys)
    except CompileError:
        return  # an insertion that says what to do on a conflict
    assert isinstance(there, SQLCompiler)
    state = there.construct_expanded_state(_together(there, dict(context.compiled_parameters[0])))
    yield Statement(by, "postgresql", state.statement, dict(state.parameters))


def _together(compiled: SQLCompiler, values: dict[str, Any]) -> dict[str, Any]:
    """Put the values of lists together again, which were taken apart for the one database."""
    lists = [name for bind, name in compiled.bind_names.items() if bind.expanding]
    return values | {
        name: [values[one] for one in values if re.fullmatch(rf"{re.escape(name)}_\d+", one)]
        for name in lists
        if name not in values
    }


def _plain(value: datetime | bytes) -> int | str:
    """Write an instant as it is stored; what a form holds matters to no plan."""
    return micros(value) if isinstance(value, datetime) else ""


def _sender(frame: FrameType | None) -> str | None:
    """Name the function of the program that is nearest to the database, and no mere way to it."""
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_OURS_NOT):
            return None
        if code.co_filename.startswith(_HOME) and not _is_way(code):
            place = Path(code.co_filename).relative_to(_HOME).with_suffix("")
            return f"{place.as_posix()}.{code.co_qualname.partition('.<locals>.<')[0]}"
        frame = frame.f_back
    return None


def _is_way(code: CodeType) -> bool:
    return code.co_filename.endswith("store/database/database.py") and code.co_name in (
        "read",
        "write",
        "_write",
    )
