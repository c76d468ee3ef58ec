"""Builds the parts that the whole schema of the language has: maps, lists, words with meanings.

The schema is also what editors complete by. They insert the only example or default of a value, and
0 for a number; so there are no examples, and numbers and durations have `defaultSnippets`, an
extension of editors: values to choose from, each with a label.
https://code.visualstudio.com/docs/languages/json#_define-snippets-in-json-schemas
"""

from collections.abc import Iterable, Mapping

from responder.rules.facts.fields import Type

Schema = Mapping[str, object]

NAME = "^[a-z0-9_-]+$"
ITEM = "item_[1-9][0-9]{2,9}"
LIST = "list_[1-9][0-9]{0,9}"
DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
TEXT: Schema = {"type": ["string", "number"]}
SENTENCE: Schema = {"type": ["string", "number"], "minLength": 1}
INSTANT: Schema = {"type": "string", "pattern": f"^{DAY}"}
TIME: Schema = {"type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2}$"}


def table(
    properties: Mapping[str, Schema], *, required: Iterable[str] = (), **more: object
) -> dict[str, object]:
    """Return the schema of a map with these keys and no others."""
    made: dict[str, object] = {"type": "object", "properties": dict(properties)}
    if required:
        made["required"] = list(required)
    return {**made, "additionalProperties": False, **more}


def doc(text: str, schema: Schema) -> dict[str, object]:
    """Return a schema with a sentence about it."""
    return {"description": text, **schema}


def list_of(items: Schema, *, most: int | None = None, least: int = 1) -> dict[str, object]:
    """Return the schema of a list."""
    made: dict[str, object] = {"type": "array", "items": items, "minItems": least}
    return made if most is None else {**made, "maxItems": most}


def ref(name: str) -> dict[str, object]:
    """Return a reference to a named part of the schema."""
    return {"$ref": f"#/$defs/{name}"}


def name_of(type_: Type) -> str:
    """Return the name of the part of the schema for facts of a type."""
    return f"of_{type_.name.lower()}"


def words(meanings: Mapping[str, str]) -> list[Schema]:
    """Return the schemas of the words of which there are a few, each with its meaning."""
    return [{"const": word, "description": said} for word, said in meanings.items()]


def choice(meanings: Mapping[str, str]) -> dict[str, object]:
    """Return the schema of one of a few words, each with its meaning."""
    return {"enum": list(meanings), "enumDescriptions": list(meanings.values())}


def offered(schema: Schema, values: Mapping[str, str]) -> dict[str, object]:
    """Return a schema for whose value editors offer these, each with what it means."""
    snippets = [
        {"label": f"{value}: {meaning}", "body": int(value) if value.isdigit() else value}
        for value, meaning in values.items()
    ]
    return {**schema, "defaultSnippets": snippets}


DURATION = offered(
    {"type": "string", "pattern": "^(?:[0-9]{1,9}[wdhms] ?)+$"},
    {"10m": "ten minutes", "12h": "twelve hours", "30d": "thirty days"},
)
WORKING_DAYS = offered(
    {"type": "string", "pattern": "^[0-9]{1,9}wd$"}, {"3wd": "three working days"}
)
