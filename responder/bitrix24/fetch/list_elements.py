"""Reads elements of lists and of news-feed processes: leave requests, payment requests.

Which list an element is of is not in its workflow's document; it is in the document type of the
workflow's template, `iblock_23` (`templates`). Elements come by lists.element.get, with each
property as a map from the value's own id to the value, with dates in the portal's own format, and
without what is empty. So the list's fields are read beside them: they say which properties there
are and which of them are dates. A date whose format leaves two readings is unknown.
https://apidocs.bitrix24.com/api-reference/lists/elements/lists-element-get.html
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Answer, Command, Failure, explain, uncertain
from responder.bitrix24.fetch.items import ItemRead
from responder.bitrix24.lists.paged import unless_rejected
from responder.model import ABSENT, Document, Unknown
from responder.rules.facts import links

TYPES = {documents.FEED: "bitrix_processes", documents.LIST: "lists"}

_PROPERTY = "property_"
_DATE_TYPES = frozenset({"S:Date", "S:DateTime", "DATE_CREATE", "TIMESTAMP_X"})
_OWN_DATES = frozenset({"date_create", "timestamp_x"})
_DATE = re.compile(
    r"(?:(?P<y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})"
    r"|(?P<dd>[0-9]{2})\.(?P<dm>[0-9]{2})\.(?P<dy>[0-9]{4})"
    r"|(?P<s1>[0-9]{1,2})/(?P<s2>[0-9]{1,2})/(?P<sy>[0-9]{4}))"
    r"(?: (?P<time>[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)(?: ?(?P<half>am|pm))?)?",
    re.IGNORECASE,
)


def item_read(document: Document, paths: frozenset[str]) -> ItemRead | None:
    """Return the read that these facts of a document need; None where they need or have none."""
    iblock = documents.iblock_of(document.kind)
    if iblock is None:
        return ItemRead.of(document, paths)
    names = links.own_fields(paths, document.kind)
    if not names and "document.exists" not in paths:
        return None
    return ElementRead(document, names)


def elements_of_ids(some: Sequence[Document]) -> Command:
    """Return the command for elements of one list."""
    ids = [one.item_id for one in some]
    found = {"FILTER": {"=ID": ids}, "ELEMENT_ORDER": {"ID": "ASC"}}
    return Command("lists.element.get", {**list_params(some[0]), **found})


def fields_of(document: Document) -> Command:
    """Return the command for the fields of the list that an element is of."""
    return Command("lists.field.get", list_params(document))


def list_params(document: Document) -> dict[str, object]:
    """Return the parameters that name the list of an element."""
    return {
        "IBLOCK_TYPE_ID": TYPES[document.entity],
        "IBLOCK_ID": documents.iblock_of(document.kind),
    }


class ElementRead(ItemRead):
    """The read of one element, as `ItemRead` is of an item: its row, and the list's fields."""

    def __init__(self, document: Document, names: Sequence[str]) -> None:
        super().__init__(document, elements_of_ids([document]), "element", names)
        self._types: Mapping[str, str] | Unknown = Unknown("the list's fields were not read")

    def next_commands(self) -> list[Command]:
        """Return both commands, until they are answered."""
        commands = super().next_commands()
        return [*commands, fields_of(self.document)] if commands else []

    def accept(self, answers: Sequence[Answer]) -> None:
        """Accept both answers."""
        element, described = answers
        self._types, failure = types_in(described)
        super().accept([_as_item(element, self.document)])
        self._failure = self._failure or failure

    def value(self, name: str) -> object:
        """Return a field's value: its dates as ISO 8601, None where a property is empty."""
        found = super().value(name)
        if not name.startswith(_PROPERTY):
            return _as_date(found) if name in _OWN_DATES and isinstance(found, str) else found
        if self._fields is None or isinstance(self._types, Unknown):
            return found if self._fields is None else self._types
        type_ = self._types.get(name)
        if found is ABSENT:  # so it is with what is empty, and with what the list does not have
            return ABSENT if type_ is None else None
        return _values_of(found, is_date=type_ in _DATE_TYPES)

    def _is_mine(self, item: Mapping[str, object]) -> bool:
        return str(item.get("id")) == self.document.item_id


