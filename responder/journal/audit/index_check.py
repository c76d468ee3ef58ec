"""Compares an entry with the rows that belong to it: its evidence, and its decisions in the index.

The index of decisions is what people read, so each of its rows must say what the entries say. Its
columns come from three of them: the evaluation that made the decision, the intents of its calls,
and the outcome (with its verification). What changes between, while a decision is open, is working
state and in no entry: when it is due, how often it was tried.

Some rows point to a later entry: erased evidence to the entry that erased it, a concluded decision
to its outcome. Where that later entry does not agree, it may itself be the one that was changed. So
this is only a `Doubt` until the check has reached that entry and found it unchanged.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, LargeBinary, cast, select
from sqlalchemy import Row as Record

from responder.journal.chain import evidence_digest
from responder.journal.entries import document_named, document_text
from responder.journal.naming import names
from responder.model import OPEN_OUTCOMES, Mode
from responder.store.canonical_json import canonical, instant_text
from responder.store.database.columns import clean
from responder.store.database.tables import approvals, decisions, entries, evidence, name_words
from responder.store.decision_ids import decision_name, place_of

_CHUNK = 500
_SPEAK_OF_DECISIONS = ("intent", "outcome", "verified")
_ANOTHER = "the index differs from this entry"
Row = Record[tuple[object, ...]]
_Json = dict[str, Any]  # parsed text: what is in it was written by `record`


class Page(NamedTuple):
    """Some entries, and all rows that belong to them.

    `made` has the decisions of evaluations, by number; `spoken_of` those that other entries name,
    by id; `elsewhere` the later entries to which rows of the index and of erased evidence point;
    `asked` the rows of `approvals`, `words` those of `name_words`.
    """

    entries: Sequence[Row]
    evidence: dict[int, Row]
    made: dict[int, list[Row]]
    spoken_of: dict[str, Row]
    elsewhere: dict[int, Row]
    asked: dict[int, list[Row]]
    words: dict[int, list[Row]]


class Doubt(NamedTuple):
    """A fault of entry `seq`, provided that entry `until` is unchanged."""

    seq: int
    why: str
    until: int


def read(conn: Connection, portal: str, after: int, end: int) -> Page:
    """Read the entries after one number up to another, with all rows that belong to them."""
    found = conn.execute(
        select(entries)
        .where(entries.c.portal == portal, entries.c.seq > after, entries.c.seq <= end)
        .order_by(entries.c.seq)
    ).all()
    proofs = conn.execute(
        select(evidence).where(
            evidence.c.portal == portal, evidence.c.seq > after, evidence.c.seq <= end
        )
    ).all()
    rows = conn.execute(
        select(decisions)
        .where(decisions.c.portal == portal, decisions.c.seq > after, decisions.c.seq <= end)
        .order_by(decisions.c.seq, decisions.c.n)
    ).all()
    asking = conn.execute(
        select(approvals)
        .where(approvals.c.portal == portal, approvals.c.seq > after, approvals.c.seq <= end)
        .order_by(approvals.c.seq, approvals.c.n)
    ).all()
    words = conn.execute(
        select(name_words)
        .where(name_words.c.portal == portal, name_words.c.seq > after, name_words.c.seq <= end)
        .order_by(name_words.c.seq)
    ).all()
    pointed_to = {number for row in rows for number in (row.concluded, row.changed)}
    pointed_to |= {erased_by(proof) for proof in proofs}
    return Page(
        found,
        {proof.seq: proof for proof in proofs},
        _by_seq(rows),
        _spoken_of(conn, portal, found),
        _entries(conn, portal, pointed_to - {None}),
        _by_seq(asking),
        _by_seq(words),
    )


def _by_seq(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row.seq, []).append(row)
    return found


def erased_by(proof: Row) -> int | None:
    """Return the number of the entry that erased this evidence; None where it was not erased."""
    if proof.salt:
        return None
    number = json.loads(proof.content)["erased"]
    return number if isinstance(number, int) else None


def wrong(page: Page, entry: Row, body: _Json, base: int) -> str | None:
    """Return what is wrong with an entry's rows, or None. Entries up to `base` were pruned."""
    return (
        _wrong_evidence(page, entry, body)
        or _wrong_decisions(page, entry, body)
        or _wrong_names(page, entry)
        or _wrong_prune(entry, body, base)
        or _wrong_index(page, entry, body, base)
    )


