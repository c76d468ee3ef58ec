"""Prints the decision log: a table for people, JSON for programs, one decision with its reasons."""

import json
import re
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING

from responder.adapters import local_time
from responder.adapters.printable_text import printable, to_json
from responder.adapters.terminal import Style
from responder.adapters.text_table import Column, Table, wrapped
from responder.bitrix24 import documents
from responder.journal.naming import names, names_in_words
from responder.journal.reading import decisions, rule_names
from responder.model import Action, Document, Outcome, Reason
from responder.store import rulesets
from responder.store.database.database import Database

if TYPE_CHECKING:
    from responder.journal.restarts import Restart
    from responder.journal.telling.shown import Told

FOLLOW_SECONDS = 0.5
_HEAD = re.compile(r" *\S+ {2,}")  # the name of a line, and what separates it from the text

_STYLES: Mapping[str, Style] = {
    **dict.fromkeys((Outcome.KILLED, Outcome.TERMINATED, Outcome.REFUSED, Outcome.GAVE_UP), "red"),
    **dict.fromkeys((Outcome.WAITING, Outcome.HELD, Outcome.IN_DOUBT), "yellow"),
    **dict.fromkeys((Outcome.LEFT, Outcome.CLEARED, Outcome.CANCELLED), "green"),
}


def outcome_style(cell: str) -> Style | None:
    """Return the colour of an outcome in a table; of none, that of what matters little."""
    return "dim" if cell.startswith(Action.NONE) else _STYLES.get(cell)


_COLUMNS = (
    Column("DECISION", usual=10),
    Column("DOCUMENT", usual=10, fold=True),
    Column("WORKFLOW", usual=23, spare=True),
    Column("RULE", usual=20, fold=True),
    Column("OUTCOME", usual=12, fold=True, style=outcome_style),
)

