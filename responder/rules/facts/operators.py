"""Defines the table of operators: the types that each takes, its check, and its words in English.

An operator is prepared for one fact and one operand of the file. The result is the operand in words
and a check of one value that is not empty. Empty values, several values and negation work alike for
all operators, and are done in `conditions`.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import re2

from responder.model import Unknown
from responder.rules.facts import literals, moments, values, working_time
from responder.rules.facts.fields import Type
from responder.rules.facts.literals import Comparand, FileContext, MisfitError
from responder.rules.facts.moments import Holds, Moment
from responder.rules.facts.registry import Fact
from responder.rules.facts.values import Reader
from responder.rules.facts.working_time import WorkingDays
from responder.rules.load.suggestions.texts import regular_expressions
from responder.rules.yaml_positions import Items, Node, Scalar, truth

Check = Callable[[object, datetime], Holds]
PairCheck = Callable[[object, object], Holds]
# Both sides come from one reader, which alone knows what they are.
Order = Callable[[Any, Any], bool]
Relation = Callable[[Any, Any], Holds]


class Prepared(NamedTuple):
    """An operator prepared for one fact and one operand.

    `check` takes one value and the time; where the operand is another fact (`other`), `pair` takes
    both values. `negated` inverts the answer, as `negates` does for every use of an operator.
    `timeless` is true where the answer does not depend on the time. `compared` are the literals
    that a value is compared with, and `unit` is the calendar or currency in which they count.
    """

    words: str
    check: Check | None = None
    other: Fact | None = None
    pair: PairCheck | None = None
    negated: bool = False
    timeless: bool = True
    compared: tuple[object, ...] = ()
    unit: str = ""


Prepare = Callable[[Node, Fact, FileContext], Prepared]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator. `empty` is its answer for an empty value, before negation."""

    name: str
    english: str
    types: frozenset[Type]
    prepare: Prepare
    negates: bool = False
    empty: Holds = False


def _equality(node: Node, fact: Fact, context: FileContext) -> Prepared:
    other = literals.other_fact(node, fact)
    if other is not None:
        type_ = other.type if fact.type is Type.ANY else fact.type
        if type_ in _DATES:
            return _against_date(fact, other, operator.eq, context)
        if type_ is Type.ANY:
            return Prepared(other.path, other=other, pair=_untyped_equality(context))
        return _against(other, values.READERS[type_], operator.eq)
    comparand = literals.comparand(node, fact, context)
    return Prepared(_words(node), _ordered(comparand, operator.eq), compared=(comparand.value,))


def _ordered(comparand: Comparand, order: Order) -> Check:
    if isinstance(comparand.value, Moment):
        return _related(comparand.read, moments.compared(order), comparand.value)
    return _related(comparand.read, order, comparand.value)


def _related(read: Reader, relation: Relation, wanted: object) -> Check:
    def check(value: object, _now: datetime) -> Holds:
        found = read(value)
        return found if isinstance(found, Unknown) else relation(found, wanted)

    return check


def _against_date(fact: Fact, other: Fact, order: Order, context: FileContext) -> Prepared:
    read, read_other = (moments.reader(one.type, context.zone) for one in (fact, other))
    return _against(other, read, moments.compared_facts(order), read_other)


def _against(
    other: Fact, read: Reader, relation: Relation, read_other: Reader | None = None
) -> Prepared:
    def pair(left: object, right: object) -> Holds:
        return _relate(read(left), (read_other or read)(right), relation)

    return Prepared(other.path, other=other, pair=pair)


