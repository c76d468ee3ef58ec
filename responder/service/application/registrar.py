"""Registers the events of the rules in a portal, by its local application, and unregisters others.

It compares what is bound there with what the rules need (`registration`): when driving begins, when
the application was installed anew, with each new ruleset, and once an hour, since a portal may drop
handlers by itself. What was seen is stored, so that `status`, `doctor` and `/readyz` show from any
process what is missing, until it is there.
"""

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import structlog

from responder.bitrix24.client.answers import Answer, Command, Failure, explain, uncertain
from responder.bitrix24.events import registration
from responder.bitrix24.events.registration import Binding, Catalogue, Changes, Missing
from responder.judge.context import Context
from responder.service.application.due_time import DueTime
from responder.stop.gate import Gate
from responder.store.applications import installations
from responder.store.canonical_json import instant_text

EVERY = timedelta(hours=1)
AGAIN_AFTER = timedelta(minutes=1)  # where an answer was lost

_LOOK = (Command("event.get", {}), Command("events", {}), Command("events", {"FULL": 1}))

log = structlog.get_logger()


class _Wanted(NamedTuple):
    """What a registration is made for: where any of it changes, another is made."""

    installation: Hashable
    address: str | None
    events: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Registered:
    """The state of a registration: what is bound of what is needed, and what is not and why.

    `unneeded` could not be unbound. `is_certain` is False where an answer was lost.
    """

    bound: frozenset[Binding]
    missing: tuple[Missing, ...]
    unneeded: tuple[Binding, ...]
    others: int
    is_certain: bool

    def to_store(self) -> dict[str, object]:
        """Return it as it is stored and shown."""
        return {
            "bound": {
                way: sorted(one.event for one in self.bound if one.way == way)
                for way in ("online", "offline")
            },
            "missing": [
                {"event": one.binding.event, "way": one.binding.way, "why": one.why}
                for one in self.missing
            ],
            "unneeded": [{"event": one.event, "way": one.way} for one in self.unneeded],
            "others": self.others,
        }


class Registrar:
    """The registration of one portal's events, under one lease.

    `address` returns where the portal sends events, None where it sends none. `installation`
    identifies the installed application, None while events may not be registered.
    """

    def __init__(
        self,
        context: Context,
        gate: Gate,
        *,
        address: Callable[[], str | None],
        installation: Callable[[], Hashable],
    ) -> None:
        self._context = context
        self._gate = gate
        self._address = address
        self._installation = installation
        self._next = DueTime(EVERY)
        self._done_for: _Wanted | None = None
        self._seen: dict[str, object] = {}
        self._said: frozenset[Missing] = frozenset()

    async def step(self) -> bool:
        """Compare and register, if that is due. Return False where it is not."""
        wanted = self._wanted()
        if wanted.installation is None:
            return False
        if wanted == self._done_for and not self._next.is_over(self._context.now()):
            return False
        found = await self._register(wanted.events, wanted.address)
        is_certain = isinstance(found, _Registered) and found.is_certain
        self._next.set(self._context.now() + (EVERY if is_certain else AGAIN_AFTER))
        self._done_for = wanted
        await self._store(found, wanted.address)
        return True

    def _wanted(self) -> "_Wanted":
        context = self._context
        events = context.rules.ruleset.events_to_register(context.portal)
        return _Wanted(self._installation(), self._address(), events)

    async def _register(self, events: frozenset[str], address: str | None) -> _Registered | Failure:
        """Bind what is missing and unbind what is not needed: in two requests at most."""
        client = self._context.client
        listed, granted, every = await client.send(_LOOK)
        if listed.failure is not None:
            return listed.failure
        there = registration.bound(listed.value, address)
        if there is None:
            return uncertain("wrong_type", "the list of registered events has no such shape")
        wanted = registration.needed(events, address)
        change = registration.changes(wanted, there)
        commands = change.commands(address)
        answers = await client.send(commands, unless=self._gate.why_not_sent)
        catalogue = Catalogue.of(granted, every)
        return self._changed(wanted, there.others, change, answers, catalogue)

    def _changed(
        self,
        wanted: frozenset[Binding],
        others: int,
        change: Changes,
        answers: Sequence[Answer],
        catalogue: Catalogue,
    ) -> _Registered:
        """Return what is registered now, by the answers to the calls of a change."""
        binds, unbinds = answers[: len(change.bind)], answers[len(change.bind) :]
        missing = registration.missing(change.bind, binds, catalogue)
        kept = tuple(
            one
            for one, answer in zip(change.unbind, unbinds, strict=True)
            if answer.failure is not None
        )
        refused = {one.binding for one in missing}
        self._log_change(set(change.bind) - refused, set(change.unbind) - set(kept))
        return _Registered(
            bound=wanted - refused,
            missing=missing,
            unneeded=kept,
            others=others,
            is_certain=not any(map(registration.may_be_bound, answers)),
        )

    def _log_change(self, bound: Collection[Binding], unbound: Collection[Binding]) -> None:
        if bound or unbound:
            log.info(
                "events were registered",
                portal=self._context.portal,
                bound=[f"{one.event} {one.way}" for one in sorted(bound)],
                unbound=[f"{one.event} {one.way}" for one in sorted(unbound)],
            )

    async def _store(self, found: _Registered | Failure, address: str | None) -> None:
        """Store what was seen; where nothing could be read, what was seen before, and why."""
        context = self._context
        if isinstance(found, Failure):
            log.warning(
                "registered events could not be read", portal=context.portal, why=explain(found)
            )
        else:
            self._seen = found.to_store()
            self._warn(found)
        error = explain(found) if isinstance(found, Failure) else None
        seen = self._seen | {
            "at": instant_text(context.now()),
            "error": error,
            "address": address,
        }
        await self._gate.write(lambda tx: installations.set_registration(tx, context.portal, seen))

    def _warn(self, found: _Registered) -> None:
        """Log what is missing, once for as long as it stays so."""
        missing = frozenset(found.missing)
        if missing and missing != self._said:
            log.warning(
                "events of the rules could not be registered",
                portal=self._context.portal,
                missing=[f"{one.binding.event} {one.binding.way}" for one in found.missing],
                why=sorted({one.why for one in missing}),
            )
        self._said = missing
        for way in ("online", "offline"):
            count = sum(1 for one in missing if one.binding.way == way)
            self._context.metrics.events_unregistered.labels(self._context.portal, way).set(count)
