"""Tests of the fields that a portal added, as facts."""

import asyncio
from collections.abc import Sequence

from responder.authoring.own_fields import own_fields
from responder.bitrix24.client.answers import Answer, Command

FIELDS = {
    "id": {"type": "integer", "title": "ID"},
    "UF_CRM_1": {
        "type": "enumeration",
        "title": "Reason",
        "isMultiple": True,
        "items": [{"ID": "45", "VALUE": "Price"}, {"ID": "46", "VALUE": "Time"}],
    },
    "UF_CRM_2": "nothing that makes sense",
}


def test_the_values_of_an_enumeration_are_named_with_their_numbers() -> None:
    async def send(commands: Sequence[Command]) -> list[Answer]:
        return [Answer(value={"fields": FIELDS}) for _ in commands]

    found = asyncio.run(own_fields(send, "deal"))
    assert isinstance(found, tuple)
    assert [(field.name, field.description) for field in found] == [
        ("uf_crm_1", "Reason (enumeration, several values: 45 is Price, 46 is Time).")
    ]
