"""Describes `if` and `unless`: every fact with its values, and groups of tests."""

import re
from collections.abc import Iterable, Iterator, Mapping

from responder.rules.facts import fields, links, registry
from responder.rules.facts.fields import Field, Type
from responder.rules.json_schema.fact_values import name_for, of_closed
from responder.rules.json_schema.schema_parts import ITEM, LIST, Schema, doc, list_of, name_of, ref

# Kinds of which a portal has many, by number: editors offer these, and take all others.
EXAMPLES = {"item_147": "smart process 147 (put your number)", "list_23": "list 23 (put yours)"}
_TEMPLATES = ("workflow.template_id", "workflow.id", "template.id", "template.name")
_NAMES_ONE = (*_TEMPLATES, "template.known")


def clause() -> dict[str, object]:
    """Return the schema of a map of tests: every fact, and groups of tests."""
    properties: dict[str, Schema] = {
        "any": doc("One of these must hold.", list_of(ref("tests"))),
        "all": doc("All of these must hold.", list_of(ref("tests"))),
        "not": doc("This must not hold.", ref("tests")),
    }
    for owner in (*fields.ALWAYS, *registry.KINDS, *EXAMPLES):
        of = f" Of {EXAMPLES[owner]}." if owner in EXAMPLES else ""
        for field in all_fields(owner):
            described = doc(f"{field.description}{of}", ref(name_for(owner, field)))
            properties[f"{owner}.{field.name}"] = described
    return {
        "type": "object",
        "title": "tests",
        "minProperties": 1,
        "properties": properties,
        "patternProperties": dict(_open_facts()),
        "additionalProperties": False,
        "allOf": list(_offers()),
    }


def all_fields(owner: str) -> Iterator[Field]:
    """Yield the fields of an owner, and those of what it is linked to: `company.industry`."""
    yield from registry.of_kind(owner)
    for link in links.of_kind(owner):
        for field in registry.at_the_end_of(link):
            described = f"{link.description}. {field.description}"
            yield Field(f"{link.name}.{field.name}", field.type, described)


def names_a_template() -> dict[str, object]:
    """Return the schema of a clause that tests which template, or which workflow, it is."""
    inner = ref("names_a_template")
    groups: list[Mapping[str, object]] = [
        {"properties": {name: {"contains": inner}}, "required": [name]} for name in ("any", "all")
    ]
    groups.append({"properties": {"not": inner}, "required": ["not"]})
    return {
        "anyOf": [
            *({"required": [path]} for path in _NAMES_ONE),
            *groups,
            # Some fact is compared with one of these.
            {"not": {"additionalProperties": {"not": _compares_a_template()}}},
        ]
    }


def _compares_a_template() -> dict[str, object]:
    other = {
        "type": "object",
        "properties": {"fact": {"enum": list(_NAMES_ONE)}},
        "required": ["fact"],
    }
    return {"type": "object", "not": {"additionalProperties": {"not": other}}}


def _open_facts() -> Iterable[tuple[str, Schema]]:
    """Yield the facts whose names only a portal knows, and those of smart processes."""
    kinds = "|".join([*registry.KINDS, ITEM])
    yield f"^(?:{kinds})\\.uf_[a-z0-9_]+$", doc("A field of your portal.", ref(name_of(Type.ANY)))
    crm = "|".join([*(kind for kind in registry.KINDS if kind != "task"), ITEM])
    yield f"^(?:{crm})\\.parent_id_[1-9][0-9]*$", ref(name_of(Type.REFERENCE))
    for path, name in _of_numbered("item_147", ITEM):
        yield path, ref(name)
    linked = f"(?:deal|lead|quote|invoice|{ITEM})\\.(?:company|contact)"
    yield f"^{linked}\\.uf_[a-z0-9_]+$", doc("A field of your portal.", ref(name_of(Type.ANY)))
    yield f"^{linked}\\.parent_id_[1-9][0-9]*$", ref(name_of(Type.REFERENCE))
    yield f"^{LIST}\\.property_[1-9][0-9]{{0,9}}$", doc("A field.", ref(name_of(Type.ANY)))
    for field in all_fields("list_23"):
        path = f"^{LIST}\\.{re.escape(field.name)}$"
        yield path, doc(field.description, ref(name_for("list_23", field)))


def _of_numbered(example: str, kind: str) -> Iterator[tuple[str, str]]:
    """Yield the pattern of the facts of a kind with any number, and their schema, for each one."""
    by_schema: dict[str, list[str]] = {}
    for field in all_fields(example):
        by_schema.setdefault(name_for(example, field), []).append(re.escape(field.name))
    for name, names in by_schema.items():
        yield f"^{kind}\\.(?:{'|'.join(names)})$", name


def _offers() -> Iterator[Schema]:
    """Yield what makes editors offer values for facts of a kind with any number.

    yaml-language-server looks for them in `properties` and in `additionalProperties`, and never in
    `patternProperties`. So where such a fact stands without a value, it may have one of these, or
    anything else: what is wrong is said by the pattern.
    """
    few = {*of_closed(), name_of(Type.TRUTH)}
    for example, kind in (("item_147", ITEM), ("list_23", LIST)):
        for path, name in _of_numbered(example, kind):
            if name in few:
                yield {
                    "if": {"not": {"patternProperties": {path: _A_VALUE}}},
                    "then": {"additionalProperties": {"anyOf": [ref(name), {}]}},
                }


_A_VALUE: Schema = {"type": ["string", "number", "boolean", "array", "object"]}
