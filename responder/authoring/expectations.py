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
from responder.rules.load.suggestions import synonyms, yaml_text
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table, nearest

# Words that people write for ours, in tests of any tool.
_CALLED = {
    **synonyms.words(
        kill="killed kills delete deleted deletes remove removed stop stopped stops destroyed",
        terminate="terminated terminates ended finished cancelled canceled aborted completed",
        leave="left leaves protected spared kept exempt skipped guarded",
        waiting="wait waits delayed postponed later",
        none="stay stays stayed runs running continues untouched nothing no null ignored keep",
    ),
    **synonyms.words(none="survives alive false unchanged works lives"),
}
# A rule in mode approve is expected to act, as if it were approved.
_HELD = frozenset(
    ["held", "hold", "approved", "approve", "approval", "asked", "asks", "pending", "confirmed"]
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
_ONE_THING = "one thing is expected here, such as {kill: lost-deal} or none"
NOTHING = (Expectation(NONE),)


def read(
    node: Node | None, ruleset: Ruleset, mistakes: Mistakes, ids: Sequence[str] = ()
) -> Expected | None:
    """Read the expectations of a case, by workflow id; empty for `none` of all.

    `ids` are those of the case's workflows, for suggestions.
    """
    if node is None:
        return None
    if isinstance(node, Scalar) and node.text == NONE:
        return {}
    meant = _whole(node, ruleset, ids)
    if not isinstance(node, Table) or meant is not None:
        message = "`expect` is `none`, or a map such as {a: {kill: lost-deal}, b: none}"
        message += ", without square brackets or dashes" if isinstance(node, Items) else ""
        if isinstance(node, Table):
            message = "`expect` says it for each workflow, by its id"
        mistakes.error(node, message, meant)
        return {}
    return {key.text: tuple(_several(value, ruleset, mistakes)) for key, value in node.pairs}


def _whole(node: Node, ruleset: Ruleset, ids: Sequence[str]) -> str | None:
    """Return the expectations that are meant where none is said for a workflow; else None."""
    said = [key.text for key, _ in node.pairs] if isinstance(node, Table) else []
    if isinstance(node, Table) and (not _speaks(said) or set(said) & set(ids)):
        return None
    if isinstance(node, Items) and (several := yaml_text.in_one_map(node)) is not None:
        return several
    if isinstance(node, Scalar) and node.text.startswith("{"):
        return node.text  # it stands in quotes
    one = _meant(node, ruleset)
    if one is None or (isinstance(node, Scalar) and one == NONE):
        return one
    first, *others = ids or ("a",)
    return yaml_text.in_braces((f"{first}: {one}", *(f"{other}: {NONE}" for other in others)))


def _speaks(keys: Sequence[str]) -> bool:
    """Return whether keys are words for what happens, and not the ids of workflows."""
    plain = (*WORDS, "rule", "action", "result", "workflow")
    return bool(keys) and all(key in plain or _word(key) in WORDS for key in keys)


def _several(node: Node, ruleset: Ruleset, mistakes: Mistakes) -> Iterator[Expectation]:
    items = node.items if isinstance(node, Items) else (node,)
    texts = [item.text for item in items if isinstance(item, Scalar)]
    if not items or (len(texts) > 1 and len({*texts}.difference(WORDS)) > 0):
        # A word and the rule beside it: `[kill, lost-deal]`.
        mistakes.error(node, _ONE_THING, _meant(node, ruleset))
        return
    for item in items:
        yield from _one(item, ruleset, mistakes)


def _one(node: Node, ruleset: Ruleset, mistakes: Mistakes) -> Iterator[Expectation]:
    word: Node
    rule: Node | None
    match node:
        case Scalar():
            word, rule = node, None
        case Table(pairs=((word, Scalar() as rule),)) if word.text != NONE:
            pass
        case _:
            mistakes.error(node, _ONE_THING, _meant(node, ruleset))
            return
    assert isinstance(word, Scalar)
    if word.text not in WORDS:
        message = f"`{word.text}` is none of {', '.join(WORDS)}"
        if word.text.lower() in _HELD:
            message += ": what is asked for counts as done"
        meant = _meant(node, ruleset)
        # Within its braces, or a line of its own, a pair is written without any.
        is_pair = rule is not None and meant is not None and meant[0] == "{"
        mistakes.error(word, message, meant[1:-1] if meant and is_pair else meant)
    elif rule is None:
        yield Expectation(word.text)
    elif _rule_exists(word.text, rule, ruleset, mistakes):
        assert isinstance(rule, Scalar)
        yield Expectation(word.text, rule.text)


def _meant(node: Node, ruleset: Ruleset) -> str | None:
    """Return what is probably meant: `{kill: lost-deal}` by `kill lost-deal`, turned, in a list."""
    said = [part for text in _texts(node) for part in re.split(r"[\s:,]+", text) if part]
    words = [word for word in (_word(one) for one in said) if word is not None]
    rule = next((one for one in ruleset.rules if one.id in said), None)
    if rule is None:
        return words[0] if words else synonyms.meant(" ".join(said), WORDS, synonyms.VALUES)
    if words and words[0] == WAITING:
        return f"{{{WAITING}: {rule.id}}}"
    is_opposite = bool(words) and words[0] == NONE
    return NONE if is_opposite else f"{{{rule.then}: {rule.id}}}"


def _texts(node: Node) -> Iterator[str]:
    """Yield the texts of a part of the file, those of its keys too."""
    match node:
        case Scalar():
            yield node.text
        case Items():
            for item in node.items:
                yield from _texts(item)
        case Table():
            for key, value in node.pairs:
                yield from (*_texts(key), *_texts(value))
        case _:
            raise AssertionError(node)


def _word(written: str) -> str | None:
    """Return the one of `WORDS` that a word means: `killed`."""
    plain = written.lower().removeprefix("would_")
    if plain in WORDS:
        return plain
    return str(Action.KILL) if plain in _HELD else _CALLED.get(plain)


def _rule_exists(what: str, node: Node, ruleset: Ruleset, mistakes: Mistakes) -> bool:
    """Return whether there is a rule that does this; of a rule with mistakes nobody knows."""
    name, rules = node.text if isinstance(node, Scalar) else "", ruleset.rules
    rule = next((rule for rule in rules if rule.id == name), None)
    if name in ruleset.doubtful or (rule is None and "" in ruleset.doubtful):
        return True
    if rule is None:
        doing = [rule.id for rule in rules if what in (WAITING, rule.then)]
        meant = nearest(name, [rule.id for rule in rules])
        meant = doing[0] if meant is None and len(doing) == 1 else meant
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
