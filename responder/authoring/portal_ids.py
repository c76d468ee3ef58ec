"""Compares the ids in a rules file with a portal: the name of each there, or that it is not there.

An id means nothing to a reader, and a wrong one makes a rule that never acts, or acts on the wrong
thing. So stages, pipelines, templates, users and the portal's own fields are looked up. A list that
cannot be read is reported once, and its ids are not called absent.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from responder.authoring.list_fields import ListFieldsRead
from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Answer, Command, Failure, explain
from responder.bitrix24.lists.paged import Listing, Row, Send, read_all
from responder.model import Audience
from responder.rules.facts import links, registry
from responder.rules.facts.amounts import AMOUNTS
from responder.rules.load.clause_parser import CURRENCY
from responder.rules.telling.audiences import TELLING_KEYS
from responder.rules.yaml_positions import Items, Mistake, Mistakes, Node, Scalar, Table, nearest

_TEMPLATES = frozenset({"workflow.template_id", "template.id"})
_USERS = frozenset({"workflow.started_by", "starter.id", "waiting_for.id"})
_USER_FIELDS = frozenset(
    {
        *("assigned_by_id", "created_by", "updated_by", "last_activity_by", "moved_by"),
        *("observers", "responsible_id", "accomplices", "auditors", "changed_by", "closed_by"),
        "status_changed_by",
    }
)
NOTIFYING = "im"  # the scope of notifications
_STAGES = frozenset({"stage_id", "previous_stage_id"})
_VALUE_TESTS = frozenset({"is", "is_not", "one_of", "none_of"})
_LIST_TESTS = frozenset({"in_list", "not_in_list"})
_DIRECTORIES = {"deal": "DEAL_STAGE", "lead": "STATUS", "quote": "QUOTE_STATUS"}


class Note(NamedTuple):
    """The name in the portal of an id in a rules file, and the id's place."""

    line: int
    column: int
    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The names of the ids that were found, and warnings for the others."""

    notes: tuple[Note, ...]
    warnings: tuple[Mistake, ...]


class Subject(NamedTuple):
    """The subject of an id: `template`, `user`, or a kind's `stage`, `pipeline` or `field`."""

    what: str
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.what}".strip()


class Use(NamedTuple):
    """An id in a rules file, and its place.

    `amount` is the node of a test that compares what it holds with a number of no currency.
    """

    subject: Subject
    id: str
    node: Node
    amount: Node | None = None


async def compare(send: Send, root: Table, file: str, portal: str) -> Comparison:
    """Look up every id of a rules file that loads, and return notes and warnings."""
    uses = list(uses_in(root))
    names, amounts = await _names(send, uses)
    mistakes = Mistakes(file)
    notes: list[Note] = []
    await _compare_scopes(send, root, mistakes, portal)
    for use in uses:
        known = names[use.subject]
        if isinstance(known, Failure):
            continue
        if use.id in known:
            text = f"{use.subject} {use.id} is “{known[use.id]}” in {portal}"
            notes.append(Note(use.node.line, use.node.column, text))
            if use.amount is not None and use.id in amounts[use.subject]:
                message = f"{use.subject} {use.id} holds amounts with their currencies in {portal}"
                mistakes.warn(
                    use.amount, f"{message}: name yours, as in {{over: 5, currency: RUB}}"
                )
        else:
            meant = nearest(use.id, known, likeness=0.8)
            hint = f"; is `{meant}` meant?" if meant else ""
            mistakes.warn(use.node, f"{portal} has no {use.subject} {use.id}{hint}")
    for subject, known in names.items():
        if isinstance(known, Failure):
            first = next(use.node for use in uses if use.subject == subject)
            message = f"the {subject}s of {portal} could not be read, and are not compared:"
            mistakes.warn(first, f"{message} {explain(known)}")
    return Comparison(tuple(notes), mistakes.in_order())


async def _compare_scopes(send: Send, root: Table, mistakes: Mistakes, portal: str) -> None:
    """Warn at the first rule that tells people something, where the portal does not let us."""
    node = next(_people_told(root), None)
    if node is None:
        return
    (answer,) = await send([Command("scope", {})])
    granted = answer.value if isinstance(answer.value, list) else []
    if answer.failure is not None:
        message = f"the scopes that {portal} grants could not be read, and are not compared:"
        mistakes.warn(node, f"{message} {explain(answer.failure)}")
    elif NOTIFYING not in granted:
        message = f"{portal} does not grant the scope `{NOTIFYING}`: no notification will be sent"
        mistakes.warn(node, message)


