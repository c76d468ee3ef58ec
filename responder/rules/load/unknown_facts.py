"""Says what to write for a fact that does not exist: another line, a name, or those there are."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from responder.rules.facts import links, registry
from responder.rules.load.suggestions import yaml_text
from responder.rules.load.suggestions.synonyms import truth_meant
from responder.rules.yaml_positions import Node, Scalar

_FEW = 10  # so many facts are listed to who wrote another one
_PEOPLE = ("responsible", "manager", "owner", "assigned_by", "assignee", "employee", "user")
_LEFT = "dismissed fired inactive deactivated blocked disabled resigned left gone is_fired retired"


class Unknown(NamedTuple):
    """What to say of such a fact, and what was meant: a name, or a test with its value."""

    message: str
    suggestion: str | None = None

    @property
    def fact(self) -> str | None:
        """Return the fact that was meant."""
        return self.suggestion.partition(":")[0] if self.suggestion else None


def _words(**rows: str) -> Mapping[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for fact, words in rows.items():
        name, _, value = fact.rpartition("__")
        found |= dict.fromkeys(words.split(), (name, value))
    return found


# Words that are yes or no, and the value of another fact that says the same.
_OF_USERS = _words(
    active__false=_LEFT, active__true="employed working works works_here is_active enabled"
)
_OF_DOCUMENTS = {
    **_words(
        stage_semantic_id__S="won is_won success successful",
        stage_semantic_id__F="lost is_lost failed is_lose",
        closed__true="is_closed finished completed is_finished",
        closed__false="open opened is_open not_closed active is_active",
    ),
}
_OF_TASKS = _words(
    status__5="closed done completed is_closed is_completed finished is_done",
    status__6="deferred postponed is_deferred",
)
_GONE = frozenset(["deleted", "is_deleted", "removed", "gone", "missing"])
_BY_NUMBER = ": people are known by their numbers, which the addresses of their pages end with"
_REMARKS = {
    **dict.fromkeys(("workflow.status", "workflow.state"), ": all that are looked at are running"),
    **{f"starter.{one}": _BY_NUMBER for one in ("name", "email", "login", "title", "last_name")},
}
# Names that people use for facts of another owner.
_CALLED = {
    **dict.fromkeys(("workflow.name", "workflow.title"), "template.name"),
    **dict.fromkeys(("template.title", "workflow.template_name"), "template.name"),
    **dict.fromkeys(("document.type", "document.entity", "document.kind_id"), "document.kind"),
    **dict.fromkeys(("starter", "user", "initiator", "author", "user.id"), "starter.id"),
    **dict.fromkeys(("user.active", "initiator.active"), "starter.active"),
    **dict.fromkeys(("template", "template_id", "workflow"), "workflow.template_id"),
    **dict.fromkeys(("age", "workflow.running_time"), "workflow.age"),
}
_OPPOSITE = {"true": "false", "false": "true"}


def said(path: str, value: Node | None, kind: str | None = None) -> Unknown:
    """Return what is wrong with a fact that does not exist. `kind` is that of the document."""
    message = f"there is no fact `{path}`"
    if path.count(".") > 2 and registry.is_link(".".join(path.split(".")[:2])):
        return Unknown(_two_links(path))
    if path.startswith("not ") and registry.find(path[4:]) is not None and value is not None:
        negated = f"not: {{{path[4:]}: {yaml_text.written(value)}}}"
        return Unknown("a test is negated below `not`", negated)
    line = _line(path, value, kind)
    if line is not None:
        return Unknown(message, line)
    if path in _REMARKS:
        return Unknown(message + _REMARKS[path])
    meant = named(path, kind) or registry.nearest_fact(path)
    if meant == "workflow.template_id" and isinstance(value, Scalar) and value.kind == "text":
        meant = "template.name"
    return Unknown(message, meant) if meant else Unknown(message + _there_are(path))


def named(path: str, kind: str | None) -> str | None:
    """Return the fact that people call so; `kind` is that of the document at hand."""
    plain = path.lower()
    if plain in _CALLED:
        return _CALLED[plain]
    owner, _, name = plain.rpartition(".")
    if kind is None:
        return None
    responsible = f"{kind}.{'responsible' if kind == 'task' else 'assigned_by'}_id"
    if plain in _PEOPLE or (owner in _PEOPLE and name == "id"):
        return responsible
    wanted = f"{kind}.{name}"
    is_beside = owner in ("document", "fields", f"{kind}.fields", f"document.{kind}")
    return wanted if is_beside and registry.find(wanted) is not None else None


def _line(path: str, value: Node | None, kind: str | None) -> str | None:
    """Return the test that says the same as a word that is yes or no: `starter.fired: true`."""
    owner, _, name = path.lower().rpartition(".")
    answer = truth_meant(value.text) if isinstance(value, Scalar) else None
    if answer is None or not owner:
        return None
    if name in _GONE and (registry.is_kind(owner) or owner == "document"):
        return f"document.exists: {_OPPOSITE[answer]}"
    first, _, person = owner.rpartition(".")
    kind = first or kind
    if person in _PEOPLE and kind is not None:
        owner = f"{kind}.{'responsible' if kind == 'task' else 'assigned_by'}"
    of_a_kind = _OF_TASKS if owner == "task" else _OF_DOCUMENTS
    fact, right = (of_a_kind if registry.is_kind(owner) else _OF_USERS).get(name, ("", ""))
    if registry.find(f"{owner}.{fact}") is None:
        return None
    if answer == "false":
        right = _OPPOSITE.get(right) or f"{{is_not: {right}}}"
    return f"{owner}.{fact}: {right}"


def _two_links(path: str) -> str:
    """Return what is wrong with `deal.company.assigned_by.active`, and which facts come near."""
    near = [one for one in _near(path) if registry.find(one) is not None]
    message = f"`{path}` follows two links, and a fact follows one"
    return f"{message}: write {' or '.join(f'`{one}`' for one in near)}" if near else message


def _near(path: str) -> Iterator[str]:
    kind, link, second, *rest = path.split(".")
    target = next((one.target for one in links.of_kind(kind) if one.name == link), "")
    for one in links.of_kind(target) if registry.is_kind(target) else ():
        if one.name == second:
            yield f"{kind}.{link}.{one.field}"
    yield f"{kind}.{second}.{'.'.join(rest)}"


def _there_are(path: str) -> str:
    """Return which facts there are beside one that is not, where they are few."""
    owner, _, _ = path.rpartition(".")
    there = [field.name for field in registry.of_kind(owner)]
    if registry.is_link(owner):
        link = next(
            one for one in links.of_kind(owner.partition(".")[0]) if owner.endswith(one.name)
        )
        there = [field.name for field in registry.at_the_end_of(link)]
    if not there and registry.is_kind(owner.partition(".")[0]):
        names = ", ".join(one.name for one in links.of_kind(owner.partition(".")[0]))
        return f": from a {owner.partition('.')[0]} lead {names}"
    if not there:
        return ": its first word is a kind, such as deal, or workflow, template, starter, document"
    if len(there) > _FEW:
        return f": `responder fields {owner.partition('.')[0]}` lists those there are"
    return f": {owner} has {', '.join(there)}"
