"""Computes the facts that the portal does not send: how old, how idle, whether stuck.

It also fills the facts of a judgement itself (its events, its document), and those of the starter
where the workflow's row alone decides them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo

from responder.model import ABSENT, Document, Unknown
from responder.rules.facts import values
from responder.rules.facts.fields import Type

SOURCES: Mapping[str, str] = {
    "workflow.age": "workflow.started",
    "workflow.idle": "workflow.modified",
    "workflow.stuck": "workflow.owned_until",
}
STARTER = frozenset({"starter.id", "starter.active", "starter.department"})
STARTED_BY = "workflow.started_by"
RUNNING = "document.running"  # a fact of the document that the list of its workflows decides
# The fact to read (value) so that a derived one (key) can be computed.
NEEDS: Mapping[str, str] = {**SOURCES, **dict.fromkeys(STARTER, STARTED_BY)}
DERIVED = frozenset(NEEDS)
KIND = "document.kind"
OF_JUDGEMENT = ("event.name", KIND, "document.id")
UNKNOWN_LIST = Unknown("of which list the document is, is not known")
# A run holds its workflow for minutes; one that is over for longer did not end by itself.
_STUCK_AFTER = timedelta(minutes=5)


def of_judgement(events: Sequence[str], document: Document) -> dict[str, object]:
    """Return the facts of a judgement itself: the events that set it off, and its document.

    Each list is a kind of its own, so the kind of an element is unknown where its list is.
    """
    kind = UNKNOWN_LIST if document.is_of_unknown_list else document.kind
    return dict(zip(OF_JUDGEMENT, (events, kind, document.item_id), strict=True))


def derived(facts: Mapping[str, object], now: datetime, zone: tzinfo) -> dict[str, object]:
    """Return the derived facts of a workflow at `now`; dates without a zone are in `zone`."""
    since = {path: _since(facts.get(source, ABSENT), now, zone) for path, source in SOURCES.items()}
    over = since["workflow.stuck"]
    if not isinstance(over, Unknown):
        since["workflow.stuck"] = isinstance(over, timedelta) and over > _STUCK_AFTER
    return since | _starter(facts)


def _starter(facts: Mapping[str, object]) -> dict[str, object]:
    """Return the `starter.*` facts that follow from the row.

    All are empty where nobody started it, and unknown where it is unknown who did.
    """
    by = facts.get(STARTED_BY, ABSENT)
    if by is ABSENT:
        return {}
    if isinstance(by, Unknown):  # whatever else is said of somebody of whom nobody knows who it is
        return dict.fromkeys(STARTER, by)
    if values.is_empty(by, Type.REFERENCE):
        return dict.fromkeys(STARTER)
    return {} if "starter.id" in facts else {"starter.id": by}


def _since(value: object, now: datetime, zone: tzinfo) -> object:
    """Return the time from a date until `now`, None where the value is empty."""
    if isinstance(value, Unknown):
        return value
    if values.is_empty(value, Type.DATE):
        return None
    instant = values.instants(zone)(value)
    return now - instant if isinstance(instant, datetime) else instant
