"""Refuses rules that test documents of a kind which none of their triggers brings, or two kinds."""

from collections.abc import Sequence

from responder.rules.facts import registry
from responder.rules.facts.literals import FileContext
from responder.rules.load.clause_parser import Use
from responder.rules.load.coherence import contradictions
from responder.rules.triggers import Trigger
from responder.rules.yaml_positions import Mistakes, Table


def check(
    node: Table,
    uses: Sequence[Use],
    when: Sequence[Trigger] | None,
    context: FileContext,
    mistakes: Mistakes,
) -> None:
    """Report what a rule tests and can never see. `when` is None where its triggers are unknown."""
    looking = [use for use in uses if use.fact.kind]
    _events(uses, when, mistakes)
    _one_kind(looking, when, mistakes)
    _document_kind(node, looking, when, context, mistakes)


def _events(uses: Sequence[Use], when: Sequence[Trigger] | None, mistakes: Mistakes) -> None:
    """Refuse a test of the event where no trigger is one."""
    told = next((use for use in uses if use.fact.path.startswith("event.")), None)
    if told is not None and when and not any(trigger.events for trigger in when):
        names = " and ".join(trigger.name for trigger in when)
        message = f"`{told.fact.path}` is never there: {names} is no event"
        mistakes.error(told.node, message, new=True)


def _one_kind(looking: Sequence[Use], when: Sequence[Trigger] | None, mistakes: Mistakes) -> None:
    """Refuse facts of two kinds of document, or of one that no trigger brings."""
    if not looking:
        return
    kind = looking[0].fact.kind
    assert kind is not None
    other = next((use for use in looking if use.fact.kind != kind), None)
    if other is not None:
        message = f"this rule tests a {kind} above, and a document is of one kind"
        mistakes.error(other.node, message)
    elif when and not _comes(kind, when):
        message = f"`{looking[0].fact.path}` is never there: {_names(when)} brings no {kind}"
        if registry.is_of_a_list(kind):
            message += ", and no event does: schedules come to lists, such as {every: 1h}"
        mistakes.error(looking[0].node, message)


def _document_kind(
    node: Table,
    looking: Sequence[Use],
    when: Sequence[Trigger] | None,
    context: FileContext,
    mistakes: Mistakes,
) -> None:
    """Refuse a `document.kind` that no trigger brings, or that the rule's facts are none of."""
    of_facts = looking[0].fact.kind if looking else None
    for kind, place in contradictions.kinds_asked(node.get("if"), context):
        never = f"`document.kind` is never `{kind}` here"
        if of_facts is not None and kind != of_facts:
            mistakes.error(place, f"{never}: this rule tests a {of_facts}", new=True)
        elif when and not _comes(kind, when):
            mistakes.error(place, f"{never}: {_names(when)} brings no {kind}", new=True)


def _comes(kind: str, when: Sequence[Trigger]) -> bool:
    return any(trigger.can_bring(kind) for trigger in when)


def _names(when: Sequence[Trigger]) -> str:
    return ", ".join(trigger.name for trigger in when)
