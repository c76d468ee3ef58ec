"""Keeps the handlers that an application has bound to events, and the names of all events."""

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

INSTALLED_EVENT = "ONAPPINSTALL"
APPLICATION_SCOPE = "application"

_CHANGES = ("ADD", "UPDATE", "DELETE")
_OF_CRM = ("LEAD", "DEAL", "CONTACT", "COMPANY", "QUOTE", "DYNAMICITEM", "TIMELINECOMMENT")
EVENTS: dict[str, tuple[str, ...]] = {
    APPLICATION_SCOPE: (
        INSTALLED_EVENT,
        "ONAPPUNINSTALL",
        "ONAPPUPDATE",
        "ONAPPTEST",
        "ONOFFLINEEVENT",
    ),
    "crm": (
        *(f"ONCRM{entity}{change}" for entity in _OF_CRM for change in _CHANGES),
        "ONCRMDEALMOVETOCATEGORY",
    ),
    "task": (
        *(f"ONTASK{change}" for change in _CHANGES),
        *(f"ONTASKCOMMENT{change}" for change in _CHANGES),
    ),
    "user": ("ONUSERADD",),
}
# Besides the common event there is one for each type that the common one speaks of.
_BY_TYPE = tuple(f"ONCRMDYNAMICITEM{change}" for change in _CHANGES)


def known_events(scopes: Collection[str] | None, types: Collection[int]) -> Iterator[str]:
    """Return the events of these scopes, of all where it is None; `types` are of the CRM."""
    for scope, names in EVENTS.items():
        if scopes is None or scope == APPLICATION_SCOPE or scope in scopes:
            yield from names
            if scope == "crm":
                yield from (f"{name}_{number}" for name in _BY_TYPE for number in sorted(types))


def names_of(event: str, data: Mapping[str, object] | None) -> tuple[str, ...]:
    """Return under which names something that happened is told: the common one, and the type's."""
    fields = (data or {}).get("FIELDS")
    number = fields.get("ENTITY_TYPE_ID") if isinstance(fields, dict) else None
    return (event, f"{event}_{number}") if event in _BY_TYPE and number else (event,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A bound handler; an offline one has no address. `auth_type` 0 is whoever acted."""

    id: int
    event: str
    handler: str = ""
    auth_type: int = 0
    connector: str = ""
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def offline(self) -> bool:
        """Return whether what happens is put into the queue, not sent."""
        return not self.handler

    @property
    def identity(self) -> tuple[str, str, int, str]:
        """Return what no two handlers of an application have in common."""
        return (self.event, self.handler, self.auth_type, self.connector)


class Bindings:
    """The handlers of one application."""

    def __init__(self) -> None:
        self.all: list[Binding] = []
        self._serial = itertools.count(12)

    def add(
        self,
        event: str,
        *,
        handler: str = "",
        auth_type: int = 0,
        connector: str = "",
        options: Mapping[str, object] | None = None,
    ) -> bool:
        """Bind a handler; return whether it was not bound already."""
        new = Binding(
            id=next(self._serial),
            event=event,
            handler=handler,
            auth_type=auth_type,
            connector=connector,
            options=options or {},
        )
        if any(one.identity == new.identity for one in self.all):
            return False
        self.all.append(new)
        return True

    def remove(self, event: str, handler: str, connector: str, auth_type: int | None) -> int:
        """Unbind the handlers that are named exactly so; return how many there were."""
        kept = [
            one
            for one in self.all
            if (one.event, one.handler, one.connector) != (event, handler, connector)
            or (auth_type is not None and one.auth_type != auth_type)
        ]
        count = len(self.all) - len(kept)
        self.all = kept
        return count

    def online(self, event: str) -> list[Binding]:
        """Return the handlers that are sent an event."""
        return [one for one in self.all if one.event == event and not one.offline]

    def queued(self, event: str) -> list[Binding]:
        """Return the offline handlers of an event."""
        return [one for one in self.all if one.event == event and one.offline]

    def clear(self) -> None:
        """Unbind everything."""
        self.all.clear()
