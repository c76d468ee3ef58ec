"""Lists the facts whose values are a closed set, and finds values that they can never have.

A test with such a value loads like any other and never holds, or always does: `won` for `S`. So
they are checked like names, in rules and in the facts of tests.
"""

# ruff: noqa: RUF001  # Russian words are what is looked for
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from responder.model import Unknown
from responder.rules import triggers
from responder.rules.facts import registry, values
from responder.rules.facts.fields import Type
from responder.rules.facts.literals import FileContext
from responder.rules.facts.registry import Fact
from responder.rules.load.suggestions import written_values
from responder.rules.yaml_positions import Items, Node, Scalar, Table

TESTS = frozenset({"is", "is_not", "one_of", "none_of"})
_IN_LISTS = frozenset({"in_list", "not_in_list"})
_OF_ORDER = frozenset({"over", "at_least", "below", "at_most", "between"})


class Complaint(NamedTuple):
    """A value that a fact can never have: its place, what to say, and the value that is meant."""

    node: Node
    message: str
    suggestion: str | None = None


@dataclass(frozen=True, slots=True)
class _Closed:
    """A closed set: its values with their meanings, others that nobody writes, words for them."""

    meanings: Mapping[str, str]
    words: Mapping[str, str] = field(default_factory=dict)
    rare: frozenset[str] = frozenset()

    def has(self, written: str) -> bool:
        return written in self.meanings or written in self.rare

    def nearest(self, written: str) -> str | None:
        """Return the value that is meant by a word, or the values by several words."""
        written = written.strip().rstrip(",;")
        return (
            self._one(written)
            or written_values.several(written, self._one)
            or written_values.spaced(written, self._one)
            or written_values.negated(written, self._one)
        )

    def _one(self, written: str) -> str | None:
        plain = written.strip().lower().replace(" ", "_").replace("-", "_")
        same = next((one for one in self.meanings if one.lower() == plain), None)
        return same or self.words.get(plain)

    @property
    def english(self) -> str:
        *first, last = (f"{value} ({meaning})" for value, meaning in self.meanings.items())
        return f"{', '.join(first)} or {last}"


def _words(**rows: str) -> Mapping[str, str]:
    return {word: value.strip("_") for value, words in rows.items() for word in words.split()}


_STAGES = _Closed(
    {"P": "under way", "S": "won", "F": "lost"},
    _words(
        P="process progress in_progress in_process open work processing under_way active running "
        "в_работе",
        S="won win success successful succeeded done completed wins успех успешна выиграна",
        F="lost lose fail failed failure loss lose_stage junk apology провал проиграна проигран",
    ),
)
_STATUSES = _Closed(
    {"2": "waiting", "3": "under way", "4": "to be checked", "5": "done", "6": "put off"},
    _words(
        _2="waiting pending wait new open",
        _3="under_way in_progress progress started running active",
        _4="to_be_checked supposedly_completed awaiting_control review checking",
        _5="done completed complete closed finished завершена выполнена готово",
        _6="put_off deferred postponed",
    ),
    # Older portals have tasks that are new or were declined.
    frozenset({"1", "7"}),
)
_PRIORITIES = _Closed(
    {"0": "low", "1": "medium", "2": "high"},
    _words(_0="low", _1="medium average normal middle", _2="high important urgent"),
)
_MARKS = _Closed({"P": "good", "N": "bad"}, _words(P="good positive", N="bad negative"))
_BY_PATH: Mapping[str, _Closed] = {
    "task.status": _STATUSES,
    "task.priority": _PRIORITIES,
    "task.mark": _MARKS,
}


@dataclass(frozen=True, slots=True)
class _Code:
    """The codes that a portal makes up: their form, and words for people."""

    form: re.Pattern[str]
    english: str
    words: Mapping[str, str] = field(default_factory=dict)

    def nearest(self, written: str) -> str | None:
        """Return the code in other letters, or the codes in a text that names several."""
        plain = written.strip().rstrip(",;")
        return (
            self._one(plain.upper())
            or written_values.several(plain.replace("/", ","), self._one)
            or written_values.negated(plain, self._one)
            or self._one(plain.lstrip("= "))
        )

    def _one(self, written: str) -> str | None:
        if written.lower().rstrip(".") in self.words:
            return self.words[written.lower().rstrip(".")]
        return written if self.form.fullmatch(written) else None


