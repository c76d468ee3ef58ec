"""Says what an administrator fills in and presses to install an application, and how it stands.

Everything here is a function from values to texts; `responder app` reads them and prints.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from responder.settings.settings import PortalSettings
from responder.store.applications.held_messages import Held
from responder.store.applications.standing import NOT_CONFIGURED, NOT_INSTALLED, UNINSTALLED
from responder.store.canonical_json import instant_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """All that there is to say about the application of one portal.

    `report` is how it stands; `state` goes with the link of an authorization.
    """

    portal: str
    given: PortalSettings
    public_url: str | None
    scopes: Sequence[str]
    report: Mapping[str, object]
    held: Sequence[Held]
    state: str

    @property
    def handler_url(self) -> str:
        """Return the address for the form in the portal; its path alone where ours is not known."""
        return f"{self.public_url or ''}/app/{self.portal}"

    @property
    def authorize_url(self) -> str | None:
        """Return the link that has an administrator authorize us in the browser."""
        if not self.given.application_is_configured:
            return None
        asked = urlencode({"client_id": self.given.client_id, "state": self.state})
        return f"{self.given.origin}/oauth/authorize/?{asked}"


def as_json(guide: Guide) -> dict[str, object]:
    """Return a guide as one JSON object."""
    return {
        "portal": guide.portal,
        "handler_url": guide.handler_url,
        "install_url": guide.handler_url,
        "scopes": list(guide.scopes),
        **guide.report,
        "held": [
            {
                "received_at": instant_text(one.received_at),
                "waits": one.try_at is not None,
                "result": one.result,
            }
            for one in guide.held
        ],
        "authorize_url": guide.authorize_url,
        "next": list(next_steps(guide)),
    }


def lines(guide: Guide) -> Iterator[str]:
    """Yield a guide as people read it."""
    report = guide.report
    yield f"portal {guide.portal} ({guide.given.host})"
    yield f"  state         {report['state']}; called by {report['called_by']}"
    if report["why"] not in (None, NOT_INSTALLED, NOT_CONFIGURED):  # of these the steps tell
        yield f"  because       {report['why']}: {report['advice']}"
    if report["user"] is not None:
        yield f"  installed     {report['installed_at']} by user {report['user']}"
        yield f"  tokens of     {report['refreshed_at']}"
    for missing in _rows(report.get("missing")):
        yield f"  missing       {missing['event']} {missing['way']}: {missing['why']}"
    if report.get("others"):
        count = report["others"]
        yield f"  elsewhere     {count} events do not go to this address, perhaps to a former one"
    for one in guide.held:
        became = one.result or "waits to be verified"
        yield f"  message       {instant_text(one.received_at)}: {became}"
    yield ""
    yield "  In the portal: Developer resources > Other > Local application"
    yield f"    handler path               {guide.handler_url}"
    yield f"    initial installation path  {guide.handler_url}"
    yield "    uses only API              tick it"
    yield f"    permissions                {', '.join(guide.scopes)}"
    yield ""
    for number, step in enumerate(next_steps(guide), start=1):
        yield f"  {number}. {step}"


def _rows(value: object) -> list[dict[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def next_steps(guide: Guide) -> Iterator[str]:
    """Yield what to do next, in order."""
    report, given = guide.report, guide.given
    if report["called_by"] == "application":
        yield from _after_installation(guide)
        return
    if guide.public_url is None:
        yield (
            "Set RESPONDER_PUBLIC_URL if the portal can reach this service; it stands before the "
            "paths above. Otherwise use the link that is given here once id and secret are set: "
            "then nothing must reach us but a browser."
        )
    if not given.application_is_configured:
        yield from _before_keys(guide)
    elif report["why"] == UNINSTALLED:
        yield "Add the application again with the form above: the one that was installed is gone."
        yield f"{_new_keys(guide)}: they are new. Its message is kept for an hour."
    else:
        yield from _before_installation(guide)


def _after_installation(guide: Guide) -> Iterator[str]:
    report = guide.report
    if report["refresh_overdue"]:
        yield "Tokens were not renewed for two weeks: see that `responder serve` runs."
    elif guide.public_url is not None and not report["hears_events"]:
        yield (
            "It is installed, and events that the portal keeps are read. For those that it could "
            "send at once press Reinstall there: the link brought no application token, by which "
            "they are known."
        )
    else:
        yield "Nothing is to be done: it is installed."


def _before_keys(guide: Guide) -> Iterator[str]:
    if not guide.held:
        yield "Start `responder serve`, then save the form above: its message is kept for an hour."
    yield f"{_new_keys(guide)}."


def _new_keys(guide: Guide) -> str:
    return (
        f"Set RESPONDER_PORTALS__{guide.portal.upper()}__CLIENT_ID and __CLIENT_SECRET as the form "
        "shows them after saving, and restart the service"
    )


def _before_installation(guide: Guide) -> Iterator[str]:
    if any(one.try_at is not None for one in guide.held):
        yield "A message is being verified: look again in a few seconds."
    yield (
        "Press Reinstall at the application in the portal (Developer resources > Integrations), "
        "as an administrator."
    )
    yield f"Or open this link within ten minutes, as an administrator: {guide.authorize_url}"
