"""Runs the tests of a rules file with the engine that serves, and prints the differences.

Tests are in the rules file under `tests`, or in a file of their own that is run against the rules
in use. They are judged as if the installation enforced, so that a rule that still observes is
tested as it will act.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.etree import ElementTree

from responder.adapters.printable_text import printable
from responder.authoring import expectations, explain
from responder.authoring.cases import cases
from responder.authoring.cases.cases import Case
from responder.authoring.expectations import Actual, Expectation
from responder.model import ACTING_MODES, Condition, Mode, Situation, Unknown, Verdict
from responder.rules.decide import judge
from responder.rules.load.syntax import yaml_reader
from responder.rules.rule import Rule
from responder.rules.ruleset import IsKnown, RulesError, Ruleset, load
from responder.rules.yaml_positions import Mistake, Mistakes, Table, nearest

_FILE_KEYS = ("version", "tests")
_OF_RULES = ("rules", "defaults", "lists", "calendars")  # keys that a file of tests has not


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A ruleset, and the cases to run against it."""

    ruleset: Ruleset
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A workflow whose result is not the expected one, with the tests that explain it."""

    workflow: str
    expected: tuple[Expectation, ...]
    actual: tuple[Actual, ...]
    conditions: tuple[Condition, ...]

    def __str__(self) -> str:
        wanted = " and ".join(map(str, self.expected))
        return f"{self.workflow}: expected {wanted}; got {explain.outcome(self.actual)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of one case. `shown` are the rules that gave the verdict expected of them.

    `told` says of each workflow whom its rule would tell in the portal, if it tells anybody.
    """

    case: Case
    differences: tuple[Difference, ...]
    shown: frozenset[str]
    told: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Return whether everything was as expected."""
        return not self.differences


def has_rules(data: bytes) -> bool:
    """Return whether a file has rules of its own; a broken file counts as one that has."""
    root = yaml_reader.read(data, Mistakes(""))
    if not isinstance(root, Table) or _is_bare(root):
        return True
    return any(key.text in _OF_RULES or _is_misspelt(key.text) for key, _ in root.pairs)


def _is_misspelt(key: str) -> bool:
    return key not in _FILE_KEYS and nearest(key, (*_FILE_KEYS, "rules")) == "rules"


def _is_bare(root: Table) -> bool:
    return root.get("tests") is None and root.get("event") is None


def suite_of_rules(
    data: bytes, file: str, *, is_known: IsKnown | None = None, expecting: bool = False
) -> Suite:
    """Load a rules file with the tests in it. Raise RulesError with every mistake.

    Where tests must be `expecting`, one without `expect` is a mistake: it could never fail.
    """
    ruleset = load(data, file=file, is_known=is_known)
    return Suite(ruleset=ruleset, cases=_read(data, file, ruleset, expecting=expecting))


def suite_of_tests(data: bytes, file: str, ruleset: Ruleset, *, expecting: bool = False) -> Suite:
    """Load a file of tests, or of one bare case, for rules that are elsewhere."""
    return Suite(ruleset=ruleset, cases=_read(data, file, ruleset, expecting=expecting))


def _read(data: bytes, file: str, ruleset: Ruleset, *, expecting: bool) -> tuple[Case, ...]:
    mistakes = Mistakes(file)
    root = yaml_reader.read(data, mistakes)
    found: tuple[Case, ...] = ()
    if isinstance(root, Table):
        found = _cases_in(root, ruleset, mistakes, expecting=expecting)
    elif root is not None:
        mistakes.error(root, "a file of tests is a map with `tests`")
    if mistakes.fatal:
        raise RulesError(mistakes.in_order())
    return found


def _cases_in(
    root: Table, ruleset: Ruleset, mistakes: Mistakes, *, expecting: bool
) -> tuple[Case, ...]:
    """Return the cases under `tests`, or the single case of a file without that key."""
    tests = root.get("tests")
    if root.get("rules") is not None:
        return () if tests is None else cases.read(tests, ruleset, mistakes, expecting=expecting)
    if tests is None:
        return (cases.read_one(root, ruleset, mistakes, expecting=expecting),)
    for key, _ in root.pairs:
        if key.text not in _FILE_KEYS:
            message = f"there is no key `{key.text}` in a file of tests"
            mistakes.error(key, message, nearest(key.text, _FILE_KEYS))
    return cases.read(tests, ruleset, mistakes, expecting=expecting)


def run(suite: Suite, now: datetime) -> list[Result]:
    """Judge every case and return its result; a case without `at` is judged at `now`."""
    return [_run(suite.ruleset, case, case.at or now) for case in suite.cases]


def _run(ruleset: Ruleset, case: Case, now: datetime) -> Result:
    judgement = judge(ruleset, case.situation, enforcing=True, now=now)
    listed = case.situation.workflows
    # Where the workflows cannot be listed, nothing happens to those that were expected.
    ids = list(case.expected or ()) if isinstance(listed, Unknown) else [one.id for one in listed]
    differences: list[Difference] = []
    shown: set[str] = set()
    for workflow in ids:
        verdicts = tuple(one for one in judgement.verdicts if one.workflow.id == workflow)
        actual = expectations.actual_of(verdicts, ruleset.rules, now)
        if expectations.is_met(case.of(workflow), actual):
            shown |= {one.rule for one in actual}
        else:
            made = explain.conditions_of(workflow, judgement)
            differences.append(_difference(workflow, case.of(workflow), actual, made))
    told = tuple(_told(ruleset, case.situation, judgement.verdicts, now))
    return Result(case=case, differences=tuple(differences), shown=frozenset(shown), told=told)


def _told(
    ruleset: Ruleset, situation: Situation, verdicts: Iterable[Verdict], now: datetime
) -> Iterator[str]:
    """Yield whom the rules would tell of each workflow that they condemn."""
    rules = {rule.id: rule for rule in ruleset.rules if rule.telling}
    for verdict in verdicts:
        if verdict.rule in rules:
            facts = explain.facts_of(ruleset, situation, verdict.workflow, now)
            told = explain.told(rules[verdict.rule], situation, facts)
            yield f"{verdict.workflow.id}: {verdict.rule} would tell {explain.told_in_words(told)}"


def _difference(
    workflow: str,
    expected: tuple[Expectation, ...],
    actual: tuple[Actual, ...],
    made: tuple[Condition, ...],
) -> Difference:
    """Build a difference, with the tests of the rules that gave a verdict or were expected to."""
    rules = {one.rule for one in expected if one.rule} | {one.rule for one in actual}
    return Difference(
        workflow=workflow,
        expected=expected,
        actual=actual,
        conditions=tuple(c for c in made if c.rule in rules) or made,
    )


def untested(suite: Suite, results: Iterable[Result]) -> list[Rule]:
    """Return the rules that may act and that no passed test shows acting."""
    shown = frozenset().union(*(result.shown for result in results))
    return [
        rule
        for rule in suite.ruleset.rules
        if rule.mode in ACTING_MODES and rule.disabled is None and rule.id not in shown
    ]


def render(results: Sequence[Result], rules: Sequence[Rule]) -> Iterator[str]:
    """Yield the results as lines, then the rules that no test covers."""
    for result in results:
        if result.passed:
            yield f"ok    {result.case.name}"
        else:
            yield f"FAIL  {result.case.name} ({result.case.file}:{result.case.line})"
            yield from _differences(result)
        yield from (f"      {line}" for line in result.told)
    for rule in rules:
        state = "is enforced" if rule.mode is Mode.ENFORCE else "acts where it is approved"
        yield f"      {rule.id} {state}, and no test shows that it acts"
    failed = sum(not result.passed for result in results)
    count = f"{len(results)} test{'' if len(results) == 1 else 's'}"
    yield f"{count}, {failed} failed" if failed else f"{count}, all fine"


def _differences(result: Result) -> Iterator[str]:
    for difference in result.differences:
        yield f"      {difference}"
        for condition in difference.conditions:
            yield f"        {condition.rule}: {explain.condition_line(condition)}"


def junit(results: Sequence[Result], name: str) -> bytes:
    """Return the results as JUnit's XML, with no other attributes than Jenkins's schema knows."""
    failed = sum(not result.passed for result in results)
    suite = ElementTree.Element(
        "testsuite", name=name, tests=str(len(results)), failures=str(failed), errors="0"
    )
    for result in results:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=name,
            name=result.case.name,
        )
        if not result.passed:
            message = "; ".join(map(str, result.differences))
            failure = ElementTree.SubElement(case, "failure", message=message)
            place = f"{result.case.file}:{result.case.line}"
            failure.text = "\n".join([place, *_differences(result)])
    return _written(suite)


def junit_of_mistakes(mistakes: Sequence[Mistake], name: str) -> bytes:
    """Return what keeps tests from being run, as JUnit's XML: one test that ends with an error."""
    errors = [str(one) for one in mistakes if one.severity == "error"]
    suite = ElementTree.Element("testsuite", name=name, tests="1", failures="0", errors="1")
    case = ElementTree.SubElement(suite, "testcase", classname=name, name="the file can be loaded")
    ElementTree.SubElement(case, "error", message=errors[0]).text = "\n".join(errors)
    return _written(suite)


def junit_of_failure(why: str, name: str) -> bytes:
    """Return why tests could not be run at all, as JUnit's XML: one test with an error."""
    return junit_of_mistakes([Mistake(name, 1, 1, "error", why)], name)


def _written(suite: ElementTree.Element) -> bytes:
    # XML has no way to write most control characters, and texts of authors may have them.
    for element in suite.iter():
        for key, value in element.items():
            element.set(key, printable(value))
        if element.text is not None:
            element.text = "\n".join(map(printable, element.text.split("\n")))
    written: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return written
