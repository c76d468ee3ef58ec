"""Describes the language as JSON Schema 2020-12, for editors that complete and underline.

The schema is made from the loader's own tables, and is never stricter: the loader refuses whatever
it refuses. What needs the whole file (a list that does not exist, two rules of one id) is left to
`check`. A number is accepted as text where the loader reads it so.
"""

import re
from collections.abc import Iterable, Mapping

from responder.model import Action, Mode
from responder.rules import triggers
from responder.rules.calendars import DAYS
from responder.rules.facts import fields, links, registry
from responder.rules.facts.fields import Field, Type
from responder.rules.facts.operators import OPERATORS
from responder.rules.keep import GROUPING, GROUPS
from responder.rules.load.calendar_parser import CALENDAR_KEYS
from responder.rules.load.clause_parser import CURRENCY, HOURS
from responder.rules.load.limit_parser import NAMES as LIMITS
from responder.rules.load.loader import DEFAULT_KEYS, FILE_KEYS
from responder.rules.load.restraint_parser import MOST_KEPT, NO_GROUP, RESTRAINT_KEYS, WHICH
from responder.rules.load.rule_parser import RULE_KEYS
from responder.rules.telling.audiences import AUDIENCES, TELLING_KEYS
from responder.rules.yaml_positions import NUMBER

Schema = Mapping[str, object]

_TEXT = {"type": ["string", "number"]}
_SENTENCE = {"type": ["string", "number"], "minLength": 1}
_NUMERIC = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^{NUMBER.pattern}$"}]}
_DURATION = {"type": "string", "pattern": "^(?:[0-9]{1,9}[wdhms] ?)+$", "examples": ["10m", "30d"]}
_WORKING_DAYS = {"type": "string", "pattern": "^[0-9]{1,9}wd$", "examples": ["3wd"]}
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_INSTANT = {"type": "string", "pattern": f"^{_DAY}", "examples": ["2026-09-24"]}
_TRUTH = {
    "anyOf": [
        {"type": "boolean"},
        {"enum": [0, 1]},
        {"type": "string", "pattern": "^(?:[yYnN01]|[tT][rR][uU][eE]|[fF][aA][lL][sS][eE])$"},
    ]
}
_TIME = {"type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2}$", "examples": ["09:00"]}
_AUDIENCE = {"anyOf": [{"const": one, "description": text} for one, text in AUDIENCES.items()]}
_NAME = "^[a-z0-9_-]+$"
_ITEM = "item_[1-9][0-9]{2,9}"
_LIST = "list_[1-9][0-9]{0,9}"
_FACT = {
    "type": "object",
    "description": "Another fact to compare with.",
    "properties": {"fact": {"type": "string", "description": "The path of that fact."}},
    "required": ["fact"],
    "additionalProperties": False,
}

