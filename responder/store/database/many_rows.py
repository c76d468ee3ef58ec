"""Inserts or updates many rows, each with its own values; on PostgreSQL by one statement for all.

There the values of each column go as an array, so that the statement is the same, and short,
however many rows there are. To run a statement for each row would take a round trip for each, for
psycopg's pipeline is not used (`engines`).
"""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Insert,
    Table,
    TableValuedAlias,
    Update,
    and_,
    bindparam,
    func,
    select,
    update,
)

Row = Mapping[str, object]

_BIND = "given_"  # a bind of a column's own name would be taken for one of the VALUES


class RowInsert:
    """An INSERT into a table, run for any number of rows."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._one = table.insert()
        self._all: dict[tuple[str, ...], Insert] = {}

    def run(self, tx: Connection, rows: Sequence[Row]) -> None:
        """Insert rows; each mapping has the same columns, by their names."""
        if not rows:
            return
        if tx.dialect.name == "postgresql":
            names = tuple(rows[0])
            tx.execute(self._from_arrays(names), _arrays(names, rows))
        else:
            tx.execute(self._one, rows)

    def _from_arrays(self, names: tuple[str, ...]) -> Insert:
        if names not in self._all:
            given = select(*_given(self._table, names).c)
            self._all[names] = self._table.insert().from_select(names, given)
        return self._all[names]


class RowUpdate:
    """An UPDATE of rows that are found by their key, run for any number of rows.

    `also` are values that each row gets whatever is given for it.
    """

    def __init__(self, table: Table, key: Sequence[str], columns: Iterable[str], also: Row) -> None:
        self._names = (*key, *columns)

        def statement(given: Mapping[str, ColumnElement[object]]) -> Update:
            found = and_(*(table.c[name] == given[name] for name in key))
            new = {name: given[name] for name in self._names if name not in key}
            return update(table).where(found).values({**also, **new})

        types = {name: table.c[name].type for name in self._names}
        self._one = statement({n: bindparam(_BIND + n, type_=type_) for n, type_ in types.items()})
        self._all = statement(dict(_given(table, self._names).c.items()))

    def run(self, tx: Connection, rows: Sequence[Row]) -> None:
        """Update rows; each mapping has the key and all columns, by their names."""
        if not rows:
            return
        if tx.dialect.name == "postgresql":
            tx.execute(self._all, _arrays(self._names, rows))
        else:
            given = [{_BIND + name: row[name] for name in self._names} for row in rows]
            tx.execute(self._one, given)


def _given(table: Table, names: Iterable[str]) -> TableValuedAlias:
    """Return the rows that arrays of the values of these columns make."""
    arrays = [bindparam(_BIND + name, type_=ARRAY(table.c[name].type)) for name in names]
    return func.unnest(*arrays).table_valued(*names).render_derived(name="given")


def _arrays(names: Iterable[str], rows: Sequence[Row]) -> dict[str, list[object]]:
    return {_BIND + name: [_plain(row[name]) for row in rows] for name in names}


def _plain(value: object) -> object:
    """Return a text as nothing but a text: psycopg takes no array of texts of several classes."""
    return str(value) if isinstance(value, str) else value
