"""Searches decisions for a page: the newest first, a page at a time, never reading much at once.

Theory of operation. One condition drives: the one that an index serves best (workflow, document,
evaluation, rule, outcome, else time alone). Along that index a *window* of rows is read, and the
other conditions choose among them. Where the window ends before the page is full, `searched_to` is
how far it went, and the next page goes on there. So a search that matches nothing costs a window,
not a million rows; and the page shows what has not been searched yet.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    TextClause,
    and_,
    exists,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy import Row as Record

from responder.journal.naming import name_search
from responder.journal.reading.lines import Line, lines_of
from responder.model import Action
from responder.store.database.columns import EPOCH, LAST, instant, micros
from responder.store.database.tables import (
    ACTS,
    CONDEMNS,
    HAS_DOCUMENT,
    OPEN,
    decisions,
    evidence,
)
from responder.store.decision_ids import decision_name, is_decision, place_of

WINDOW = 2_000
WINDOW_OF_WORDS = 1_000  # the evidence of each is read
_MOST_WORKFLOWS = 20

_PLACE = ("at", "portal", "seq", "n")
_Condition = ColumnElement[bool] | TextClause
_Test = Callable[[FromClause], _Condition]  # of the table, or of a window of it


class Key(NamedTuple):
    """A decision's place in the order of time."""

    at: datetime
    portal: str
    seq: int
    n: int

    def __str__(self) -> str:
        return f"{micros(self.at)}-{decision_name(self.portal, self.seq, self.n)}"


