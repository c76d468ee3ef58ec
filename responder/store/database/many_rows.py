"""Gives rows of a table each its own values; on PostgreSQL by one statement for all of them.

There a statement for each row would need a round trip for each: psycopg's pipeline is not used
(`engines`).
"""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Table,
    Update,
    and_,
    bindparam,
    func,
    update,
)

_BIND = "given_"


class RowUpdate:
    """An UPDATE of rows that are found by their key, built once and run for any number of rows.

    `also` are values that each row gets whatever is given for it.
    """

    def __init__(
        self,
        table: Table,
        key: Sequence[str],
        columns: Iterable[str],
        also: Mapping[str, object],
    ) -> None:
        self._names = (*key, *columns)
        # a bind of a column's own name would be taken for one of the VALUES
        one = {name: bindparam(_BIND + name, type_=table.c[name].type) for name in self._names}
        arrays = [bindparam(_BIND + name, type_=ARRAY(table.c[name].type)) for name in self._names]
        all_ = func.unnest(*arrays).table_valued(*self._names).render_derived(name="given").c

        def statement(given: Mapping[str, ColumnElement[object]]) -> Update:
            found = and_(*(table.c[name] == given[name] for name in key))
            new = {name: given[name] for name in self._names if name not in key}
            return update(table).where(found).values({**also, **new})

        self._one, self._all = statement(one), statement(dict(all_.items()))

    def run(self, tx: Connection, rows: Sequence[Mapping[str, object]]) -> None:
        """Update rows; each mapping has the key and all columns, by their names."""
        if not rows:
            return
        if tx.dialect.name == "postgresql":
            given = {_BIND + name: [row[name] for row in rows] for name in self._names}
            tx.execute(self._all, given)
        else:
            tx.execute(
                self._one, [{_BIND + name: row[name] for name in self._names} for row in rows]
            )
