"""Stores why portals are observed, not acted upon: the questions that they answer otherwise.

Each is a switch with the name of portal and question, so that every replica and command sees it,
and the next driver begins with what the last one found.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, select

from responder.store.database.tables import insert, switches

_BEGIN = "withheld "


def of_all(conn: Connection) -> dict[str, dict[str, str]]:
    """Return by portal the questions that it answers otherwise, each with what came."""
    found: dict[str, dict[str, str]] = {}
    query = select(switches.c.name, switches.c.by).where(switches.c.name.startswith(_BEGIN))
    for name, content in conn.execute(query.order_by(switches.c.name)):
        portal, _, question = str(name).removeprefix(_BEGIN).partition(" ")
        found.setdefault(portal, {})[question] = str(json.loads(content)["came"])
    return found


def of_portal(conn: Connection, portal: str, address: str | None) -> dict[str, str]:
    """Return the questions that the portal at this address answers otherwise."""
    begin = f"{_BEGIN}{portal} "
    query = select(switches.c.name, switches.c.by).where(switches.c.name.startswith(begin))
    found = {}
    for name, content in conn.execute(query.order_by(switches.c.name)):
        kept = json.loads(content)
        if kept["address"] == address:
            found[str(name).removeprefix(begin)] = str(kept["came"])
    return found


def replace(
    tx: Connection, portal: str, found: Mapping[str, str], address: str | None, at: datetime
) -> None:
    """Write which questions a portal answers otherwise, in place of what was written before."""
    tx.execute(delete(switches).where(switches.c.name.startswith(f"{_BEGIN}{portal} ")))
    for question, came in found.items():
        content = json.dumps({"address": address, "came": came})
        name = f"{_BEGIN}{portal} {question}"
        tx.execute(insert(tx, switches).values(name=name, at=at, by=content))
