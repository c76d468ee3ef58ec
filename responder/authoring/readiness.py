"""Says of an observing rule whether it is ready to be enforced, and what to do next.

It rests on figures: for how many days the rule was observed as it stands, what it would
have stopped and how much of that ended by itself, how often its limits would have held it, and how
many tests in the file name it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from responder.authoring.cases import cases
from responder.journal import would_kills
from responder.journal.reading import observed
from responder.journal.reading.observed import WINDOW, Foreseen
from responder.journal.would_kills import Figures
from responder.model import Mode
from responder.rules.load.syntax import yaml_reader
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset, load, was_in_force
from responder.rules.yaml_positions import Mistakes, Table
from responder.store.database.database import Connection

WEEK = 7  # days: each day of the week was seen
MANY_END = 0.5  # of what can be told: so much ending by itself makes a rule mostly needless
_LONGEST = 200_000  # of a file whose tests are counted: to parse it takes a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """The figures of an observing rule. `tests` is None where the file is too long to count.

    `since` is when the first decision was made by the rule as it stands, None where there is none.
    """

    rule: Rule
    since: datetime | None
    now: datetime
    figures: Figures | None
    foreseen: Foreseen
    tests: int | None
    installation: Mode

    @property
    def days(self) -> int:
        """Return for how many whole days the rule was observed as it stands."""
        return 0 if self.since is None else max(0, (self.now - self.since) // timedelta(days=1))

    @property
    def is_ready(self) -> bool:
        """Return whether nothing speaks against enforcing the rule."""
        return next(self._obstacles(), None) is None

    @property
    def next_step(self) -> str:
        """Return what to do next, in one sentence."""
        obstacle = next(self._obstacles(), None)
        if obstacle is not None:
            return obstacle
        keys = ["write `mode: enforce`"] if self.rule.mode is Mode.OBSERVE else []
        keys += ["set RESPONDER_MODE=enforce"] if self.installation is Mode.OBSERVE else []
        return f"Look through what it would have stopped; then {' and '.join(keys)}."

    def lines(self, done: str) -> Iterator[tuple[str, str]]:
        """Yield each figure with its name; `done` is what the rule would have done."""
        observed, *others = self.other_lines()
        yield observed
        yield f"would have {done}", self._stopped()
        if self.figures is not None and self.figures.told:
            ended, told = self.figures.ended, self.figures.told
            yield "ended by themselves", f"{ended:,} of {told:,} that can be told, within a day"
        yield from others

    def other_lines(self) -> Iterator[tuple[str, str]]:
        """Yield the figures that `Figures.sentence` does not say."""
        yield "observed", self._observed()
        yield "would have tripped", self._tripped()
        tests = "not counted, for the file is long" if self.tests is None else str(self.tests)
        yield "tests that name it", tests

    def _observed(self) -> str:
        if self.since is None:
            return "no decision was made by it as it stands"
        days = "1 day" if self.days == 1 else f"{self.days} days"
        return f"{days} as it stands, since {self.since:%Y-%m-%d}"

    def _stopped(self) -> str:
        figures = self.figures
        if figures is None:
            return "nothing yet"
        documents = f"{figures.documents:,} document{'' if figures.documents == 1 else 's'}"
        said = f"{figures.workflows:,} on {documents}, each counted once"
        if self.since is None or figures.since < self.since:
            said += "; some of them when its text was another"
        return said

    def _tripped(self) -> str:
        if not self.foreseen.held:
            return "never"
        among = f" of its last {WINDOW}" if self.foreseen.looked_at >= WINDOW else ""
        times = "once" if self.foreseen.held == 1 else f"{self.foreseen.held} times"
        return f"{times}{among}; last: {self.foreseen.newest}"

    def _obstacles(self) -> Iterator[str]:
        """Yield what to do before the rule is enforced, the most important first."""
        if self.foreseen.held:
            yield "Raise its limit, or narrow its tests: enforced, it would have been held."
        if self._mostly_ends():
            yield "Give it a `wait`: most of what it would have stopped ended by itself in a day."
        if self.figures is None and self.days >= WEEK:
            yield (
                "See with `responder explain --document` whether it means what you think: "
                "it has condemned nothing."
            )
        if self.days < WEEK:
            left = WEEK - self.days
            yield f"Let it observe for {left} more day{'' if left == 1 else 's'}: a week in all."
        if self.tests == 0:
            yield "Write a test that shows what it stops and what it leaves alone."

    def _mostly_ends(self) -> bool:
        figures = self.figures
        if figures is None or self.rule.wait is not None or not figures.told:
            return False
        return figures.ended > MANY_END * figures.told


def observes(rule: Rule, installation: Mode, now: datetime) -> bool:
    """Return whether a rule only observes, by its own mode or the installation's."""
    lives = rule.acts and rule.disabled is None and not rule.expired(now)
    return lives and Mode.OBSERVE in (rule.mode, installation)


def read(
    conn: Connection,
    rules: Sequence[Rule],
    portals: Collection[str],
    *,
    tests: Mapping[str, int] | None,
    installation: Mode,
    now: datetime,
    portal: str | None = None,
) -> dict[str, Readiness]:
    """Read the figures of these rules, by rule id; each costs a bounded search of the log.

    With `portal`, what they would have stopped in that one alone.
    """
    if not rules:
        return {}
    since = observed.unchanged_since(conn, {rule.id: rule.text for rule in rules})
    figures = would_kills.figures(conn, portal)
    return {
        rule.id: Readiness(
            rule=rule,
            since=since.get(rule.id),
            now=now,
            figures=figures.get(rule.id),
            foreseen=observed.foreseen(conn, rule.id, portals, since.get(rule.id)),
            tests=None if tests is None else tests.get(rule.id, 0),
            installation=installation,
        )
        for rule in rules
    }


def count_tests(ruleset: Ruleset) -> dict[str, int] | None:
    """Count the tests in the file that name each rule; None where the file is too long."""
    return None if len(ruleset.text) > _LONGEST else dict(_counted(ruleset.text))


@lru_cache(maxsize=4)
def _counted(text: str) -> tuple[tuple[str, int], ...]:
    mistakes = Mistakes("rules.yaml", forgives_new=True)
    root = yaml_reader.read(text.encode(), mistakes)
    node = root.get("tests") if isinstance(root, Table) else None
    if node is None:
        return ()
    ruleset = load(text.encode(), file="rules.yaml", is_known=was_in_force)
    counted: dict[str, int] = {}
    for case in cases.read(node, ruleset, mistakes):
        expected = (case.expected or {}).values()
        for rule in {one.rule for some in expected for one in some if one.rule is not None}:
            counted[rule] = counted.get(rule, 0) + 1
    return tuple(counted.items())
