"""Compares the events that an application has bound in its portal with those that it needs.

Each event of the rules is bound twice. Online, it is sent to our address as it happens, and is lost
if we are away. Offline, the portal keeps it until it is read. Beside them stand, online alone, the
news that the application was removed, and that offline events wait. Where we have no address, only
offline events are bound.

Only what is surely ours is unbound: a row with our own address, or an offline row without a
connector. The portal lists the installation's own row too; without it, no installation would ever
be announced again, so names of that kind are left alone.
https://apidocs.bitrix24.com/api-reference/events/index.html
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from responder.bitrix24.client.answers import (
    Answer,
    Command,
    Failure,
    FailureKind,
    as_list,
    explain,
)

OFFLINE_EVENTS_WAIT = "ONOFFLINEEVENT"
UNINSTALLED = "ONAPPUNINSTALL"
MOST_OFTEN_SECONDS = 10  # between two announcements of offline events: each leads to a reading

_OF_THE_APPLICATION = "ONAPP"
_NOBODY = "0"  # the event then says who acted
_ALREADY = "already binded"  # sic
_UNKNOWN_EVENT = "ERROR_EVENT_NOT_FOUND"
_SCOPES = {"ONCRM": "crm", "ONTASK": "task"}
_TRUE = (True, 1, "1")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Binding:
    """One registered event: kept by the portal (`offline`), or sent, with the tokens of a user."""

    event: str
    offline: bool = False
    user_id: str = _NOBODY

    @property
    def way(self) -> str:
        """Return the portal's word for how the event comes."""
        return "offline" if self.offline else "online"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """An event that is needed and could not be bound, and why."""

    binding: Binding
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The application's bindings in the portal: ours, and the number of those that are not.

    What concerns the application itself, as its installation's own row, does not count.
    """

    ours: frozenset[Binding]
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to be bound and unbound, so that exactly what is needed is bound."""

    bind: tuple[Binding, ...]
    unbind: tuple[Binding, ...]

    def commands(self, handler: str | None) -> list[Command]:
        """Return the calls that make these changes, in their order: `bind`, then `unbind`."""
        return [
            *(_command("event.bind", one, handler) for one in self.bind),
            *(_command("event.unbind", one, handler) for one in self.unbind),
        ]


def needed(events: Collection[str], handler: str | None) -> frozenset[Binding]:
    """Return the bindings for the events of the rules; `handler` is our address, if we have one."""
    offline = {Binding(event=event, offline=True) for event in events}
    if handler is None:
        return frozenset(offline)
    sent = {*events, UNINSTALLED, OFFLINE_EVENTS_WAIT}
    return frozenset(offline | {Binding(event=event) for event in sent})


def bound(value: object, handler: str | None) -> Bound | None:
    """Return the bindings that `event.get` lists, or None where its answer is no list."""
    rows = as_list(value)
    if isinstance(rows, dict):  # PHP writes a list with gaps as an object
        rows = list(rows.values())
    if not isinstance(rows, list):
        return None
    found = [_binding(row, handler) for row in rows]
    ours = frozenset(one for one in found if one is not None)
    unknown = [row for row, one in zip(rows, found, strict=True) if one is None]
    return Bound(ours=ours, others=sum(1 for row in unknown if not _concerns_application(row)))


def _concerns_application(row: object) -> bool:
    event = row.get("event") if isinstance(row, Mapping) else None
    return isinstance(event, str) and event.upper().startswith(_OF_THE_APPLICATION)


def _binding(row: object, handler: str | None) -> Binding | None:
    """Return the binding of a row that is ours, None for any other."""
    if not isinstance(row, Mapping) or not isinstance(row.get("event"), str):
        return None
    event = row["event"].upper()
    if row.get("offline") in _TRUE:
        has_connector = bool(row.get("connector_id"))
        return None if has_connector else Binding(event=event, offline=True)
    if handler is None or row.get("handler") != handler:
        return None
    if event.startswith(_OF_THE_APPLICATION) and event != UNINSTALLED:
        return None
    user = row.get("auth_type")
    return Binding(event=event, user_id=str(user) if isinstance(user, str | int) else _NOBODY)


def changes(wanted: Collection[Binding], there: Bound) -> Changes:
    """Return what has to be bound and unbound, in the order of names."""
    return Changes(
        bind=tuple(sorted(set(wanted) - there.ours)),
        unbind=tuple(sorted(there.ours - set(wanted))),
    )


def _command(method: str, one: Binding, handler: str | None) -> Command:
    if one.offline:
        return Command(method, {"event": one.event, "event_type": "offline"})
    params: dict[str, object] = {"event": one.event, "handler": handler, "auth_type": one.user_id}
    if method == "event.bind" and one.event == OFFLINE_EVENTS_WAIT:
        params["options"] = {"minTimeout": MOST_OFTEN_SECONDS}
    return Command(method, params)


def is_bound(answer: Answer) -> bool:
    """Return whether an event is bound after `event.bind`, which refuses to bind it twice."""
    failure = answer.failure
    return failure is None or _ALREADY in failure.text.casefold()


def may_be_bound(answer: Answer) -> bool:
    """Return whether nobody knows if an event was bound, so that it is soon asked again."""
    failure = answer.failure
    return failure is not None and failure.kind in (FailureKind.BUSY, FailureKind.UNCERTAIN)


def missing(
    binds: Iterable[Binding], answers: Iterable[Answer], catalogue: "Catalogue"
) -> tuple[Missing, ...]:
    """Return which of these could not be bound, by the answers to their `event.bind`."""
    return tuple(
        Missing(binding=one, why=catalogue.why_refused(one.event, answer.failure))
        for one, answer in zip(binds, answers, strict=True)
        if answer.failure is not None and not is_bound(answer)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The portal's events: those of the scopes that were granted, and all. None: not known."""

    granted: frozenset[str] | None = None
    every: frozenset[str] | None = None

    @classmethod
    def of(cls, granted: Answer, every: Answer) -> "Catalogue":
        """Return the events that two answers of `events` list."""
        return cls(granted=_names(granted), every=_names(every))

    def why_refused(self, event: str, failure: Failure) -> str:
        """Return, for people, why an event could not be bound."""
        if failure.code != _UNKNOWN_EVENT:
            return explain(failure)
        scope = next((of for name, of in _SCOPES.items() if event.startswith(name)), None)
        is_there = self.every is not None and event in self.every
        is_granted = self.granted is not None and event in self.granted
        if is_there and not is_granted:
            lacks = f"the application lacks the scope {scope}" if scope else "a scope is missing"
            return f"{lacks}: add it in the application's form, then press Reinstall"
        if self.every is not None and not is_there:
            return "the portal has no such event"
        either = f", or the application lacks the scope {scope}" if scope else ""
        return f"the portal does not know this event{either}"


def _names(answer: Answer) -> frozenset[str] | None:
    names = as_list(answer.value)
    if answer.failure is not None or not isinstance(names, list):
        return None
    return frozenset(name.upper() for name in names if isinstance(name, str))
