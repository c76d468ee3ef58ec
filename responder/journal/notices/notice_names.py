"""Adds to a message the names by which people know its decision, as it is sent.

They are read at that moment and not stored with the message, so that what was erased while the
message waited is not sent, and nothing of it lies where `erase` does not look.
"""

import json

from sqlalchemy import Connection, and_, select

from responder.journal.naming import names, names_in_words
from responder.store.canonical_json import canonical
from responder.store.database.tables import decisions, evidence
from responder.store.decision_ids import is_decision, place_of

_OF_EVALUATION = and_(evidence.c.portal == decisions.c.portal, evidence.c.seq == decisions.c.seq)


def named(conn: Connection, body: str) -> str:
    """Return a message's text with `about` and `names` of its decision; that of others unchanged.

    Both are as they stand in the log: `names` is null where none were recorded, or where they were
    erased, which `erased` says then.
    """
    message = json.loads(body)
    data = message["data"]
    place = place_of(str(data.get("decision")))
    if place is None:
        return body
    query = select(decisions.c.names, evidence.c.salt).outerjoin(evidence, _OF_EVALUATION)
    row = conn.execute(query.where(is_decision(place))).one_or_none()
    known = None if row is None else names.from_text(row.names)
    document = data.get("document")
    data["about"] = None if document is None else names_in_words.sentence(known, document)
    data["names"] = names.to_json(known)
    if row is not None and row.salt == "":  # as `erase` leaves it
        data["erased"] = True
    return canonical(message)
