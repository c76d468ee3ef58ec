"""Judges, for `doctor`, how a portal's local application stands, and what waits to be verified."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from responder.service.doctor.checks import Finding, fine, problem, warning
from responder.settings.settings import PortalSettings
from responder.store.applications.held_messages import Held

_ADMINISTRATOR = (
    "Have an active administrator press Reinstall at the application in the portal; its calls are "
    "made as that user."
)
_SCOPES = (
    "Tick them in the application's form in the portal; where that does not help, press Reinstall."
)
_EVENTS = "Rules that name it are set off by the sweep alone, if at all; see the reason."
_AGAIN = "It is removed within the hour."
_ELSEWHERE = (
    "They go to a former RESPONDER_PUBLIC_URL, or somebody else registered them for this "
    "application. Nothing removes them by itself."
)
_ADVICE = {
    "identity": _ADMINISTRATOR,
    "scopes": _SCOPES,
    "methods": _SCOPES,
    "breaker": "`responder app` shows how the application stands; it is tried every minute.",
    "heard_from": "`responder app` shows how the application stands.",
    "reachable": "`responder app` shows how the application stands, and what to press.",
}


def standing(application: Mapping[str, object] | None) -> list[Finding]:
    """Return how the application stands; nothing where the settings name none."""
    if application is None:
        return []
    by = application["called_by"]
    if by != "application":
        message = f"{application['state']} ({application['why']}); the portal is called by {by}"
        judge = warning if by == "webhook" else problem
        return [judge("application", message, f"{application['advice']}.")]
    message = (
        f"installed by user {application['user']} at {application['installed_at']}, tokens of "
        f"{application['refreshed_at']}"
    )
    if application["refresh_overdue"]:
        advice = "Tokens end when they are not renewed for a month: see that the service runs."
        return [warning("application", f"{message}, not renewed for two weeks", advice)]
    return [fine("application", message)]


def events(application: Mapping[str, object] | None) -> list[Finding]:
    """Return which events of the rules are registered in the portal, and which could not be."""
    if application is None or application["called_by"] != "application":
        return []
    if application["events_error"] is not None:
        message = f"the registered events could not be read: {application['events_error']}"
        return [problem("events", message, "It is tried again every minute.")]
    if application["events_at"] is None:
        advice = "The service registers them within seconds: see that it runs."
        return [warning("events", "no events were registered yet", advice)]
    found = [
        problem("events", f"{one['event']} does not come {one['way']}: {one['why']}", _EVENTS)
        for one in _rows(application["missing"])
    ]
    found += [
        warning("events", f"{one['event']} ({one['way']}) is not needed any more", _AGAIN)
        for one in _rows(application["unneeded"])
    ]
    if others := application.get("others"):
        found.append(
            warning("events", f"{others} registered events do not go to this address", _ELSEWHERE)
        )
    if found:
        return found
    bound = application["events"] if isinstance(application["events"], dict) else {}
    ways = ", ".join(f"{len(names)} {way}" for way, names in bound.items())
    return [fine("events", f"all are registered: {ways}")]


def _rows(value: object) -> list[dict[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def held(messages: Sequence[Held], given: PortalSettings) -> list[Finding]:
    """Return what became of the installation messages of the last hour."""
    refused = [one.result for one in messages if one.try_at is None]
    waiting = [one for one in messages if one.try_at is not None]
    found = []
    if waiting and not given.application_is_configured:
        advice = "Set CLIENT_ID and CLIENT_SECRET within the hour, as the form shows them."
        message = f"{len(waiting)} installation messages wait for the application's id and secret"
        found.append(warning("installation", message, advice))
    elif waiting:
        whys = ", ".join(one.result for one in waiting if one.result)
        message = f"{len(waiting)} installation messages are being verified"
        message += f" ({whys})" if whys else ""
        found.append(warning("installation", message, "They are tried again by themselves."))
    if refused:
        message = f"{len(refused)} installation messages were not believed: {refused[-1]}"
        advice = "If it was yours, press Reinstall in the portal; else somebody is trying."
        found.append(warning("installation", message, advice))
    return found


def of_application(finding: Finding) -> Finding:
    """Return a finding about a portal with advice for who calls it by an application."""
    if finding.advice is None or finding.check not in _ADVICE:
        return finding
    if finding.check in ("breaker", "heard_from") and "webhook" not in finding.advice:
        return finding
    return replace(finding, advice=_ADVICE[finding.check])
