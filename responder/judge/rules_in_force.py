"""Keeps the rules in force: reads their file all or nothing, and again whenever it changes.

Theory of operation. The file is read once a second and compared with what was read last. That finds
every way in which a file is replaced (saved in place, renamed over, checked out by git, a symbolic
link swapped below it, on any file system), where watching for events finds some of them. A file
that is being written may be cut off anywhere and still be valid, with fewer exceptions or rules: so
a new text comes into force once two reads a second apart found the very same, or at once when
somebody who knows that it is complete asks for it (SIGHUP). At start the file is read until it has
not changed for a second. A broken file never replaces a good one: the running revision stays in
force, and the log, `/readyz` and the metrics give the first mistake until the file is mended.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

import structlog

from responder.rules.ruleset import IsKnown, RulesError, Ruleset, load
from responder.settings.settings import Settings
from responder.store import rulesets

RELOAD_SECONDS = 1.0

log = structlog.get_logger()


def wait_until_unchanged(path: Path, seconds: float = RELOAD_SECONDS) -> None:
    """Wait until a file has not changed for `seconds`. Do not wait for one that cannot be read."""
    before = b""
    while (now := _state(path)) is not None and now[1] != before and not _is_old(now, seconds):
        before = now[1]
        time.sleep(seconds)


def _state(path: Path) -> tuple[float, bytes] | None:
    try:
        return path.stat().st_mtime, sha256(path.read_bytes()).digest()
    except OSError:
        return None


def _is_old(state: tuple[float, bytes], seconds: float) -> bool:
    """Return whether a file's time is so many seconds ago; never if it is in the future."""
    return time.time() - state[0] >= seconds


class RulesInForce:
    """The ruleset that decides now, since when, and the first mistake of a broken file."""

    def __init__(
        self,
        path: Path,
        *,
        portals: Collection[str],
        now: Callable[[], datetime],
        is_known: IsKnown | None = None,
    ) -> None:
        """Read the file. Raise RulesError with every mistake, or OSError.

        `is_known` returns whether the log holds a revision, which is then loaded although
        something in it has become an error since.
        """
        self.path = path
        self.error: str | None = None
        self._portals = portals
        self._now = now
        self._is_known = is_known
        self._asked = asyncio.Event()
        data = path.read_bytes()
        self._seen = self._found = sha256(data).digest()
        self.ruleset: Ruleset = self._load(data)
        self.since = now()

    @classmethod
    def of(cls, settings: Settings, now: Callable[[], datetime]) -> "RulesInForce":
        """Read the rules of the settings, whose log says which texts were in force before."""
        is_known = rulesets.knower_at(settings.database_url.get_secret_value())
        return cls(settings.rules, portals=settings.portals, now=now, is_known=is_known)

    def _load(self, data: bytes) -> Ruleset:
        ruleset = load(data, file=str(self.path), portals=self._portals, is_known=self._is_known)
        for mistake in ruleset.warnings:
            if mistake.is_new:
                log.warning("this is an error in a new rules file; mend it", mistake=str(mistake))
        return ruleset

    def reload(self, *, at_once: bool = False) -> None:
        """Load the file if it has changed; on a mistake keep the running revision.

        The file must be as the last read found it, a second ago, unless it is wanted `at_once`.
        """
        try:
            data = self.path.read_bytes()
        except OSError as error:
            self._found = b""
            self._refuse(b"", f"{self.path}: {error.strerror}")
            return
        digest = sha256(data).digest()
        is_still, self._found = digest == self._found, digest
        if digest == self._seen or not (is_still or at_once):
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

    def reload_now(self) -> None:
        """Ask `watch` to load the file at once."""
        self._asked.set()

    async def watch(self) -> None:
        """Reload the file for ever, once a second and when asked to."""
        while True:
            try:
                async with asyncio.timeout(RELOAD_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                pass
            asked = self._asked.is_set()
            self._asked.clear()
            await asyncio.to_thread(partial(self.reload, at_once=asked))

    def _refuse(self, digest: bytes, why: str, mistakes: int = 1) -> None:
        """Keep the running revision, and log that once for each broken file."""
        if digest == self._seen and self.error == why:
            return
        self._seen, self.error = digest, why
        log.error(
            "the rules file is broken; the running revision stays in force",
            revision=self.ruleset.revision,
            first=why,
            mistakes=mistakes,
        )
