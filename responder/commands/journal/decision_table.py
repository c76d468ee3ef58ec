"""Prints the decision log: a table for people, JSON for programs, one decision with its reasons."""

import json
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from functools import partial

from responder.adapters import local_time
from responder.adapters.printable_text import printable, to_json
from responder.journal import names
from responder.journal.reading import decisions, names_in_words, rule_names
from responder.model import Action, Outcome, Reason
from responder.store import rulesets
from responder.store.database.database import Database

FOLLOW_SECONDS = 0.5

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_HEAD = ("DECISION", "DOCUMENT", "WORKFLOW", "RULE", "OUTCOME")
_WIDTHS = (19, 14, 16, 23, 20)

Decision = Mapping[str, object]
Write = Callable[[str], object]


def since_of(text: str | None) -> datetime | None:
    """Return the instant that `1h` ago was; raise ValueError for a text that is no such length."""
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,6})([smhdw])", text)
    if match is None:
        raise ValueError(f"--since takes a number and a unit (30s, 15m, 2h, 7d), not {text!r}")
    try:
        return datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        raise ValueError(f"--since {text} is before all time") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The decisions that the options ask for.

    `outcome` may also be the reason of a decision that condemned nothing.
    """

    since: datetime | None = None
    workflow: str | None = None
    rule: str | None = None
    outcome: str | None = None

    @classmethod
    def of(
        cls, *, since: str | None, workflow: str | None, rule: str | None, outcome: str | None
    ) -> "Filter":
        """Parse the command's options; raise ValueError for an unknown outcome or wrong length."""
        if outcome not in (None, Action.NONE, *Outcome, *Reason):
            raise ValueError(
                f"there is no outcome {outcome!r}; there are: {', '.join(Outcome)}; "
                f"and where nothing was condemned: none, or its reason {', '.join(Reason)}"
            )
        return cls(since=since_of(since), workflow=workflow, rule=rule, outcome=outcome)

    def matches(self, decision: Decision) -> bool:
        """Return whether a decision, whatever its age, is asked for."""
        workflow = decision["workflow"]
        return (
            (self.rule is None or decision["rule"] == self.rule)
            and self._matches_outcome(decision)
            and (
                self.workflow is None
                or (isinstance(workflow, dict) and workflow.get("id") == self.workflow)
            )
        )

    def _matches_outcome(self, decision: Decision) -> bool:
        if self.outcome is None:
            return True
        if decision["action"] == Action.NONE:
            return self.outcome in (Action.NONE, decision["reason"])
        return decision["outcome"] == self.outcome


def show_all(
    database: Database, chosen: Filter, *, as_json: bool, write: Write, zone: tzinfo = UTC
) -> int:
    """Print the decisions that are asked for, with times in a zone; return their number."""
    if not as_json:
        write(_row((f"AT ({local_time.zone_label(datetime.now(UTC), zone)})", *_HEAD)))
    count = 0
    for decision in decisions.decisions(
        database,
        since=chosen.since,
        workflow=chosen.workflow,
        rule=chosen.rule,
        outcome=chosen.outcome if chosen.outcome in tuple(Outcome) else None,
    ):
        if chosen.matches(decision):
            write(_line(decision, as_json=as_json, zone=zone))
            count += 1
    return count


def show_changes(
    database: Database,
    cursor: Mapping[str, int],
    chosen: Filter,
    *,
    as_json: bool,
    write: Write,
    zone: tzinfo = UTC,
) -> None:
    """Print, for ever, decisions that are asked for as they change, from the cursor on."""
    while True:
        seen = cursor
        changed, cursor = database.read(partial(decisions.changed_since, cursor=seen))
        if cursor == seen:
            time.sleep(FOLLOW_SECONDS)
        for decision in filter(chosen.matches, changed):
            write(_line(decision, as_json=as_json, zone=zone))


def no_decision(database: Database, chosen: Filter, in_force: Collection[str] | None) -> str:
    """Return the line for no decision found: whether the rule exists, and the nearest name.

    `in_force` are the rules in the file, None where it cannot be read.
    """
    if chosen.rule is None:
        return "There is no such decision."
    known = {*(in_force or ()), *database.read(rule_names.rules)}
    if chosen.rule in known:
        return f"Rule {chosen.rule} has made no such decision."
    near = get_close_matches(chosen.rule, sorted(known), 1)
    meant = f" Did you mean {near[0]}?" if near else ""
    nowhere = "is in the log" if in_force is None else "is in force, and none is in the log"
    return f"No rule {chosen.rule} {nowhere}.{meant}"


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


def one(
    decision: Decision, in_words: str | None = None, *, as_json: bool, zone: tzinfo = UTC
) -> str:
    """Return one decision with everything that led to it, and the words of its rule."""
    if as_json:
        return to_json(decision)
    rule_lines = (
        [] if in_words is None else ["in words", *(f"  {line}" for line in in_words.splitlines())]
    )
    return "\n".join([*_lines(decision, zone), *rule_lines])


def _line(decision: Decision, *, as_json: bool, zone: tzinfo) -> str:
    if as_json:
        return to_json(decision)
    return _row(
        (
            local_time.in_table(str(decision["at"]), zone),
            _text(decision["id"]),
            document_name(decision["document"]),
            _workflow_name(decision["workflow"]),
            _text(decision["rule"]) or "-",
            _outcome(decision),
        )
    )


def _row(cells: Iterable[str]) -> str:
    *padded, last = cells
    return "  ".join(
        [*(cell.ljust(width) for cell, width in zip(padded, _WIDTHS, strict=True)), last]
    )


def _outcome(decision: Decision) -> str:
    """Return the outcome, and what it was about as far as names were recorded."""
    outcome = _text(decision["outcome"]) or f"none ({_text(decision['reason'])})"
    if decision.get("erased"):
        return f"{outcome}  (erased)"
    about = _about(decision)
    return f"{outcome}  {about}" if about else outcome


def _about(decision: Decision) -> str:
    given = decision["names"]
    if not isinstance(given, dict) or not given:
        return ""
    return printable(names_in_words.sentence(names.from_json(given), decision["document"]))


def document_name(triple: object) -> str:
    """Return a document's name in a table: its id, which shows its kind."""
    return printable(str(triple[2])) if isinstance(triple, list) else "-"


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
