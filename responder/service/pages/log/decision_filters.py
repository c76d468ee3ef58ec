"""Parses the filters of the decision list from its address, and finds out what a search means."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from urllib.parse import urlencode

from responder.bitrix24.document_names import document_named
from responder.bitrix24.documents import KINDS, of_item
from responder.journal.naming import name_search, names
from responder.journal.naming.names_in_words import document_in_words
from responder.journal.reading import search
from responder.journal.reading.search import Key, Wanted, key_of
from responder.model import Action, Outcome
from responder.store.database.database import Connection

FIELDS = ("q", "in", "rule", "outcome", "action", "portal", "from", "to", "show")
PATH = "/decisions"  # the address of the log
EACH = "each"  # of `show`: every decision has a row, also where nothing was stopped
LONGEST = 200
_MOST_WORDS = 8

_EVALUATION = re.compile(r"(.+)-([0-9]{1,9})")
_BEGINNING = re.compile(r"[0-9a-f]{8,}(?:\.[0-9]*)?")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")


class BadFilter(ValueError):  # noqa: N818 - it says what is wrong with a filter
    """A filter that has no meaning."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters as they are in the address."""

    given: Mapping[str, str]

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Filters":
        """Parse the filters; an empty one is left out."""
        found = {name: query.get(name, "").strip()[:LONGEST] for name in FIELDS}
        return cls({name: value for name, value in found.items() if value})

    def address(self, **more: str) -> str:
        """Return the address of the page with these filters, and more."""
        query = urlencode({**self.given, **more})
        return f"{PATH}?{query}" if query else PATH

    @property
    def in_read(self) -> bool:
        """Return whether the search is for words in all that was read, and not for names."""
        return self.given.get("in") == "read"

    @property
    def chooses(self) -> bool:
        """Return whether more is chosen by than portal and time."""
        return bool(self.given.keys() - {"portal", "from", "to"})

    def wanted(self, zone: tzinfo) -> Wanted:
        """Return the conditions, except for the search text, with times in a zone.

        Raise BadFilter.
        """
        return Wanted(
            portal=self.given.get("portal"),
            rule=self.given.get("rule"),
            outcome=_one_of(self.given.get("outcome"), ("open", *Outcome), "outcome"),
            action=_action(self.given.get("action")),
            since=_instant(self.given.get("from"), zone),
            until=_instant(self.given.get("to"), zone, end=True),
            quiet=self.given.get("show") in ("all", EACH),
        )


@dataclass(frozen=True, slots=True)
class Meaning:
    """The meaning of a search text: conditions, described in words, or one decision's id.

    `named`: it was looked for in names, and could be in all that was read.
    """

    wanted: Wanted
    description: str | None = None
    decision: str | None = None
    named: bool = False


def before(query: Mapping[str, str]) -> Key | None:
    """Return the key from which the page goes on, or None; raise BadFilter."""
    given = query.get("before", "")
    found = key_of(given)
    if given and found is None:
        raise BadFilter("The place in the log from which to go on cannot be read.")
    return found


def meaning_of(conn: Connection, text: str, wanted: Wanted, *, read: bool = False) -> Meaning:
    """Return what a search means: a decision, document, workflow, rule or name, or else words.

    With `read`, it means words in what was read, whatever else it could mean.
    """
    if read:
        return _words(text, wanted)
    for look in (_decision, _document, _workflow, _rule, _names):
        found = look(conn, text, wanted)
        if found is not None:
            return found
    return _words(text, wanted)


def _words(text: str, wanted: Wanted) -> Meaning:
    """Return a search for words in what was read, a stretch of the log at a time."""
    words = text.strip('"')
    return Meaning(
        replace(wanted, words=words, quiet=True),
        f"decisions with “{words}” in what was read or in their detail",
    )


def _decision(conn: Connection, text: str, wanted: Wanted) -> Meaning | None:
    if search.is_there(conn, text):
        return Meaning(wanted, decision=text)
    match = _EVALUATION.fullmatch(text)
    if match is None or not search.is_there(conn, f"{text}-1"):
        return None
    evaluation = (match[1], int(match[2]))
    return Meaning(replace(wanted, evaluation=evaluation, quiet=True), f"evaluation {text}")


def _document(_conn: Connection, text: str, wanted: Wanted) -> Meaning | None:
    if _NUMBER.fullmatch(text):
        some = [of_item(kind, text) for kind in KINDS]
        refs = tuple(document.ref for document in some if document is not None)
        return Meaning(replace(wanted, documents=refs, quiet=True), f"documents with number {text}")
    document = document_named(text)
    if document is None:
        return None
    words = document_in_words(document.ref)
    return Meaning(replace(wanted, documents=(document.ref,), quiet=True), words)


def _workflow(conn: Connection, text: str, wanted: Wanted) -> Meaning | None:
    if search.is_workflow(conn, text):
        return Meaning(replace(wanted, workflows=(text,)), f"workflow {text}")
    found = search.beginning_with(conn, text) if _BEGINNING.fullmatch(text) else ()
    if not found:
        return None
    return Meaning(replace(wanted, workflows=found), f"workflows that begin with {text}")


def _rule(conn: Connection, text: str, wanted: Wanted) -> Meaning | None:
    if wanted.rule is not None or not search.is_rule(conn, text):
        return None
    return Meaning(replace(wanted, rule=text), f"rule {text}")


def _names(conn: Connection, text: str, wanted: Wanted) -> Meaning | None:
    """Return a search for words that begin words of names; None where a word begins none."""
    words = dict.fromkeys(names.words_in(text))
    spelt = tuple(name_search.spellings(conn, word) for word in list(words)[:_MOST_WORDS])
    if not spelt or not all(spelt):
        return None
    return Meaning(replace(wanted, names=spelt), f"decisions with “{text}” in a name", named=True)


def _one_of(given: str | None, known: tuple[str, ...], what: str) -> str | None:
    if given is not None and given not in known:
        raise BadFilter(f"There is no {what} “{given}”.")
    return given


def _action(given: str | None) -> Action | None:
    found = _one_of(given, tuple(Action), "action")
    return None if found is None else Action(found)


def _instant(given: str | None, zone: tzinfo, *, end: bool = False) -> datetime | None:
    """Return a day or an instant of a zone, in UTC; with `end`, the end of that day or minute."""
    if given is None:
        return None
    try:
        at = datetime.fromisoformat(given)
        length = timedelta(days=1) if len(given) == 10 else timedelta(minutes=1)
        at = at.replace(tzinfo=at.tzinfo or zone)
        return ((at + length) if end else at).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadFilter(f"“{given}” is no time: write 2026-09-24 or 2026-09-24T12:00.") from None