def doubt(page: Page, entry: Row) -> Doubt | None:
    """Return a doubt where a row of an entry points to a later entry that does not agree."""
    proof = page.evidence.get(entry.seq)
    eraser = None if proof is None else erased_by(proof)
    if eraser is not None:
        body = _body_at(page, eraser, "control")
        named = body.get("entries")
        if body.get("control") != "erase" or not isinstance(named, list) or entry.seq not in named:
            why = "its evidence was removed, and no entry records that it was erased"
            return Doubt(entry.seq, why, eraser)
    for record in page.made.get(entry.seq, []):
        until = _not_borne_out(page, record)
        if until is not None:
            why = f"the index has an outcome that no entry records (decision {record.n})"
            return Doubt(entry.seq, why, until)
    return None


def _not_borne_out(page: Page, record: Row) -> int | None:
    """Return the number of an entry that should record this decision's end, and does not."""
    name = decision_name(record.portal, record.seq, record.n)
    if record.concluded is not None:
        body = _body_at(page, record.concluded, "outcome")
        if body.get("decision") != name:
            return int(record.concluded)
    if record.verified_at is not None:
        body = _body_at(page, record.changed, "verified")
        if body.get("decision") != name or body.get("absent") is not True:
            return int(record.changed)
    return None


def _spoken_of(conn: Connection, portal: str, found: Sequence[Row]) -> dict[str, Row]:
    names = {
        _parsed(entry.body).get("decision") for entry in found if entry.kind in _SPEAK_OF_DECISIONS
    }
    places = {place for name in names if isinstance(name, str) and (place := place_of(name))}
    rows = conn.execute(
        select(decisions).where(
            decisions.c.portal == portal,
            decisions.c.seq.in_(sorted({seq for _, seq, _ in places})),
            decisions.c.n.in_(sorted({n for _, _, n in places})),
        )
    )
    return {decision_name(row.portal, row.seq, row.n): row for row in rows}


def _entries(conn: Connection, portal: str, numbers: Iterable[int]) -> dict[int, Row]:
    # As bytes: a damaged text must not fail here, where other entries are read. The check names it
    # when it reaches that entry.
    raw = cast(entries.c.body, LargeBinary) if conn.dialect.name == "sqlite" else entries.c.body
    found: dict[int, Row] = {}
    wanted = sorted(numbers)
    for start in range(0, len(wanted), _CHUNK):
        rows = conn.execute(
            select(entries.c.seq, entries.c.kind, raw.label("body")).where(
                entries.c.portal == portal,
                entries.c.seq.in_(wanted[start : start + _CHUNK]),
                entries.c.kind.in_(("outcome", "verified", "control")),
            )
        )
        found |= {row.seq: row for row in rows}
    return found


def _wrong_evidence(page: Page, entry: Row, body: _Json) -> str | None:
    proof, digest = page.evidence.get(entry.seq), body.get("evidence")
    if proof is None:
        return None if digest is None else "its evidence is missing"
    if digest is None:
        return "it has evidence, but its body has no digest of any"
    if erased_by(proof) is None and digest != evidence_digest(proof.salt, proof.content):
        return "its evidence was changed"
    return None


def _wrong_decisions(page: Page, entry: Row, body: _Json) -> str | None:
    records = page.made.get(entry.seq, [])
    made = body["decisions"] if entry.kind == "evaluation" else []
    if [record.n for record in records] != list(range(1, len(made) + 1)):
        return "the index does not have the decisions of this entry"
    for record, decided in zip(records, made, strict=True):
        if other := _first_other(_columns_of_row(record), _columns_of_entry(entry, body, decided)):
            return f"the index has another {other} (decision {record.n})"
        if record.concluded is None and not _may_be(record, entry, decided):
            return f"the index has an outcome that no entry records (decision {record.n})"
    return None


def _wrong_names(page: Page, entry: Row) -> str | None:
    """Return what is wrong with the names of decisions, which repeat what is in the evidence."""
    records, proof = page.made.get(entry.seq, []), page.evidence.get(entry.seq)
    kept = json.loads(proof.content).get("names") if proof is not None and proof.salt else None
    named = [None] * len(records) if kept is None else [names.from_json(one) for one in kept]
    for record, one in zip(records, named, strict=False):
        if record.names != names.to_text(one):
            return f"the index has other names (decision {record.n})"
    found = {(row.n, row.word) for row in page.words.get(entry.seq, [])}
    return None if found == {*names.words_of_all(named)} else "the index has other words of names"


def _columns_of_row(record: Row) -> _Json:
    """Return the columns of a decision's row that never change."""
    columns = {name: record._mapping[name] for name in _NEVER_CHANGE}
    return columns | {"received_at": _instant(record.received_at)}


