"""Shares one answer among all who ask for it at the same moment, so that a crowd costs no more."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedAnswer(Generic[T]):
    """The answer of `ask`, given to all who asked before `ask` began; after it, `ask` rests.

    So nobody gets an answer that is older than their question.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], rest_seconds: float) -> None:
        self._ask = ask
        self._rest_seconds = rest_seconds
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[T] | None = None
        self._rested_at = 0.0

    async def answer(self) -> T:
        """Return the next answer."""
        if self._next is None:
            self._next = asyncio.create_task(self._once())
            self._next.add_done_callback(_retrieve_error)
        return await asyncio.shield(self._next)

    async def _once(self) -> T:
        loop = asyncio.get_running_loop()
        async with self._turn:
            await asyncio.sleep(max(0.0, self._rested_at - loop.time()))
            self._next = None
            try:
                return await self._ask()
            finally:
                self._rested_at = loop.time() + self._rest_seconds


def _retrieve_error(done: asyncio.Task[T]) -> None:
    """Retrieve an error that nobody waits for any more, else asyncio warns of it."""
    if not done.cancelled():
        done.exception()