def _people_told(root: Table) -> Iterator[Scalar]:
    """Yield each name of people whom a rule tells something."""
    rules = root.get("rules")
    for rule in rules.items if isinstance(rules, Items) else ():
        named = [rule.get(key) for key in TELLING_KEYS] if isinstance(rule, Table) else []
        for name in (one for some in named if isinstance(some, Items) for one in some.items):
            if isinstance(name, Scalar) and name.text != Audience.TIMELINE:
                yield name


def uses_in(root: Table) -> Iterator[Use]:
    """Yield every id that the tests of a rules file name."""
    rules, lists = root.get("rules"), root.get("lists")
    for rule in rules.items if isinstance(rules, Items) else ():
        for clause in ("if", "unless"):
            node = rule.get(clause) if isinstance(rule, Table) else None
            yield from _in_clause(node, lists if isinstance(lists, Table) else None)


def _in_clause(node: Node | None, lists: Table | None) -> Iterator[Use]:
    if isinstance(node, Items):
        for item in node.items:
            yield from _in_clause(item, lists)
    for key, value in node.pairs if isinstance(node, Table) else ():
        if key.text in ("any", "all", "not"):
            yield from _in_clause(value, lists)
            continue
        subject = _subject(key.text)
        if subject is None:
            continue
        if subject.what == "field":
            name = key.text.rpartition(".")[2].upper()
            yield Use(subject, name, key, _compared_with_a_number(value))
            continue
        for scalar in _values(value, lists):
            yield Use(subject, scalar.text, scalar)


def _compared_with_a_number(tests: Node) -> Node | None:
    """Return the first test of order among tests, if no currency stands beside them."""
    if not isinstance(tests, Table) or tests.get(CURRENCY) is not None:
        return None
    orders = (key for key, operand in tests.pairs if key.text in AMOUNTS and _is_number(operand))
    return next(orders, None)


def _is_number(operand: Node) -> bool:
    ends = operand.items if isinstance(operand, Items) else (operand,)
    return all(isinstance(end, Scalar) and end.kind == "number" for end in ends)


def _values(node: Node, lists: Table | None) -> Iterator[Scalar]:
    """Yield the values that a fact is compared with, from `lists` where a list is named."""
    match node:
        case Scalar():
            yield node
        case Items(items=items):
            yield from (item for item in items if isinstance(item, Scalar))
        case Table(pairs=pairs):
            for operator, operand in pairs:
                if operator.text in _VALUE_TESTS and not isinstance(operand, Table):
                    yield from _values(operand, lists)
                elif operator.text in _LIST_TESTS and isinstance(operand, Scalar) and lists:
                    named = lists.get(operand.text)
                    yield from _values(named, lists) if named is not None else ()
        case _:
            pass


def _subject(path: str) -> Subject | None:
    linked = links.parse(path)
    if linked is not None and linked.link.target == links.USER:
        return Subject("user") if linked.name == "id" else None
    if linked is not None:
        path = f"{linked.link.target}.{linked.name}"
    owner, _, name = path.partition(".")
    if path in _TEMPLATES:
        return Subject("template")
    if path in _USERS or (registry.is_kind(owner) and name in _USER_FIELDS):
        return Subject("user")
    return _subject_of_kind(owner, name)


def _subject_of_kind(owner: str, name: str) -> Subject | None:
    if registry.is_of_a_list(owner):
        return Subject("field", owner) if name.startswith("property_") else None
    if documents.entity_type_id(owner) is None:
        return None
    if name in _STAGES:
        return Subject("stage", owner)
    if name == "category_id":
        return Subject("pipeline", owner)
    return Subject("field", owner) if name.startswith("uf_") else None


Names = Mapping[str, str]


@dataclass(slots=True)
class _SingleQuestion:
    """A question that one round of requests answers, as a read for `read_all`."""

    commands: list[Command]
    read: Callable[[object], Iterator[tuple[str, str]]]
    names: dict[str, str] = field(default_factory=dict)
    amounts: set[str] = field(default_factory=set)
    failure: Failure | None = None

    def next_commands(self) -> list[Command]:
        """Return the commands, the first time; nothing after that."""
        asked, self.commands = self.commands, []
        return asked

    def accept(self, answers: Sequence[Answer]) -> None:
        """Add the names in the answers, and keep the first failure."""
        for answer in answers:
            self.failure = self.failure or answer.failure
            self.names.update(self.read(answer.value))
            self.amounts |= _amounts(answer.value)

    def found(self) -> Names | Failure:
        """Return the names, or why there are none."""
        return self.failure or self.names


@dataclass(slots=True)
class _ListQuestion:
    """A question that a whole list of the portal answers, of which some rows hold the names."""

    listing: Listing
    id_of: Callable[[Row], str | None]
    amounts: frozenset[str] = frozenset()

    def found(self) -> Names | Failure:
        """Return the names, or why there are none."""
        if self.listing.failure is not None:
            return self.listing.failure
        rows = self.listing.rows.values()
        ids = ((self.id_of(row), row) for row in rows)
        return {key: str(row.get("NAME") or key) for key, row in ids if key is not None}


