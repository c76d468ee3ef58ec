"""Defines the triggers of rules: the portal's events for each, and the documents that they bring.

The names that rules use (`deal.updated`) stand for the portal's own (`ONCRMDEALUPDATE`), which may
be written too. Only events that bring a document with workflows are known here: a rule on any
other could never act.
https://apidocs.bitrix24.com/api-reference/crm/universal/events/index.html
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from responder.rules.facts import registry
from responder.rules.facts.values import duration_in_words
from responder.rules.load.suggestions import russian
from responder.rules.schedules import Every, Schedule
from responder.rules.yaml_positions import nearest

ROBOT = "robot"
_DONE = {"added": "ADD", "updated": "UPDATE", "deleted": "DELETE"}
_CALLED = {
    **dict.fromkeys(("created", "create", "new", "add", "inserted", "started"), "added"),
    **dict.fromkeys(("changed", "change", "modified", "edited", "update", "moved"), "updated"),
    **dict.fromkeys(("closed", "won", "lost", "finished", "completed"), "updated"),
    **dict.fromkeys(("removed", "remove", "delete", "destroyed"), "deleted"),
}
_OF_WORKFLOWS = "the portal sends no events of workflows, which robots and schedules come to"
_NEVER_SENT = {
    **dict.fromkeys(("workflow", "bizproc", "bp", "template", "process", "бп"), _OF_WORKFLOWS),
    **dict.fromkeys(
        ("user", "starter", "employee", "сотрудник"),
        "the portal sends no events of users, which schedules look at",
    ),
    **dict.fromkeys(
        ("time", "timer", "schedule", "cron", "daily", "hourly"), "a schedule stands in braces"
    ),
}
_PLAIN_KINDS = ("deal", "lead", "contact", "company", "quote")
_DYNAMIC = "ONCRMDYNAMICITEM"
_DYNAMIC_OF_TYPE = re.compile(rf"{_DYNAMIC}(?:ADD|UPDATE|DELETE)_([1-9][0-9]*)")
_SMART_INVOICE = "31"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One trigger of a rule: events by the portal's names, a robot call or a schedule.

    `events` is empty for the latter two. `brings` is the kind of document it comes with: one kind,
    `item_*` for invoices and all smart processes (their events have one name), or `*` for any.
    """

    name: str
    events: frozenset[str]
    brings: str
    schedule: Schedule | None = None

    @property
    def is_robot(self) -> bool:
        """Return whether this is a robot call."""
        return self.name == ROBOT

    @property
    def is_update(self) -> bool:
        """Return whether this is a change of a document, which the sweep can find again."""
        return any("UPDATE" in event for event in self.events)

    @property
    def to_register(self) -> frozenset[str]:
        """Return the events to register for, which together bring every event of the trigger.

        What happens to an item of smart process 147 is sent by two names; the one with the number
        repeats the other.
        """
        repeated = {event for event in self.events if event.partition("_")[0] in self.events}
        return self.events - {event for event in repeated if "_" in event}

    def is_like(self, other: "Trigger") -> bool:
        """Return whether two triggers have something in common: a robot call, a schedule, an event.

        All schedules count as one, and events by the portal's names.
        """
        if self.is_robot or other.is_robot:
            return self.is_robot and other.is_robot
        if self.schedule is not None or other.schedule is not None:
            return self.schedule is not None and other.schedule is not None
        return not self.events.isdisjoint(other.events)

    def can_bring(self, kind: str) -> bool:
        """Return whether a document of this kind can come with this trigger."""
        if registry.is_of_a_list(kind):  # the portal has no events of these
            return self.schedule is not None
        if self.brings == "item_*":
            return kind == "invoice" or kind.startswith("item_")
        return self.brings in ("*", kind)


def find(name: str) -> Trigger | None:
    """Return the trigger of this name, or None; the portal's own names are read in any case."""
    if name == ROBOT:
        return Trigger(name=ROBOT, events=frozenset(), brings="*")
    kind, _, done = name.partition(".")
    if done in _DONE and registry.is_kind(kind) and not registry.is_of_a_list(kind):
        return Trigger(name=name, events=frozenset(_events(kind, _DONE[done])), brings=kind)
    upper = name.upper()
    brings = _BRINGS.get(upper) or _of_type(upper)
    return Trigger(name=upper, events=frozenset({upper}), brings=brings) if brings else None


