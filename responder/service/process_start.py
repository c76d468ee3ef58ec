"""Does what is done once when the process begins: signals, and the first line of the log."""

import asyncio
import signal

import structlog

from responder.judge.rules_in_force import RulesInForce
from responder.settings.settings import Settings
from responder.settings.validators import SHORTEST_URL_KEY
from responder.store.database.database import Database

log = structlog.get_logger()


def set_on_signals(stopped: asyncio.Event) -> None:
    """Set the event when the process is asked to end."""
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)


def log_start(settings: Settings, rules: RulesInForce, database: Database) -> None:
    """Log what is served, and warn of keys that are too short."""
    log.info(
        "started",
        mode=settings.mode.value,
        portals=sorted(settings.portals),
        rules=rules.ruleset.revision,
        database=database.dialect,
        journal_mode=database.journal_mode,
        library=database.library_version,
    )
    for name, portal in settings.portals.items():
        if portal.url_key and len(portal.url_key.get_secret_value()) < SHORTEST_URL_KEY:
            log.warning("a url_key is too short to be safe", portal=name, least=SHORTEST_URL_KEY)
