"""Parses whom a rule tells in the portal: its keys `tell` and `warn`."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from responder.model import Action, Audience, Mode
from responder.rules.load.key_parser import Keys
from responder.rules.load.suggestions import synonyms
from responder.rules.telling.audiences import TELLING_KEYS, Telling, has_timeline, responsible_of
from responder.rules.triggers import Trigger
from responder.rules.yaml_positions import Scalar, Table

_OF_TASKS = ("waiting_for.", "workflow.tasks")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a rule is about, on which depends who can be told.

    `kind` is what it tests, None where it tests no field of a document; then `when` says what
    documents may come. `paths` are the facts it tests; with `readable` false there were mistakes in
    its tests or triggers, and these are not complete.
    """

    kind: str | None
    when: Sequence[Trigger]
    paths: Collection[str]
    readable: bool


@dataclass(frozen=True, slots=True)
class TellingReader:
    """A parser of the keys `tell` and `warn` of one rule; `names` are the keys that it may have."""

    keys: Keys
    names: Collection[str]
    action: Action | None
    mode: Mode | None
    subject: Subject

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
        return tuple(dict.fromkeys(self._named(self.keys.names(node, name, _meant), name)))

    def _named(self, found: Iterable[Scalar], key: str) -> Iterator[Audience]:
        names = tuple(found)
        said = {name.text for name in names}
        for name in names:
            if name.text not in tuple(Audience):
                message = f"`{name.text}` is nobody whom `{key}` knows: {', '.join(Audience)}"
                self.keys.mistakes.error(name, message, _meant(name.text))
                continue
            why = self._why_nobody(Audience(name.text), key)
            if why is not None and self.subject.readable:
                others = [one for one in Audience if self._why_nobody(one, key) is None]
                meant = next((one.value for one in others if one.value not in said), None)
                has_none = "none" in why or why.startswith("nobody")
                why += f": here may stand {', '.join(others)}" if has_none else ""
                self.keys.mistakes.error(name, why, meant if has_none else None)
            yield Audience(name.text)

    def _why_nobody(self, audience: Audience, key: str) -> str | None:
        """Return why nobody is told so, whatever document comes, or None."""
        kind = self.subject.kind
        brought = (kind,) if kind else tuple(one.brings for one in self.subject.when)
        kinds = ", ".join(dict.fromkeys(brought))
        match audience:
            case Audience.TIMELINE if brought and not any(map(_may_have_timeline, brought)):
                return f"`timeline` is of documents of the CRM, and a {kinds} has none"
            case Audience.RESPONSIBLE if kind is None:
                return (
                    "who is responsible is known only where the rule reads the document: test one "
                    "of its fields"
                )
            case Audience.RESPONSIBLE if responsible_of(kind or "") is None:
                return f"nobody is responsible for an element of {kinds}"
            case Audience.WAITING if key == "warn" and not self._reads_tasks():
                return (
                    "whose tasks it waits for is known beforehand only where the rule reads them: "
                    "test `workflow.tasks`, such as {at_least: 1}"
                )
            case _:
                return None

    def _reads_tasks(self) -> bool:
        return any(path.startswith(_OF_TASKS) for path in self.subject.paths)


def _meant(word: str) -> str | None:
    return synonyms.meant(word, Audience, synonyms.AUDIENCES)


def _may_have_timeline(brought: str) -> bool:
    return brought in ("*", "item_*") or has_timeline(brought)
