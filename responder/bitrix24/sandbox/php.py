"""Converts values as PHP does, as far as a caller of the portal can see it."""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, urlencode

_NAME = re.compile(r"([^\[]+)((?:\[[^\]]*\])*)")
_INTEGER = re.compile(r"\s*([+-]?\d{1,18})")


def nest(form: str) -> dict[str, object]:
    """Parse `a[b][0]=v` as PHP does: the last duplicate wins, `[]` appends, 0..n-1 is a list."""
    tree: dict[str, object] = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        match = _NAME.match(name)
        if match:
            _put(tree, [match[1], *re.findall(r"\[([^\]]*)\]", match[2])], value)
    return {name: _with_lists(value) for name, value in tree.items()}


def build(tree: Mapping[str, object]) -> str:
    """Build a form as `http_build_query` does: null and empty arrays vanish, true is 1."""
    return urlencode(list(_pairs("", tree)))


def _pairs(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict | list):
        for key, inner in mapping(value).items():
            yield from _pairs(f"{name}[{key}]" if name else key, inner)
    elif value is not None:
        yield name, "0" if value is False else text(value)


def _put(tree: dict[str, object], path: list[str], value: str) -> None:
    for key in path[:-1]:
        branch = tree.setdefault(_key_for(tree, key), {})
        if not isinstance(branch, dict):
            branch = tree[key] = {}
        tree = branch
    tree[_key_for(tree, path[-1])] = value


def _key_for(tree: Mapping[str, object], key: str) -> str:
    if key:
        return key
    return str(max((int(name) for name in tree if name.isdecimal()), default=-1) + 1)


def _with_lists(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return array({name: _with_lists(inner) for name, inner in value.items()})


def array(mapping: Mapping[str, object]) -> object:
    """Return a PHP array as JSON has it: `[]` if empty, a list for keys 0..n-1, else an object."""
    if list(mapping) == [str(number) for number in range(len(mapping))]:
        return list(mapping.values())
    return dict(mapping)


def is_empty(value: object) -> bool:
    """Return what PHP's `empty` returns."""
    return value in (None, "", "0", 0, False) or value == [] or value == {}


def integer(value: object) -> int:
    """Convert as `intval` does: the leading digits, else 0."""
    if isinstance(value, bool | int | float):
        return int(value)
    match = _INTEGER.match(value) if isinstance(value, str) else None
    return int(match[1]) if match else 0


def text(value: object) -> str:
    """Convert as a string cast does."""
    if value is None or value is False:
        return ""
    if isinstance(value, list | dict):
        return "Array"
    return "1" if value is True else str(value)


def mapping(value: object) -> dict[str, object]:
    """Return a parameter as an associative array; anything else is an empty one."""
    if isinstance(value, list):
        return {str(number): inner for number, inner in enumerate(value)}
    return value if isinstance(value, dict) else {}


def texts(value: object) -> list[str]:
    """Return a parameter as a list of strings; a single value is a list of one."""
    if value is None:
        return []
    inner = mapping(value).values() if isinstance(value, dict | list) else [value]
    return [text(one) for one in inner]
