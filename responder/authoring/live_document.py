"""Looks at a document in the portal as it is now, to explain what the rules say of it.

It asks as a driver asks, and does nothing else: no intent, no call that changes anything, nothing
written.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, get_args

from responder.bitrix24.client.rest import MAX_COMMANDS, Answer, Command, Portal
from responder.bitrix24.facts.lookup import Ask, Send, Templates, gather
from responder.model import Document, Situation, Trigger
from responder.rules import triggers
from responder.rules.ruleset import Ruleset, paths


class Happening(NamedTuple):
    """What is to have set the rules off: a trigger, and the portal's names of its events."""

    trigger: Trigger
    events: tuple[str, ...] = ()


def happening(name: str) -> Happening | None:
    """Return what a name stands for: an event's name, robot, sweep or schedule."""
    for trigger in get_args(Trigger):
        if name == trigger != "event":
            return Happening(trigger)
    found = triggers.find(name)
    if found is None or not found.events:
        return None
    # Of the names an event goes by, the shortest is the usual one.
    return Happening("event", (min(found.events, key=len),))


def sender(portal: Portal) -> Send:
    """Return what carries commands out in batches, without a client: for the few of one command."""

    async def send(commands: Sequence[Command]) -> list[Answer]:
        answers: list[Answer] = []
        for start in range(0, len(commands), MAX_COMMANDS):
            answers += await portal.batch(commands[start : start + MAX_COMMANDS])
        return answers

    return send


async def look(
    portal: Portal,
    document: Document,
    happened: Happening,
    *,
    ruleset: Ruleset,
    now: datetime,
) -> Situation:
    """Read what the rules in question need to know of a document."""
    trigger, events = happened
    rules = ruleset.in_question(trigger, events, document.kind, portal.name)
    (reading,) = await gather(sender(portal), [Ask(document, paths(rules))], Templates(), now)
    return Situation(
        portal=portal.name,
        trigger=trigger,
        events=events,
        document=document,
        facts=reading.facts,
        workflows=reading.workflows,
    )
