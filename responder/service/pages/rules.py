"""Renders the page of the rules: in plain English, what each may do, did and would have done."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.responses import Response

from responder.authoring.readiness import Readiness
from responder.journal import would_kills
from responder.journal.reading import counts
from responder.model import Action, Mode
from responder.rules.english.paragraphs import paragraph
from responder.rules.rule import Rule
from responder.service.pages import rule_readiness, wording
from responder.service.pages.page_requests import Visit
from responder.service.pages.site import Site
from responder.store import limits
from responder.store.database.database import Connection
from responder.store.limits import Trip

PAGE = 50
MOST_BUDGETS = 3  # of a rule that are all shown
_HOUR = timedelta(hours=1)
_DONE = {Action.KILL: "killed", Action.TERMINATE: "terminated"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A rule's stops in one portal within the last hour, its limit, and its trip."""

    portal: str
    used: int
    per_hour: int
    would: int
    held: int
    trip: Trip | None

    @property
    def is_idle(self) -> bool:
        """True where the rule stopped, would have stopped, and holds nothing."""
        return not (self.used or self.would or self.held or self.trip)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A rule as the page shows it."""

    rule: Rule
    number: int
    in_words: str
    state: str
    effect: str
    budgets: tuple[Budget, ...]
    shadow: str | None
    readiness: Readiness | None
    done: str

    @property
    def idle_budgets(self) -> Sequence[Budget]:
        """The budgets of which nothing is used, where the rule has so many that one line is said.

        A rule has a limit for each portal, and they are the same.
        """
        idle = [one for one in self.budgets if one.is_idle]
        return idle if len(self.budgets) > MOST_BUDGETS and len(idle) > 1 else ()

    @property
    def tripped(self) -> bool:
        """True where the rule is tripped in some portal."""
        return any(budget.trip for budget in self.budgets)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """All counts of rules, read in one transaction."""

    trips: Mapping[tuple[str, str], Trip]
    acted: counts.Counts
    would: counts.Counts
    held: counts.Counts
    shadows: Mapping[str, would_kills.Figures]


def show(site: Site, visit: Visit) -> Response:
    """Return the page of the rules in force, fifty at a time."""
    now = site.now()
    numbers = site.database.read(lambda conn: _numbers(conn, site.portals, now - _HOUR))
    chosen = list(site.rules.ruleset.rules)
    only = visit.query.get("rule", "")
    places = list(enumerate(chosen, start=1))
    if only:
        places = [(number, rule) for number, rule in places if only in rule.id]
    first = _first(visit, len(places))
    known = {rule.id for rule in chosen}
    here = places[first : first + PAGE]
    ready = rule_readiness.of_rules(site, [rule for _, rule in here], now)
    return site.page(
        "rules.html",
        visit,
        only=only,
        shown=[
            _shown(site, rule, number, numbers, ready.get(rule.id), now) for number, rule in here
        ],
        first=first,
        total=len(places),
        next=first + PAGE if first + PAGE < len(places) else None,
        previous=max(0, first - PAGE) if first else None,
        since=site.rules.since,
        error=site.rules.error,
        missing=sorted(_missing_rules(numbers, known)),
    )


def _numbers(conn: Connection, portals: Sequence[str], since: datetime) -> _Numbers:
    return _Numbers(
        trips={(trip.portal, trip.rule): trip for trip in limits.tripped(conn)},
        acted=counts.acted(conn, portals, since),
        would=counts.would_have(conn, since),
        held=counts.held(conn),
        shadows=would_kills.figures(conn),
    )


def _first(visit: Visit, total: int) -> int:
    given = visit.query.get("from", "")
    number = int(given) if given.isascii() and given.isdigit() and len(given) < 7 else 0
    return number if number < total else 0


def _missing_rules(numbers: _Numbers, known: set[str]) -> set[tuple[str, str]]:
    """Return (portal, rule) of rules that hold something and are no longer in the file."""
    return {key for key in (*numbers.trips, *numbers.held) if key[1] and key[1] not in known}


def _shown(
    site: Site,
    rule: Rule,
    number: int,
    numbers: _Numbers,
    ready: Readiness | None,
    now: datetime,
) -> Shown:
    figures = numbers.shadows.get(rule.id)
    done = _DONE.get(rule.then, "stopped")
    return Shown(
        rule=rule,
        number=number,
        in_words=paragraph(rule),
        state=wording.rule_state(rule, now),
        effect=_effect(rule, site.settings.mode, now),
        budgets=tuple(_budgets(site, rule, numbers)) if rule.acts else (),
        shadow=None if figures is None else figures.sentence(done),
        readiness=ready,
        done=done,
    )


def _budgets(site: Site, rule: Rule, numbers: _Numbers) -> Iterator[Budget]:
    for portal in site.portals:
        if rule.may_act_in(portal):
            key = (portal, rule.id)
            yield Budget(
                portal=portal,
                used=numbers.acted.get(key, 0),
                per_hour=rule.limit.per_hour,
                would=numbers.would.get(key, 0),
                held=numbers.held.get(key, 0),
                trip=numbers.trips.get(key),
            )


def _effect(rule: Rule, installation: Mode, now: datetime) -> str:
    """Return what comes of what the rule condemns, by its mode and the installation's."""
    if rule.disabled is not None:
        return "It is switched off and does nothing."
    if rule.expired(now):
        return "Its last day is over; it does nothing."
    if rule.mode is None:
        return "What it matches is left alone by every rule below it."
    if rule.mode is Mode.OBSERVE:
        return "It only records what it would do."
    if installation is not Mode.ENFORCE:
        return "It only records what it would do, for RESPONDER_MODE is observe."
    if rule.mode is Mode.ENFORCE:
        return "It acts."
    return "It asks: what it condemns is held until somebody approves it."