async def _names(
    send: Send, uses: Sequence[Use]
) -> tuple[dict[Subject, Names | Failure], dict[Subject, Collection[str]]]:
    """Read the names of all ids, and which of the fields among them hold amounts."""
    ids: dict[Subject, list[str]] = {}
    for use in uses:
        ids.setdefault(use.subject, []).append(use.id)
    statuses = Listing(Command("crm.status.list", {"order": {"ID": "ASC"}}), id_of=_row_id)
    asked = {
        subject: _question(subject, list(dict.fromkeys(some)), statuses)
        for subject, some in ids.items()
    }
    listings = {
        id(one.listing): one.listing for one in asked.values() if isinstance(one, _ListQuestion)
    }
    questions = [one for one in asked.values() if not isinstance(one, _ListQuestion)]
    await read_all(send, [*listings.values(), *questions])
    return (
        {subject: one.found() for subject, one in asked.items()},
        {subject: one.amounts for subject, one in asked.items()},
    )


def _question(
    subject: Subject, ids: list[str], statuses: Listing
) -> _SingleQuestion | _ListQuestion | ListFieldsRead:
    type_id = documents.entity_type_id(subject.kind)
    match subject.what:
        case "template":
            method = "bizproc.workflow.template.list"
            command = Command(method, {"SELECT": ["ID", "NAME"], "ORDER": {"ID": "ASC"}})
            return _ListQuestion(Listing(command, id_of=_row_id), _row_id)
        case "user":
            commands = [Command("user.get", {"FILTER": {"ID": user}}) for user in ids]
            return _SingleQuestion(commands, _users)
        case "stage":
            return _ListQuestion(statuses, lambda row: _stage_id(row, subject.kind))
        case "pipeline":
            return _SingleQuestion(
                [Command("crm.category.list", {"entityTypeId": type_id})], _pipelines
            )
        case _ if registry.is_of_a_list(subject.kind):
            return ListFieldsRead(subject.kind)
        case _:
            params = {"entityTypeId": type_id, "useOriginalUfNames": "Y"}
            return _SingleQuestion([Command("crm.item.fields", params)], _fields)


def _row_id(row: Row) -> str | None:
    value = row.get("ID")
    return str(value) if isinstance(value, str | int) else None


def _stage_id(row: Row, kind: str) -> str | None:
    """Return the id of the stage in a row of `crm.status.list`, or None if it is of another kind.

    https://apidocs.bitrix24.com/api-reference/crm/status/crm-status-list.html
    """
    number = documents.entity_type_id(kind)
    invoice = "SMART_INVOICE_STAGE" if kind == "invoice" else f"DYNAMIC_{number}_STAGE"
    directory, entity = _DIRECTORIES.get(kind, invoice), str(row.get("ENTITY_ID"))
    of_pipeline = directory != "STATUS" and entity.startswith(f"{directory}_")
    return str(row.get("STATUS_ID")) if entity == directory or of_pipeline else None


def _rows(value: object, name: str | None = None) -> Iterator[Mapping[str, object]]:
    inner = value.get(name) if name is not None and isinstance(value, Mapping) else value
    yield from (row for row in inner if isinstance(row, Mapping)) if isinstance(inner, list) else ()


def _users(value: object) -> Iterator[tuple[str, str]]:
    for row in _rows(value):
        names = (str(row.get(name) or "") for name in ("NAME", "LAST_NAME"))
        dismissed = " (dismissed)" if row.get("ACTIVE") is False else ""
        yield str(row.get("ID")), f"{' '.join(filter(None, names))}{dismissed}"


def _pipelines(value: object) -> Iterator[tuple[str, str]]:
    """Read https://apidocs.bitrix24.com/api-reference/crm/universal/category/crm-category-list.html."""
    for row in _rows(value, "categories"):
        yield str(row.get("id")), str(row.get("name"))


def _amounts(value: object) -> set[str]:
    """Return the names of the fields of `crm.item.fields` that hold amounts."""
    described = value.get("fields") if isinstance(value, Mapping) else None
    rows = described.items() if isinstance(described, Mapping) else ()
    return {
        str(name).upper()
        for name, row in rows
        if isinstance(row, Mapping) and row.get("type") == "money"
    }


def _fields(value: object) -> Iterator[tuple[str, str]]:
    """Read https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-fields.html."""
    described = value.get("fields") if isinstance(value, Mapping) else None
    for name, row in described.items() if isinstance(described, Mapping) else ():
        title = row.get("title") if isinstance(row, Mapping) else None
        yield str(name).upper(), str(title or name)
