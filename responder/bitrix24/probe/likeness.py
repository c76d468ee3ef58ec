"""Makes a sandbox answer as the portal of a file did."""

from collections.abc import Iterable

from responder.bitrix24.probe.kept_answers import Kept
from responder.bitrix24.probe.questions.question_table import switches
from responder.bitrix24.sandbox.methods.oddities import NAMES
from responder.bitrix24.sandbox.slots import Slots
from responder.bitrix24.sandbox.state import State


def apply(kept: Iterable[Kept], sandbox: State) -> None:
    """Set the switches that the answers in a file imply."""
    for name, value in switches((one.id, one.sign) for one in kept):
        turn(sandbox, name, value)


def turn(sandbox: State, name: str, value: object) -> None:
    """Set one switch of a sandbox."""
    if name in NAMES:
        sandbox.oddities.set(name, value)
    else:
        setattr(sandbox, name, value)
    if name == "kind":
        sandbox.slots = Slots(2 if value == "cloud" else None)
