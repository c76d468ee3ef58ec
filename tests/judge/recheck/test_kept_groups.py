"""The group of a workflow that was spared on another document than the one it spares."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Answer, Command
from responder.bitrix24.fetch.document_facts import Reading
from responder.bitrix24.fetch.templates import Templates
from responder.journal.entries import Spared
from responder.judge.context import Context
from responder.judge.jobs import of_stop
from responder.judge.recheck import kept_groups
from responder.model import Document, Unknown, Workflow
from tests.judge.make import NOW, STOP, a_rule, a_ruleset

KEEPS = a_ruleset(
    a_rule(
        "list_23.property_5: urgent, workflow.template_id: 61",
        when="[{every: 1h}]",
        more="keep: newest\nper: [list_23.property_5]",
    )
)
ROW = {"ID": "kept", "MODULE_ID": "lists", "ENTITY": documents.LIST, "DOCUMENT_ID": "8"}


def element(name: str) -> Document:
    found = documents.parse_ref(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "read_as", ["list_23:8", rf"lists|{documents.LIST}|8", "list_24:8", "deal:8", None]
)
def test_a_kept_workflow_is_in_its_group_under_whichever_name_its_element_was_read(
    read_as: str | None,
) -> None:
    spared = Spared("is not the newest", ("kept",))
    stop = replace(STOP, document=element("list_23:7"), spared=spared)
    readings = {stop.document.ref: Reading({}, (), None)}
    if read_as is not None:
        readings[read_as] = Reading({}, (Workflow(id="kept", facts={}),), None)

    async def send(commands: Sequence[Command]) -> list[Answer]:
        described = {"PROPERTY_5": {"TYPE": "S"}}
        row = {"ID": "8", "IBLOCK_ID": "23", "PROPERTY_5": {"1": "urgent"}}
        return [
            Answer(value=[row], total=1)
            if command.method == "lists.element.get"
            else Answer(value=described)
            for command in commands
        ]

    context = SimpleNamespace(
        now=lambda: NOW, client=SimpleNamespace(send=send), templates=Templates()
    )
    _, groups = asyncio.run(
        kept_groups.groups_now(
            cast(Context, context), [of_stop(stop)], KEEPS, readings, {"kept": ROW}
        )
    )
    ((of, group),) = groups.items()
    assert of == ("the-rule", "kept")
    is_of_another = read_as in ("list_24:8", "deal:8")
    assert isinstance(group, Unknown) if is_of_another else group == ("urgent",)
