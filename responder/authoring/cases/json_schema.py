"""Prints the whole language as JSON Schema: that of the rules, and that of their tests."""

import json
from collections.abc import Iterator, Mapping

from responder.authoring.cases.cases import CASE_KEYS
from responder.authoring.cases.given_facts import WORKFLOWS
from responder.authoring.expectations import NONE, WORDS
from responder.rules.facts import fields, links, registry
from responder.rules.facts.derived import SOURCES
from responder.rules.facts.fields import Field, Type
from responder.rules.json_schema.fact_values import TRUTHS, few_values
from responder.rules.json_schema.schema_parts import (
    ITEM,
    LIST,
    Schema,
    choice,
    doc,
    list_of,
    table,
    words,
)
from responder.rules.json_schema.tests_of_facts import EXAMPLES, all_fields
from responder.rules.load import schema

_WITHOUT_RULE = [*words(WORDS)]
_WITH_RULE = {
    word: {"type": ["string", "number"], "description": f"{meaning} Its value is the rule."}
    for word, meaning in WORDS.items()
    if word != NONE
}
# Not `maxProperties`: with it editors offer nothing in a line that is empty yet.
_BY_A_RULE = table(_WITH_RULE, minProperties=1, **{"not": {"minProperties": 2}})
_ANY_OF: list[Schema] = [*_WITHOUT_RULE, _BY_A_RULE]
_ONE: Schema = {"anyOf": _ANY_OF}
# Editors write a colon behind a key whose value has a type.
_ANYTHING = ["string", "number", "boolean", "null", "array", "object"]
_TEXT: Schema = {"type": ["string", "number", "boolean"]}
_CAUSES = {
    "sweep": "The regular reading of all that runs.",
    "schedule": "A rule with `every` or `daily_at`.",
}


def render() -> str:
    """Return the schema of a rules file as JSON."""
    described = {name: {"description": text, **_shapes()[name]} for name, text in CASE_KEYS.items()}
    tests = table(described, required=("event",), title="test")
    return json.dumps(schema.schema(tests), ensure_ascii=False, indent=1) + "\n"


def _shapes() -> Mapping[str, Schema]:
    events = {**schema.events(), **_CAUSES}
    known = [WORKFLOWS, *(f"{owner}.{field.name}" for owner, field in _all_facts())]
    return {
        "name": _TEXT,
        "event": {
            "anyOf": [
                choice(events),
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}},
            ]
        },
        "at": {"type": "string"},
        "portal": _TEXT,
        "document": {"type": "string"},
        "facts": _facts(),
        "unknown": {
            "type": "array",
            "items": {"anyOf": [{"enum": known}, {"type": "string", "pattern": "[0-9]|\\.uf_"}]},
        },
        "workflows": {"type": "array", "items": _workflow()},
        "expect": {
            "anyOf": [
                {"const": NONE, "description": "Nothing happens to any of them."},
                {
                    "type": "object",
                    "title": "by workflow",
                    "additionalProperties": {"anyOf": [*_ANY_OF, list_of(_ONE)]},
                },
            ]
        },
    }


def _all_facts() -> Iterator[tuple[str, Field]]:
    for owner in (*fields.ALWAYS, *registry.KINDS, *EXAMPLES):
        for field in all_fields(owner):
            if f"{owner}.{field.name}" not in SOURCES:
                yield owner, field


def _facts() -> Schema:
    """Return the schema of facts by their owners, `deal: {stage_id: NEW}`, or by their paths."""
    owners = {owner: _of_owner(owner) for owner in (*fields.ALWAYS, *registry.KINDS, *EXAMPLES)}
    numbered = {
        f"^{ITEM}$": {**owners["item_147"], "description": "An item of this smart process."},
        f"^{LIST}$": {**owners["list_23"], "description": "An element of this list."},
    }
    return {
        "type": "object",
        "properties": owners,
        "patternProperties": {**numbered, "\\.": {}},
        "additionalProperties": False,
    }


def _of_owner(owner: str) -> dict[str, object]:
    """Return the schema of the facts of one owner, what it is linked to among them."""
    own = {
        field.name: _value(owner, field)
        for field in registry.of_kind(owner)
        if f"{owner}.{field.name}" not in SOURCES
    }
    for link in links.of_kind(owner):
        there = {
            field.name: _value(owner, field._replace(name=f"{link.name}.{field.name}"))
            for field in registry.at_the_end_of(link)
        }
        inner = _open_table(there, f"{link.description}.")
        if link.name in own:  # which is a fact as well: `created_by`
            inner = doc(str(inner["description"]), {"anyOf": [own[link.name], inner]})
        own[link.name] = inner
    described = EXAMPLES.get(owner, "")
    return _open_table(own, f"{registry.describe(owner)} {described}".strip())


def _open_table(properties: Mapping[str, Schema], described: str) -> dict[str, object]:
    """Return the schema of a map that may have fields of the portal's own as well."""
    own = "^(?:uf|parent_id|property)_[a-z0-9_]+$"
    several = "^[a-z_]+\\.[a-z0-9_.]+$"
    more = {own: doc("A field of your portal.", {}), several: {}}
    return doc(described, {**table(properties), "patternProperties": more})


def _value(owner: str, field: Field) -> Schema:
    """Return the schema of the value of a fact in a test: few values, yes and no, or anything."""
    # As the portal may send several values, or none.
    others: list[Schema] = [{"type": "null"}, {"type": "array"}, {"type": "object"}]
    few = few_values(f"{owner}.{field.name}")
    if few is not None:
        return doc(field.description, {"anyOf": [*few, *others]})
    if field.type is Type.TRUTH:
        return doc(field.description, {"anyOf": [*TRUTHS, *others]})
    return {"description": field.description, "type": _ANYTHING}


def _workflow() -> dict[str, object]:
    own = {
        field.name: _value("workflow", field)
        for field in registry.of_kind("workflow")
        if f"workflow.{field.name}" not in SOURCES
    }
    about = {name: _of_owner(name) for name in sorted(registry.ABOUT_WORKFLOWS)}
    return {
        **table({**own, **about}, required=("id",), title="workflow"),
        "patternProperties": {"\\.": {}},
    }


__all__ = ["render"]
