"""Describes the values of facts: literals, and the tests that each type takes."""

from collections.abc import Mapping

from responder.rules import triggers
from responder.rules.facts import closed_values, registry
from responder.rules.facts.fields import Field, Type
from responder.rules.facts.operators import OPERATORS
from responder.rules.json_schema.schema_parts import (
    DURATION,
    INSTANT,
    ITEM,
    LIST,
    SENTENCE,
    TEXT,
    WORKING_DAYS,
    Schema,
    doc,
    list_of,
    name_of,
    offered,
    table,
    words,
)
from responder.rules.load.clause_parser import CURRENCY, HOURS
from responder.rules.yaml_positions import NUMBER

_NUMERIC: Schema = {
    "anyOf": [{"type": "string", "pattern": f"^{NUMBER.pattern}$"}, {"type": "number"}]
}
TRUTHS: tuple[Schema, ...] = (
    {"type": "boolean"},
    {"type": "integer", "minimum": 0, "maximum": 1},
    {"type": "string", "pattern": "^(?:[yYnN01]|[tT][rR][uU][eE]|[fF][aA][lL][sS][eE])$"},
)
_FACT: Schema = {
    "type": "object",
    "title": "another fact",
    "description": "Another fact to compare with.",
    "properties": {"fact": {"type": "string", "description": "The path of that fact."}},
    "required": ["fact"],
    "additionalProperties": False,
}
_LITERALS: Mapping[Type, Schema] = {
    Type.TEXT: TEXT,
    Type.ID: TEXT,
    Type.NUMBER: _NUMERIC,
    Type.REFERENCE: _NUMERIC,
    Type.TRUTH: {"anyOf": list(TRUTHS)},
    Type.DATE: INSTANT,
    Type.DAY: INSTANT,
    Type.DURATION: {"anyOf": [DURATION, WORKING_DAYS]},
    Type.ANY: {"type": ["string", "number", "boolean"]},
}
_OPERATORS: Mapping[str, str] = {
    "is": "It equals this.",
    "is_not": "It does not equal this; for several values, none of them does.",
    "one_of": "It equals one of these.",
    "none_of": "It equals none of these.",
    "in_list": "It is in this one of `lists`.",
    "not_in_list": "It is not in this one of `lists`.",
    "over": "It is more than this.",
    "at_least": "It is this or more.",
    "below": "It is less than this.",
    "at_most": "It is this or less.",
    "between": "It is between these two, or equal to one of them.",
    "contains": "The text has this somewhere in it.",
    "starts_with": "The text begins with this.",
    "ends_with": "The text ends with this.",
    "matches": "This regular expression (RE2) is found in the text.",
    "older_than": "It lies longer ago than this, or before this date.",
    "newer_than": "It lies less long ago than this, or after this date.",
    "within": "It lies in the hours of this calendar.",
    "outside": "It lies outside the hours of this calendar.",
    "exists": "Whether there is a value at all.",
}
CURRENCIES = {"RUB": "roubles", "EUR": "euros", "USD": "US dollars"}


def of_types() -> dict[str, Schema]:
    """Return the schemas of the values of each type of fact, by their names."""
    return {name_of(type_): _of_type(type_, _LITERALS[type_]) for type_ in Type}


def of_closed() -> dict[str, Schema]:
    """Return the schemas of the values of facts that have a few, by their names."""
    made: dict[str, Schema] = {}
    for path in ("deal.stage_semantic_id", "task.status", "task.priority", "task.mark"):
        fact = registry.find(path)
        assert fact is not None
        made[_closed_name(path)] = _of_type(fact.type, {"anyOf": few_values(path)})
    made["of_kind"] = _of_type(Type.TEXT, {"anyOf": _kinds()})
    made["of_event_name"] = _of_type(Type.TEXT, {"anyOf": _event_names()})
    code = offered({"type": "string", "pattern": "^[A-Z]{3}$"}, CURRENCIES)
    made["of_currency"] = _of_type(Type.TEXT, code)
    return made


def name_for(owner: str, field: Field) -> str:
    """Return the name of the schema of a fact's values."""
    path = f"{owner}.{field.name}"
    if path == "document.kind":
        return "of_kind"
    if path == "event.name":
        return "of_event_name"
    if field.name.rpartition(".")[2] == "currency_id" and field.type is Type.TEXT:
        return "of_currency"
    return name_of(field.type) if few_values(path) is None else _closed_name(path)


def few_values(path: str) -> list[Schema] | None:
    """Return the schemas of the values of a fact that has a few; None where it may have any."""
    meanings = closed_values.meanings(path)
    if meanings is None:
        return None
    if not all(value.isdigit() for value in meanings):
        return words(meanings)
    rare = closed_values.rare(path)
    numbers = [{"const": int(value), "description": said} for value, said in meanings.items()]
    others = [{"type": "integer", "minimum": int(one), "maximum": int(one)} for one in rare]
    written = {"type": "string", "pattern": f"^(?:{'|'.join((*meanings, *rare))})(?:\\.0+)?$"}
    return [*numbers, *others, written]


def _closed_name(path: str) -> str:
    return f"of_{path.rpartition('.')[2]}"


def _kinds() -> list[Schema]:
    numbered = {"type": "string", "pattern": f"^(?:{ITEM}|{LIST})$"}
    known = {**registry.KINDS, "item_147": "An item of smart process 147."}
    known |= {"list_23": "An element of list 23.", "other": "Something that no rule may look at."}
    return [*words(known), numbered]


def _event_names() -> list[Schema]:
    names = {name: "" for name in triggers.names() if triggers.is_a_portals_name(name)}
    numbered = {"type": "string", "pattern": "^ONCRMDYNAMICITEM[A-Z]+_[0-9]+$"}
    return [{"enum": list(names)}, numbered]


def _of_type(type_: Type, literal: Schema) -> Schema:
    """Return the schema of the value of a fact: a literal, several, or a map of tests."""
    operators = {
        name: doc(_OPERATORS[name], _operand(name, literal, type_))
        for name, operator in OPERATORS.items()
        if type_ in operator.types
    }
    if type_ is Type.ANY:
        operators[CURRENCY] = doc(
            "The currency of the amounts compared; an amount in another one is unknown.",
            offered({"type": "string", "pattern": "^[A-Za-z]{3}$"}, CURRENCIES),
        )
    if type_ is Type.DURATION:
        hours = doc("The calendar in which working days (3wd) are counted.", TEXT)
        return table({**operators, HOURS: hours}, minProperties=1, title="tests")
    tests = table(operators, minProperties=1, title="tests")
    return {"anyOf": [literal, list_of(literal), tests]}


def _operand(name: str, literal: Schema, type_: Type) -> Schema:
    match name:
        case "one_of" | "none_of":
            return list_of(literal)
        case "between":
            return list_of(literal, least=2, most=2)
        case "in_list" | "not_in_list" | "within" | "outside":
            return TEXT
        case "contains" | "starts_with" | "ends_with" | "matches":
            return SENTENCE
        case "exists":
            return {"type": "boolean"}
        case "older_than" | "newer_than":
            return {"anyOf": [DURATION, INSTANT, _FACT]}
        case "over" | "at_least" | "below" | "at_most":
            lengths = (DURATION, WORKING_DAYS) if type_ is not Type.NUMBER else (_LENGTH,)
            return {"anyOf": [_NUMERIC, *lengths, _FACT]}
        case _:
            return {"anyOf": [literal, _FACT]}


# What a number is compared with where the author errs: the loader says so, with what is meant.
_LENGTH: Schema = {"type": "string", "pattern": str(DURATION["pattern"])}
