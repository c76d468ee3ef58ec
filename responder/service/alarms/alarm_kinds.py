"""Makes alarms of what is known. Pure: no clock, database or network.

A new kind is three things: a member of `Kind`, a function here that yields its alarms, and a line
of `KINDS`. Everything that shows alarms (pages, `responder status`, `/readyz`, metrics, the log,
notifications) then shows it too.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from responder.bitrix24.client.rate_limit import OPERATING_LIMIT
from responder.journal.notices.alarm_records import AlarmRecord
from responder.service.alarms.alarm import APPROVALS, Alarm, Kind, Severity, portal_link
from responder.service.alarms.known import Known
from responder.service.alarms.refusal_advice import refusal_advice
from responder.store.canonical_json import instant_text
from responder.store.inbox.refusals import NOBODYS, Refused

NEEDS_YOU, IS_WRONG, WAS_WRONG = Severity.NEEDS_YOU, Severity.IS_WRONG, Severity.WAS_WRONG

LITTLE_SPACE = 1024**3
_MIB = 1024**2
_REFUSED_NOW = timedelta(hours=1)  # deliveries refused longer ago than this were refused
_ENDS = " This alarm ends an hour after the last."
_DOCTOR = "`responder doctor` says what to mend."


def alarms(known: Known) -> list[Alarm]:
    """Return the alarms of what is known, the most severe first."""
    found = [alarm for traits in KINDS.values() for alarm in traits.find(known)]
    found += [_ended(record) for record in known.ended]
    order = (list(Severity), list(Kind))
    return sorted(found, key=lambda one: (order[0].index(one.severity), order[1].index(one.kind)))


def _database_away(known: Known) -> Iterator[Alarm]:
    if known.database_error is not None:
        yield Alarm(
            kind=Kind.DATABASE_AWAY,
            severity=NEEDS_YOU,
            sentence=f"The database takes no events, and they are lost: {known.database_error}.",
            todo="Put it back, or make room for it; responder then goes on by itself.",
            link="/docs/operating",
        )


def _paused(known: Known) -> Iterator[Alarm]:
    if known.paused is not None:
        since, by = known.paused
        yield Alarm(
            kind=Kind.PAUSED,
            severity=NEEDS_YOU,
            sentence=f"Everything is paused by {by}: nothing is stopped until somebody resumes.",
            todo="`responder resume`, or the button, has what is held judged afresh.",
            link="/status",
            since=since,
        )


def _portal_unreachable(known: Known) -> Iterator[Alarm]:
    shut = {one.portal: one for one in known.breakers if not one.method}
    for portal in known.portals:
        breaker, away = shut.get(portal), known.away.get(portal)
        if breaker is None and away is None:
            continue
        why = f"`{breaker.code}`" if breaker is not None else "it does not answer"
        yield Alarm(
            kind=Kind.PORTAL_UNREACHABLE,
            severity=NEEDS_YOU,
            sentence=f"Portal {portal} cannot be called: {why}. Its events wait.",
            todo=_DOCTOR,
            link=portal_link(portal),
            portal=portal,
            since=breaker.opened_at if breaker is not None else away,
        )


def _method_withheld(known: Known) -> Iterator[Alarm]:
    for one in known.breakers:
        if not one.method or one.portal not in known.portals:
            continue
        used_up = one.code == OPERATING_LIMIT
        yield Alarm(
            kind=Kind.METHOD_WITHHELD,
            severity=IS_WRONG if used_up else NEEDS_YOU,
            sentence=f"Portal {one.portal} is not called for `{one.method}`: `{one.code}`.",
            todo="Sweep less often, or narrow the rules that read so much."
            if used_up
            else f"The webhook or application may lack a scope, or its user a right. {_DOCTOR}",
            link=portal_link(one.portal),
            portal=one.portal,
            about=one.method,
            since=one.opened_at,
        )


def _portal_observed(known: Known) -> Iterator[Alarm]:
    for portal, differs in known.withheld.items():
        if portal in known.portals:
            said = "; ".join(f"{question}: {came}" for question, came in sorted(differs.items()))
            yield Alarm(
                kind=Kind.PORTAL_OBSERVED,
                severity=IS_WRONG,
                sentence=f"Portal {portal} is observed, not acted upon, for it answers otherwise "
                f"than responder relies on: {said}.",
                todo="`responder doctor --probe` says what was expected, and what came.",
                link=portal_link(portal),
                portal=portal,
                number=len(differs),
            )


def _application(known: Known) -> Iterator[Alarm]:
    for portal, found in known.applications.items():
        is_used = found["called_by"] == "application"
        if is_used and not found["refresh_overdue"]:
            continue
        why = "its tokens were not renewed for 14 days" if is_used else f"`{found['why']}`"
        yield Alarm(
            kind=Kind.APPLICATION,
            severity=NEEDS_YOU,
            sentence=f"The local application of {portal} "
            f"{'will soon be shut out' if is_used else 'is not in use'}: {why}.",
            todo=_DOCTOR if is_used else f"Do this: {found['advice']}.",
            link=portal_link(portal),
            portal=portal,
        )


def _events_unregistered(known: Known) -> Iterator[Alarm]:
    for portal, found in known.applications.items():
        missing = found["missing"]
        if isinstance(missing, list) and missing:
            yield Alarm(
                kind=Kind.EVENTS_UNREGISTERED,
                severity=IS_WRONG,
                sentence=f"{_counted(len(missing), 'event')} of the rules could not be registered "
                f"in portal {portal}, and will not come from there.",
                todo="`responder doctor` says which, and why: mostly a scope is lacking.",
                link=portal_link(portal),
                portal=portal,
                number=len(missing),
            )


def _rule_tripped(known: Known) -> Iterator[Alarm]:
    for trip in known.trips:
        yield Alarm(
            kind=Kind.RULE_TRIPPED,
            severity=NEEDS_YOU,
            sentence=f"Rule {trip.rule} has tripped in {trip.portal}, and does nothing until it is "
            f"rearmed: {trip.why}.",
            todo="If the rule is wrong, mend it; if it is right, raise its `limit`. Then "
            f"`responder rearm {trip.rule}`.",
            link=f"/rules#{trip.rule}",
            portal=trip.portal,
            about=trip.rule,
            since=trip.at,
        )


def _approval(known: Known) -> Iterator[Alarm]:
    for portal, asking in known.asking.items():
        lapses = asking.lapses_at
        first = "" if lapses is None else f"; the first lapses at {instant_text(lapses)}"
        yield Alarm(
            kind=Kind.APPROVAL,
            severity=NEEDS_YOU,
            sentence=f"{_counted(asking.waiting, 'decision')} of {portal} "
            f"{'waits' if asking.waiting == 1 else 'wait'} for somebody's approval{first}.",
            todo="Approve or cancel: in the list of approvals, or by `responder approve`.",
            link=APPROVALS,
            portal=portal,
            number=asking.waiting,
            since=asking.since,
            until=lapses,
        )


def _approval_lapsed(known: Known) -> Iterator[Alarm]:
    for portal, count in known.lapsed.items():
        yield Alarm(
            kind=Kind.APPROVAL_LAPSED,
            severity=WAS_WRONG,
            sentence=f"{_counted(count, 'decision')} of {portal} lapsed within a day: nobody "
            "approved in time.",
            todo="If a workflow is condemned again, it is asked again.",
            link="/decisions?outcome=cancelled",
            portal=portal,
            number=count,
        )


def _deliveries_refused(known: Known) -> Iterator[Alarm]:
    for named, some in known.refused.items():
        if named == NOBODYS or named in known.portals:
            yield from (_refused(one, named or None, known) for one in some)


def _refused(one: Refused, portal: str | None, known: Known) -> Alarm:
    is_now = portal is not None and known.now - one.last_at <= _REFUSED_NOW
    whose = f"named portal {portal}" if portal else "named no portal of ours"
    verb = "was" if one.count == 1 else "were"
    return Alarm(
        kind=Kind.DELIVERIES_REFUSED,
        # what names no portal comes from strangers, and they never stop
        severity=NEEDS_YOU if is_now else WAS_WRONG,
        sentence=f"{_counted(one.count, 'delivery', 'deliveries')} that {whose} {verb} refused "
        f"within a day: {one.why}.",
        todo=refusal_advice(one.why, portal) + (_ENDS if is_now else ""),
        link=portal_link(portal) if portal else "/docs/operating",
        portal=portal,
        about=one.why,
        number=one.count,
        since=one.since,
        until=None if is_now else one.last_at,
    )


def _webhook_silent(known: Known) -> Iterator[Alarm]:
    for portal, since in known.silent.items():
        yield Alarm(
            kind=Kind.WEBHOOK_SILENT,
            severity=NEEDS_YOU,
            sentence=f"Documents change in portal {portal}, and its webhook says nothing.",
            todo="Look at the outbound webhook in the portal, and whether its address can be "
            "reached; only the sweep finds anything now.",
            link=portal_link(portal),
            portal=portal,
            since=since,
        )


def _run_incomplete(known: Known) -> Iterator[Alarm]:
    for (portal, trigger), since in known.incomplete.items():
        if portal in known.portals:
            yield Alarm(
                kind=Kind.RUN_INCOMPLETE,
                severity=IS_WRONG,
                sentence=f"A run of {portal} ({trigger}) cannot read everything that runs; it is "
                "made again every minute.",
                todo="The log says what could not be read, and why: `a run is incomplete`.",
                link=portal_link(portal),
                portal=portal,
                about=trigger,
                since=since,
            )


def _rules_broken(known: Known) -> Iterator[Alarm]:
    if known.rules_error is not None:
        yield Alarm(
            kind=Kind.RULES_BROKEN,
            severity=NEEDS_YOU,
            sentence="The rules file is broken; the last good revision stays in force: "
            f"{known.rules_error}",
            todo="`responder check` names each mistake.",
            link="/rules",
        )


def _disk_low(known: Known) -> Iterator[Alarm]:
    if known.free_bytes is not None and known.free_bytes < LITTLE_SPACE:
        yield Alarm(
            kind=Kind.DISK_LOW,
            severity=NEEDS_YOU,
            sentence=f"Only {known.free_bytes // _MIB:,} MiB are free where the database is.",
            todo="Make room: an event that cannot be stored is lost.",
            link="/docs/operating",
            number=known.free_bytes // _MIB,
        )


def _stops_failed(known: Known) -> Iterator[Alarm]:
    for portal, count in known.failed.items():
        yield Alarm(
            kind=Kind.STOPS_FAILED,
            severity=WAS_WRONG,
            sentence=f"{_counted(count, 'workflow')} of {portal} "
            f"{'was' if count == 1 else 'were'} to be stopped within a day, and "
            f"{'was' if count == 1 else 'were'} not.",
            todo="Each decision says why; the sweep may find it again.",
            link="/decisions?outcome=gave_up",
            portal=portal,
            number=count,
        )


@dataclass(frozen=True, slots=True)
class Traits:
    """How alarms of one kind are found, their title, and what happens when one begins.

    With `lasts` its beginning and its end are recorded and logged by the portal's driver; without,
    other rows say so already. `notice` is the type of the notification that tells of it; that of a
    trip is made from its entry (`outbox`), and each approval has its own (`asking_notices`).
    """

    find: Callable[[Known], Iterator[Alarm]]
    title: str
    lasts: bool = True
    notice: str | None = None


KINDS: Mapping[Kind, Traits] = {
    Kind.DATABASE_AWAY: Traits(_database_away, "Database away"),
    Kind.PAUSED: Traits(_paused, "Paused"),
    Kind.PORTAL_UNREACHABLE: Traits(
        _portal_unreachable, "Portal unreachable", notice="portal.unreachable"
    ),
    Kind.APPLICATION: Traits(_application, "Application not in use"),
    Kind.RULE_TRIPPED: Traits(_rule_tripped, "Rule tripped"),
    Kind.APPROVAL: Traits(_approval, "Approvals", lasts=False),
    Kind.DELIVERIES_REFUSED: Traits(
        _deliveries_refused, "Deliveries refused", notice="deliveries.refused"
    ),
    Kind.WEBHOOK_SILENT: Traits(_webhook_silent, "Webhook silent", notice="webhook.silent"),
    Kind.RULES_BROKEN: Traits(_rules_broken, "Rules file broken"),
    Kind.DISK_LOW: Traits(_disk_low, "Little disk space"),
    Kind.METHOD_WITHHELD: Traits(_method_withheld, "Method not called"),
    Kind.PORTAL_OBSERVED: Traits(_portal_observed, "Portal only observed"),
    Kind.EVENTS_UNREGISTERED: Traits(_events_unregistered, "Events not registered"),
    Kind.RUN_INCOMPLETE: Traits(_run_incomplete, "Run incomplete"),
    Kind.STOPS_FAILED: Traits(_stops_failed, "Stops failed", lasts=False),
    Kind.APPROVAL_LAPSED: Traits(_approval_lapsed, "Approvals lapsed", lasts=False),
}


def _ended(record: AlarmRecord) -> Alarm:
    """Return the alarm that says of another that it is over."""
    kind = Kind(record.kind)
    where = f"{record.portal}, {record.about}" if record.about else record.portal
    return Alarm(
        kind=kind,
        severity=WAS_WRONG,
        sentence=f"{KINDS[kind].title} ({where}); it is over.",
        todo="Nothing is to be done.",
        link=portal_link(record.portal),
        portal=record.portal,
        about=record.about,
        since=record.since,
        until=record.ended_at,
    )


def _counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
