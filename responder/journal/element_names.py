r"""Finds all names under which one element of a list stands in the log.

Which list an element is of is told by its workflows' templates alone, and not by each of them
(`bitrix24.documents`). So one evaluation names it `lists|Bitrix\Lists\BizprocDocumentLists|7`, and
another `list_23:7`. It is one document all the same: what is stopped on it counts together.
"""

import re
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, TextClause, and_, bindparam, or_, select

from responder.bitrix24 import documents
from responder.model import WOULD_OUTCOMES
from responder.store.database.tables import OPEN, decisions

_ENTITIES = {"list": documents.LIST, "feed": documents.FEED}
_IN_A_LIST = re.compile(r"(list|feed)_[0-9]+:([0-9]+)")
_OF_ANY = tuple(f"lists|{entity}|" for entity in _ENTITIES.values())


def key_of(name: str) -> str:
    """Return the one name that stands for all names of a document: its triple, for an element."""
    found = _IN_A_LIST.fullmatch(name)
    return name if found is None else f"lists|{_ENTITIES[found[1]]}|{found[2]}"


def is_element(name: str) -> bool:
    """Return whether a document is an element of a list, which may have several names."""
    return key_of(name).startswith(_OF_ANY)


class ElementNames:
    """The names of elements in what was stopped since then, or is open, by one reading of the log.

    If `would`, in what would have been stopped since then.
    """

    def __init__(
        self, conn: Connection, portal: str, since: datetime, *, would: bool = False
    ) -> None:
        self._conn = conn
        self._given = {"of": portal, "since": since}
        self._queries = (_WOULD,) if would else (_CALLED, _OPEN)
        self._names: dict[str, set[str]] | None = None

    def of(self, documents: Collection[str]) -> list[str]:
        """Return these names, and all others of the same documents."""
        names = set(documents)
        for key in map(key_of, filter(is_element, documents)):
            names |= {key, *self._read().get(key, ())}
        return sorted(names)

    def _read(self) -> dict[str, set[str]]:
        if self._names is None:
            self._names = {}
            for query in self._queries:
                for name in self._conn.execute(query, self._given).scalars():
                    self._names.setdefault(key_of(name), set()).add(name)
        return self._names


def _named(which: ColumnElement[bool] | TextClause) -> Select[str]:
    of = decisions.c.portal == bindparam("of")
    return select(decisions.c.document).where(of, which, _IS_IN_A_LIST)


_IS_IN_A_LIST = or_(
    *(decisions.c.document.like(f"{kind}\\_%:%", escape="\\") for kind in _ENTITIES)
)
# Not DISTINCT, and by `calls`, which is in no index: else SQLite would go through all calls ever
# made, along an index that is in the order of the names.
_CALLED = _named(and_(decisions.c.called_at >= bindparam("since"), decisions.c.calls > 0))
_OPEN = _named(OPEN)
_WOULD = _named(and_(decisions.c.outcome.in_(WOULD_OUTCOMES), decisions.c.at >= bindparam("since")))
