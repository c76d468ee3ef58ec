"""Reads the expectations of a test case, and compares them with a judgement.

A workflow that the case does not name is expected to be left alone: a kill that nobody expected is
a failure. Rules that only observe count as if they acted, since their effect is what is tested.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from responder.model import Action, Mode, Verdict
from responder.rules.facts.values import duration_in_words
from responder.rules.load.suggestions import synonyms
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table, nearest

_BETWEEN = frozenset({"by", "is", "with", "from", "rule", "the", "be", "will"})
_NOTHING_HAPPENS = frozenset(
    [
        "stay",
        "stays",
        "stayed",
        "runs",
        "running",
        "continues",
        "untouched",
        "nothing",
        "no",
        "null",
    ]
)
WAITING = "waiting"
NONE = "none"
WORDS: Mapping[str, str] = {
    Action.KILL: "It is killed, by this rule where one is named.",
    Action.TERMINATE: "It is terminated, by this rule where one is named.",
    Action.LEAVE: "It is protected, by this rule where one is named.",
    WAITING: "It is condemned, by this rule where one is named, which waits before it acts.",
    NONE: "Nothing happens to it.",
}


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected result for one workflow: one of `WORDS`, and the rule (None: any rule)."""

    what: str
    rule: str | None = None

    def __str__(self) -> str:
        return self.what if self.rule is None else f"{self.what} by {self.rule}"


class Actual(NamedTuple):
    """An actual result for one workflow: one of `WORDS`, the rule, its mode, what it waits for."""

    what: str
    rule: str
    mode: Mode | None
    waits: str | None

    def __str__(self) -> str:
        said = f"{self.what} by {self.rule}" + (f" ({self.mode})" if self.mode else "")
        return said if self.waits is None else f"{said}, {self.waits}"


Expected = Mapping[str, tuple[Expectation, ...]]
NOTHING = (Expectation(NONE),)


def read(node: Node | None, ruleset: Ruleset, mistakes: Mistakes) -> Expected | None:
    """Read the expectations of a case, by workflow id; empty for `none` of all."""
    if node is None:
        return None
    if isinstance(node, Scalar) and node.text == NONE:
        return {}
    if not isinstance(node, Table):
        message = "`expect` is `none`, or a map such as {a: {kill: lost-deal}, b: none}"
        message += ", without square brackets or dashes" if isinstance(node, Items) else ""
        said = _meant(node.text, ruleset) if isinstance(node, Scalar) else None
        mistakes.error(node, message, said and f"{{a: {said}}}")
        return {}
    return {key.text: tuple(_several(value, ruleset, mistakes)) for key, value in node.pairs}


def _several(node: Node, ruleset: Ruleset, mistakes: Mistakes) -> Iterator[Expectation]:
    if isinstance(node, Items) and node.items:
        for item in node.items:
            yield from _one(item, ruleset, mistakes)
    else:
        yield from _one(node, ruleset, mistakes)


def _one(node: Node, ruleset: Ruleset, mistakes: Mistakes) -> Iterator[Expectation]:
    word: Node
    rule: Node | None
    match node:
        case Scalar():
            word, rule = node, None
        case Table(pairs=((word, rule),)) if word.text != NONE:
            pass
        case _:
            mistakes.error(node, "one thing is expected here, such as {kill: lost-deal} or none")
            return
    assert isinstance(word, Scalar)
    if word.text not in WORDS:
        message = f"`{word.text}` is none of {', '.join(WORDS)}"
        other = rule.text if isinstance(rule, Scalar) else ""
        turned = other in WORDS and word.text in [one.id for one in ruleset.rules]
        meant = f"{other}: {word.text}" if turned else _meant(word.text, ruleset)
        named = next((one for one in ruleset.rules if one.id == word.text), None)
        if named is not None and rule is None:
            meant = f"{{{named.then}: {named.id}}}"
        mistakes.error(word, message, meant)
    elif rule is None:
        yield Expectation(word.text)
    elif _rule_exists(word.text, rule, ruleset, mistakes):
        assert isinstance(rule, Scalar)
        yield Expectation(word.text, rule.text)