def key_of(text: str) -> Key | None:
    """Parse a key; return None where the text is not one."""
    at, _, name = text.partition("-")
    place = place_of(name)
    if place is None or not at.isascii() or not at.isdigit() or len(at) > 17:
        return None
    return Key(instant(int(at)), *place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The conditions of a search. What was only left or looked at is found only with `quiet`.

    `outcome` may be `open` for what is not concluded yet. `words` are searched for in what was
    read, `names` in the names of what was condemned: each of these is a word's spellings.
    """

    workflows: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    evaluation: tuple[str, int] | None = None
    portal: str | None = None
    rule: str | None = None
    outcome: str | None = None
    action: Action | None = None
    since: datetime | None = None
    until: datetime | None = None
    words: str | None = None
    names: tuple[tuple[str, ...], ...] = ()
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A page of decisions; `older` begins the next.

    `searched_to` is set where the window ended before the page was full.
    """

    lines: tuple[Line, ...]
    older: Key | None = None
    searched_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Among:
    """A test of a column that shares an index with time: the rule, or the outcome.

    Where it drives, PostgreSQL must not go back in time through all decisions, as it would for a
    frequent value, since there may be none for a year. So the query asks for the rows between two
    ends of that index, in its order, which no other index has.
    """

    column: str
    value: str | None

    def __call__(self, table: FromClause) -> _Condition:
        return table.c[self.column] == self.value

    def between(self, table: FromClause, first: datetime, last: datetime) -> _Condition:
        """Return the SQL condition for the rows between two instants."""
        if self.value is None:
            return self(table)
        place = tuple_(table.c[self.column], table.c.at)
        return and_(place >= (self.value, first), place <= (self.value, last))


@dataclass(frozen=True, slots=True)
class _Search:
    """The condition that drives, those that choose within the window, and the window's length."""

    drives: _Test
    chooses: tuple[_Test, ...]
    window: int


def find(
    conn: Connection,
    wanted: Wanted,
    before: Key | None = None,
    most: int = 50,
    longest: int = WINDOW,
) -> Found:
    """Return a page of decisions before a key, the newest first."""
    if wanted.names:
        return _find_named(conn, wanted, before, most)
    search = _search(wanted, longest)
    newest = _newest_first(decisions, search.drives, wanted, before)
    window = newest.limit(search.window if search.chooses else most + 1).subquery()
    query = select(window).where(*(test(window) for test in search.chooses))
    found = conn.execute(query.order_by(*_downward(window)).limit(most + 1)).all()
    lines = lines_of(conn, found[:most])
    if len(found) > most:
        return Found(lines=lines, older=_key(found[most - 1]))
    if not search.chooses:
        return Found(lines=lines)
    edge = conn.execute(newest.offset(search.window - 1).limit(1)).one_or_none()
    if edge is None:
        return Found(lines=lines)
    return Found(lines=lines, older=_key(edge), searched_to=edge.at)


def _find_named(conn: Connection, wanted: Wanted, before: Key | None, most: int) -> Found:
    """Return a page of decisions whose names have the words that are wanted."""
    until = LAST if before is None else before.at
    matches = name_search.matching(conn, wanted.names, wanted.since or EPOCH, until)
    rest = None if matches.edge is None else Key(*matches.edge)
    if not matches.decisions:
        return Found(lines=(), older=rest, searched_to=None if rest is None else rest.at)
    there = name_search.all_of(matches).subquery()
    tests = [*_by_index(wanted), *_others(wanted), *_in_time(wanted)]
    query = select(there).where(CONDEMNS, *(test(there) for test in tests))
    found = [one for one in conn.execute(query) if matches.has(one.portal, one.seq, one.n)]
    found = [one for one in found if before is None or _key(one) < before]
    found.sort(key=_key, reverse=True)
    lines = lines_of(conn, found[:most])
    if len(found) > most:
        return Found(lines=lines, older=_key(found[most - 1]))
    return Found(lines=lines, older=rest, searched_to=None if rest is None else rest.at)


def _in_time(wanted: Wanted) -> Iterator[_Test]:
    since, until = wanted.since, wanted.until
    if since is not None:
        yield lambda t: t.c.at >= since
    if until is not None:
        yield lambda t: t.c.at < until


def is_there(conn: Connection, decision_id: str) -> bool:
    """Return whether there is a decision with this id."""
    place = place_of(decision_id)
    if place is None:
        return False
    return conn.execute(select(decisions.c.n).where(is_decision(place))).first() is not None


def is_workflow(conn: Connection, workflow_id: str) -> bool:
    """Return whether a workflow with this id was ever decided upon."""
    query = select(decisions.c.n).where(decisions.c.workflow_id == workflow_id).limit(1)
    return conn.execute(query).first() is not None


def beginning_with(conn: Connection, prefix: str) -> tuple[str, ...]:
    """Return workflows whose id begins with a hexadecimal prefix, twenty at most."""
    some = (
        select(decisions.c.workflow_id)
        .where(
            decisions.c.workflow_id >= prefix,
            decisions.c.workflow_id < prefix + "z",  # above every id, in any database's collation
            decisions.c.workflow_id.startswith(prefix, autoescape=True),
        )
        .order_by(decisions.c.workflow_id)
        .limit(WINDOW)
        .subquery()
    )
    query = select(some.c.workflow_id).distinct().order_by(some.c.workflow_id)
    return tuple(conn.execute(query.limit(_MOST_WORKFLOWS)).scalars())


def is_rule(conn: Connection, name: str) -> bool:
    """Return whether a rule of this name ever decided."""
    newest = select(func.max(decisions.c.at)).where(decisions.c.rule == name)
    return conn.execute(newest).scalar() is not None


def _search(wanted: Wanted, longest: int) -> _Search:
    served = list(_by_index(wanted))
    if served:
        drives, chooses = served[0], served[1:]
        if _may_be_quiet(wanted):
            chooses.append(lambda _: CONDEMNS)
    elif wanted.action is Action.LEAVE:
        drives, chooses = _acting, []
    else:
        drives, chooses = _all if wanted.quiet else _condemning, []
    chooses += _others(wanted)
    window = min(longest, WINDOW_OF_WORDS) if wanted.words else longest
    return _Search(drives, tuple(chooses), window)


def _may_be_quiet(wanted: Wanted) -> bool:
    """Return whether the driving condition may find decisions that condemned nothing, unasked."""
    asked = wanted.quiet or wanted.action in (Action.NONE, Action.LEAVE)
    return not (asked or wanted.workflows or wanted.rule or wanted.outcome)


def _all(_: FromClause) -> _Condition:
    return and_(True)  # noqa: FBT003 - SQL's own


def _acting(_: FromClause) -> _Condition:
    return ACTS


def _condemning(_: FromClause) -> _Condition:
    return CONDEMNS


def _by_index(wanted: Wanted) -> Iterator[_Test]:
    """Yield the conditions that an index serves, the best first."""
    if wanted.workflows:
        yield lambda t: t.c.workflow_id.in_(wanted.workflows)
    if wanted.documents:
        yield lambda t: and_(t.c.document.in_(wanted.documents), HAS_DOCUMENT)
    if wanted.evaluation is not None:
        portal, seq = wanted.evaluation
        yield lambda t: and_(t.c.portal == portal, t.c.seq == seq)
    if wanted.rule is not None:
        yield _Among("rule", wanted.rule)
    if wanted.action is Action.NONE:
        yield _Among("outcome", None)
    if wanted.outcome == "open":
        yield lambda _: OPEN
    elif wanted.outcome is not None:
        yield _Among("outcome", wanted.outcome)


def _others(wanted: Wanted) -> Iterator[_Test]:
    if wanted.portal is not None:
        yield lambda t: t.c.portal == wanted.portal
    if wanted.action is not None:
        action = wanted.action.value
        yield lambda t: t.c.action == action
    if wanted.words:
        words = wanted.words
        yield lambda t: _contains(t, words)


def _newest_first(
    table: FromClause, drives: _Test, wanted: Wanted, before: Key | None
) -> Select[tuple[object, ...]]:
    query = select(table)
    if isinstance(drives, _Among):
        last = LAST if before is None else before.at
        query = query.where(drives.between(table, wanted.since or EPOCH, last))
        query = query.order_by(table.c[drives.column].desc())
    else:
        query = query.where(drives(table))
    if wanted.since is not None:
        query = query.where(table.c.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(table.c.at < wanted.until)
    if before is not None:
        place = tuple_(*(table.c[name] for name in _PLACE))
        # the first condition is what an index on time alone can use
        query = query.where(table.c.at <= before.at, place < tuple(before))
    return query.order_by(*_downward(table))


def _downward(table: FromClause) -> Iterator[ColumnElement[object]]:
    return (table.c[name].desc() for name in _PLACE)


def _contains(table: FromClause, words: str) -> ColumnElement[bool]:
    """Return the condition for words in a row's columns or in its evidence, as JSON writes them."""
    spellings = dict.fromkeys((words, words.lower(), words.upper(), words.capitalize()))
    in_row = [
        table.c[name].contains(spelling, autoescape=True)
        for spelling in spellings
        for name in ("detail", "rule", "document", "workflow_id")
    ]
    in_evidence = [
        evidence.c.content.contains(json.dumps(spelling)[1:-1], autoescape=True)
        for spelling in spellings
    ]
    read = exists().where(
        evidence.c.portal == table.c.portal, evidence.c.seq == table.c.seq, or_(*in_evidence)
    )
    return or_(*in_row, read)


def _key(record: "Record[tuple[object, ...]]") -> Key:
    return Key(record.at, record.portal, record.seq, record.n)
