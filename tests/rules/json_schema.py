"""Checks a value against a JSON Schema: as much of 2020-12 as the language's own schema uses."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_TYPES: Mapping[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
}
_OF_EDITORS = {"defaultSnippets", "enumDescriptions", "errorMessage", "doNotSuggest"}
ANNOTATIONS = frozenset({"$schema", "$defs", "title", "description", *_OF_EDITORS})


class Checker:
    """Holds one schema, to which references point."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def accepts(self, value: object) -> bool:
        """Tell whether the schema takes a value."""
        return self._takes(self.schema, value)

    def _takes(self, schema: Schema, value: object) -> bool:
        return all(self._keyword(schema, name, value) for name in schema)

    def _keyword(self, schema: Schema, name: str, value: object) -> bool:
        if name in ANNOTATIONS or name in ("then", "else"):
            return True
        wanted = schema[name]
        if name in _LOGIC:
            return _LOGIC[name](self, schema, value)
        if name in _OBJECTS:
            return not isinstance(value, dict) or _OBJECTS[name](self, schema, value)
        if name in _ARRAYS:
            return not isinstance(value, list) or _ARRAYS[name](self, wanted, value)
        return _SCALARS[name](wanted, value)

    def _pointed_at(self, reference: str) -> Schema:
        found: Any = self.schema
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert isinstance(found, dict)
        return found

    def _branch(self, schema: Schema, value: object) -> bool:
        name = "then" if self._takes(schema["if"], value) else "else"
        return self._takes(schema.get(name, {}), value)

    def _properties(self, schema: Schema, value: dict[str, object]) -> bool:
        return all(
            self._takes(one, inner)
            for key, inner in value.items()
            for one in self._matching(schema, key)
        )

    def _matching(self, schema: Schema, key: str) -> Iterator[Schema]:
        if key in schema.get("properties", {}):
            yield schema["properties"][key]
        for pattern, one in schema.get("patternProperties", {}).items():
            if re.search(pattern, key):
                yield one

    def _additional(self, schema: Schema, value: dict[str, object]) -> bool:
        others = [inner for key, inner in value.items() if not list(self._matching(schema, key))]
        wanted = schema["additionalProperties"]
        if wanted is False:
            return not others
        return all(self._takes(wanted, inner) for inner in others)


_LOGIC: Mapping[str, Callable[[Checker, Schema, object], bool]] = {
    "$ref": lambda c, s, v: c._takes(c._pointed_at(s["$ref"]), v),
    "anyOf": lambda c, s, v: any(c._takes(one, v) for one in s["anyOf"]),
    "allOf": lambda c, s, v: all(c._takes(one, v) for one in s["allOf"]),
    "not": lambda c, s, v: not c._takes(s["not"], v),
    "if": lambda c, s, v: c._branch(s, v),
}
_OBJECTS: Mapping[str, Callable[[Checker, Schema, dict[str, object]], bool]] = {
    "properties": lambda c, s, v: c._properties(s, v),
    "patternProperties": lambda _c, _s, _v: True,  # looked at with `properties`
    "additionalProperties": lambda c, s, v: c._additional(s, v),
    "propertyNames": lambda c, s, v: all(c._takes(s["propertyNames"], key) for key in v),
    "required": lambda _c, s, v: all(key in v for key in s["required"]),
    "minProperties": lambda _c, s, v: len(v) >= s["minProperties"],
    "maxProperties": lambda _c, s, v: len(v) <= s["maxProperties"],
}
_ARRAYS: Mapping[str, Callable[[Checker, Any, list[object]], bool]] = {
    "items": lambda c, wanted, v: all(c._takes(wanted, one) for one in v),
    "contains": lambda c, wanted, v: any(c._takes(wanted, one) for one in v),
    "minItems": lambda _c, wanted, v: len(v) >= wanted,
    "maxItems": lambda _c, wanted, v: len(v) <= wanted,
}
_SCALARS: Mapping[str, Callable[[Any, Any], bool]] = {
    "type": lambda wanted, v: any(
        _TYPES[name](v) for name in (wanted if isinstance(wanted, list) else [wanted])
    ),
    "const": lambda wanted, v: v == wanted and isinstance(v, bool) is isinstance(wanted, bool),
    "enum": lambda wanted, v: any(
        v == one and isinstance(v, bool) is isinstance(one, bool) for one in wanted
    ),
    "pattern": lambda wanted, v: not isinstance(v, str) or re.search(wanted, v) is not None,
    "minLength": lambda wanted, v: not isinstance(v, str) or len(v) >= wanted,
    "minimum": lambda wanted, v: not _TYPES["number"](v) or v >= wanted,
    "maximum": lambda wanted, v: not _TYPES["number"](v) or v <= wanted,
}
