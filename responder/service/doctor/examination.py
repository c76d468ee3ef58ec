"""Examines an installation: reads what there is to read, and yields the findings of the checks.

It only reads, so it can run beside the service, before that was ever started, or when it cannot
start. Each portal costs two requests, and ten seconds at most when it does not answer; all are
asked at the same time. The requests do not wait for the service's own bucket: a portal's limit has
room for two.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from responder.bitrix24.client.addresses import Address, ApplicationAddress
from responder.bitrix24.client.answers import Command, Failure, FailureKind
from responder.bitrix24.client.rest import Portal
from responder.model import Breaker
from responder.receive.server import uvicorn_parts
from responder.rules.ruleset import RulesError, Ruleset, load
from responder.service.application import stored_address
from responder.service.application.stored_address import NoAddress
from responder.service.doctor import (
    application_checks,
    checks,
    portal_checks,
    refusal_checks,
)
from responder.service.doctor.checks import Finding
from responder.service.doctor.portal_checks import Needs
from responder.settings.settings import PortalSettings, Settings
from responder.store import client_state, limits, rulesets
from responder.store.applications import held_messages, report
from responder.store.applications.held_messages import Held
from responder.store.database import durability
from responder.store.database.database import Connection, Database
from responder.store.database.engines import DatabaseError
from responder.store.inbox import inbox, refusals
from responder.store.inbox.refusals import Refused
from responder.store.limits import Trip

PORTAL_SECONDS = 9.0
CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 5.0
TOO_SLOW = Failure(FailureKind.UNCERTAIN, "timeout", "the portal did not answer in time")


_UNKNOWN = NoAddress("the database does not say whether its application is installed")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """The database's rows about one portal."""

    heard_at: datetime | None = None
    waiting: int = 0
    oldest_at: datetime | None = None
    breakers: tuple[Breaker, ...] = ()
    trips: tuple[Trip, ...] = ()
    refused: tuple[Refused, ...] = ()
    address: Address | NoAddress = _UNKNOWN
    application: Mapping[str, object] | None = None
    held: tuple[Held, ...] = ()
    withheld: Mapping[str, str] = field(default_factory=dict)


_NOTHING = _Stored()


async def examine(settings: Settings, now: datetime) -> AsyncIterator[Finding]:
    """Yield each finding as it is made: this machine first, then the portals."""
    for finding in checks.right_settings(settings.mode, list(settings.portals)):
        yield finding
    for finding in checks.receiving(uvicorn_parts.missing()):
        yield finding
    ruleset, about_rules = _rules(settings, now)
    for finding in about_rules:
        yield finding
    stored, about_database = await asyncio.to_thread(_database, settings, now)
    for finding in about_database:
        yield finding
    needs = Needs.of(ruleset.rules if ruleset else ())
    asked = [
        asyncio.create_task(_portal(name, given, _address(name, given, stored), needs))
        for name, given in settings.portals.items()
    ]
    for (name, given), asking in zip(settings.portals.items(), asked, strict=True):
        for finding in (*await asking, *_from_store(name, given, stored, now)):
            yield replace(finding, portal=name)


def _rules(settings: Settings, now: datetime) -> tuple[Ruleset | None, list[Finding]]:
    try:
        data = settings.rules.read_bytes()
        ruleset = load(
            data,
            file=str(settings.rules),
            portals=settings.portals,
            is_known=rulesets.knower_at(settings.database_url.get_secret_value()),
        )
    except OSError as error:
        return None, checks.unread_rules(settings.rules, error.strerror or "unknown")
    except RulesError as error:
        return None, checks.broken_rules(error.mistakes, settings.rules)
    return ruleset, checks.loaded_rules(ruleset, settings.rules, settings.mode, now)


def _database(settings: Settings, now: datetime) -> tuple[dict[str, _Stored] | None, list[Finding]]:
    """Return the findings, and what the database has on each portal (None: cannot be read)."""
    try:
        database = Database(settings.database_url.get_secret_value())
        if database.path is not None and not database.path.exists():
            found = durability.of_absent_file(database.path)
            return {}, checks.database(found)
        with _opened(database):
            found = durability.of_database(database)
            about = [*checks.moved_log(database.moved_to()), *checks.database(found)]
            if not found.schema_is_current:
                return {}, about
            about += checks.paused(database.read(limits.paused))
            refused = database.read(partial(refusals.lately, now=now))
            about += refusal_checks.of_nobody(refused.get(refusals.NOBODYS, ()))
            read = partial(_stored, settings=settings, refused=refused, now=now)
            return database.read(read), about
    except (DatabaseError, OSError) as error:
        return None, checks.unusable_database(str(error))


@contextlib.contextmanager
def _opened(database: Database) -> Iterator[None]:
    database.open()
    try:
        yield
    finally:
        database.close()