def scheduled(schedule: Schedule) -> Trigger:
    """Return the trigger for a schedule, named for people: `daily at 03:00 UTC`."""
    if isinstance(schedule, Every):
        name = f"every {duration_in_words(schedule.length)}"
    else:
        name = f"daily at {schedule.at:%H:%M} {schedule.zone}"
    return Trigger(name=name, events=frozenset(), brings="*", schedule=schedule)


def names() -> list[str]:
    """Return the names of all triggers, with smart process 147 as the example of its kind."""
    kinds = [*registry.KINDS, "item_147"]
    return [ROBOT, *(f"{kind}.{done}" for kind in kinds for done in _DONE), *_BRINGS]


def is_a_portals_name(name: str) -> bool:
    """Return whether a name has the form of the portal's own event names."""
    return "." not in name and name.upper().startswith("ON")


def never_sent(name: str) -> str | None:
    """Return what there is no event of, and what a rule is set off by instead; None for others."""
    owner, _, _ = name.lower().replace(" ", ".").partition(".")
    kind = registry.nearest_kind(owner) if owner[:1] in "lifb" else owner
    if registry.is_of_a_list(kind or "") or owner in ("list", "lists", "element", "iblock"):
        return "the portal sends no events of lists, which schedules come to"
    return _NEVER_SENT.get(owner)


def nearest_trigger(name: str) -> str | None:
    """Return the name of the trigger that is nearest to a wrong one, or None."""
    if is_a_portals_name(name):
        # The portal has a hundred similar events, so only a slip of the pen is corrected.
        return nearest(name.upper(), _BRINGS, likeness=0.93)
    kind, _, done = russian.english_path(name.lower(), (*registry.KINDS, *_DONE)).partition(".")
    if kind in (*_DONE, *_CALLED) and not done:
        kind, done = "deal", kind
    if kind == f"item_{_SMART_INVOICE}":
        kind = "invoice"
    kind = (registry.nearest_kind(kind) or "") if any(map(str.isdigit, kind)) else kind
    if not kind or registry.is_of_a_list(kind):
        return None
    if kind in ("item", "smart_process", "spa"):
        kind = "item_147"
    if registry.is_kind(kind):
        return f"{kind}.{_CALLED.get(done) or nearest(done, _DONE) or 'updated'}"
    return nearest(
        name.lower(),
        [ROBOT, *(f"{one}.{how}" for one in registry.KINDS for how in _DONE)],
        likeness=0.8,
    )


def _events(kind: str, done: str) -> Iterator[str]:
    if kind == "task":
        yield f"ONTASK{done}"
    elif kind in _PLAIN_KINDS:
        yield f"ONCRM{kind.upper()}{done}"
        # A deal moved to another pipeline is changed, though the portal then sends this alone.
        if kind == "deal" and done == "UPDATE":
            yield "ONCRMDEALMOVETOCATEGORY"
    else:
        number = _SMART_INVOICE if kind == "invoice" else kind.removeprefix("item_")
        yield f"{_DYNAMIC}{done}"
        yield f"{_DYNAMIC}{done}_{number}"


def _of_type(event: str) -> str | None:
    found = _DYNAMIC_OF_TYPE.fullmatch(event)
    if found is None:
        return None
    kind = "invoice" if found[1] == _SMART_INVOICE else f"item_{found[1]}"
    return kind if registry.is_kind(kind) else None


_BRINGS: Mapping[str, str] = {
    **{f"ONCRM{kind.upper()}{done}": kind for kind in _PLAIN_KINDS for done in _DONE.values()},
    "ONCRMDEALMOVETOCATEGORY": "deal",
    **{f"{_DYNAMIC}{done}": "item_*" for done in _DONE.values()},
    **{f"ONTASK{done}": "task" for done in _DONE.values()},
    **{f"ONTASKCOMMENT{done}": "task" for done in _DONE.values()},
}
