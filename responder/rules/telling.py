"""Parses whom a rule tells in the portal (`tell`, `warn`), and finds the facts that name them.

People are found among what is read for judging and for evidence, and nothing more is read for them:
the user who started the workflow, the one responsible for the document, those whose tasks the
workflow waits for. So a rule must read the document to tell whoever is responsible for it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from responder.model import Action, Audience, Mode
from responder.rules.facts import registry
from responder.rules.load import synonyms
from responder.rules.load.key_parser import Keys
from responder.rules.triggers import Trigger
from responder.rules.yaml_positions import Scalar, Table

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
_OF_TASKS = ("waiting_for.", "workflow.tasks")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TellingReader:
    """A parser of the keys `tell` and `warn` of one rule.

    `names` are the keys that a rule may have. `kind` is what the rule tests, None where it tests no
    field of a document; then `when` says what documents may come. `paths` are the facts it tests;
    with `readable` false there were mistakes in its tests or triggers, and these are not complete.
    """

    keys: Keys
    names: Collection[str]
    action: Action | None
    mode: Mode | None
    kind: str | None
    when: Sequence[Trigger]
    paths: Collection[str]
    readable: bool = True

    def read(self, node: Table) -> Telling:
        """Parse both keys; record what cannot be right."""
        if self.action is Action.LEAVE:
            self._nothing_stopped(node)
            return Telling()
        telling = Telling(tell=self._audience(node, "tell"), warn=self._audience(node, "warn"))
        key = node.key("warn")
        if key is not None and self.mode is not Mode.APPROVE and self._is_without(node, "wait"):
            message = "`warn` says beforehand what will happen, and nothing is waited for: it needs"
            self.keys.mistakes.error(key, f"{message} `wait`, or `mode: approve`")
        return telling

    def _is_without(self, node: Table, name: str) -> bool:
        return self.keys.lacks(node, name, self.names)

    def _nothing_stopped(self, node: Table) -> None:
        for name in TELLING_KEYS:
            key = node.key(name)
            if key is not None:
                message = f"a `leave` rule has no `{name}`: it stops nothing that is to be told"
                self.keys.mistakes.error(key, message)

    def _audience(self, node: Table, name: str) -> tuple[Audience, ...]:
        return tuple(dict.fromkeys(self._named(self.keys.names(node, name), name)))

    def _named(self, found: Iterable[Scalar], key: str) -> Iterator[Audience]:
        for name in found:
            if name.text not in tuple(Audience):
                message = f"`{name.text}` is nobody whom `{key}` knows: {', '.join(Audience)}"
                self.keys.mistakes.error(
                    name, message, synonyms.meant(name.text, Audience, synonyms.AUDIENCES)
                )
                continue
            why = self._why_nobody(Audience(name.text), key)
            if why is not None and self.readable:
                self.keys.mistakes.error(name, why)
            yield Audience(name.text)

    def _why_nobody(self, audience: Audience, key: str) -> str | None:
        """Return why nobody is told so, whatever document comes, or None."""
        brought = (self.kind,) if self.kind else tuple(one.brings for one in self.when)
        kinds = ", ".join(dict.fromkeys(brought))
        match audience:
            case Audience.TIMELINE if brought and not any(map(_may_have_timeline, brought)):
                return f"`timeline` is of documents of the CRM, and a {kinds} has none"
            case Audience.RESPONSIBLE if self.kind is None:
                return (
                    "who is responsible is known only where the rule reads the document: test one "
                    "of its fields"
                )
            case Audience.RESPONSIBLE if responsible_of(self.kind or "") is None:
                return f"nobody is responsible for an element of {kinds}"
            case Audience.WAITING if key == "warn" and not self._reads_tasks():
                return (
                    "whose tasks it waits for is known beforehand only where the rule reads them: "
                    "test `workflow.tasks`, such as {at_least: 1}"
                )
            case _:
                return None

    def _reads_tasks(self) -> bool:
        return any(path.startswith(_OF_TASKS) for path in self.paths)


def _may_have_timeline(brought: str) -> bool:
    return brought in ("*", "item_*") or has_timeline(brought)
