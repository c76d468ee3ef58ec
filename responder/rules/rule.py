"""One rule as it was loaded: when it is read, what it asks, what it then does."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.model import Action, Mode
from responder.rules.calendars import Calendar
from responder.rules.facts.conditions import All, AnyOf, FactTest, Kleene, View
from responder.rules.keep import Keep
from responder.rules.load.limit_parser import Limit
from responder.rules.schedules import Schedule
from responder.rules.triggers import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule. `then` is kill, terminate or leave; a `leave` rule has no mode.

    `text` is its YAML as it stands in the file, `paths` every fact it reads, `kind` the kind of
    document it looks into (None: any). `triggers` is None for a `leave` rule that guards always.
    `portals` is None where it is for all. `robots` is the test that spares robots' runs, of rules
    that name no template. `expires_at` is the end of its last day. `wait` is how long it looks on
    before it acts, `during` the hours in which it does, `keep` whom of the condemned it spares.
    """

    id: str
    because: str | None
    mode: Mode | None
    then: Action
    text: str
    triggers: tuple[Trigger, ...] | None
    condition: All
    exception: AnyOf
    robots: FactTest | None
    paths: frozenset[str]
    kind: str | None
    every_template: bool
    portals: frozenset[str] | None
    sweep: bool
    limit: Limit
    wait: timedelta | None
    during: Calendar | None
    keep: Keep | None
    disabled: str | None
    expires_at: datetime | None

    @property
    def acts(self) -> bool:
        """Tell whether it kills or terminates, rather than leaves."""
        return self.then is not Action.LEAVE

    def expired(self, now: datetime) -> bool:
        """Tell whether its last day is over."""
        return self.expires_at is not None and now >= self.expires_at

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """Return the schedules that set it off."""
        return tuple(one.schedule for one in self.triggers or () if one.schedule is not None)

    @property
    def is_swept(self) -> bool:
        """Tell whether a sweep evaluates it as if one of its events had come."""
        return self.sweep and any(one.events for one in self.triggers or ())

    def guards_against(self, other: "Rule") -> bool:
        """Tell whether this `leave` rule is read wherever the other one is."""
        if self.triggers is None:
            return True
        return any(
            ours.is_like(theirs) for ours in self.triggers for theirs in other.triggers or ()
        )

    def may_see(self, kind: str, portal: str) -> bool:
        """Tell whether it looks at documents of this kind in this portal at all."""
        return (self.kind is None or self.kind == kind) and self.may_act_in(portal)

    def may_act_in(self, portal: str) -> bool:
        """Tell whether it is for this portal."""
        return self.portals is None or portal in self.portals

    def holds(self, view: View) -> Kleene:
        """Read it for one workflow. What its `unless` leaves unknown is not excluded: unknown."""
        held: Kleene = True
        for part in self.condition.parts:
            found = part.holds(view)
            if found is False:
                if not part.about_workflow:
                    view.hopeless.add(self.id)
                return False
            if found is None:
                held = None
        excepted = self._excepted(view) if self.exception.parts else False
        if excepted:
            return False
        listed = True if self.robots is None else self.robots.holds(view)
        if listed is False:
            return False
        return True if held and excepted is False and listed else None

    def _excepted(self, view: View) -> Kleene:
        """Ask `unless`, where a wish for a workflow that fits is a wish that no test holds."""
        wish = view.wish
        view.wish = None if wish is None else not wish
        excepted = self.exception.holds(view)
        view.wish = wish
        return excepted
