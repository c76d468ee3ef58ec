"""Defines one rule as it was loaded: its triggers, its tests, its action and what holds it back."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.model import Action, Mode
from responder.rules.calendars import Calendar
from responder.rules.facts.conditions import All, AnyOf, FactTest, Kleene, View
from responder.rules.keep import Keep
from responder.rules.load.limit_parser import Limit
from responder.rules.schedules import Schedule
from responder.rules.telling.audiences import Telling
from responder.rules.triggers import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A loaded rule. `then` is kill, terminate or leave; a `leave` rule has no mode.

    `text` is its YAML as it stands in the file, `paths` every fact that it reads, `kind` the kind
    of document that it tests (None: any). `triggers` is None for a `leave` rule that guards always.
    `portals` is None where it is for all. `robots` is the test that spares robots' runs, in rules
    that name no template. `expires_at` is the end of its last day. `wait` is the time from the
    decision to the act, after which all must still hold; `during` the hours in which it acts;
    `keep` chooses which condemned workflows it spares; `telling` is whom it tells in the portal.
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
    telling: Telling
    disabled: str | None
    expires_at: datetime | None

    @property
    def acts(self) -> bool:
        """Return whether the rule kills or terminates; false for a `leave` rule."""
        return self.then is not Action.LEAVE

    def expired(self, now: datetime) -> bool:
        """Return whether the rule's last day is over."""
        return self.expires_at is not None and now >= self.expires_at

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """Return the schedules that set the rule off."""
        return tuple(one.schedule for one in self.triggers or () if one.schedule is not None)

    @property
    def is_swept(self) -> bool:
        """Return whether a sweep evaluates the rule as if one of its events had come."""
        return self.sweep and any(one.events for one in self.triggers or ())

    def guards_against(self, other: "Rule") -> bool:
        """Return whether this `leave` rule is read wherever the other rule is."""
        if self.triggers is None:
            return True
        return any(
            ours.is_like(theirs) for ours in self.triggers for theirs in other.triggers or ()
        )

    def may_see(self, kind: str, portal: str) -> bool:
        """Return whether the rule applies to documents of this kind in this portal at all."""
        return (self.kind is None or self.kind == kind) and self.may_act_in(portal)

    def may_act_in(self, portal: str) -> bool:
        """Return whether the rule is for this portal."""
        return self.portals is None or portal in self.portals

    def holds(self, view: View) -> Kleene:
        """Return whether the rule holds for one workflow; an unknown `unless` makes it unknown."""
        held: Kleene = True
        for part in self.condition.parts:
            found = part.holds(view)
            if found is False:
                if not part.about_workflow:
                    view.failed_on_document.add(self.id)
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
        """Return whether `unless` holds, with `assumed` inverted as `Not` inverts it."""
        assumed = view.assumed
        view.assumed = None if assumed is None else not assumed
        excepted = self.exception.holds(view)
        view.assumed = assumed
        return excepted