def _untyped_equality(context: FileContext) -> PairCheck:
    """Return a comparison for two fields whose types only the portal knows.

    Both are read as dates, then as numbers, as money, and last as texts: the first form that fits
    one of them must fit the other too, or the answer is unknown.
    """
    dates = moments.reader(Type.ANY, context.zone)
    ways: tuple[tuple[Reader, Relation], ...] = (
        (dates, moments.compared_facts(operator.eq)),
        (values.number, operator.eq),
        (values.money, operator.eq),
    )

    def pair(left: object, right: object) -> Holds:
        for read, relation in ways:
            one, two = read(left), read(right)
            if not (isinstance(one, Unknown) and isinstance(two, Unknown)):
                words = values.is_words(left) or values.is_words(right)
                return _words_against_value(left, right) if words else _relate(one, two, relation)
        return _relate(values.text(left), values.text(right), operator.eq)

    return pair


def _words_against_value(left: object, right: object) -> Holds:
    """Return false: a text without digits equals no number, date or amount.

    The answer is unknown where both sides may be yes or no, written differently.
    """
    flags = [values.truth(value) for value in (left, right)]
    return False if any(isinstance(flag, Unknown) for flag in flags) else _NOTATIONS


def _relate(one: Any, two: Any, relation: Relation) -> Holds:  # noqa: ANN401  # as in Relation
    """Return the relation of two values; unknown where either could not be read."""
    if isinstance(one, Unknown):
        return one
    return two if isinstance(two, Unknown) else relation(one, two)


def _one_of(node: Node, fact: Fact, context: FileContext) -> Prepared:
    if not isinstance(node, Items):
        raise MisfitError(node, "a list of values is expected here, such as [1, 2]")
    if not node.items:
        raise MisfitError(node, "this list is empty, so no value is in it")
    check, compared = _membership(node.items, fact, context)
    return Prepared(", ".join(map(_words, node.items)), check, compared=compared)


def _in_list(node: Node, fact: Fact, context: FileContext) -> Prepared:
    items, name = literals.list_named(node, context), _words(node)
    try:
        check, compared = _membership(items, fact, context)
    except MisfitError as misfit:
        message = f"the list `{name}` does not fit `{fact.path}`: {misfit.message}"
        raise MisfitError(node, message) from misfit
    return Prepared(name, check, compared=compared)


def _membership(
    nodes: Sequence[Node], fact: Fact, context: FileContext
) -> tuple[Check, tuple[object, ...]]:
    """Return the check whether a value is among these, and what it compares the value with."""
    wanted: dict[Reader, list[Any]] = {}
    for node in nodes:
        read, value = literals.comparand(node, fact, context)
        wanted.setdefault(read, []).append(value)
    ways = [(read, _among(some)) for read, some in wanted.items()]

    def check(value: object, _now: datetime) -> Holds:
        unknown: Unknown | None = None
        for read, among in ways:
            found = read(value)
            holds = found if isinstance(found, Unknown) else among(found)
            if isinstance(holds, Unknown):
                unknown = holds
            elif holds:
                return True
        return unknown or False

    return check, tuple(value for some in wanted.values() for value in some)


def _among(wanted: Sequence[Any]) -> Callable[[Any], Holds]:
    """Return a check for membership among values of one reader."""
    if isinstance(wanted[0], Moment):
        return partial(moments.among, wanted=tuple(wanted))
    return frozenset(wanted).__contains__


def _order(order: Order) -> Prepare:
    def prepare(node: Node, fact: Fact, context: FileContext) -> Prepared:
        days = literals.working_days(node, fact, context)
        if days is not None:
            check, unit = working_time.compared(days, order), days.calendar.name
            words, compared = f"{_words(node)} in {unit}", (days.count,)
            return Prepared(words, check, timeless=False, compared=compared, unit=unit)
        other = literals.other_fact(node, fact)
        if other is None:
            read, bound = literals.measure(node, fact)
            return Prepared(_words(node), _related(read, order, bound), compared=(bound,))
        type_ = Type.DURATION if Type.DURATION in (fact.type, other.type) else Type.NUMBER
        if other.type not in _ORDERED | {Type.REFERENCE}:
            raise MisfitError(node, f"`{other.path}` is neither a number nor a duration")
        return _against(other, values.READERS[type_], order)

    return prepare


