"""A small rules file and what it means, read from the contract and not from the code.

A rule tests facts by three values (`model_facts`): unknown never condemns and always protects. A
rule that tests one kind of document does not apply to another.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cache

from tests.random.model_calendar import OFFICE
from tests.random.model_facts import (
    DEAL,
    UNKNOWN,
    VIP,
    Asked,
    Below,
    Facts,
    Is,
    Kleene,
    Row,
    View,
    Worked,
    group_by,
)

DAY = 86400.0

EVENTS = {"deal.added": "ONCRMDEALADD", "deal.updated": "ONCRMDEALUPDATE"}
SCHEDULE = "schedule"  # of guards: all schedules count as one trigger
EVERY, NIGHTLY = "every 5m", "daily 03:00"
SCHEDULES = {EVERY: "{every: 5m}", NIGHTLY: '{daily_at: "03:00", timezone: UTC}'}
SECONDS_OF = {EVERY: (300.0, 0.0), NIGHTLY: (DAY, 3 * 3600.0)}  # how often, and from when on
DOCUMENT, TEMPLATE = "document", "template"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule of the file. `when` is empty for a guard against every trigger; `wait` in seconds.

    `kind` is the kind of document that it tests; None where it is for any.
    """

    id: str
    tests: tuple[Asked, ...]
    unless: tuple[Asked, ...] = ()
    when: tuple[str, ...] = ()
    then: str = "kill"
    mode: str = "enforce"
    wait: int = 0
    keep: str = ""
    count: int = 1
    per: tuple[str, ...] = (DOCUMENT, TEMPLATE)
    per_hour: int = 30
    per_document: int = 5
    per_run: int | None = None
    percent: int | None = None
    sweep: bool | None = None
    kind: str | None = field(init=False, compare=False)

    def __post_init__(self) -> None:
        paths = [test.fact for test in (*self.tests, *self.unless)] + [
            *(self.per if self.keep else ())
        ]
        owners = (path.partition(".")[0] for path in paths)
        kinds = (one for one in owners if one == DEAL or one.startswith("list_"))
        object.__setattr__(self, "kind", next(kinds, None))

    @property
    def acts(self) -> bool:
        """Return whether it kills or terminates."""
        return self.then != "leave"

    @property
    def is_enforced(self) -> bool:
        """Return whether it acts, asking first or not, where the installation lets it."""
        return self.acts and self.mode != "observe"

    @property
    def triggers(self) -> frozenset[str]:
        """Return what sets it off: events by the portal's names, all schedules as one."""
        return frozenset(
            EVENTS.get(one, SCHEDULE if one in SCHEDULES else one) for one in self.when
        )

    @property
    def schedules(self) -> tuple[str, ...]:
        """Return its schedules."""
        return tuple(one for one in self.when if one in SCHEDULES)

    @property
    def is_swept(self) -> bool:
        """Return whether the sweep asks it."""
        if not self.acts or not set(EVENTS) & set(self.when):
            return False
        return "deal.updated" in self.when if self.sweep is None else self.sweep

    def guards(self, rules: Iterable["Rule"]) -> bool:
        """Return whether this guard is read where these rules are asked."""
        return not self.when or any(self.triggers & rule.triggers for rule in rules)

    def holds(self, facts: Facts) -> Kleene:
        """Return whether all of `if` holds and none of `unless`."""
        if self.kind not in (None, facts.row.kind):
            return False
        held = [test.holds(facts) for test in self.tests]
        held += [_not(test.holds(facts)) for test in self.unless]
        return False if False in held else None if None in held else True

    def is_better(self, one: tuple[str, Row], other: tuple[str, Row]) -> bool:
        """Return whether `keep` would rather spare the one than the other; both with their ids."""
        newer = (one[1].started, one[0]) > (other[1].started, other[0])
        return newer if self.keep == "newest" else not newer

    def group(self, facts: Facts, *, in_run: bool) -> object:
        """Return the group of a workflow; an event sees its own document alone.

        None is no group: a fact that makes it is empty, or has several values. It may be unknown.
        """
        row = facts.row
        found: list[object] = [row.document if DOCUMENT in self.per or not in_run else ""]
        found += [row.template if TEMPLATE in self.per else ""]
        found += [group_by(path, facts) for path in self.per if "." in path]
        if UNKNOWN in found:
            return UNKNOWN
        return None if None in found else tuple(found)

    @property
    def text(self) -> str:
        """Write it as an item of the list of rules."""
        limits = {
            "per_hour": self.per_hour,
            "per_document": self.per_document,
            "per_run": self.per_run,
            "percent_of_running": self.percent,
        }
        given = ", ".join(
            f"{name}: {number}" for name, number in limits.items() if number is not None
        )
        when = ", ".join(SCHEDULES.get(one, one) for one in self.when)
        lines = [
            f"  - id: {self.id}",
            f"    when: [{when}]" if self.when else "",
            f"    mode: {self.mode}" if self.acts else "",
            f"    if: {{{', '.join(test.text for test in self.tests)}}}",
            f"    unless: {{{', '.join(test.text for test in self.unless)}}}"
            if self.unless
            else "",
            f"    wait: {self.wait}s" if self.wait else "",
            f"    keep: {{{self.keep}: {self.count}}}\n    per: [{', '.join(self.per)}]"
            if self.keep
            else "",
            f"    limit: {{{given}}}" if self.acts else "",
            "" if self.sweep is None else f"    sweep: {str(self.sweep).lower()}",
            f"    then: {self.then}",
        ]
        return "".join(f"{line}\n" for line in lines if line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A rules file, and what it means.

    `file` has its rules; without it these are the usual two, as the other fields say.
    `approved_seconds` is how long an approval is good.
    """

    file: tuple[Rule, ...] = ()
    enforced: bool = True
    asking: bool = False
    waiting: bool = False
    guard: bool = False
    second: str = "kill"
    per_hour: int = 30
    per_document: int = 5
    approved_seconds: float = DAY

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Return the rules from the top."""
        return self.file or _usual(self)

    @property
    def text(self) -> str:
        """Write it as rules.yaml."""
        calendars = f"calendars:\n{OFFICE}" if self.is_timed else ""
        return f"version: 1\n{calendars}rules:\n" + "".join(rule.text for rule in self.rules)

    @property
    def is_timed(self) -> bool:
        """Return whether a rule tests how old something is."""
        return any(isinstance(test, Worked) for rule in self.rules for test in rule.tests)

    @property
    def guards_lists(self) -> bool:
        """Return whether a guard tests elements of a list."""
        return any(not one.acts and str(one.kind).startswith("list_") for one in self.rules)

    def rule(self, name: str) -> Rule | None:
        """Return the rule of that name."""
        return next((rule for rule in self.rules if rule.id == name), None)

    def spared_by(
        self, rule: Rule, view: View, workflow_id: str, asked: Collection[Rule] = ()
    ) -> str | None:
        """Return why a rule does not condemn a workflow; None where it does.

        `asked` are the rules that are asked with it: their guards are read too, and the first that
        acts decides.
        """
        facts = view.facts(workflow_id)
        if facts is None:
            return "it does not run"
        for other in self.rules[: self.rules.index(rule)]:
            if not other.acts:
                if other.guards([rule, *asked]) and other.holds(facts) is not False:
                    return f"the guard {other.id} protects it"
            elif other in asked and other.is_enforced and not other.keep and other.holds(facts):
                return f"{other.id} comes first"
        return None if rule.holds(facts) is True else "its tests do not all hold"


@cache
def _usual(policy: Policy) -> tuple[Rule, ...]:
    mode = ("approve" if policy.asking else "enforce") if policy.enforced else "observe"
    guard = Rule(id="keep-vip", tests=(Is("deal.company_id", (VIP,)),), then="leave")
    lost = Rule(
        id="lost-deal",
        when=("deal.updated", "robot"),
        tests=(Is("deal.stage_semantic_id", ("F",)), Is("workflow.template_id", ("61",))),
        mode=mode,
        wait=60 if policy.waiting else 0,
        per_hour=policy.per_hour,
        per_document=policy.per_document,
    )
    small = Rule(
        id="small-deal",
        when=("deal.updated",),
        tests=(Is("workflow.template_id", ("62",)), Below("deal.opportunity", 1000)),
        then=policy.second,
        mode=mode,
        wait=60 if policy.waiting else 0,
        per_hour=policy.per_hour,
        per_document=policy.per_document,
    )
    return (guard, lost, small) if policy.guard else (lost, small)


def _not(held: Kleene) -> Kleene:
    return None if held is None else not held
