"""Prints the whole language as JSON Schema: that of the rules, and that of their tests."""

import json
from collections.abc import Mapping
from typing import get_args

from responder.authoring.cases.cases import CASE_KEYS
from responder.authoring.expectations import NONE, WORDS
from responder.model import Trigger
from responder.rules.load import schema
from responder.rules.load.schema import Schema

_WORD: Schema = {
    "anyOf": [{"const": word, "description": meaning} for word, meaning in WORDS.items()]
}
_ONE: Schema = {
    "anyOf": [
        _WORD,
        schema.table(
            {
                word: {"type": ["string", "number"], "description": meaning}
                for word, meaning in WORDS.items()
                if word != NONE
            },
            minProperties=1,
            maxProperties=1,
        ),
    ]
}
_TEXT: Schema = {"type": ["string", "number", "boolean"]}
_SHAPES: Mapping[str, Schema] = {
    "name": _TEXT,
    "event": {
        "anyOf": [
            {"enum": [name for name in get_args(Trigger) if name != "event"]},
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}},
        ]
    },
    "at": {"type": "string"},
    "portal": _TEXT,
    "document": {"type": "string", "examples": ["deal:759"]},
    "facts": {"type": "object"},
    "unknown": {"type": "array", "items": {"type": "string"}},
    "workflows": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"id": {"type": ["string", "number"]}},
        },
    },
    "expect": {
        "anyOf": [
            {"const": NONE},
            {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [_ONE, {"type": "array", "items": _ONE, "minItems": 1}]
                },
            },
        ]
    },
}


def render() -> str:
    """Return the schema of a rules file as JSON."""
    described = {name: {"description": text, **_SHAPES[name]} for name, text in CASE_KEYS.items()}
    tests = schema.table(described, required=("event",))
    return json.dumps(schema.schema(tests), ensure_ascii=False, indent=1) + "\n"