def _between(node: Node, fact: Fact, context: FileContext) -> Prepared:
    if not isinstance(node, Items) or len(node.items) != 2:
        raise MisfitError(node, "two values are expected here, such as [1, 5]")
    first, last = node.items
    days = [literals.working_days(end, fact, context) for end in node.items]
    if any(days):
        return _between_days(node, days)
    read: Reader
    relation: Relation
    ends: tuple[Any, Any]
    if fact.type in _DATES or (fact.type is Type.ANY and _is_date(first, context)):
        read, relation = moments.reader(fact.type, context.zone), moments.between
        low, high = (literals.moment(end, fact, context) for end in node.items)
        ends, crossed = (low, high), moments.compared(operator.gt)((low,), high) is True
    else:
        (read, low), (_, high) = literals.measure(first, fact), literals.measure(last, fact)
        relation, ends, crossed = _within, (low, high), low > high
    if crossed:
        raise MisfitError(node, _CROSSED)
    words = f"{_words(first)} and {_words(last)}"
    return Prepared(words, _related(read, relation, ends), compared=ends)


def _between_days(node: Items, ends: Sequence[WorkingDays | None]) -> Prepared:
    low, high = ends
    if low is None or high is None:
        raise MisfitError(node, "both are working days, such as [1wd, 5wd], or neither is")
    if low.count > high.count:
        raise MisfitError(node, _CROSSED)
    words = f"{' and '.join(map(_words, node.items))} in {low.calendar.name}"
    return Prepared(words, working_time.between(low, high), timeless=False)


def _is_date(node: Node, context: FileContext) -> bool:
    return isinstance(node, Scalar) and moments.literal(node.text, context.zone) is not None


def _within(found: Any, bounds: tuple[Any, Any]) -> bool:  # noqa: ANN401  # as in Relation
    return bool(bounds[0] <= found <= bounds[1])


def _age(*, older: bool) -> Prepare:
    """Return the preparation of `older_than` or `newer_than`, which take a duration or a date."""
    order: Order = operator.lt if older else operator.gt

    def prepare(node: Node, fact: Fact, context: FileContext) -> Prepared:
        other = literals.other_fact(node, fact)
        if other is not None:
            return _against_date(fact, other, order, context)
        bound = literals.age(node, fact, context)
        read = moments.reader(fact.type, context.zone)
        if isinstance(bound, Moment):
            check = _related(read, moments.compared(order), bound)
        else:
            check = _age_check(read, bound, older=older)
        timeless = isinstance(bound, Moment)
        return Prepared(_words(node), check, timeless=timeless, compared=(bound,))

    return prepare


def _age_check(read: Reader, length: timedelta, *, older: bool) -> Check:
    def check(value: object, now: datetime) -> Holds:
        found = read(value)
        if isinstance(found, Unknown):
            return found
        # Subtracting the instants cannot overflow, subtracting the duration from now could.
        if older:
            return moments.at_instants(found, lambda instant: now - instant > length)
        return moments.at_instants(found, lambda instant: now - instant < length)

    return check


def _calendar(node: Node, fact: Fact, context: FileContext) -> Prepared:
    calendar = literals.calendar(node, context)
    read = moments.reader(fact.type, context.zone)
    return Prepared(calendar.name, _related(read, moments.in_hours, calendar))


def _textual(relation: Callable[[str, str], bool]) -> Prepare:
    def prepare(node: Node, fact: Fact, _setting: FileContext) -> Prepared:
        part = literals.text(literals.scalar_of(node, fact), fact)

        def check(value: object, _now: datetime) -> Holds:
            found = values.text(value)
            return found if isinstance(found, Unknown) else relation(found, part)

        return Prepared(part, check, compared=(part,))

    return prepare


