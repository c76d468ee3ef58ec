"""Does once what many ask for at the same moment, so that no crowd of strangers makes it dear."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    """Gives all who ask before `ask` begins its one answer; then it rests before it begins again.

    So nobody is given an answer that is older than the question.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], rest_seconds: float) -> None:
        self._ask = ask
        self._rest_seconds = rest_seconds
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[T] | None = None
        self._rested_at = 0.0

    async def answer(self) -> T:
        """Wait for the next answer."""
        if self._next is None:
            self._next = asyncio.create_task(self._once())
            self._next.add_done_callback(_noted)
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


def _noted(done: asyncio.Task[T]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not done.cancelled():
        done.exception()
