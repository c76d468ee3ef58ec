"""Lists the facts that rules may test, from the table that the loader itself uses."""

import json
from collections.abc import Iterator, Sequence
from functools import partial

from responder.adapters.terminal import USUAL_COLUMNS
from responder.adapters.text_table import Column, Table
from responder.rules.facts import fields, links, registry
from responder.rules.facts.operators import OPERATORS

_INDENT = "  "
_PROPERTIES = fields.Field("property_…", fields.Type.ANY, "A field of this list (see --portal).")
_USER_FIELDS = fields.Field("uf_…", fields.Type.ANY, "A field that your portal added.")


class UnknownKindError(Exception):
    """The error for a kind of document that does not exist. `suggestion` is the nearest name."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"there is no kind `{kind}`")
        self.suggestion = registry.nearest_owner(kind)


def render(
    kind: str | None,
    *,
    as_json: bool,
    own: Sequence[fields.Field] | None = None,
    width: int = USUAL_COLUMNS,
) -> str:
    """Return the facts of one kind, or of all, as lines; `item_147` is a smart process.

    `own` are the fields that a portal's own list has. Raise UnknownKindError for a kind that does
    not exist.
    """
    owners = list(_owners()) if kind is None else [kind]
    if kind is not None and not registry.of_kind(kind):
        raise UnknownKindError(kind)
    written = _json_lines if as_json else partial(_lines, width=width)
    return "\n".join(line for owner in owners for line in written(owner, own)) + "\n"


def _owners() -> Iterator[str]:
    yield from fields.ALWAYS
    yield from registry.KINDS
    yield "item_147"
    yield "list_23"


def _json_lines(owner: str, own: Sequence[fields.Field] | None) -> Iterator[str]:
    for field in (*registry.of_kind(owner), *(own or ()), *_linked(owner, whole=True)):
        yield _json(owner, field)


def _lines(owner: str, own: Sequence[fields.Field] | None, *, width: int) -> Iterator[str]:
    rows = registry.of_kind(owner)
    if registry.is_kind(owner):
        open_ended = _PROPERTIES if registry.is_of_a_list(owner) else _USER_FIELDS
        rows = (*rows, *((open_ended,) if own is None else own), *_linked(owner, whole=False))
    yield f"{owner}: {registry.describe(owner)}"
    lines: list[str] = []
    columns = (Column(fold=True), Column(), Column(fold=True))
    with Table(*columns, write=lines.append, width=width - len(_INDENT)) as table:
        for field in rows:
            table.add(f"{owner}.{field.name}", field.type, field.description)
    yield from (_INDENT + line for line in lines)


def _linked(owner: str, *, whole: bool) -> Iterator[fields.Field]:
    """Yield what an owner's links lead to; unless `whole`, a line for each other document."""
    for link in links.of_kind(owner) if registry.is_kind(owner) else ():
        if not whole and link.target != links.USER:
            described = f"{link.description}: what `responder fields {link.target}` lists."
            yield fields.Field(f"{link.name}.…", fields.Type.ANY, described)
            continue
        for field in registry.at_the_end_of(link):
            described = f"{link.description}: {field.description[0].lower()}{field.description[1:]}"
            yield field._replace(name=f"{link.name}.{field.name}", description=described)


def _json(owner: str, field: fields.Field) -> str:
    row = {
        "fact": f"{owner}.{field.name}",
        "kind": owner,
        "type": field.type,
        "description": field.description,
        "tests": [row.name for row in OPERATORS.values() if field.type in row.types],
    }
    return json.dumps(row, ensure_ascii=False)
