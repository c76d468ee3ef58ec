"""Describes the language as JSON Schema 2020-12, for editors that complete and underline.

The schema is made from the loader's own tables, and is never stricter: the loader refuses whatever
it refuses. What needs the whole file (a list that does not exist, two rules of one id) is left to
`check`. A number is accepted as text where the loader reads it so.
"""

from collections.abc import Iterable, Mapping

from responder.model import KILLING, Action, Mode
from responder.rules import triggers
from responder.rules.calendars import DAYS
from responder.rules.facts import fields, links, registry
from responder.rules.json_schema import fact_values, tests_of_facts
from responder.rules.json_schema.schema_parts import (
    DAY,
    DURATION,
    INSTANT,
    ITEM,
    LIST,
    NAME,
    SENTENCE,
    TEXT,
    TIME,
    Schema,
    choice,
    doc,
    list_of,
    offered,
    ref,
    table,
    words,
)
from responder.rules.keep import GROUPING, GROUPS
from responder.rules.load.calendar_parser import CALENDAR_KEYS
from responder.rules.load.limit_parser import NAMES as LIMITS
from responder.rules.load.loader import DEFAULT_KEYS, FILE_KEYS
from responder.rules.load.restraint_parser import MOST_KEPT, NO_GROUP, RESTRAINT_KEYS, WHICH
from responder.rules.load.rule_parser import RULE_KEYS
from responder.rules.telling.audiences import AUDIENCES, TELLING_KEYS

_ACTIONS: Mapping[str, str] = {
    Action.KILL: "It deletes the workflow with its data.",
    Action.TERMINATE: "It stops the workflow and keeps its data.",
    Action.LEAVE: "It protects the workflow from all rules below.",
}
_MODES: Mapping[str, str] = {
    Mode.OBSERVE: "It only records what it would do (the default).",
    Mode.ENFORCE: "It acts, where RESPONDER_MODE says enforce.",
    Mode.APPROVE: "It acts once somebody has approved that decision.",
}
_DONE = {"added": "is added", "updated": "changes", "deleted": "is deleted"}