def _matches(node: Node, fact: Fact, _setting: FileContext) -> Prepared:
    written = literals.text(literals.scalar_of(node, fact), fact)
    options = re2.Options()
    options.log_errors = False
    try:
        pattern = re2.compile(written, options)
    except re2.error as error:
        raise MisfitError(node, regular_expressions.said(error)) from None

    def check(value: object, _now: datetime) -> Holds:
        found = values.text(value)
        if isinstance(found, Unknown):
            return found
        # JSON can carry half a surrogate pair, which UTF-8 cannot.
        return pattern.search(found.encode("utf-8", "replace").decode()) is not None

    return Prepared(written, check)


def _exists(node: Node, fact: Fact, _setting: FileContext) -> Prepared:
    """Prepare `exists`. Its check is called only for values that `is_empty` does not call empty."""
    if not isinstance(node, Scalar) or node.kind != "truth":
        raise MisfitError(node, f"write `{fact.path}: {{exists: true}}` or `{{exists: false}}`")
    exists = truth(node)
    words = "exists" if exists else "does not exist"

    def check(value: object, _now: datetime) -> Holds:
        return _NO_VALUE if values.may_be_empty(value, fact.type) else True

    return Prepared(words, check, negated=not exists)


def _words(node: Node) -> str:
    return node.text if isinstance(node, Scalar) else "…"


_CROSSED = "the first of the two is larger, so nothing is between them"
_EVERY = frozenset(Type)
_EQUAL = _EVERY - {Type.DURATION}
_ORDERED = frozenset({Type.NUMBER, Type.DURATION, Type.ANY})
_TEXTS = frozenset({Type.TEXT, Type.ID, Type.ANY})
_DATES = frozenset({Type.DATE, Type.DAY})
_MOMENTS = _DATES | {Type.ANY}
_NOTATIONS = Unknown("both may be yes or no, and are written in different ways")
_NO_VALUE = Unknown("this may mean that there is none")
_NEVER = Unknown("it is empty, which is at no time")
_NOTHING = Unknown("it is empty, and nothing is larger or smaller than that")


def _row(
    name: str,
    types: frozenset[Type],
    prepare: Prepare,
    *,
    negates: bool = False,
    empty: Holds = False,
) -> Operator:
    # The operand of `exists` contains the verb, for true and for false.
    english = "{}" if name == "exists" else name.replace("_", " ") + " {}"
    return Operator(
        name=name, english=english, types=types, prepare=prepare, negates=negates, empty=empty
    )


OPERATORS: Mapping[str, Operator] = {
    row.name: row
    for row in (
        _row("is", _EQUAL, _equality),
        _row("is_not", _EQUAL, _equality, negates=True),
        _row("one_of", _EQUAL, _one_of),
        _row("none_of", _EQUAL, _one_of, negates=True),
        _row("in_list", _EQUAL, _in_list),
        _row("not_in_list", _EQUAL, _in_list, negates=True),
        _row("over", _ORDERED, _order(operator.gt), empty=_NOTHING),
        _row("at_least", _ORDERED, _order(operator.ge), empty=_NOTHING),
        _row("below", _ORDERED, _order(operator.lt), empty=_NOTHING),
        _row("at_most", _ORDERED, _order(operator.le), empty=_NOTHING),
        _row("between", _ORDERED | _DATES, _between, empty=_NOTHING),
        _row("contains", _TEXTS, _textual(operator.contains)),
        _row("starts_with", _TEXTS, _textual(str.startswith)),
        _row("ends_with", _TEXTS, _textual(str.endswith)),
        _row("matches", _TEXTS, _matches),
        _row("older_than", _MOMENTS, _age(older=True), empty=_NOTHING),
        _row("newer_than", _MOMENTS, _age(older=False), empty=_NOTHING),
        _row("within", _MOMENTS, _calendar, empty=_NEVER),
        _row("outside", _MOMENTS, _calendar, negates=True, empty=_NEVER),
        _row("exists", _EVERY, _exists),
    )
}
