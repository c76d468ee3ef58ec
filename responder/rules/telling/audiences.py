"""Defines whom a rule tells in the portal, and which facts name them.

People are found among what is read for judging and for evidence, and nothing more is read for them:
the user who started the workflow, the one responsible for the document, those whose tasks the
workflow waits for. So a rule must read the document to tell whoever is responsible for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from responder.model import Audience
from responder.rules.facts import registry

TELLING_KEYS: Mapping[str, str] = {
    "tell": "Whom it tells in the portal what it has stopped, and why: by a comment in the "
    "document's timeline, or by a notification.",
    "warn": "Whom it tells beforehand: when `wait` begins, or when approval is asked.",
}
AUDIENCES: Mapping[str, str] = {
    Audience.TIMELINE.value: "A comment in the timeline of the document (of the CRM).",
    Audience.STARTER.value: "Whoever started the workflow.",
    Audience.RESPONSIBLE.value: "Whoever is responsible for the document.",
    Audience.WAITING.value: "Those whose tasks the workflow waits for.",
}
WAITS_FOR = "waiting_for.id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Whom a rule tells what it stopped (`tell`), and warns of what it will stop (`warn`)."""

    tell: tuple[Audience, ...] = ()
    warn: tuple[Audience, ...] = ()

    def __bool__(self) -> bool:
        """Return whether the rule tells anybody anything."""
        return bool(self.tell or self.warn)

    @property
    def people(self) -> bool:
        """Return whether it tells people, and not the timeline alone."""
        return any(one is not Audience.TIMELINE for one in (*self.tell, *self.warn))

    @property
    def timeline(self) -> bool:
        """Return whether it writes into the timeline of documents."""
        return Audience.TIMELINE in (*self.tell, *self.warn)

    def paths(self, kind: str | None) -> frozenset[str]:
        """Return the facts that say whom and what to name, of a document that is read anyway.

        `kind` is that of the document whose fields the rule tests; None where it tests none.
        """
        if kind is None or not self:
            return frozenset()
        found = (title_of(kind), responsible_of(kind))
        return frozenset(path for path in found if path is not None)


def has_timeline(kind: str) -> bool:
    """Return whether documents of a kind have a timeline: those of the CRM, and smart processes."""
    return registry.is_kind(kind) and kind != "task" and not registry.is_of_a_list(kind)


def responsible_of(kind: str) -> str | None:
    """Return the path of the user responsible for a document of a kind, or None."""
    path = f"{kind}.{'responsible_id' if kind == 'task' else 'assigned_by_id'}"
    return path if registry.find(path) is not None else None


def title_of(kind: str) -> str | None:
    """Return the path of a document's title; None for kinds that have none, such as contacts."""
    paths = (f"{kind}.title", f"{kind}.name")
    found = (path for path in paths if registry.find(path) is not None)
    return None if kind == "contact" else next(found, None)
