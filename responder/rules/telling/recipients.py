"""Finds whom a rule tells, among the facts of a judgement: no I/O, no clock.

Nobody is looked for. Whoever is not named by what was read already is not told, and the reason is
kept.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from responder.model import Audience, Unknown
from responder.rules.telling.audiences import WAITS_FOR, has_timeline, responsible_of

MOST_WAITING = 20
"""Users of one workflow's tasks who are told; a task may be one of hundreds of people."""

Facts = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Recipient:
    """One who is told something: the document's timeline, or a user by number.

    `why` is the reason why nobody is told as this audience; then `user` is None.
    """

    audience: Audience
    user: str | None = None
    why: str | None = None

    def __str__(self) -> str:
        if self.why is not None:
            return f"{self.audience}: {self.why}"
        return self.audience.value if self.user is None else f"{self.audience} (user {self.user})"


def recipients(
    audiences: Sequence[Audience], kind: str, facts: Facts, workflow: Facts
) -> tuple[Recipient, ...]:
    """Return who is told of a workflow on a document of a kind; each user once.

    `facts` are the document's, `workflow` those of the workflow.
    """
    found: dict[str, Recipient] = {}
    for audience in audiences:
        for one in _of(audience, kind, facts, workflow):
            found.setdefault(one.user or f" {audience}", one)
    return tuple(found.values())


def _of(audience: Audience, kind: str, facts: Facts, workflow: Facts) -> Iterable[Recipient]:
    match audience:
        case Audience.TIMELINE:
            why = None if has_timeline(kind) else "such a document has no timeline"
            return (Recipient(audience, why=why),)
        case Audience.STARTER:
            return (_one(audience, workflow, "workflow.started_by", "nobody started it"),)
        case Audience.RESPONSIBLE:
            return (_one(audience, facts, responsible_of(kind), "nobody is responsible for it"),)
        case Audience.WAITING:
            return _several(audience, workflow.get(WAITS_FOR, Unknown("its tasks were not read")))


def _one(audience: Audience, facts: Facts, path: str | None, if_none: str) -> Recipient:
    """Return the user whose number stands at a path, or why there is none."""
    value = Unknown(if_none) if path is None else facts.get(path, Unknown("it was not read"))
    if isinstance(value, Unknown):
        return Recipient(audience, why=value.why)
    user = _number(value)
    return Recipient(audience, user) if user else Recipient(audience, why=if_none)


def _several(audience: Audience, value: object) -> Iterator[Recipient]:
    if isinstance(value, Unknown):
        yield Recipient(audience, why=value.why)
        return
    found = value if isinstance(value, list | tuple) else [value]
    users = [user for user in map(_number, found) if user is not None]
    yield from (Recipient(audience, user) for user in users[:MOST_WAITING])
    if not users:
        yield Recipient(audience, why="it waits for nobody")
    elif len(users) > MOST_WAITING:
        yield Recipient(audience, why=f"{len(users) - MOST_WAITING} more wait, and are not told")


def _number(value: object) -> str | None:
    """Return a user's number as text; None for what is none: nobody, 0, or no number at all."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    is_one = text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0
    return str(int(text)) if is_one else None