_LITERALS: Mapping[Type, Schema] = {
    Type.TEXT: _TEXT,
    Type.ID: _TEXT,
    Type.NUMBER: _NUMERIC,
    Type.REFERENCE: _NUMERIC,
    Type.TRUTH: _TRUTH,
    Type.DATE: _INSTANT,
    Type.DAY: _INSTANT,
    Type.DURATION: {"anyOf": [_DURATION, _WORKING_DAYS]},
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


def schema(tests: Schema) -> dict[str, object]:
    """Return the schema of a rules file; `tests` is the schema of one of its tests."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "responder rules",
        **_table(FILE_KEYS, _file_keys(), required=("version", "rules")),
        "$defs": {
            "rule": _rule(),
            "tests": _clause(),
            **{_name(type_): _of_type(type_) for type_ in Type},
            "test": tests,
        },
    }


def table(
    properties: Mapping[str, Schema], *, required: Iterable[str] = (), **more: object
) -> dict[str, object]:
    """Return the schema of a map with these keys and no others."""
    made: dict[str, object] = {"type": "object", "properties": dict(properties)}
    if required:
        made["required"] = list(required)
    return {**made, "additionalProperties": False, **more}


def _table(
    names: Iterable[str],
    described: Mapping[str, Schema],
    *,
    required: Iterable[str] = (),
    **more: object,
) -> dict[str, object]:
    """Return the schema of a map whose keys are those of a table of the loader."""
    return table({name: described[name] for name in names}, required=required, **more)


def _doc(text: str, schema: Schema) -> dict[str, object]:
    return {"description": text, **schema}


def _list(items: Schema, *, most: int | None = None, least: int = 1) -> dict[str, object]:
    made: dict[str, object] = {"type": "array", "items": items, "minItems": least}
    return made if most is None else {**made, "maxItems": most}


def _name(type_: Type) -> str:
    return f"of_{type_.name.lower()}"


def _ref(name: str) -> dict[str, object]:
    return {"$ref": f"#/$defs/{name}"}


def _file_keys() -> dict[str, Schema]:
    named = {"type": "object", "propertyNames": {"pattern": _NAME}}
    values = _list({"type": ["string", "number", "boolean"], "minLength": 1}, least=0)
    return {
        "version": _doc("The version of the language.", {"const": 1}),
        "defaults": _doc(
            "What rules have that do not say otherwise.",
            _table(DEFAULT_KEYS, _default_keys()),
        ),
        "lists": _doc(
            "Lists of values, by name, for `in_list`.", {**named, "additionalProperties": values}
        ),
        "calendars": _doc(
            "Offices and their hours, by name.", {**named, "additionalProperties": _calendar()}
        ),
        "rules": _doc(
            "The rules, read from the top for each workflow.", _list(_ref("rule"), least=0)
        ),
        "tests": _doc("Tests of these rules, for `responder test`.", _list(_ref("test"))),
    }


def _default_keys() -> dict[str, Schema]:
    return {name: _rule_keys()[name] for name in ("mode", "limit", "portals")} | {
        "timezone": _doc("The zone in which days begin, such as Europe/Moscow.", _SENTENCE)
    }


def _calendar() -> dict[str, object]:
    holiday = {"anyOf": [_INSTANT, table({"from": _INSTANT, "to": _INSTANT})]}
    described: dict[str, Schema] = {
        "timezone": _doc("The zone of its hours.", _SENTENCE),
        "days": _doc("The days on which it opens.", _list({"enum": list(DAYS)})),
        "from": _doc("When it opens.", _TIME),
        "to": _doc("When it closes.", _TIME),
        "holidays": _doc("Days on which it does not open.", _list(holiday, least=0)),
    }
    return _table(CALENDAR_KEYS, described, minProperties=1)


def _rule() -> dict[str, object]:
    """Return the schema of a rule: kill and terminate need `when`, and `leave` has no mode."""
    guards = {"properties": {"then": {"const": Action.LEAVE.value}}}
    acting = ("mode", "limit", *RESTRAINT_KEYS, *TELLING_KEYS)
    return _table(
        RULE_KEYS,
        _rule_keys(),
        required=("id", "then"),
        **{
            "if": guards,
            "then": {"not": {"anyOf": [{"required": [name]} for name in acting]}},
            "else": {"required": ["when"]},
        },
    )


def _rule_keys() -> dict[str, Schema]:
    actions = [Action.KILL.value, Action.TERMINATE.value, Action.LEAVE.value]
    return {
        "id": _doc("Its name, which stays: a-z, 0-9 and -.", {**_TEXT, "pattern": "^[a-z0-9-]+$"}),
        "because": _doc("A sentence for the log and the people affected.", _SENTENCE),
        "mode": _doc(
            "observe only records what it would do (the default). Where RESPONDER_MODE says "
            "enforce, enforce acts, and approve acts once somebody has approved that decision.",
            {"enum": [mode.value for mode in Mode]},
        ),
        "when": _doc("What sets it off.", _list({"anyOf": [_event(), *_schedules()]})),
        "if": _doc("All of these tests must hold.", _ref("tests")),
        "unless": _doc("None of these tests may hold.", _ref("tests")),
        "every_template": _doc(
            "true is required of a rule that kills or terminates and tests no template.",
            {"type": "boolean"},
        ),
        "during": _doc("The calendar in whose hours it acts.", _TEXT),
        "wait": _doc("How long it waits before it acts: all must still hold then.", _DURATION),
        "then": _doc(
            "kill deletes the workflow with its data, terminate stops it and keeps them, leave "
            "protects it from all rules below.",
            {"enum": actions},
        ),
        "keep": _doc("Spare this one of each group, or so many: {newest: 3}.", _keep()),
        "per": _doc("What makes a group for `keep`.", _list(_group())),
        **{key: _doc(text, _list(_AUDIENCE)) for key, text in TELLING_KEYS.items()},
        "limit": _doc("How much it may do before it stops by itself; 0 is none.", _limit()),
        "sweep": _doc("Whether the regular sweep reads it too.", {"type": "boolean"}),
        "portals": _doc("The portals it is for.", _list({**_TEXT, "pattern": "^[a-z0-9_]+$"})),
        "disabled": _doc("Why it is switched off.", _SENTENCE),
        "expires": _doc("The last day on which it acts.", {**_INSTANT, "pattern": f"^{_DAY}$"}),
    }


def _keep() -> dict[str, object]:
    number = {"type": "integer", "minimum": 1, "maximum": MOST_KEPT}
    count = {"anyOf": [number, {"type": "string", "pattern": "^[1-9][0-9]{0,2}$"}]}
    which = {name: _doc(f"How many of the {name} to spare.", count) for name in WHICH}
    return {"anyOf": [{"enum": list(WHICH)}, table(which, minProperties=1, maxProperties=1)]}


def _group() -> dict[str, object]:
    """Return the schema of what makes a group: document, template, or a reference or text."""
    paths = [
        f"{owner}.{field.name}"
        for owner in (*fields.ALWAYS, *registry.KINDS)
        for field in registry.of_kind(owner)
        if field.type in GROUPING and f"{owner}.{field.name}" not in NO_GROUP
    ]
    linked = [
        f"{kind}.{link.name}.{field.name}"
        for kind in registry.KINDS
        for link in links.of_kind(kind)
        for field in registry.at_the_end_of(link)
        if field.type in GROUPING
    ]
    kinds, link = "|".join([*registry.KINDS, _ITEM]), r"(?:\.(?:company|contact))?"
    of_portals = f"^(?:{kinds}){link}\\.(?:uf|parent_id)_[a-z0-9_]+$"
    items = f"^(?:{_ITEM}|{_LIST})(?:\\.[a-z0-9_]+){{1,2}}$"
    return {
        "anyOf": [
            {"enum": [*GROUPS, *paths, *linked]},
            {"type": "string", "pattern": of_portals},
            {"type": "string", "pattern": items},
        ]
    }


def _limit() -> dict[str, object]:
    number = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
    described: dict[str, Schema] = {
        "per_hour": _doc("How many stops it may begin in an hour.", number),
        "per_document": _doc("How many any rules may begin on one document in a day.", number),
        "per_run": _doc("How many one sweep or scheduled run may begin.", number),
        "percent_of_running": _doc(
            "What part of all running workflows one sweep or scheduled run may stop.",
            {**number, "maximum": 100},
        ),
    }
    return _table(LIMITS, described, minProperties=1)


def _event() -> dict[str, object]:
    done = "(?:added|updated|deleted)"
    return {
        "anyOf": [
            {"enum": triggers.names()},
            {"type": "string", "pattern": f"^{_ITEM}\\.{done}$"},
            # The portal's own names, in any case.
            {"type": "string", "pattern": "^[oO][nN][a-zA-Z]+(?:_[0-9]+)?$"},
        ]
    }


def _schedules() -> list[dict[str, object]]:
    zone = _doc("The zone of that time.", _SENTENCE)
    all_of_them: dict[str, dict[str, Schema]] = {
        "every": {"every": _doc("How long from one run to the next.", _DURATION)},
        "daily_at": {"daily_at": _doc("The time of day.", _TIME), "timezone": zone},
    }
    return [table(keys, required=(name,)) for name, keys in all_of_them.items()]


def _clause() -> dict[str, object]:
    """Return the schema of a map of tests: every fact, and groups of tests."""
    properties: dict[str, Schema] = {
        "any": _doc("One of these must hold.", _list(_ref("tests"))),
        "all": _doc("All of these must hold.", _list(_ref("tests"))),
        "not": _doc("This must not hold.", _ref("tests")),
    }
    for owner in (*fields.ALWAYS, *registry.KINDS):
        for field in registry.of_kind(owner):
            described = _doc(field.description, _ref(_name(field.type)))
            properties[f"{owner}.{field.name}"] = described
        for link in links.of_kind(owner):
            for field in registry.at_the_end_of(link):
                described = _doc(
                    f"{link.description}. {field.description}", _ref(_name(field.type))
                )
                properties[f"{owner}.{link.name}.{field.name}"] = described
    return {
        "type": "object",
        "minProperties": 1,
        "properties": properties,
        "patternProperties": dict(_open_facts()),
        "additionalProperties": False,
    }


def _open_facts() -> Iterable[tuple[str, Schema]]:
    """Yield the facts whose names only a portal knows, and those of smart processes."""
    kinds = "|".join([*registry.KINDS, _ITEM])
    yield f"^(?:{kinds})\\.uf_[a-z0-9_]+$", _doc("A field of your portal.", _ref(_name(Type.ANY)))
    crm = "|".join([*(kind for kind in registry.KINDS if kind != "task"), _ITEM])
    yield f"^(?:{crm})\\.parent_id_[1-9][0-9]*$", _ref(_name(Type.REFERENCE))
    by_type: dict[Type, list[Field]] = {}
    for field in registry.of_kind("item_147"):
        by_type.setdefault(field.type, []).append(field)
    for type_, some in by_type.items():
        names = "|".join(re.escape(field.name) for field in some)
        yield f"^{_ITEM}\\.(?:{names})$", _ref(_name(type_))
    yield from _open_links()
    yield f"^{_LIST}\\.property_[1-9][0-9]{{0,9}}$", _doc("A field.", _ref(_name(Type.ANY)))
    for field in registry.of_kind("list_23"):
        yield f"^{_LIST}\\.{field.name}$", _doc(field.description, _ref(_name(field.type)))
    for link in links.of_kind("list_23"):
        for field in registry.at_the_end_of(link):
            yield f"^{_LIST}\\.{link.name}\\.{field.name}$", _ref(_name(field.type))


def _open_links() -> Iterable[tuple[str, Schema]]:
    """Yield the portal's own fields of what documents are linked to, and links of smart items."""
    linked = f"(?:deal|lead|quote|invoice|{_ITEM})\\.(?:company|contact)"
    yield f"^{linked}\\.uf_[a-z0-9_]+$", _doc("A field of your portal.", _ref(_name(Type.ANY)))
    yield f"^{linked}\\.parent_id_[1-9][0-9]*$", _ref(_name(Type.REFERENCE))
    for link in links.of_kind("item_147"):
        for field in registry.at_the_end_of(link):
            path = f"^{_ITEM}\\.{link.name}\\.{re.escape(field.name)}$"
            yield path, _ref(_name(field.type))


def _of_type(type_: Type) -> dict[str, object]:
    """Return the schema of the value of a fact: a literal, several, or a map of tests."""
    literal = _LITERALS[type_]
    operators = {
        name: _doc(_OPERATORS[name], _operand(name, literal))
        for name, operator in OPERATORS.items()
        if type_ in operator.types
    }
    if type_ is Type.ANY:
        operators[CURRENCY] = _doc(
            "The currency of the amounts compared; an amount in another one is unknown.",
            {"type": "string", "pattern": "^[A-Za-z]{3}$", "examples": ["RUB"]},
        )
    if type_ is Type.DURATION:
        hours = _doc("The calendar in which working days (3wd) are counted.", _TEXT)
        return table({**operators, HOURS: hours}, minProperties=1)
    return {"anyOf": [literal, _list(literal), table(operators, minProperties=1)]}


def _operand(name: str, literal: Schema) -> Schema:
    match name:
        case "one_of" | "none_of":
            return _list(literal)
        case "between":
            return _list(literal, least=2, most=2)
        case "in_list" | "not_in_list" | "within" | "outside":
            return _TEXT
        case "contains" | "starts_with" | "ends_with" | "matches":
            return _SENTENCE
        case "exists":
            return {"type": "boolean"}
        case "older_than" | "newer_than":
            return {"anyOf": [_DURATION, _INSTANT, _FACT]}
        case "over" | "at_least" | "below" | "at_most":
            return {"anyOf": [_NUMERIC, _DURATION, _WORKING_DAYS, _FACT]}
        case _:
            return {"anyOf": [literal, _FACT]}
