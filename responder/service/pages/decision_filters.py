"""What is looked for in the decision log: the address of the page says it, a form changes it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from responder.bitrix24.documents import KINDS, of_item, parse_ref
from responder.journal.reading import search
from responder.journal.reading.search import Key, Wanted, key_of
from responder.model import Action, Outcome
from responder.service.pages.rendering import document_in_words
from responder.store.database.database import Connection

FIELDS = ("q", "rule", "outcome", "action", "portal", "from", "to", "show")
LONGEST = 200

_EVALUATION = re.compile(r"(.+)-([0-9]{1,9})")
_BEGINNING = re.compile(r"[0-9a-f]{8,}(?:\.[0-9]*)?")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")


class Mistaken(ValueError):  # noqa: N818 - it says what is wrong with a filter
    """A filter that cannot be meant."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters as they stand in the address."""

    given: Mapping[str, str]

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Filters":
        """Read the filters; what is empty is not there."""
        found = {name: query.get(name, "").strip()[:LONGEST] for name in FIELDS}
        return cls({name: value for name, value in found.items() if value})

    def address(self, **more: str) -> str:
        """Return the address of the page with these filters, and something more."""
        query = urlencode({**self.given, **more})
        return f"/?{query}" if query else "/"

    def wanted(self) -> Wanted:
        """Return what is wanted, but for the search. Raise Mistaken."""
        return Wanted(
            portal=self.given.get("portal"),
            rule=self.given.get("rule"),
            outcome=_one_of(self.given.get("outcome"), ("open", *Outcome), "outcome"),
            action=_action(self.given.get("action")),
            since=_instant(self.given.get("from")),
            until=_instant(self.given.get("to"), end=True),
            quiet=self.given.get("show") == "all",
        )


@dataclass(frozen=True, slots=True)
class Sought:
    """What a search was understood as. `decision` names the one decision that it means."""

    wanted: Wanted
    told: str | None = None
    decision: str | None = None


def before(query: Mapping[str, str]) -> Key | None:
    """Return the place from which the page goes on. Raise Mistaken."""
    given = query.get("before", "")
    found = key_of(given)
    if given and found is None:
        raise Mistaken("The place in the log from which to go on cannot be read.")
    return found


def understood(conn: Connection, text: str, wanted: Wanted) -> Sought:
    """Say what a search means: a decision, document, workflow or rule, or else words."""
    for look in (_decision, _document, _workflow, _rule):
        found = look(conn, text, wanted)
        if found is not None:
            return found
    said = text.strip('"')
    return Sought(
        replace(wanted, words=said, quiet=True),
        f"decisions that have “{said}” in what was read or noted",
    )


def _decision(conn: Connection, text: str, wanted: Wanted) -> Sought | None:
    if search.is_there(conn, text):
        return Sought(wanted, decision=text)
    match = _EVALUATION.fullmatch(text)
    if match is None or not search.is_there(conn, f"{text}-1"):
        return None
    evaluation = (match[1], int(match[2]))
    return Sought(replace(wanted, evaluation=evaluation, quiet=True), f"evaluation {text}")


def _document(_conn: Connection, text: str, wanted: Wanted) -> Sought | None:
    if _NUMBER.fullmatch(text):
        some = [of_item(kind, text) for kind in KINDS]
        refs = tuple(document.ref for document in some if document is not None)
        return Sought(replace(wanted, documents=refs, quiet=True), f"documents with number {text}")
    ref = text if "|" in text else re.sub(r"[ _:#]+(?=[0-9]+$)", ":", text.lower())
    document = parse_ref(ref)
    if document is None:
        return None
    said = document_in_words(document.ref)
    return Sought(replace(wanted, documents=(document.ref,), quiet=True), said)


def _workflow(conn: Connection, text: str, wanted: Wanted) -> Sought | None:
    if search.is_workflow(conn, text):
        return Sought(replace(wanted, workflows=(text,)), f"workflow {text}")
    found = search.beginning_with(conn, text) if _BEGINNING.fullmatch(text) else ()
    if not found:
        return None
    return Sought(replace(wanted, workflows=found), f"workflows that begin with {text}")


def _rule(conn: Connection, text: str, wanted: Wanted) -> Sought | None:
    if wanted.rule is not None or not search.is_rule(conn, text):
        return None
    return Sought(replace(wanted, rule=text), f"rule {text}")


def _one_of(given: str | None, known: tuple[str, ...], what: str) -> str | None:
    if given is not None and given not in known:
        raise Mistaken(f"There is no {what} “{given}”.")
    return given


def _action(given: str | None) -> Action | None:
    found = _one_of(given, tuple(Action), "action")
    return None if found is None else Action(found)


def _instant(given: str | None, *, end: bool = False) -> datetime | None:
    """Read a day or an instant, in UTC; the end of a day or minute is its last moment."""
    if given is None:
        return None
    try:
        at = datetime.fromisoformat(given)
        length = timedelta(days=1) if len(given) == 10 else timedelta(minutes=1)
        at = at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
        return at + length if end else at
    except (ValueError, OverflowError):
        raise Mistaken(f"“{given}” is no time: write 2026-09-24 or 2026-09-24T12:00.") from None
