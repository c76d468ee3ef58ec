"""The rules in force: read from their file all or nothing, and again whenever it changes.

Theory of operation. The file is read once a second and compared with what was read last. That finds
every way in which a file is replaced (saved in place, renamed over, checked out by git, a symbolic
link swapped below it, on any file system), where watching for events finds some of them. A broken
file never replaces a good one: the running revision stays in force, and the first mistake is told
in the log, in `/readyz` and in the metrics until the file is mended.
"""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import structlog

from responder.rules.ruleset import RulesError, Ruleset, load

LOOK_SECONDS = 1.0

log = structlog.get_logger()


class RulesInForce:
    """The ruleset that decides now, since when, and what is wrong with the file if it is broken."""

    def __init__(
        self, path: Path, *, portals: Collection[str], now: Callable[[], datetime]
    ) -> None:
        """Read the file. Raise RulesError with every mistake, or OSError."""
        self.path = path
        self.error: str | None = None
        self._portals = portals
        self._now = now
        self._asked = asyncio.Event()
        data = path.read_bytes()
        self._seen = sha256(data).digest()
        self.ruleset: Ruleset = self._load(data)
        self.since = now()

    def _load(self, data: bytes) -> Ruleset:
        return load(data, file=str(self.path), portals=self._portals)

    def look(self) -> None:
        """Take up the file if it has changed; on a mistake keep the running revision."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            self._refuse(b"", f"{self.path}: {error.strerror}")
            return
        digest = sha256(data).digest()
        if digest == self._seen:
            return
        try:
            ruleset = self._load(data)
        except RulesError as error:
            first = error.mistakes[0]
            where = f"{first.file}:{first.line}:{first.column}"
            self._refuse(digest, f"{where} {first.message}", len(error.mistakes))
            return
        self._seen, self.error = digest, None
        if ruleset.revision != self.ruleset.revision:
            self.ruleset, self.since = ruleset, self._now()
        log.info("rules taken up", revision=ruleset.revision, rules=len(ruleset.rules))

    def look_now(self) -> None:
        """Have the file looked at at once."""
        self._asked.set()

    async def watch(self) -> None:
        """Look at the file for ever, once a second and when asked to."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                pass
            self._asked.clear()
            await asyncio.to_thread(self.look)

    def _refuse(self, digest: bytes, why: str, mistakes: int = 1) -> None:
        """Keep the running revision, and say so once for each broken file."""
        if digest == self._seen and self.error == why:
            return
        self._seen, self.error = digest, why
        log.error(
            "the rules file is broken; the running revision stays in force",
            revision=self.ruleset.revision,
            first=why,
            mistakes=mistakes,
        )
