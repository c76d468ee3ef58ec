"""Reads when documents changed last, so that a webhook that has fallen silent is noticed."""

from collections.abc import Iterable
from datetime import datetime

from responder.bitrix24.client.answers import Command
from responder.bitrix24.documents import entity_type_id
from responder.bitrix24.lists.paged import Send


def newest_items(type_id: int) -> Command:
    """Return the command for the items of a type, the one that changed last first."""
    return Command(
        "crm.item.list",
        {
            "entityTypeId": type_id,
            "select": ["id", "updatedTime"],
            "order": {"updatedTime": "DESC"},
        },
    )


async def last_changed(send: Send, kinds: Iterable[str]) -> datetime | None:
    """Return when a document of these kinds changed last; None where that cannot be read."""
    types = {number for kind in kinds if (number := entity_type_id(kind)) is not None}
    commands = [newest_items(number) for number in sorted(types)]
    if not commands:
        return None
    answers = await send(commands)
    return max((at for answer in answers if (at := _first(answer.value))), default=None)


def _first(value: object) -> datetime | None:
    """Read the instant in the first row of `{"items": [...]}`."""
    items = value.get("items") if isinstance(value, dict) else None
    if not isinstance(items, list) or not items or not isinstance(items[0], dict):
        return None
    try:
        at = datetime.fromisoformat(str(items[0].get("updatedTime")))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
