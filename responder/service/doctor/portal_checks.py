"""Judges what `doctor` has read of a portal: whether we can call it, act there, and hear from it.

Everything here is a function from values to findings. The portal's answers are those of `profile`,
`scope`, `method.get`, `app.info` and `server.time`
(https://apidocs.bitrix24.com/api-reference/common/system/).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.bitrix24.client.answers import Answer, Failure, FailureKind, explain
from responder.model import Breaker
from responder.rules.facts.links import lead_to_users
from responder.rules.facts.registry import is_of_a_list
from responder.rules.rule import Rule
from responder.service.doctor.checks import Finding, fine, problem, warning
from responder.settings.settings import PortalSettings
from responder.store.applications import standing

SLOW_SECONDS = 3.0
SKEW_SECONDS, BAD_SKEW_SECONDS = 5.0, 60.0
SILENCE = timedelta(days=3)

_USER_SCOPES = ("user_brief", "user_basic", "user")
_PEOPLE = ("starter.", "waiting_for.")
_USUAL_RATE, _USUAL_BURST = 2, 50
_LARGEST_RATE, _LARGEST_BURST = 5, 250
_METHODS = (
    "bizproc.workflow.kill",
    "bizproc.workflow.terminate",
    "bizproc.workflow.instances",
    "bizproc.workflow.template.list",
    "crm.item.get",
)
_NEW_WEBHOOK = (
    "As an administrator of the portal, make a new inbound webhook with the scopes bizproc, crm "
    "and user_brief, and put its address into {variable}."
)
_BUY = (
    "REST needs a paid plan of Bitrix24 and, where the portal asks for one (as in Russia), a "
    "subscription to its Market: buy what is missing, and what waits is judged within a minute."
)
_ADVICE = {
    "NO_AUTH_FOUND": _NEW_WEBHOOK,
    "INVALID_CREDENTIALS": _NEW_WEBHOOK,
    "expired_token": _NEW_WEBHOOK,
    "authorization_error": "Its user was dismissed. " + _NEW_WEBHOOK,
    "user_access_error": "Its user was dismissed or may not enter. " + _NEW_WEBHOOK,
    "ACCESS_DENIED": _BUY,
    "PAYMENT_REQUIRED": "The portal's plan or subscription is over. " + _BUY,
    "OVERLOAD_LIMIT": "Bitrix24 has blocked REST of this portal; its support unblocks it.",
    "PORTAL_DELETED": "The portal is gone: take it out of the settings.",
    "QUERY_LIMIT_EXCEEDED": "Try again in a minute; all that call from this address share a limit.",
    "no_connection": "See the host in {variable}, name resolution, the firewall, its certificate.",
    "timeout": "Try again; see whether a firewall or a proxy swallows the connection.",
}
_OTHER_ADVICE = "See that {variable} is the address of a portal's inbound webhook."


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """The scopes and methods that the rules in force need of a webhook."""

    tasks: bool = False
    people: bool = False
    lists: bool = False
    notifications: bool = False
    comments: bool = False

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> "Needs":
        """Return what these rules need."""
        reading = [rule for rule in rules if not rule.disabled]
        paths = frozenset[str]().union(*(rule.paths for rule in reading))
        return cls(
            tasks=any(rule.kind == "task" for rule in reading)
            or any(path.startswith("task.") for path in paths),
            lists=any(is_of_a_list(path.partition(".")[0]) for path in paths),
            people=any(path.startswith(_PEOPLE) for path in paths) or lead_to_users(paths),
            notifications=any(rule.telling.people for rule in reading),
            comments=any(rule.telling.timeline for rule in reading),
        )

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that will be called."""
        return (
            *_METHODS,
            *(("tasks.task.get",) if self.tasks else ()),
            *(("im.notify.system.add",) if self.notifications else ()),
            *(("crm.timeline.comment.add",) if self.comments else ()),
        )

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that are needed beside `bizproc`, `crm` and one for users."""
        needed = {"task": self.tasks, "lists": self.lists, "im": self.notifications}
        return tuple(scope for scope, is_needed in needed.items() if is_needed)


def webhook_variable(portal: str) -> str:
    """Return the name of the setting that holds a portal's address."""
    return f"RESPONDER_PORTALS__{portal.upper()}__URL"


