"""A small rules file and what it means, read from the contract and not from the code.

What can be seen of the portal at once is a `View`: deals, rows of workflows, and whom they wait
for. A rule tests its facts by three values, as the contract has it: what is absent, denied or no
number is unknown, and unknown never condemns and always protects.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

DAY = 86400.0
VIP, VIP_USERS = "17", ("5", "7")
UNKNOWN: Final = object()
Kleene = bool | None

EVENTS = {"deal.added": "ONCRMDEALADD", "deal.updated": "ONCRMDEALUPDATE"}
SCHEDULE = "schedule"  # of guards: all schedules count as one trigger
EVERY, NIGHTLY = "every 5m", "daily 03:00"
SCHEDULES = {EVERY: "{every: 5m}", NIGHTLY: '{daily_at: "03:00", timezone: UTC}'}
SECONDS_OF = {EVERY: (300.0, 0.0), NIGHTLY: (DAY, 3 * 3600.0)}  # how often, and from when on

_FIELDS = {
    "deal.stage_semantic_id": "stageSemanticId",
    "deal.opportunity": "opportunity",
    "deal.company_id": "companyId",
    "deal.assigned_by_id": "assignedById",
    "deal.uf_crm_price": "UF_CRM_PRICE",
}
# What deals are linked to, which stays as it is: industries of companies, whether people work here.
INDUSTRIES = {"5": "IT", "17": "BANKING"}
ACTIVE = {"7": "true", "9": "false"}
_LINKED = {
    "deal.company.industry": ("deal.company_id", INDUSTRIES),
    "deal.assigned_by.active": ("deal.assigned_by_id", ACTIVE),
}


class Row(NamedTuple):
    """What the portal's list of workflows tells of one."""

    document: str
    template: str
    started: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How the portal is, or may have looked to who asked for one thing after the other."""

    deals: Mapping[int, Mapping[str, object]]
    denied: frozenset[int]
    workflows: Mapping[str, Row]
    tasks: Mapping[str, tuple[str, ...]]

    def facts(self, workflow_id: str) -> dict[str, object] | None:
        """Return the facts of a workflow; None where it does not run."""
        row = self.workflows.get(workflow_id)
        if row is None:
            return None
        kind, _, number = row.document.partition("_")
        deal = int(number) if kind == "DEAL" else 0
        fields = {} if deal in self.denied else self.deals.get(deal, {})
        facts = {path: fields.get(name, UNKNOWN) for path, name in _FIELDS.items()}
        for path, (link, there) in _LINKED.items():
            facts[path] = _at_the_end(facts[link], there)
        facts["document.running"] = sum(
            other.document == row.document for other in self.workflows.values()
        )
        facts["workflow.template_id"] = row.template
        facts["waiting_for.id"] = self.tasks.get(workflow_id, ())
        return facts


@dataclass(frozen=True, slots=True)
class Is:
    """A test that a fact is one of these."""

    fact: str
    values: tuple[str, ...]

    @property
    def text(self) -> str:
        """Write it as a line of a map."""
        only = self.values[0] if len(self.values) == 1 else f"[{', '.join(self.values)}]"
        return f"{self.fact}: {only}"

    def holds(self, facts: Mapping[str, object]) -> Kleene:
        """Make the test."""
        value = facts[self.fact]
        if value is UNKNOWN:
            return None
        return any(str(one) in self.values for one in _several(value))


@dataclass(frozen=True, slots=True)
class Below:
    """A test that a fact is a number, and below this one."""

    fact: str
    number: int

    @property
    def text(self) -> str:
        """Write it as a line of a map."""
        return f"{self.fact}: {{below: {self.number}}}"

    def holds(self, facts: Mapping[str, object]) -> Kleene:
        """Make the test."""
        value = str(facts[self.fact])
        return int(value) < self.number if value.isdigit() else None


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A test that a fact is this number or more."""

    fact: str
    number: int

    @property
    def text(self) -> str:
        """Write it as a line of a map."""
        return f"{self.fact}: {{at_least: {self.number}}}"

    def holds(self, facts: Mapping[str, object]) -> Kleene:
        """Make the test."""
        value = str(facts[self.fact])
        return int(value) >= self.number if value.isdigit() else None


@dataclass(frozen=True, slots=True)
class Costs:
    """A test that an amount in roubles is over this; one in another currency is unknown."""

    fact: str
    number: int

    @property
    def text(self) -> str:
        """Write it as a line of a map."""
        return f"{self.fact}: {{over: {self.number}, currency: RUB}}"

    def holds(self, facts: Mapping[str, object]) -> Kleene:
        """Make the test."""
        amount, _, currency = str(facts[self.fact]).partition("|")
        return int(amount) > self.number if currency == "RUB" else None


COMPANY = "deal.company_id"
Asked = Is | Below | AtLeast | Costs


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule of the file. `when` is empty for a guard against every trigger; `wait` in seconds."""

    id: str
    tests: tuple[Asked, ...]
    unless: tuple[Asked, ...] = ()
    when: tuple[str, ...] = ()
    then: str = "kill"
    mode: str = "enforce"
    wait: int = 0
    keep: str = ""
    count: int = 1
    per: tuple[str, ...] = ("document", "template")
    per_hour: int = 30
    per_document: int = 5
    per_run: int | None = None
    percent: int | None = None
    sweep: bool | None = None

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

    def holds(self, facts: Mapping[str, object]) -> Kleene:
        """Return whether all of `if` holds and none of `unless`."""
        held = [test.holds(facts) for test in self.tests]
        held += [_not(test.holds(facts)) for test in self.unless]
        return False if False in held else None if None in held else True

    def is_better(self, one: tuple[str, Row], other: tuple[str, Row]) -> bool:
        """Return whether `keep` would rather spare the one than the other; both with their ids."""
        newer = (one[1].started, one[0]) > (other[1].started, other[0])
        return newer if self.keep == "newest" else not newer

    def group(
        self, row: Row, facts: Mapping[str, object], *, in_run: bool
    ) -> tuple[str, ...] | None:
        """Return the group of a workflow by its name; an event sees its own document alone.

        None is no group: its deal has no company.
        """
        by_document = "document" in self.per or not in_run
        company = ""
        if COMPANY in self.per:
            company = str(facts.get(COMPANY) or "")
            if not company:
                return None
        template = row.template if "template" in self.per else ""
        return (row.document if by_document else "", template, company)

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
        return "version: 1\nrules:\n" + "".join(rule.text for rule in self.rules)

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


def _at_the_end(link: object, there: Mapping[str, str]) -> object:
    """Return what a link leads to: nothing where it is empty, and unknown where nobody knows."""
    if link is UNKNOWN:
        return UNKNOWN
    return None if link in (None, "", 0, "0") else there.get(str(link), UNKNOWN)


def _several(value: object) -> tuple[object, ...]:
    if isinstance(value, tuple):
        return value
    return () if value in (None, "") else (value,)


def _not(held: Kleene) -> Kleene:
    return None if held is None else not held