_STAGE_CODE = _Code(re.compile(r"[!-+\--~]+"), "a code without spaces, such as NEW or C2:WON")
_CURRENCIES = {
    **dict.fromkeys(("₽", "руб", "рубль", "рубли", "рублей", "rouble", "roubles", "ruble"), "RUB"),
    **dict.fromkeys(("rubles", "rur", "р"), "RUB"),
    **dict.fromkeys(("€", "euro", "euros", "евро"), "EUR"),
    **dict.fromkeys(("$", "us$", "dollar", "dollars", "доллар", "долларов"), "USD"),
    **dict.fromkeys(("₸", "тенге", "tenge"), "KZT"),
}
_CODES: Mapping[str, _Code] = {
    "stage_id": _STAGE_CODE,
    "previous_stage_id": _STAGE_CODE,
    "currency_id": _Code(re.compile("[A-Z]{3}"), "three capital letters, such as RUB", _CURRENCIES),
}


# What stands before or behind a value in other languages: `is F`, `= F`, `F*`, `F // lost`.
_PLAINLY = re.compile(r"^(?:is|equals|=+)\s+|^[*%]|[*%]$| //.*$", re.I)


def currency_meant(written: str) -> str | None:
    """Return the code of the currency that a word or a sign means."""
    return _CURRENCIES.get(written.lower().rstrip("."))


def in_test(fact: Fact, operator: str, operand: Node, context: FileContext) -> Iterator[Complaint]:
    """Yield the values of one test of a rule that the fact can never have."""
    if operator in TESTS:
        yield from in_values(fact, operand)
    elif operator in _OF_ORDER:
        for scalar in scalars(operand):
            if scalar.kind == "text" and isinstance(values.number(scalar.text), Unknown):
                yield from _of_one(fact, scalar)
    elif operator in _IN_LISTS and isinstance(operand, Scalar):
        for item in context.lists.get(operand.text, ()):
            for wrong in in_values(fact, item):
                message = f"{wrong.message} (and rules compare it with the list `{operand.text}`)"
                yield Complaint(wrong.node, message, wrong.suggestion)


def in_values(fact: Fact, node: Node) -> Iterator[Complaint]:
    """Yield those of the values at a node that the fact can never have."""
    for scalar in scalars(node):
        if scalar.kind != "null" and scalar.text:
            for wrong in _of_one(fact, scalar):
                # Several values in an item of a list are as many items of it.
                meant = wrong.suggestion and wrong.suggestion.strip("[]")
                yield wrong._replace(suggestion=meant) if isinstance(node, Items) else wrong


def scalars(node: Node) -> Iterable[Scalar]:
    """Return the plain values at a node: those of a list, or the one that it is."""
    items = node.items if isinstance(node, Items) else () if isinstance(node, Table) else (node,)
    return (item for item in items if isinstance(item, Scalar))


def _of_one(fact: Fact, scalar: Scalar) -> Iterator[Complaint]:
    written = scalar.text
    never = f"`{fact.path}` is never `{written}`: it is"
    if fact.path == "document.kind":
        if not registry.is_kind(written) and written != "other":
            meant = registry.nearest_kind(written)
            said = "a kind of document, such as deal, task or item_147"
            yield Complaint(scalar, f"{never} {said}", meant)
    elif fact.path == "event.name":
        found = triggers.find(written)
        if found is None or written not in found.events:
            meant = min(found.events, key=len) if found and found.events else None
            yield Complaint(scalar, f"{never} the portal's own name of an event", meant)
    else:
        code = _CODES.get(fact.path.rpartition(".")[2]) if fact.type is Type.TEXT else None
        if code is not None and not code.form.fullmatch(written):
            yield Complaint(scalar, f"{never} {code.english}", code.nearest(written))
        closed = _STAGES if _is_a_stage_meaning(fact.path) else _BY_PATH.get(fact.path)
        if closed is not None and not closed.has(_as_the_portal_writes(written, fact)):
            meant = closed.nearest(written) or closed.nearest(_PLAINLY.sub("", written))
            yield Complaint(scalar, f"{never} {closed.english}", meant)


def meanings(path: str) -> Mapping[str, str] | None:
    """Return the few values of a fact with their meanings; None where it may have any."""
    closed = _STAGES if _is_a_stage_meaning(path) else _BY_PATH.get(path)
    return None if closed is None else closed.meanings


def rare(path: str) -> frozenset[str]:
    """Return further values of such a fact that nobody writes, but that are right."""
    closed = _BY_PATH.get(path)
    return frozenset() if closed is None else closed.rare


def _is_a_stage_meaning(path: str) -> bool:
    return path.endswith(".stage_semantic_id")


def _as_the_portal_writes(written: str, fact: Fact) -> str:
    """Return a number without the zeros behind its point: `5.0` equals `5`."""
    if fact.type is not Type.NUMBER:
        return written
    number = values.number(written)
    whole = not isinstance(number, Unknown) and number == int(str(number).partition(".")[0] or 0)
    return written.partition(".")[0] if whole else written