def _meant(written: str, ruleset: Ruleset) -> str | None:
    """Return what is probably meant by a wrong word: `{kill: lost-deal}` by `kill lost-deal`."""
    words = [word for word in re.split(r"[\s:,]+", written) if word.lower() not in _BETWEEN]
    ids = [one.id for one in ruleset.rules]
    rule = next((word for word in words if word in ids), None)
    what = next((one for one in map(_word, words) if one is not None), None)
    if rule is not None and what is not None:
        return f"{{{what}: {rule}}}"
    plain = written.lower().removeprefix("would_")
    if plain in _NOTHING_HAPPENS:
        return NONE
    return plain if plain in WORDS else synonyms.meant(plain, WORDS, synonyms.VALUES)


def _word(written: str) -> str | None:
    """Return the one of `WORDS` that a word means: `killed`."""
    plain = written.lower()
    if plain in WORDS:
        return plain
    return {"killed": Action.KILL, "terminated": Action.TERMINATE, "left": Action.LEAVE}.get(plain)


def _rule_exists(what: str, node: Node, ruleset: Ruleset, mistakes: Mistakes) -> bool:
    """Return whether there is a rule that does this; of a rule with mistakes nobody knows."""
    name, rules = node.text if isinstance(node, Scalar) else "", ruleset.rules
    rule = next((rule for rule in rules if rule.id == name), None)
    if name in ruleset.doubtful or (rule is None and "" in ruleset.doubtful):
        return True
    if rule is None:
        meant = nearest(name, [rule.id for rule in rules])
        mistakes.error(node, f"there is no rule `{name}`", meant)
    elif what != WAITING and what != rule.then:
        meant = None if Action.LEAVE in (what, rule.then) else str(rule.then)
        mistakes.error(node, f"`{name}` never does this: it is a `{rule.then}` rule", meant)
    else:
        return True
    return False


def actual_of(
    verdicts: Sequence[Verdict], rules: Sequence[Rule], now: datetime
) -> tuple[Actual, ...]:
    """Return the results for a workflow at this moment, from the verdicts on it."""
    known = {rule.id: rule for rule in rules}
    return tuple(_actual(verdict, known[verdict.rule], now) for verdict in verdicts)


def _actual(verdict: Verdict, rule: Rule, now: datetime) -> Actual:
    why = waits_for(rule, now)
    return Actual(verdict.action if why is None else WAITING, rule.id, verdict.mode, why)


def waits_for(rule: Rule, now: datetime) -> str | None:
    """Return what a rule that condemns something now waits for before it acts; None if nothing."""
    if rule.wait is not None:
        return f"to act in {duration_in_words(rule.wait)} if it still holds"
    if rule.during is not None and not rule.during.is_open(now):
        return f"for the hours of {rule.during.name}"
    return None


def is_met(expected: Sequence[Expectation], actual: Sequence[Actual]) -> bool:
    """Return whether the actual results for a workflow are the expected ones.

    Each expected result must be among them. `none` allows no result, and `leave` no other result:
    the workflow must not be condemned by a rule above the one that protects it.
    """
    if any(one.what == NONE for one in expected):
        return not actual
    if any(one.what == Action.LEAVE for one in expected):
        return len(actual) == 1 and all(_is(one, actual[0]) for one in expected)
    return all(any(_is(one, other) for other in actual) for one in expected)


def _is(expectation: Expectation, actual: Actual) -> bool:
    return expectation.what == actual.what and expectation.rule in (actual.rule, None)


def rules_of(expected: Expected | None) -> set[str]:
    """Return the rules that are named in expectations."""
    rows: Iterable[tuple[Expectation, ...]] = (expected or {}).values()
    return {one.rule for row in rows for one in row if one.rule is not None}