_NEVER_CHANGE = (
    "at",
    "trigger",
    "event",
    "event_names",
    "document",
    "triple",
    "workflow_id",
    "template_id",
    "rule",
    "action",
    "ruleset",
    "shadow",
    "asked",
    "spared",
)


def _columns_of_entry(entry: Row, body: _Json, decided: _Json) -> _Json:
    """Return the same columns as an evaluation's entry has them."""
    workflow = decided["workflow"] or {"id": None, "template_id": None}
    document = document_named(body["document"])
    return {
        "at": entry.at,
        "received_at": body["received_at"],
        "trigger": body["trigger"],
        "event": _clean(body["event"]),
        "event_names": canonical(body["event_names"]),
        "document": None if document is None else clean(document.ref),
        "triple": document_text(document),
        "workflow_id": _clean(workflow["id"]),
        "template_id": _clean(workflow["template_id"]),
        "rule": _clean(decided["rule"]),
        "action": decided["action"],
        "ruleset": body["ruleset"],
        "shadow": decided["outcome"] in OPEN_OUTCOMES and decided["mode"] == Mode.OBSERVE,
        "asked": _kept_while_open(decided, body.get("asked")),
        "spared": _kept_while_open(decided, decided.get("spared")),
    }


def _kept_while_open(decided: _Json, value: object) -> str | None:
    """Return the column's text for a value that only a stop that is open at first has."""
    if value is None or decided["outcome"] not in OPEN_OUTCOMES:
        return None
    return clean(canonical(value))


def _may_be(record: Row, entry: Row, decided: _Json) -> bool:
    """Return whether a decision without an outcome entry may have the state that its row has."""
    if record.receipt is not None or record.verified_at is not None:
        return False
    if decided["outcome"] in OPEN_OUTCOMES:
        return record.outcome in OPEN_OUTCOMES and record.concluded_at is None
    found = (record.outcome, record.detail, record.concluded_at)
    return bool(found == (decided["outcome"], _clean(decided["detail"]), entry.at))


def _wrong_prune(entry: Row, body: _Json, base: int) -> str | None:
    if entry.kind == "prune" and body["through"] > base:
        return "it says that entries were pruned that are still there"
    return None


def _wrong_index(page: Page, entry: Row, body: _Json, base: int) -> str | None:
    if entry.kind not in _SPEAK_OF_DECISIONS:
        return None
    place = place_of(body["decision"])
    if place is None or place[0] != entry.portal or place[1] >= entry.seq:
        return "it names no earlier decision"
    if place[1] <= base:
        return None  # the decision was pruned, and its later entries are still here
    record = page.spoken_of.get(body["decision"])
    if record is None:
        return "the decision it names is not in the index"
    return None if _AGREES[entry.kind](record, entry, body) else _ANOTHER


def _agrees_with_intent(record: Row, entry: Row, body: _Json) -> bool:
    found = (record.workflow_id, record.rule, record.action)
    if found != (_clean(body["workflow_id"]), _clean(body["rule"]), body["action"]):
        return False
    newest = record.calls == body["call"]
    return bool(record.called_at == entry.at) if newest else bool(record.calls > body["call"])


def _agrees_with_outcome(record: Row, entry: Row, body: _Json) -> bool:
    found = (record.outcome, record.receipt, record.detail, record.concluded, record.concluded_at)
    wanted = (body["outcome"], body["receipt"], _clean(body["detail"]), entry.seq, entry.at)
    return found == wanted


def _agrees_with_look(record: Row, entry: Row, body: _Json) -> bool:
    wanted = entry.at if body["absent"] else None
    return bool(record.verified_at == wanted or record.changed > entry.seq)


_AGREES = {
    "intent": _agrees_with_intent,
    "outcome": _agrees_with_outcome,
    "verified": _agrees_with_look,
}


def _body_at(page: Page, number: int, kind: str) -> _Json:
    """Return the body of an entry in `elsewhere`, `{}` where there is none of that kind."""
    entry = page.elsewhere.get(number)
    return {} if entry is None or entry.kind != kind else _parsed(entry.body)


def _first_other(found: _Json, wanted: _Json) -> str | None:
    return next((name for name, value in wanted.items() if found[name] != value), None)


def _instant(at: Any) -> str | None:  # noqa: ANN401 -- a column of a row
    return None if at is None else instant_text(at)


def _clean(words: str | None) -> str | None:
    return None if words is None else clean(words)


def _parsed(body: str | bytes) -> _Json:
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
