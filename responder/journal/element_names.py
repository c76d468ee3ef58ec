r"""Finds all names under which one element of a list stands in the log.

Which list an element is of is told by its workflows' templates alone, and not by each of them
(`bitrix24.documents`). So one evaluation names it `lists|Bitrix\Lists\BizprocDocumentLists|7`, and
another `list_23:7`. It is one document all the same: what is stopped on it counts together.
"""

import re
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, select, union_all

from responder.store.database.tables import OPEN, decisions

_ENTITIES = {"list": r"Bitrix\Lists\BizprocDocumentLists", "feed": "BizprocDocument"}
_IN_A_LIST = re.compile(r"(list|feed)_[0-9]+:([0-9]+)")
_OF_ANY = {f"lists|{entity}|": f"{kind}\\_%:" for kind, entity in _ENTITIES.items()}

_MAY_BE = decisions.c.document.like(bindparam("pattern"), escape="\\")
_OF = decisions.c.portal == bindparam("of")
# `calls` is in no index: else SQLite goes through all calls ever made, for that index has names too
_CALLED = and_(decisions.c.called_at >= bindparam("since"), decisions.c.calls > 0)
_NAMED = union_all(
    *(select(decisions.c.document).where(_OF, which, _MAY_BE) for which in (_CALLED, OPEN))
)


def key_of(name: str) -> str:
    """Return the one name that stands for all names of a document: its triple, for an element."""
    found = _IN_A_LIST.fullmatch(name)
    return name if found is None else f"lists|{_ENTITIES[found[1]]}|{found[2]}"


def is_element(name: str) -> bool:
    """Return whether a document is an element of a list, which may have several names."""
    return key_of(name).startswith(tuple(_OF_ANY))


def names_of(
    conn: Connection, portal: str, documents: Collection[str], since: datetime
) -> list[str]:
    """Return these names, and all others of the same documents.

    Others are looked for among the stops that were called for since then, or are open.
    """
    names = set(documents)
    for name in filter(is_element, documents):
        key = key_of(name)
        start = next(start for start in _OF_ANY if key.startswith(start))
        pattern = _OF_ANY[start] + key.removeprefix(start)
        found = conn.execute(_NAMED, {"of": portal, "since": since, "pattern": pattern}).scalars()
        names |= {key, *(other for other in found if other and key_of(other) == key)}
    return sorted(names)
