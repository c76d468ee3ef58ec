"""Lists all running workflows, packed: a large portal has tens of thousands."""

from responder.bitrix24.instances import INSTANCE_FIELDS, id_of_whole_row, instances
from responder.bitrix24.listing import Row
from responder.bitrix24.shifting import PAGE as PAGE
from responder.bitrix24.shifting import PAGES_ON_TRUST as PAGES_ON_TRUST
from responder.bitrix24.shifting import ShiftingList

Compact = tuple[object, ...]

_ABSENT = object()
_TRIPLE = slice(INSTANCE_FIELDS.index("MODULE_ID"), INSTANCE_FIELDS.index("DOCUMENT_ID") + 1)
_COMMON = [
    INSTANCE_FIELDS.index(name)
    for name in ("MODULE_ID", "ENTITY", "DOCUMENT_ID", "STARTED_BY", "TEMPLATE_ID")
]


def triple(compact: Compact) -> Compact:
    """Return what a packed row says of its document: module, entity, id."""
    return compact[_TRIPLE]


def unpacked(compact: Compact) -> dict[str, object]:
    """Return a row by the names of its fields; what the portal did not send is not there."""
    fields = zip(INSTANCE_FIELDS, compact, strict=True)
    return {name: value for name, value in fields if value is not _ABSENT}


class Everything(ShiftingList[Compact]):
    """All running workflows by id."""

    def __init__(self) -> None:
        self._shared: dict[str, str] = {}
        super().__init__(instances({}), id_of=id_of_whole_row, pack=self._packed)

    def _packed(self, row: Row) -> Compact:
        """Pack a row; a text that many rows have in common (who, which template) is kept once."""
        packed = [row.get(name, _ABSENT) for name in INSTANCE_FIELDS]
        for place in _COMMON:
            text = packed[place]
            if isinstance(text, str):
                packed[place] = self._shared.setdefault(text, text)
        return tuple(packed)