def unreachable(failure: Failure, portal: str) -> Finding:
    """Return the finding for a portal that cannot be called."""
    advice = _ADVICE.get(failure.code, _OTHER_ADVICE).format(variable=webhook_variable(portal))
    message = explain(failure)
    if failure.code in ("QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT"):
        return warning("reachable", message, _ADVICE["QUERY_LIMIT_EXCEEDED"])
    return problem("reachable", message, advice)


def not_asked(why: str) -> Finding:
    """Return the finding for a portal that there is no way to call at this moment."""
    return warning("reachable", f"not asked: {why}", "`responder app` shows how it stands.")


def reachable(seconds: float) -> Finding:
    """Return how long the portal took to answer."""
    message = f"answered in {seconds:.2f} s"
    if seconds > SLOW_SECONDS:
        return warning("reachable", message, "Every kill takes at least as long: see the network.")
    return fine("reachable", message)


def identity(answer: Answer, portal: str) -> Finding:
    """Return who we are there: only administrators may list and kill workflows."""
    variable = webhook_variable(portal)
    if answer.failure is not None:
        return _unread("identity", answer.failure)
    profile = answer.value if isinstance(answer.value, dict) else {}
    user = profile.get("ID")
    if not isinstance(user, str | int) or not str(user).isdigit():
        advice = "Its user is not active. " + _NEW_WEBHOOK.format(variable=variable)
        return problem("identity", "the webhook acts for nobody", advice)
    if profile.get("ADMIN") is not True:
        return problem(
            "identity",
            f"user {user} is no administrator: no workflow can be listed or killed",
            _NEW_WEBHOOK.format(variable=variable),
        )
    return fine("identity", f"user {user}, an administrator")


def scopes(answer: Answer, needs: Needs) -> list[Finding]:
    """Return which scopes the webhook lacks."""
    if answer.failure is not None:
        return [_unread("scopes", answer.failure)]
    granted = answer.value if isinstance(answer.value, list) else []
    missing = [scope for scope in ("bizproc", "crm", *needs.scopes) if scope not in granted]
    has_people = any(scope in granted for scope in _USER_SCOPES)
    if needs.people and not has_people:
        missing.append("user_brief")
    if missing:
        advice = "Tick them in the portal, in the inbound webhook's form; its address stays."
        return [problem("scopes", f"missing: {', '.join(missing)}", advice)]
    message = ", ".join(sorted(str(scope) for scope in granted))
    if not has_people:
        advice = "Rules about starters or assignees need it: tick user_brief in the webhook's form."
        return [warning("scopes", f"{message}; user_brief is missing", advice)]
    return [fine("scopes", message)]


def methods(answers: Mapping[str, Answer]) -> list[Finding]:
    """Return which methods we may not call, by the answers to `method.get`."""
    unread = [answer.failure for answer in answers.values() if answer.failure is not None]
    if unread:
        return [_unread("methods", unread[0])]
    absent, closed = [], []
    for name, answer in answers.items():
        fields = answer.value if isinstance(answer.value, dict) else {}
        if fields.get("isExisting") is not True:
            absent.append(name)
        elif fields.get("isAvailable") is not True:
            closed.append(name)
    found = []
    if absent:
        advice = "Workflows are not part of every plan: see the portal's plan."
        found.append(problem("methods", f"the portal has no {', '.join(absent)}", advice))
    if closed:
        advice = "Add the missing scopes to the inbound webhook."
        found.append(problem("methods", f"the webhook may not call {', '.join(closed)}", advice))
    return found or [fine("methods", f"all {len(answers)} that we call are available")]


def plan(answer: Answer) -> list[Finding]:
    """Return the portal's plan; not every portal shows it to a webhook."""
    name = plan_name(answer)
    if name is None:
        return [fine("plan", "the portal does not tell it to a webhook")]
    return [fine("plan", name)]


def plan_name(answer: Answer) -> str | None:
    """Return the portal's own word for its plan, such as `ru_ent250`."""
    fields = answer.value if isinstance(answer.value, dict) else {}
    name = fields.get("LICENSE")
    return name[:64] if isinstance(name, str) and name.isprintable() and name else None