def types_in(answer: Answer) -> tuple[Mapping[str, str] | Unknown, Failure | None]:
    """Return the types of a list's fields by their names in rules, and what kept them unread."""
    if answer.failure is not None:
        return Unknown(explain(answer.failure)), unless_rejected(answer.failure)
    if not isinstance(answer.value, dict):
        return Unknown("the answer does not describe the list's fields"), None
    rows = answer.value.items()
    return {str(n).lower(): str(row.get("TYPE")) for n, row in rows if isinstance(row, dict)}, None


def row_of(document: Document, value: object) -> Mapping[str, object] | None:
    """Return an element's row in an answer, by names in rules; None where it is not there."""
    iblock = documents.iblock_of(document.kind)
    for row in value if isinstance(value, list) else ():
        named = (row.get("ID"), row.get("IBLOCK_ID", iblock)) if isinstance(row, dict) else ()
        if tuple(map(str, named)) == (document.item_id, str(iblock)):
            return {str(name).lower(): field for name, field in row.items()}
    return None


def _as_item(answer: Answer, document: Document) -> Answer:
    """Return an answer of lists.element.get as a get of an item would have been answered."""
    if answer.failure is not None:
        return answer
    if not isinstance(answer.value, list):
        return Answer(failure=uncertain("wrong_type", "the answer is no list of elements"))
    row = row_of(document, answer.value)
    return Answer(value={} if row is None else {"element": dict(row)})


def _values_of(found: object, *, is_date: bool) -> object:
    """Return the value of a property, or all of them where it has several."""
    values = list(found.values()) if isinstance(found, dict) else found
    several = values if isinstance(values, list) else [values]
    if is_date:
        several = [_as_date(one) for one in several]
    unread = next((one for one in several if isinstance(one, Unknown)), None)
    if unread is not None:
        return unread
    return several[0] if len(several) == 1 else several


def _as_date(value: object) -> object:
    """Return a date of the portal's own format as ISO 8601; an empty one as it is."""
    if value in (None, ""):
        return value
    found = _DATE.fullmatch(value.strip()) if isinstance(value, str) else None
    days = set() if found is None else set(_days(found))
    try:
        (day,) = {datetime(*one) for one in days if _is_day(*one)}  # noqa: DTZ001  # a day
    except ValueError:
        return Unknown(f"`{str(value)[:40]}` is no date that can be read in one way only")
    assert found is not None
    if found["time"] is None:
        return f"{day:%Y-%m-%d}"
    time = _time(found["time"], found["half"])
    return time if isinstance(time, Unknown) else f"{day:%Y-%m-%d}T{time}"


def _days(found: re.Match[str]) -> list[tuple[int, int, int]]:
    """Return the days that a date may mean: with slashes, the month may stand first or second."""
    if found["y"] is not None:
        return [(int(found["y"]), int(found["m"]), int(found["d"]))]
    if found["dy"] is not None:
        return [(int(found["dy"]), int(found["dm"]), int(found["dd"]))]
    year, one, two = int(found["sy"]), int(found["s1"]), int(found["s2"])
    return [(year, one, two), (year, two, one)]


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        return bool(datetime(year, month, day))  # noqa: DTZ001  # a day
    except ValueError:
        return False


def _time(written: str, half: str | None) -> str | Unknown:
    hours, minutes, seconds = (*map(int, written.split(":")), 0)[:3]
    if half is not None and 1 <= hours <= 12:
        hours = hours % 12 + (12 if half.lower() == "pm" else 0)
    elif half is not None:
        hours = 24
    if hours > 23 or minutes > 59 or seconds > 59:
        return Unknown(f"`{written}` is no time of day")
    return f"{hours:02}:{minutes:02}:{seconds:02}"
