"""Defines the values that every room uses: documents, workflows, situations, verdicts, outcomes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import chain
from typing import Literal, NamedTuple

Trigger = Literal["event", "robot", "sweep", "schedule"]


class Action(StrEnum):
    """The action that the rules choose for a workflow."""

    KILL = "kill"
    TERMINATE = "terminate"
    LEAVE = "leave"
    NONE = "none"


KILLING = (Action.KILL, Action.TERMINATE)


class Mode(StrEnum):
    """The mode of the installation or of a rule: whether decisions are acted on.

    A kill needs both: the installation's `enforce`, and the rule's `enforce` or `approve`.
    `approve` acts once somebody has approved that decision; only a rule can have it.
    """

    OBSERVE = "observe"
    ENFORCE = "enforce"
    APPROVE = "approve"


ACTING_MODES = (Mode.ENFORCE, Mode.APPROVE)


class Audience(StrEnum):
    """Those whom a rule tells in the portal: the document's timeline, or people concerned."""

    TIMELINE = "timeline"
    STARTER = "starter"
    RESPONSIBLE = "responsible"
    WAITING = "waiting"


class Outcome(StrEnum):
    """The outcome of a decision. The last three are open and change later; all others are final."""

    KILLED = "killed"
    TERMINATED = "terminated"
    ALREADY_GONE = "already_gone"
    WOULD_KILL = "would_kill"
    WOULD_TERMINATE = "would_terminate"
    LEFT = "left"
    CLEARED = "cleared"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    GAVE_UP = "gave_up"
    WAITING = "waiting"
    HELD = "held"
    IN_DOUBT = "in_doubt"


OPEN_OUTCOMES = (Outcome.WAITING, Outcome.HELD, Outcome.IN_DOUBT)
STOPPED = (Outcome.KILLED, Outcome.TERMINATED)
WOULD = {Action.KILL: Outcome.WOULD_KILL, Action.TERMINATE: Outcome.WOULD_TERMINATE}
WOULD_OUTCOMES = tuple(WOULD.values())


class Reason(StrEnum):
    """The reason why an evaluation condemned no workflow."""

    NO_RULE = "no_rule"
    NO_DOCUMENT = "no_document"
    NO_WORKFLOW = "no_workflow"
    NO_MATCH = "no_match"
    UNREADABLE = "unreadable"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Unknown:
    """The value of a fact that could not be read. It never condemns."""

    why: str


ABSENT = Unknown("the portal's answer does not have it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document that workflows run on: Bitrix24's triple, and the name that rules give it.

    `kind` is `deal`, `lead`, `item_147`, `task` …, or `other` for a document whose fields no rule
    can read. `item_id` is the id within the kind: digits, or the whole document id for `other`.
    """

    kind: str
    item_id: str
    module: str
    entity: str
    id: str

    @property
    def ref(self) -> str:
        """Return the document's name as one word: `deal:759`, or the whole triple for `other`.

        An element of list 23 is `list_23:777`, and `feed_23:777` if it is one of the news feed.
        """
        if self.kind == "other":
            return "|".join((self.module, self.entity, self.id))
        if self.entity == "BizprocDocument":
            return f"feed_{self.kind.removeprefix('list_')}:{self.item_id}"
        return f"{self.kind}:{self.item_id}"

    @property
    def is_of_unknown_list(self) -> bool:
        """Return whether this is an element of a list, and of which list is not known."""
        return self.kind == "other" and self.module == "lists"

    @property
    def triple(self) -> tuple[str, str, str]:
        """Return (MODULE_ID, ENTITY, DOCUMENT_ID), as the portal names it."""
        return (self.module, self.entity, self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A running workflow, as one row of the portal's list of instances.

    `facts` maps a fact's path (`workflow.template_id`, `template.known` …) to its value as the
    portal sent it, or to `Unknown`. An absent path is unknown too.
    """

    id: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that a judgement rests on: the trigger, the facts, the running workflows.

    `events` are the portal's own event names in upper case, the newest last; empty for a robot
    call. `workflows` is `Unknown` where the list could not be read.
    """

    portal: str
    trigger: Trigger
    events: tuple[str, ...]
    document: Document
    facts: Mapping[str, object]
    workflows: tuple[Workflow, ...] | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Why a portal, or one of its methods, is not called for a while, and when it is probed next.

    `method` is `""` where it is the whole portal. `address` is a mark of the address at which it
    refused, where that is known.
    """

    portal: str
    method: str
    code: str
    opened_at: datetime
    probe_at: datetime
    address: str | None = None


# A tuple, because tests of a judgement make many, and a tuple is made five times as fast.
class Condition(NamedTuple):
    """The result of one test of one fact. `holds` is None where the result is unknown.

    `path` is the place in the rule (`if.deal.stage_id`), `test` its wording (`is F`), `value` the
    fact as the portal sent it, `why` the reason where it is unknown. It names no workflow, so that
    one value needs one condition, for whatever workflows and judgements the test is made.
    """

    rule: str
    path: str
    test: str
    value: object
    holds: bool | None
    why: str | None = None


class Traced(NamedTuple):
    """The tests made for one workflow, in their order. `workflow` is its id; None: for none."""

    workflow: str | None
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names by which people know what a decision is about, where they are known.

    `title`, `amount` and `currency` are the document's; `starter` is the person who started the
    workflow, `waiting_for` are those it waits for. All are text as the portal sent it.
    """

    title: str | None = None
    amount: str | None = None
    currency: str | None = None
    template: str | None = None
    starter: str | None = None
    waiting_for: tuple[str, ...] = ()


Group = tuple[str, ...] | Unknown | None
"""The values of the facts by which `keep` groups a workflow; None: it is in no group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict of one rule on one workflow. `mode` is the effective one; None for `leave`.

    `spared` has, for a rule with `keep`, the ids of the workflows that it kept of the same group;
    None for any other rule. `group` has the values of the facts that make its groups.
    """

    workflow: Workflow
    rule: str
    because: str | None
    action: Action
    mode: Mode | None
    conditions: tuple[Condition, ...]
    spared: tuple[str, ...] | None = None
    group: Group = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The result of applying the rules to one situation.

    `verdicts` has each workflow that was condemned or left, in the order of the workflows and then
    of the rules; `traced` has the tests of all other workflows. `reason` says why those were not
    condemned. `look_again` is true where all document tests of some rule hold and that rule
    condemned nothing: the workflow it is about may not be listed yet.
    """

    verdicts: tuple[Verdict, ...] = ()
    reason: Reason | None = None
    traced: tuple[Traced, ...] = ()
    look_again: bool = False

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Return the tests of `traced` one after the other."""
        return tuple(chain.from_iterable(one.conditions for one in self.traced))