def limits(given: PortalSettings, plan_name: str | None) -> list[Finding]:
    """Return the request limit that we keep, compared with what plans allow (docs: limits.md)."""
    rate, burst = given.requests_per_second, given.burst
    message = f"{rate:g} requests a second, {burst} at once"
    large = rate > _USUAL_RATE or burst > _USUAL_BURST
    enterprise = plan_name is not None and "_ent" in plan_name
    if rate > _LARGEST_RATE or burst > _LARGEST_BURST:
        advice = "No cloud plan allows more than 5 and 250; a portal on its own server may."
        return [warning("limits", message, advice)]
    if large and not enterprise:
        advice = "Below Enterprise a portal allows 2 and 50: take the settings out, unless it is."
        return [warning("limits", message, advice)]
    if enterprise and not large:
        return [fine("limits", f"{message} (Enterprise allows 5 and 250)")]
    return [fine("limits", message)]


def clock(answer: Answer, asked_at: datetime, answered_at: datetime) -> list[Finding]:
    """Return how far our clock is from the portal's, which has whole seconds."""
    portal_time = _instant(answer.value)
    if answer.failure is not None or portal_time is None:
        return [warning("clock", "the portal's time could not be read", "Try again.")]
    skew = 0.0
    if portal_time + timedelta(seconds=1) < asked_at:
        skew = (asked_at - portal_time).total_seconds() - 1
    elif portal_time > answered_at:
        skew = (answered_at - portal_time).total_seconds()
    if abs(skew) <= SKEW_SECONDS:
        return [fine("clock", "ours and the portal's agree")]
    message = f"ours is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the portal's"
    advice = "Ages of workflows are reckoned with it: synchronise this machine's clock (NTP)."
    judge = problem if abs(skew) > BAD_SKEW_SECONDS else warning
    return [judge("clock", message, advice)]


def _instant(value: object) -> datetime | None:
    try:
        portal_time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return None if portal_time is None or portal_time.tzinfo is None else portal_time


def tokens(given: PortalSettings) -> list[Finding]:
    """Return what an event must prove: how many tokens, and whether the member id is pinned."""
    count = len(given.application_tokens)
    message = f"{count} application token{'s' if count > 1 else ''}"
    message += ", the member id is pinned" if given.member_id else ", the member id is not pinned"
    if given.url_key:
        message += ", calls without a token are taken on the secret path"
    return [fine("tokens", message)]


def heard_from(heard_at: datetime | None, now: datetime) -> list[Finding]:
    """Return when the portal last sent something."""
    if heard_at is None:
        return [
            warning(
                "heard_from",
                "nothing was ever received from this portal",
                "In the portal, make an outbound webhook to this service's /events, and put its "
                "application token into the settings.",
            )
        ]
    message = f"last heard from at {heard_at:%Y-%m-%d %H:%M} UTC"
    if now - heard_at > SILENCE:
        advice = "See that the portal's outbound webhook exists and still points here."
        return [warning("heard_from", message, advice)]
    return [fine("heard_from", message)]


def breakers(opened: Collection[Breaker], portal: str) -> list[Finding]:
    """Return what is not called for now, and why."""
    found = []
    for one in opened:
        what = one.method or "the whole portal"
        message = f"{what} is not called since {one.opened_at:%Y-%m-%d %H:%M} UTC ({one.code})"
        other = standing.ADVICE.get(one.code, "It is tried again every minute.")
        advice = _ADVICE.get(one.code, other)
        if one.method:
            advice = "Give the webhook the scope and the rights; it is tried again every minute."
        found.append(problem("breaker", message, advice.format(variable=webhook_variable(portal))))
    return found or [fine("breaker", "none is open")]


def withheld(questions: Mapping[str, str]) -> list[Finding]:
    """Return why the portal is observed, not acted upon; nothing where it is acted upon."""
    advice = "`responder doctor --probe` says what was expected, and what this leads to."
    return [
        problem("probe", f"observed, not acted upon: {question}: {came}", advice)
        for question, came in questions.items()
    ]


def _unread(check: str, failure: Failure) -> Finding:
    message = explain(failure)
    if failure.kind in (FailureKind.PORTAL, FailureKind.METHOD):
        return problem(check, message, "The webhook may not ask this: see its scopes and its user.")
    return warning(check, f"could not be read: {message}", "Try again.")
