"""Reads a document from the portal as it is now, to explain the rules' verdict on it.

The reads are those of a driver. Nothing else is done: no call that changes anything, nothing
written to the log.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, get_args

from responder.bitrix24.client.answers import Answer, Command
from responder.bitrix24.client.rest import MAX_COMMANDS, Portal
from responder.bitrix24.fetch.document_facts import Ask, gather
from responder.bitrix24.fetch.templates import Templates
from responder.bitrix24.lists.paged import Send
from responder.judge.jobs import Job
from responder.model import Document, Situation, Trigger
from responder.rules import triggers
from responder.rules.facts import registry
from responder.rules.keep import Choice
from responder.rules.ruleset import Ruleset, paths


class Cause(NamedTuple):
    """A cause to explain the rules for: a trigger, and the portal's names of its events."""

    trigger: Trigger
    events: tuple[str, ...] = ()


def usual_cause(kind: str) -> str:
    """Return the cause that a kind of document mostly has; elements of lists have no events."""
    return "schedule" if registry.is_of_a_list(kind) else f"{kind}.updated"


def cause_named(name: str) -> Cause | None:
    """Return the cause for a name (an event, robot, sweep or schedule), or None."""
    for trigger in get_args(Trigger):
        if name == trigger != "event":
            return Cause(trigger)
    found = triggers.find(name)
    if found is None or not found.events:
        return None
    # Of the names an event goes by, the shortest is the usual one.
    return Cause("event", (min(found.events, key=len),))


def sender(portal: Portal) -> Send:
    """Return a function that sends commands in batches without a rate limit, for a few requests."""

    async def send(commands: Sequence[Command]) -> list[Answer]:
        answers: list[Answer] = []
        for start in range(0, len(commands), MAX_COMMANDS):
            answers += await portal.batch(commands[start : start + MAX_COMMANDS])
        return answers

    return send


async def read_situation(
    portal: Portal,
    document: Document,
    cause: Cause,
    *,
    ruleset: Ruleset,
    now: datetime,
) -> Situation:
    """Read the facts and workflows that the rules in question need, for one document."""
    trigger, events = cause
    rules = ruleset.in_question(trigger, events, document.kind, portal.name)
    asked = paths(rules) | {"document.exists"}  # to say so where it does not
    (reading,) = await gather(sender(portal), [Ask(document, asked)], Templates(), now)
    return Situation(
        portal=portal.name,
        trigger=trigger,
        events=events,
        document=document,
        facts=reading.facts,
        workflows=reading.workflows,
    )


def choices_in(situation: Situation, ruleset: Ruleset) -> Mapping[str, Choice]:
    """Return the choices of rules with `keep` that one document alone does not decide."""
    job = Job(
        portal=situation.portal,
        document=situation.document,
        trigger=situation.trigger,
        events=situation.events,
    )
    return job.choices(ruleset, situation.workflows)