def _stored(
    conn: Connection,
    settings: Settings,
    refused: Mapping[str, Sequence[Refused]],
    now: datetime,
) -> dict[str, _Stored]:
    waiting, observed = inbox.depth(conn), client_state.withheld(conn)
    applications = report.every(conn, settings, now)
    return {
        portal: _Stored(
            heard_at=inbox.last_received(conn, portal),
            waiting=waiting[portal][0] if portal in waiting else 0,
            oldest_at=waiting[portal][1] if portal in waiting else None,
            breakers=tuple(client_state.breakers(conn, portal)),
            trips=tuple(limits.tripped(conn, portal)),
            refused=tuple(refused.get(portal, ())),
            address=_stored_address(conn, settings, portal, now),
            application=applications.get(portal),
            held=tuple(held_messages.held(conn, portal, now)) if portal in applications else (),
            withheld=observed.get(portal, {}),
        )
        for portal in settings.portals
    }


def _stored_address(
    conn: Connection, settings: Settings, portal: str, now: datetime
) -> Address | NoAddress:
    try:
        return stored_address.stored(conn, settings, portal, now)
    except NoAddress as why:
        return why


def _address(
    name: str, given: PortalSettings, stored: Mapping[str, _Stored] | None
) -> Address | NoAddress:
    """Return the address of a portal: of its webhook, or as the database has it."""
    if given.domain is None:
        return stored_address.of_settings(given)
    return (stored or {}).get(name, _NOTHING).address


def _from_store(
    name: str, given: PortalSettings, stored: dict[str, _Stored] | None, now: datetime
) -> list[Finding]:
    found = portal_checks.tokens(given) if given.application_tokens else []
    if stored is None:
        return found
    known = stored.get(name, _NOTHING)
    heard = portal_checks.heard_from(known.heard_at, now)
    opened = portal_checks.breakers(known.breakers, name)
    if known.application is not None and known.application["called_by"] != "webhook":
        heard, opened = (
            [application_checks.of_application(one) for one in some] for some in (heard, opened)
        )
    return [
        *found,
        *application_checks.standing(known.application),
        *application_checks.events(known.application),
        *application_checks.held(known.held, given),
        *heard,
        *refusal_checks.refused(known.refused, name),
        *checks.backlog(known.waiting, known.oldest_at, now),
        *opened,
        *portal_checks.withheld(known.withheld),
        *checks.tripped({trip.rule: trip.why for trip in known.trips}),
    ]


async def _portal(
    name: str, given: PortalSettings, address: Address | NoAddress, needs: Needs
) -> list[Finding]:
    """Return a portal's findings: first who we are there, then the rest in one batch."""
    if isinstance(address, NoAddress):
        return [portal_checks.not_asked(str(address)), *portal_checks.limits(given, None)]
    portal = Portal(
        name,
        address,
        connect_seconds=CONNECT_SECONDS,
        answer_seconds=ANSWER_SECONDS,
    )
    found: list[Finding] = []
    plan: str | None = None
    try:
        async with asyncio.timeout(PORTAL_SECONDS):
            if await _ask_profile(portal, found):
                plan = await _ask_the_rest(portal, needs, found)
    except TimeoutError:
        found.append(portal_checks.unreachable(TOO_SLOW, name))
    finally:
        await portal.close()
    if isinstance(address, ApplicationAddress):
        found = [application_checks.of_application(one) for one in found]
    return [*found, *portal_checks.limits(given, plan)]


async def _ask_profile(portal: Portal, found: list[Finding]) -> bool:
    """Call the one method that every webhook may call; return whether the portal works."""
    began = time.monotonic()
    answer = await portal.call(Command("profile", {}))
    failure = answer.failure
    if failure is not None and failure.kind not in (FailureKind.METHOD, FailureKind.REJECTED):
        found.append(portal_checks.unreachable(failure, portal.name))
        return False
    found.append(portal_checks.reachable(time.monotonic() - began))
    found.append(portal_checks.identity(answer, portal.name))
    return True


async def _ask_the_rest(portal: Portal, needs: Needs, found: list[Finding]) -> str | None:
    """Ask for scopes, methods, plan and time in one request; return the plan's name."""
    commands = [Command(method, {}) for method in ("scope", "app.info", "server.time")]
    commands += [Command("method.get", {"name": name}) for name in needs.methods]
    asked_at = datetime.now(UTC)
    scope, info, server_time, *available = await portal.batch(commands)
    answered_at = datetime.now(UTC)
    found += portal_checks.scopes(scope, needs)
    found += portal_checks.methods(dict(zip(needs.methods, available, strict=True)))
    found += portal_checks.plan(info)
    found += portal_checks.clock(server_time, asked_at, answered_at)
    return portal_checks.plan_name(info)
