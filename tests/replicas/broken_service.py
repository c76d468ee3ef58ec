"""The real service with one part broken on purpose: `broken_service.py PART`."""

import asyncio
import sys
from collections.abc import Callable, Collection, Sequence

from sqlalchemy import Connection

from responder.bitrix24.client import client
from responder.bitrix24.client.answers import STOPPING, Answer, Command, FailureKind
from responder.service import app
from responder.service.replicas import election
from responder.settings.settings import load
from responder.store import client_state
from responder.store import leases as lease_rows
from responder.store.leases import Lease


def put(where: object, name: str, broken: Callable[..., object]) -> None:
    """Put a broken part in the place of a sound one."""
    if not hasattr(where, name):
        raise LookupError(f"there is no {name} any more")
    setattr(where, name, broken)


def no_fencing() -> None:
    """Believe that a lease is still held, whatever is found: neither its number nor its end counts.

    It is renewed as it should be, so that nobody takes it over before this process is stopped.
    """
    really = lease_rows.renew

    def renew(tx: Connection, held: Collection[Lease], holder: str, ttl: float) -> set[str]:
        really(tx, held, holder, ttl)
        return {lease.portal for lease in held}

    put(lease_rows, "check", lambda _tx, _lease: None)
    put(lease_rows, "renew", renew)
    put(election.Leases, "holds", lambda _self, _grant: True)


def no_look_after_a_lost_answer() -> None:
    """Send a kill whose answer was lost once more, blindly."""
    really = client.Client.send

    async def send(
        self: client.Client, commands: Sequence[Command], *, unless: client.Unless | None = None
    ) -> list[Answer]:
        answers = await really(self, commands, unless=unless)
        stops = all(command.method in STOPPING for command in commands)
        if stops and any(_is_lost(answer) for answer in answers):
            return await really(self, commands, unless=unless)
        return answers

    put(client.Client, "send", send)


def _is_lost(answer: Answer) -> bool:
    return answer.failure is not None and answer.failure.kind is FailureKind.UNCERTAIN


def no_shared_bucket() -> None:
    """Begin with an empty bucket, whatever the last driver left."""
    put(client_state, "bucket", lambda _conn, _portal: None)


PARTS: dict[str, Callable[[], None]] = {
    "fencing": no_fencing,
    "look": no_look_after_a_lost_answer,
    "bucket": no_shared_bucket,
}


if __name__ == "__main__":
    PARTS[sys.argv[1]]()
    asyncio.run(app.serve(load()))