Decision = Mapping[str, object]
Write = Callable[[str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The decisions that the options ask for.

    `outcome` may also be the reason of a decision that condemned nothing.
    """

    since: datetime | None = None
    portal: str | None = None
    document: Document | None = None
    workflow: str | None = None
    rule: str | None = None
    outcome: str | None = None
    limit: int | None = None  # the newest so many

    def matches(self, decision: Decision) -> bool:
        """Return whether a decision, whatever its age, is asked for."""
        workflow = decision["workflow"]
        found = workflow.get("id") if isinstance(workflow, dict) else None
        return (
            self.portal in (None, decision["portal"])
            and self.rule in (None, decision["rule"])
            and self.workflow in (None, found)
            and self._matches_document(decision["document"])
            and self._matches_outcome(decision)
        )

    def _matches_document(self, triple: object) -> bool:
        if self.document is None:
            return True
        return isinstance(triple, list) and self.document.triple == tuple(triple)

    def _matches_outcome(self, decision: Decision) -> bool:
        if self.outcome is None:
            return True
        if decision["action"] == Action.NONE:
            return self.outcome in (Action.NONE, decision["reason"])
        return decision["outcome"] == self.outcome


class Shown:
    """Where decisions are shown: in a table for people, or as one JSON object a line.

    A table says times in `zone`.
    """

    def __init__(self, write: Write, *, as_json: bool, zone: tzinfo = UTC) -> None:
        self._write = write
        self._zone = zone
        at = Column(f"AT ({local_time.zone_label(datetime.now(UTC), zone)})", usual=19)
        self._table = None if as_json else Table(at, *_COLUMNS, write=write)

    def add(self, decision: Decision) -> None:
        """Show a decision, once the table's columns can be laid out."""
        if self._table is None:
            self._write(to_json(decision))
        else:
            self._table.add(*_cells(decision, self._zone), note=_note(decision))

    def flush(self) -> None:
        """Show all that were added, however few they are."""
        if self._table is not None:
            self._table.flush()


def show_all(database: Database, chosen: Filter, shown: Shown) -> int:
    """Show the decisions that are asked for; return their number."""
    found: Iterable[Decision] = filter(
        chosen.matches,
        decisions.decisions(
            database,
            since=chosen.since,
            portal=chosen.portal,
            document=None if chosen.document is None else chosen.document.ref,
            workflow=chosen.workflow,
            rule=chosen.rule,
            outcome=chosen.outcome if chosen.outcome in tuple(Outcome) else None,
        ),
    )
    if chosen.limit is not None:
        found = deque(found, maxlen=chosen.limit)
    count = 0
    for decision in found:
        shown.add(decision)
        count += 1
    shown.flush()
    return count


def show_changes(
    database: Database, cursor: Mapping[str, int], chosen: Filter, shown: Shown
) -> None:
    """Show, for ever, decisions that are asked for as they change, from the cursor on."""
    while True:
        seen = cursor
        changed, cursor = database.read(partial(decisions.changed_since, cursor=seen))
        if cursor == seen:
            time.sleep(FOLLOW_SECONDS)
        for decision in filter(chosen.matches, changed):
            shown.add(decision)


def require_outcome(outcome: str | None) -> None:
    """Raise ValueError for what is neither an outcome nor a reason, naming the nearest."""
    known = (Action.NONE, *Outcome, *Reason)
    if outcome in (None, *known):
        return
    near = get_close_matches(outcome, known, 1)
    meant = f" Did you mean {near[0]}?" if near else ""
    raise ValueError(
        f"There is no outcome {outcome}.{meant} There are: {', '.join(Outcome)}; and where "
        f"nothing was condemned: none, or its reason {', '.join(Reason)}."
    )


def unknown_rule(database: Database, rule: str, in_force: Collection[str] | None) -> str | None:
    """Return what is wrong with a rule that neither the file nor the log names, or None.

    `in_force` are the rules in the file, None where it cannot be read.
    """
    known = {*(in_force or ()), *database.read(rule_names.rules)}
    if rule in known:
        return None
    near = get_close_matches(rule, sorted(known), 1)
    meant = f" Did you mean {near[0]}?" if near else ""
    nowhere = "is in the log" if in_force is None else "is in force, and none is in the log"
    return f"No rule {rule} {nowhere}.{meant}"


def no_decision(chosen: Filter) -> str:
    """Return the line for no decision found."""
    if chosen.rule is None:
        return "There is no such decision."
    return f"Rule {chosen.rule} has made no such decision."


def find(database: Database, decision_id: str) -> Decision | None:
    """Return one decision, or None."""
    return database.read(partial(decisions.one, decision_id=decision_id))


def sentence(database: Database, decision: Decision) -> str | None:
    """Return the deciding rule in plain English, in the revision that decided.

    Return None where its text was not kept, or this version cannot read it.
    """
    from responder.rules.english.paragraphs import paragraph  # slow, and needed for this alone
    from responder.rules.ruleset import RulesError, load, was_in_force

    text = database.read(lambda conn: rulesets.text(conn, str(decision["ruleset"])))
    if text is None or decision["rule"] is None:
        return None
    try:
        ruleset = load(text.encode(), file="rules.yaml", is_known=was_in_force)
    except RulesError:
        return None
    return next((paragraph(rule) for rule in ruleset.rules if rule.id == decision["rule"]), None)


@dataclass(frozen=True, slots=True)
class Afterwards:
    """What came after a decision: what people were told in the portal, and a restart."""

    said: "tuple[Told, ...]" = ()
    restart: "Restart | None" = None


def afterwards(database: Database, decision_id: str) -> Afterwards:
    """Read what came after a decision."""
    from responder.journal import restarts
    from responder.journal.telling.shown import told

    return database.read(
        lambda conn: Afterwards(told(conn, decision_id), restarts.find(conn, decision_id))
    )


def one(
    decision: Decision,
    in_words: str | None = None,
    after: Afterwards = Afterwards(),
    *,
    as_json: bool,
    zone: tzinfo = UTC,
) -> str:
    """Return one decision with all that led to it, its rule in words, and what came after it."""
    if as_json:
        told_of = [one.as_json() for one in after.said]
        anew = None if after.restart is None else after.restart.as_json()
        return to_json({**decision, "told": told_of, "restart": anew})
    rule_lines = (
        [] if in_words is None else ["in words", *(f"  {line}" for line in in_words.splitlines())]
    )
    said = [*_said_lines(after.said, zone), *_restart_lines(after.restart, zone)]
    lines = [*_lines(decision, zone), *said, *rule_lines]
    return "\n".join(part for line in lines for part in _wrapped(line))


def _wrapped(line: str) -> list[str]:
    """Return a line in lines no wider than the terminal, the further ones below its text."""
    head = _HEAD.match(line)
    if head is not None:
        return wrapped(head[0], line[head.end() :])
    margin = len(line) - len(line.lstrip())
    return wrapped(line[:margin], line[margin:], indent=margin + 2)


def _said_lines(said: "Iterable[Told]", zone: tzinfo) -> Iterable[str]:
    lines = [
        f"  {one.kind}  {_text(one.who)}: {_text(one.words)}"
        + (f" ({local_time.in_line(one.at, zone)})" if one.at else "")
        for one in said
    ]
    return ["told in the portal", *lines] if lines else []


def _restart_lines(restart: "Restart | None", zone: tzinfo) -> Iterable[str]:
    if restart is not None:
        yield "restart"
        yield f"  {local_time.in_text(_text(restart.sentence), zone)}"


def _cells(decision: Decision, zone: tzinfo) -> tuple[str, ...]:
    """Return the cells of a decision's row."""
    return (
        local_time.in_table(str(decision["at"]), zone),
        str(decision["id"]),
        document_name(decision["document"]),
        _workflow_name(decision["workflow"]),
        str(decision["rule"] or "-"),
        str(decision["outcome"] or f"none ({decision['reason']})"),
    )


def _note(decision: Decision) -> str:
    """Return what a decision was about as far as names were recorded, for the line below it."""
    return "(erased)" if decision.get("erased") else _about(decision)


def _about(decision: Decision) -> str:
    given = decision["names"]
    if not isinstance(given, dict) or not given:
        return ""
    return printable(names_in_words.sentence(names.from_json(given), decision["document"]))


def document_name(triple: object) -> str:
    """Return a document as it is named everywhere: `deal:759`."""
    return printable(documents.from_triple(*triple).ref) if isinstance(triple, list) else "-"


def _workflow_name(workflow: object) -> str:
    return printable(str(workflow.get("id"))) if isinstance(workflow, dict) else "-"


def _text(value: object) -> str:
    return "" if value is None else printable(str(value))


def _lines(decision: Decision, zone: tzinfo) -> Iterable[str]:
    yield f"decision     {_text(decision['id'])}"
    yield f"at           {local_time.in_line(str(decision['at']), zone)}"
    for name in ("portal", "trigger", "event"):
        yield f"{name:<12} {_text(decision[name]) or '-'}"
    if about := _about(decision):
        yield f"about        {about}"
    yield f"document     {document_name(decision['document'])}"
    yield f"workflow     {_fields(decision['workflow'])}"
    yield f"rule         {_text(decision['rule']) or '-'}"
    if decision["because"]:
        yield f"because      {_text(decision['because'])}"
    yield f"action       {_text(decision['action'])}"
    for name in ("reason", "mode", "outcome", "receipt", "verified_at", "detail", "concluded_at"):
        if decision[name] is not None:
            yield f"{name:<12} {local_time.in_text(_text(decision[name]), zone)}"
    yield f"ruleset      {_text(decision['ruleset'])}"
    yield from _conditions(decision["conditions"])
    if decision.get("erased"):
        yield "facts        erased, and so are the names"
    yield from _facts(decision["facts"])


def _fields(values: object) -> str:
    """Return the fields of a workflow in a line; those of a nested map follow its name."""
    if not isinstance(values, dict):
        return "-"
    return ", ".join(
        f"{name} {_fields(value) if isinstance(value, dict) else _text(value) or '-'}"
        for name, value in values.items()
    )


def _conditions(conditions: object) -> Iterable[str]:
    if not isinstance(conditions, list) or not conditions:
        return
    yield "tests"
    for condition in conditions:
        mark = {True: "yes    ", False: "no     ", None: "unknown"}[condition["holds"]]
        where = f" [{_text(condition['workflow'])}]" if condition.get("workflow") else ""
        why = f" because {_text(condition['why'])}" if condition.get("why") else ""
        yield (
            f"  {mark}  {_text(condition['rule'])}: {_text(condition['path'])} "
            f"{_text(condition['test'])}; it {_seen(condition)}{why}{where}"
        )


def _seen(condition: Mapping[str, object]) -> str:
    """Return the value that a test saw, unless it was erased since."""
    return "was erased" if condition.get("erased") else f"is {_value(condition['value'])}"


def _facts(facts: object) -> Iterable[str]:
    if not isinstance(facts, dict) or not facts:
        return
    yield "facts"
    for name, value in sorted(facts.items()):
        yield f"  {name} = {_value(value)}"


def _value(value: object) -> str:
    return printable(json.dumps(value, ensure_ascii=False))
