"""Reads the plans that a database makes for a statement, and finds what goes through a big table.

Theory. A plan reads a table along an index or not. Along one, it reads as much as the conditions
say that the index itself serves (it is *bound* by them); by all others it only picks from what was
read. So a read is a scan, unless it goes along an index, and

    - that is one of what is rare (`RARE`: what is open, what waits), or leads to what is open by
      its outcome: all of it may be read,
    - or it is bound by what few rows share: a name (`NAMES`), or a number or instant that grows
      (`GROWS`), to a value or from one on. A portal, a rule or an outcome is shared by half of a
      table, and what is *older* than an instant is most of it,
    - or rows are read in the order of the index, until there are enough of them (LIMIT, min, max),
      and none is left out by what the index does not know: the few that are wanted may come last.

The first column of the index must be bound, for no index is searched well without it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Index

from responder.model import Outcome
from responder.store.database.tables import OPEN, metadata
from tests.support.busy_database import HEAD, PORTAL, RULE, SINCE
from tests.support.statements import BIG, Statement

RARE = (
    "decisions_one_open_stop",
    "decisions_due",
    "decisions_open_on",
    "decisions_to_verify",
    "deliveries_waiting",
)
NAMES = {"workflow_id", "document", "set_name", "evaluation"}
GROWS = {"id", "seq", "at", "received_at", "called_at", "changed"}
MANY = 500  # the most that is asked about in one statement

_LINE = re.compile(
    r"(SCAN|SEARCH) (\w+?)(?:_\d+)?"
    r"(?: USING (AUTOMATIC )?[A-Z ]*?(?:INDEX (\w+)|INTEGER PRIMARY KEY))?(?: \((.*)\))?$"
)
_SORTS = re.compile(r"USE TEMP B-TREE FOR (?!LAST)")
_NOTHING = re.compile(r"\bWHERE (0 = 1|false)\b")  # reads no row, whatever the plan would be
_ONE = re.compile(r"\s*SELECT (?:min|max)\([^(]*\)(?: AS \w+)?\s*FROM", re.IGNORECASE)
_TEST = re.compile(r'(?:\(([\w, ]+)\)|"?\b(\w+)"?) ?([=<>])')
_PLACE = re.compile(r"\((?:\w+\.)?at, [^()]*\) [<>] (?:ROW)?\([^()]*\)")
_WHERE = re.compile(r"\bWHERE\b(.*?)(?:\bORDER BY\b|\bGROUP BY\b|\bLIMIT\b|$)", re.DOTALL)
_LIST = re.compile(r"\b(seq|workflow_id|document|evaluation) IN \(((?:\?|%\()[^\n]*?)\)(?= |\)|$)")
_FEW = {f"{name}=" for name in NAMES | GROWS} | {f"{name}>" for name in GROWS}
_OUTCOMES = {one.value for one in Outcome}
_LOSES_ORDER = ("Sort", "Aggregate", "Hash", "Bitmap Heap Scan")


class Read(NamedTuple):
    """How a plan reads one table: along which index, and how that is bound (`at>`).

    `ends`: it reads in the index's order, until there is enough. It picks rows by `picks`.
    `is_rare`: there are never many rows that it may find.
    """

    table: str
    along: str | None
    bound: frozenset[str]
    ends: bool
    picks: frozenset[str]
    is_rare: bool

    @property
    def is_scan(self) -> bool:
        """Tell whether it goes through the table, by the rule above."""
        if self.along is None:
            return True
        columns = _COLUMNS[self.along]
        if self.is_rare or (self._is_bound_at_all(columns[0]) and self.bound & _FEW):
            return False
        return not self.ends or not self.picks <= {*columns}

    def _is_bound_at_all(self, column: str) -> bool:
        return any(f"{column}{how}" in self.bound for how in "=<>")

    def __str__(self) -> str:
        """Say it for one who has to mend it."""
        bound = f"bound by {', '.join(sorted(self.bound)) or 'nothing'}"
        return f"{self.table} along {self.along}, {bound}, picking by {sorted(self.picks)}"


def scans(conn: Connection, statement: Statement) -> list[str]:
    """Return how a statement goes through big tables, asked about few and about many."""
    if _NOTHING.search(statement.sql):
        return []
    on = _on_sqlite if statement.dialect == "sqlite" else _on_postgres
    asked = [statement.sql]
    if "LIMIT" not in statement.sql:  # who asks for a page asks about few
        asked.append(_LIST.sub(_with_many, statement.sql))
    reads = [read for sql in asked for read in on(conn, sql, statement.given)]
    return sorted({str(read) for read in reads if read.is_scan})


def _with_many(found: re.Match[str]) -> str:
    return f"{found[1]} IN ({', '.join([found[2].partition(', ')[0]] * MANY)})"


def _on_sqlite(conn: Connection, sql: str, _: object) -> Iterator[Read]:
    """Yield what EXPLAIN QUERY PLAN tells. SQLite makes its plan before it knows any value."""
    values = (None,) * sql.count("?")
    told = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()
    sorted_first = {parent for _, parent, _, line in told if _SORTS.match(line)}
    is_limited = "LIMIT" in sql or bool(_ONE.match(sql))
    for _, parent, _, line in told:
        found = _LINE.match(line)
        if found is None or found[2] not in BIG:
            continue
        ends = is_limited and parent not in sorted_first
        how, table, automatic, index, tests = found.groups()
        by_id = f"{table}_pkey" if how == "SEARCH" else None
        index = None if automatic else index or by_id
        picks = " ".join(_WHERE.findall(sql))
        rare = _is_rare(index, sql)
        yield Read(table, index, _bound(tests or ""), ends, _columns(table, picks), rare)


def _on_postgres(conn: Connection, sql: str, given: object) -> Iterator[Read]:
    """Yield what EXPLAIN tells of a statement with values as there are many of."""
    assert isinstance(given, list | dict)
    values = _usual(sql, given) if isinstance(given, dict) else tuple(given)
    [plan] = conn.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sql}", values).scalar_one()
    yield from _reads(plan["Plan"], sql)


def _reads(
    node: Mapping[str, Any], sql: str, *, ends: bool = False, table: str = ""
) -> Iterator[Read]:
    kind = node["Node Type"]
    table = node.get("Relation Name", table)
    ends = kind == "Limit" or (ends and kind not in _LOSES_ORDER)
    if table in BIG and "Scan" in kind and kind != "Bitmap Heap Scan":
        bound = _bound(_named(node.get("Index Cond", "")))
        picks = _columns(table, node.get("Filter", ""))
        index = node.get("Index Name")
        yield Read(table, index, bound, ends, picks, _is_rare(index, sql))
    plans = node.get("Plans", ())
    for inner in plans[:1] if kind == "BitmapAnd" else plans:  # the first of them finds least
        once = inner.get("Parent Relationship") != "Inner"
        of = table if "Bitmap" in kind else ""
        yield from _reads(inner, sql, ends=ends and once, table=of)


def _is_rare(index: str | None, sql: str) -> bool:
    return index in RARE or (index == "decisions_by_outcome" and str(OPEN) in sql)


def _bound(tests: str) -> frozenset[str]:
    """Read by what an index is bound: the first of several columns that are compared at once."""
    found = _TEST.findall(tests.replace("rowid", "id"))
    return frozenset(f"{(many or one).partition(',')[0]}{how}" for many, one, how in found)


def _columns(table: str, condition: str) -> frozenset[str]:
    """Name the columns in a condition; a place in the order of time leaves out only its like."""
    words = set(re.findall(r"\w+", _PLACE.sub("", _named(condition))))
    return frozenset(words & set(metadata.tables[table].columns.keys()))


def _named(condition: str) -> str:
    """Leave out texts, and what is said of other rows than those of the table."""
    return re.sub(r"'(?:[^']|'')*'|\banon_\d+\.\w+|::\w+", "", condition)


def _known_by(index: Index) -> list[str]:
    """Name the columns of an index, and those by which its rows were chosen."""
    assert index.table is not None
    chosen = str(index.dialect_options["sqlite"]["where"])
    return [*index.columns.keys(), *_columns(index.table.name, chosen)]


_COLUMNS = {
    str(index.name): _known_by(index) for name in BIG for index in metadata.tables[name].indexes
} | {
    key: metadata.tables[name].primary_key.columns.keys()
    for name in BIG
    for key in (f"{name}_pkey", f"sqlite_autoindex_{name}_1")
}


def _usual(sql: str, given: Mapping[str, object]) -> dict[str, object]:
    """Put in a portal, a rule, an outcome, instants and numbers as `planted` made many of them.

    An instant is lately, and what is after a number is what came last.
    """

    def usual(name: str, value: object) -> object:
        if found := re.fullmatch(r"(portal|of|rule|by_rule)(_\d+)*", name):
            return RULE if "rule" in found[1] else PORTAL
        if isinstance(value, str) and value in _OUTCOMES:
            return "killed"
        if re.search(rf"\bseq > %\({name}\)", sql):
            return HEAD - 100
        return SINCE if isinstance(value, int) and value > SINCE // 2 else value

    return {name: usual(name, value) for name, value in given.items()}
