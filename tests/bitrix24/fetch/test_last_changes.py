"""When documents changed last, read from a portal over a socket."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest

from responder.bitrix24.client.answers import Answer, Command
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.fetch.last_changes import last_changed
from responder.bitrix24.sandbox import Sandbox, SandboxServer

pytestmark = pytest.mark.portal


def asked(sandbox: Sandbox, *kinds: str) -> datetime | None:
    async def run(url: str) -> datetime | None:
        portal = Portal("main", url)

        async def send(commands: Sequence[Command]) -> list[Answer]:
            return [await portal.call(command) for command in commands]

        try:
            return await last_changed(send, kinds)
        finally:
            await portal.close()

    with SandboxServer(sandbox) as server:
        return asyncio.run(run(server.url))


def test_the_newest_change_of_any_kind_counts() -> None:
    sandbox = Sandbox()
    sandbox.add_item(2, 1, updatedTime="2026-09-24T12:00:00+03:00")
    sandbox.add_item(2, 2, updatedTime="2026-09-24T13:00:00+03:00")
    sandbox.add_item(1, 3, updatedTime="2026-09-24T12:30:00+03:00")
    assert asked(sandbox, "deal", "lead") == datetime.fromisoformat("2026-09-24T13:00:00+03:00")


def test_nobody_can_tell_of_what_is_not_there_or_not_of_the_crm() -> None:
    assert asked(Sandbox(), "deal") is None
    assert asked(Sandbox(), "task", "*") is None


def test_a_refusal_tells_nothing() -> None:
    sandbox = Sandbox()
    sandbox.add_item(2, 1, updatedTime="2026-09-24T12:00:00+03:00")
    sandbox.fail_next("crm.item.list", "500")
    assert asked(sandbox, "deal") is None
