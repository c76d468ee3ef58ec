"""What the model remembers of stops: the decisions that condemned, their sets, their intents."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.random.model_rules import Policy, Rule


@dataclass(eq=False, slots=True, kw_only=True)
class Set:
    """What is begun together. `running` is how much ran at the run, at least and at most.

    `since` is the order from which on it is one: what was done before was another's. A set that
    `was_begun`, if only by other rules, is joined to no other: it may be half done.
    """

    since: int
    was_begun: bool = False
    running: tuple[int, int] = (0, 0)
    stops: "list[Stop]" = field(default_factory=list)

    def begun(self, document: str | None = None) -> "Intent | None":
        """Return its first intent, of all or on one document."""
        found = [
            intent
            for stop in self.stops
            for intent in stop.intents
            if intent.order > self.since and document in (None, stop.document)
        ]
        return min(found, key=lambda intent: intent.order, default=None)


@dataclass(eq=False, slots=True, kw_only=True)
class Stop:
    """A decision that condemned a workflow to be stopped. `rule` is as it was then.

    `born` is the set it was condemned in, `of` the one it is of now; `spared` whom `keep` may have
    spared then, and `groups` in which groups it may have been. `asked` are the rules of `policy`
    that were certainly asked with it. `held` says by what it is held now, `closed` the order in
    which it was concluded.
    """

    decision: str
    rule: Rule
    workflow: str
    document: str
    trigger: str
    asks: bool
    by_run: bool
    at: float
    real: float
    spared: frozenset[str]
    groups: frozenset[object]
    born: Set
    of: Set
    policy: Policy
    asked: tuple[Rule, ...] = ()
    run_rules: frozenset[str] = frozenset()
    approval: int = 0
    held: str = ""
    closed: int = 0
    intents: "list[Intent]" = field(default_factory=list)


@dataclass(eq=False, slots=True, kw_only=True)
class Intent:
    """An intent as it was committed: by whom, when by both clocks, and what came of its call.

    `true_until` is until when, in real time, the facts that it rests on were true and read. It is
    `unseen` where its driver was gone before it wrote what came of the call.
    """

    order: int
    stop: Stop
    rule: Rule
    by: object
    at: float
    real: float
    true_until: float
    called: bool = False
    refused: bool = False
    killed: bool = False
    unseen: bool = False


def stops_in(intents: Iterable[Intent]) -> int:
    """Count the stops that these intents are of.

    A call whose answer was lost is made again where its workflow is found running. Where it had
    been carried out, and the workflow came back, the two belong to one stop of a set that was
    begun, and is finished.
    """
    return len({intent.stop.decision for intent in intents})


def may_be_carried_out(intent: Intent) -> bool:
    """Return whether the program must take it for done: also where it never came to the call.

    Who died right after the intent was committed leaves a call of which nobody knows, for good:
    that its workflow is found running later proves nothing, since it may have come back.
    """
    if intent.unseen:
        return True
    if intent.called:
        return not intent.refused
    return intent is intent.stop.intents[-1]


def go_together(stop: Stop, other: Stop) -> bool:
    """Return whether one is begun with the other: of what asks, only what was approved at once."""
    if stop.asks != other.asks or (stop.asks and stop.approval != other.approval):
        return False
    return stop.held != "document" or stop.document == other.document
