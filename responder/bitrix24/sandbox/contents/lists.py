"""Holds lists and their elements, processes of the news feed among them.

A value of a property is answered as a map from the value's own id to its text, dates in the
portal's format, and what is empty is not there at all.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

ListType = Literal["lists", "bitrix_processes", "lists_socnet"]
DATE, TIME = "%m/%d/%Y", "%m/%d/%Y %I:%M:%S %p"
_FIRST_VALUE = 3747


@dataclass(slots=True, kw_only=True)
class Element:
    """An element; `properties` are by field (`PROPERTY_1151`), each value under its own id."""

    id: int
    name: str
    created_by: int = 1
    code: str = ""
    published: bool = True
    properties: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class ListField:
    """A field of a list; `choices` are the texts of an enumeration, or of what it may link to."""

    field_id: str
    name: str
    type: str
    multiple: bool = False
    choices: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class ListBlock:
    """A list. Who may not read it is not told of it; who may not edit it sees no unpublished."""

    id: int
    type: ListType
    name: str
    group_id: int = 0
    readable: bool = True
    editable: bool = True
    fields: dict[str, ListField] = field(default_factory=dict)
    elements: dict[int, Element] = field(default_factory=dict)


class Lists:
    """The lists of a portal; `date_format` and `time_format` are its own."""

    def __init__(self) -> None:
        self.blocks: dict[int, ListBlock] = {}
        self.on_plan = True
        self.date_format = DATE
        self.time_format = TIME
        self._values = itertools.count(_FIRST_VALUE)

    def add(
        self,
        iblock_id: int,
        name: str,
        type: ListType = "lists",  # noqa: A002 - the word of the portal
        *,
        group_id: int = 0,
    ) -> ListBlock:
        """Add a list, which has the field NAME."""
        block = ListBlock(id=iblock_id, type=type, name=name, group_id=group_id)
        block.fields["NAME"] = ListField(field_id="NAME", name="Name", type="NAME")
        self.blocks[iblock_id] = block
        return block

    def add_field(
        self,
        iblock_id: int,
        field_id: str,
        name: str,
        type: str = "S",  # noqa: A002 - the word of the portal
        *,
        multiple: bool = False,
        choices: Mapping[str, str] | None = None,
    ) -> None:
        """Add a field to a list: `PROPERTY_1151`, or one of the portal's own (`DATE_CREATE`)."""
        self._block(iblock_id).fields[field_id] = ListField(
            field_id=field_id,
            name=name,
            type=type,
            multiple=multiple,
            choices=dict(choices or {}),
        )

    def add_element(
        self,
        iblock_id: int,
        element_id: int,
        /,
        name: str,
        *,
        created_by: int = 1,
        published: bool = True,
        **properties: object,
    ) -> None:
        """Add or replace an element; several values of a property as a list, dates as such."""
        values = {
            field_id: {str(next(self._values)): self._text(one) for one in _values(value)}
            for field_id, value in properties.items()
        }
        self._block(iblock_id).elements[element_id] = Element(
            id=element_id,
            name=name,
            created_by=created_by,
            published=published,
            properties={field_id: texts for field_id, texts in values.items() if texts},
        )

    def _block(self, iblock_id: int) -> ListBlock:
        if iblock_id not in self.blocks:
            raise LookupError(f"there is no list {iblock_id}")
        return self.blocks[iblock_id]

    def _text(self, value: object) -> str:
        if isinstance(value, datetime):
            return value.strftime(self.time_format).lower()
        return value.strftime(self.date_format) if isinstance(value, date) else str(value)


def _values(value: object) -> Iterable[object]:
    return [one for one in (value if isinstance(value, list) else [value]) if one not in (None, "")]