def schema(tests: Schema) -> dict[str, object]:
    """Return the schema of a rules file, or of tests alone; `tests` is that of one test."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "responder rules",
        **_table(FILE_KEYS, _file_keys()),
        "if": {"required": ["tests"], "not": {"required": ["rules"]}},
        "then": {},
        "else": {"required": ["version", "rules"]},
        "$defs": {
            "rule": _rule(),
            "tests": tests_of_facts.clause(),
            "names_a_template": tests_of_facts.names_a_template(),
            **fact_values.of_types(),
            **fact_values.of_closed(),
            "test": tests,
        },
    }


def _table(
    names: Iterable[str],
    described: Mapping[str, Schema],
    *,
    required: Iterable[str] = (),
    **more: object,
) -> dict[str, object]:
    """Return the schema of a map whose keys are those of a table of the loader."""
    return table({name: described[name] for name in names}, required=required, **more)


def _file_keys() -> dict[str, Schema]:
    named = {"type": "object", "propertyNames": {"pattern": NAME}}
    values = list_of({"type": ["string", "number", "boolean"], "minLength": 1}, least=0)
    return {
        "version": doc("The version of the language.", {"const": 1}),
        "defaults": doc(
            "What rules have that do not say otherwise.",
            _table(DEFAULT_KEYS, _default_keys()),
        ),
        "lists": doc(
            "Lists of values, by name, for `in_list`.", {**named, "additionalProperties": values}
        ),
        "calendars": doc(
            "Offices and their hours, by name.", {**named, "additionalProperties": _calendar()}
        ),
        "rules": doc(
            "The rules, read from the top for each workflow.", list_of(ref("rule"), least=0)
        ),
        "tests": doc("Tests of these rules, for `responder test`.", list_of(ref("test"))),
    }


def _default_keys() -> dict[str, Schema]:
    return {name: _rule_keys()[name] for name in ("mode", "limit", "portals")} | {
        "timezone": doc("The zone in which days begin, such as Europe/Moscow.", SENTENCE)
    }


def _calendar() -> dict[str, object]:
    holiday = {"anyOf": [INSTANT, table({"from": INSTANT, "to": INSTANT})]}
    described: dict[str, Schema] = {
        "timezone": doc("The zone of its hours.", SENTENCE),
        "days": doc("The days on which it opens.", list_of({"enum": list(DAYS)})),
        "from": doc("When it opens.", TIME),
        "to": doc("When it closes.", TIME),
        "holidays": doc("Days on which it does not open.", list_of(holiday, least=0)),
    }
    return _table(CALENDAR_KEYS, described, minProperties=1)


def _rule() -> dict[str, object]:
    """Return the schema of a rule: kill and terminate need `when`, and `leave` has no mode.

    Those that act name a template, or say that they mean every one.
    """
    guards = {"properties": {"then": {"const": Action.LEAVE.value}}}
    acting = ("mode", "limit", *RESTRAINT_KEYS, *TELLING_KEYS)
    return _table(
        RULE_KEYS,
        _rule_keys(),
        required=("id", "then"),
        **{
            "title": "rule",
            "if": guards,
            "then": {"not": {"anyOf": [{"required": [name]} for name in acting]}},
            "else": {"required": ["when"]},
            "allOf": [_of_every_template()],
        },
    )


def _of_every_template() -> dict[str, object]:
    acts = {"properties": {"then": {"enum": [str(one) for one in KILLING]}}}
    named = [
        {"properties": {name: ref("names_a_template")}, "required": [name]}
        for name in ("if", "unless")
    ]
    said = "This acts on workflows of every template: test workflow.template_id, or write"
    return {
        "if": {"required": ["then"], **acts, "not": {"anyOf": named}},
        "then": {
            "required": ["every_template"],
            "properties": {"every_template": {"const": True}},
            "errorMessage": f"{said} every_template: true.",
        },
    }


def _rule_keys() -> dict[str, Schema]:
    return {
        "id": doc("Its name, which stays: a-z, 0-9 and -.", {**TEXT, "pattern": "^[a-z0-9-]+$"}),
        "because": doc("A sentence for the log and the people affected.", SENTENCE),
        "mode": doc("Whether it acts.", choice(_MODES)),
        "when": doc("What sets it off.", list_of({"anyOf": [*_event(), *_schedules()]})),
        "if": doc("All of these tests must hold.", ref("tests")),
        "unless": doc("None of these tests may hold.", ref("tests")),
        "every_template": doc(
            "true is required of a rule that kills or terminates and tests no template.",
            {"type": "boolean"},
        ),
        "during": doc("The calendar in whose hours it acts.", TEXT),
        "wait": doc("How long it waits before it acts: all must still hold then.", DURATION),
        "then": doc("What becomes of each workflow for which all holds.", choice(_ACTIONS)),
        "keep": doc("Spare this one of each group, or so many: {newest: 3}.", _keep()),
        "per": doc("What makes a group for `keep`.", list_of(_group())),
        **{key: doc(text, list_of(choice(AUDIENCES))) for key, text in TELLING_KEYS.items()},
        "limit": doc("How much it may do before it stops by itself; 0 is none.", _limit()),
        "sweep": doc("Whether the regular sweep reads it too.", {"type": "boolean"}),
        "portals": doc("The portals it is for.", list_of({**TEXT, "pattern": "^[a-z0-9_]+$"})),
        "disabled": doc("Why it is switched off.", SENTENCE),
        "expires": doc("The last day on which it acts.", {**INSTANT, "pattern": f"^{DAY}$"}),
    }


def _keep() -> dict[str, object]:
    number = {"type": "integer", "minimum": 1, "maximum": MOST_KEPT}
    some = {"1": "one of each group", "3": "three of each group"}
    written = {"type": "string", "pattern": "^[1-9][0-9]{0,2}$"}
    count = {"anyOf": [offered(number, some), written]}
    which = {name: doc(f"How many of the {name} to spare.", count) for name in WHICH}
    plain = words({name: f"The {name} of each group is spared." for name in WHICH})
    return {"anyOf": [*plain, table(which, minProperties=1, **{"not": {"minProperties": 2}})]}


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
    kinds, link = "|".join([*registry.KINDS, ITEM]), r"(?:\.(?:company|contact))?"
    of_portals = f"^(?:{kinds}){link}\\.(?:uf|parent_id)_[a-z0-9_]+$"
    items = f"^(?:{ITEM}|{LIST})(?:\\.[a-z0-9_]+){{1,2}}$"
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
        "per_hour": doc(
            "How many stops it may begin in an hour.",
            offered(number, {"30": "as where nothing is said", "100": "for many documents"}),
        ),
        "per_document": doc(
            "How many any rules may begin on one document in a day.",
            offered(number, {"5": "as where nothing is said", "1": "once a day"}),
        ),
        "per_run": doc(
            "How many one sweep or scheduled run may begin.",
            offered(number, {"25": "a few", "400": "for a clean-up"}),
        ),
        "percent_of_running": doc(
            "What part of all running workflows one sweep or scheduled run may stop.",
            offered({**number, "maximum": 100}, {"20": "a fifth", "50": "a half"}),
        ),
    }
    return _table(LIMITS, described, minProperties=1)


def events() -> dict[str, str]:
    """Return the events of rules with what each means."""
    kinds = {
        kind: said.removesuffix(".").partition(";")[0] for kind, said in registry.KINDS.items()
    }
    kinds["item_147"] = "An item of smart process 147 (put your number)"
    found = {
        f"{kind}.{done}": f"{said} {how}."
        for kind, said in kinds.items()
        for done, how in _DONE.items()
    }
    return {**found, triggers.ROBOT: "A robot of the portal calls."}


def _event() -> list[dict[str, object]]:
    done = "|".join(_DONE)
    return [
        choice(events()),
        {"type": "string", "pattern": f"^{ITEM}\\.(?:{done})$"},
        # The portal's own names, in any case.
        {"type": "string", "pattern": "^[oO][nN][a-zA-Z]+(?:_[0-9]+)?$"},
    ]


def _schedules() -> list[dict[str, object]]:
    zone = doc("The zone of that time.", SENTENCE)
    often = {"15m": "four times an hour", "1h": "every hour", "1d": "once a day"}
    every = doc("How long from one run to the next.", offered(DURATION, often))
    daily = {"daily_at": doc("The time of day.", TIME), "timezone": zone}
    return [
        table({"every": every}, required=("every",), title="again and again"),
        table(daily, required=("daily_at",), title="at a time of day"),
    ]
