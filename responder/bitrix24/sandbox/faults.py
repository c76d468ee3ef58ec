"""Makes the sandbox fail on demand, in the ways that a real portal and its network do.

A fault strikes one call, alone or in a batch:

- a *refusal* is an error of that call; nothing is done (unless the name says so), the rest of a
  batch goes on;
- a *broken line* takes the whole HTTP answer with it. Either nothing is done from that call on, or
  everything is done and only the answer is lost;
- an *alteration* changes the answer of a call that was carried out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

from responder.bitrix24.sandbox.answers import Answer, BrokenLineError, RefusedError

Fault = str | tuple[Literal["error"], int, str, str]

MISSING: Final = object()
ANY_METHOD = "*"


class Refusal(NamedTuple):
    """An error by its name in `fail_next`; `on_premise` is the status of the portal's modules."""

    status: int
    code: str
    text: str
    on_premise: int | None = None

    def error(self) -> RefusedError:
        """Return the error to raise."""
        return RefusedError(self.status, self.code, self.text, on_premise=self.on_premise)


# Statuses: documentation, _includes/system-errors.md; module rest, lib/oauthexception.php (401
# unless another is given) and lib/apauth/auth.php.
REFUSALS: dict[str, Refusal] = {
    "500": Refusal(500, "INTERNAL_SERVER_ERROR", "Internal server error"),
    "503_limit": Refusal(503, "QUERY_LIMIT_EXCEEDED", "Too many requests"),
    "429_operating": Refusal(
        429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit."
    ),
    "401": Refusal(401, "NO_AUTH_FOUND", "Wrong authorization data"),
    "expired_token": Refusal(401, "expired_token", "The access token provided has expired."),
    "invalid_token": Refusal(401, "invalid_token", "Unable to get application by token"),
    "inactive_user": Refusal(401, "authorization_error", "Unable to authorize user"),
    "user_access": Refusal(403, "user_access_error", "The user does not have access."),
    "connection": Refusal(401, "CONNECTION_ERROR", "Error connecting to authorization server"),
    "application": Refusal(401, "APPLICATION_NOT_FOUND", "Application not found"),
    "wrong_auth": Refusal(
        403, "WRONG_AUTH_TYPE", "Current authorization type is denied for this method"
    ),
    "license": Refusal(403, "WRONG_LICENSE", "Your current license does not allow this."),
    "credentials": Refusal(403, "INVALID_CREDENTIALS", "Invalid request credentials", 401),
    "scope": Refusal(
        403,
        "insufficient_scope",
        "The request requires higher privileges than provided by the webhook token",
        401,
    ),
    "plan": Refusal(403, "ACCESS_DENIED", "REST is available only by subscription.", 401),
    "denied": Refusal(403, "ACCESS_DENIED", "Access denied!"),
    "overload": Refusal(503, "OVERLOAD_LIMIT", "REST API is blocked due to overload.", 401),
    "deleted": Refusal(500, "PORTAL_DELETED", "Portal was deleted.", 403),
    "empty_error": Refusal(400, "", "The business process is not found."),
    # what has no code gets that of an exception that was left over (module rest, restexception.php)
    "core_error": Refusal(400, "ERROR_CORE", "The business process is not found."),
}
ACTED_AND_REFUSED = {"act_then_empty_error": "empty_error", "act_then_core_error": "core_error"}
NOTHING_DONE = frozenset({"drop_before", "hang", "html_502", "redirect"})
ANSWER_LOST = frozenset(
    {
        *("act_then_drop", "act_then_500", "act_then_hang", "not_json", "big", "gzip_bomb"),
        *("drip", "half", "twice"),
    }
)


def _other_id(value: object) -> object:
    if isinstance(value, list):
        return [_other_id(one) for one in value]
    if isinstance(value, dict):
        return {
            name: _changed(inner) if name in ("id", "ID") else _other_id(inner)
            for name, inner in value.items()
        }
    return value


def _changed(value: object) -> object:
    if isinstance(value, int):
        return value + 1
    return str(int(value) + 1) if isinstance(value, str) and value.isdigit() else f"{value}0"


ALTERATIONS: dict[str, Callable[[Answer], Answer]] = {
    "truthy": lambda answer: replace(answer, value=1),
    "wrong_id": lambda answer: replace(answer, value=_other_id(answer.value)),
    "missing_part": lambda answer: replace(answer, value=MISSING),
}


@dataclass(slots=True)
class _Planned:
    method: str
    fault: Fault
    times: int


class Faults:
    """The faults that are still to come, each for the next calls of its method.

    `refusals` are the errors of the server that the faults are for, by their names in a plan.
    """

    def __init__(self, refusals: Mapping[str, Refusal] = REFUSALS) -> None:
        self._refusals = refusals
        self._names = frozenset(
            {*refusals, *ACTED_AND_REFUSED, *NOTHING_DONE, *ANSWER_LOST, *ALTERATIONS}
        )
        self._planned: list[_Planned] = []

    def plan(self, method: str, fault: Fault, times: int) -> None:
        """Plan a fault for the next calls of a method; `*` is any method, `batch` a whole batch."""
        if isinstance(fault, str) and fault not in self._names:
            raise ValueError(f"no fault {fault!r}; there are: {', '.join(sorted(self._names))}")
        self._planned.append(_Planned(method.lower(), fault, times))

    @property
    def planned(self) -> int:
        """Return how many faults have not struck yet."""
        return len(self._planned)

    def clear(self) -> None:
        """Remove every fault that has not struck yet."""
        self._planned.clear()

    def strike(self, method: str, carry_out: Callable[[], Answer]) -> Answer:
        """Carry out a call under the oldest fault planned for it, if there is one."""
        fault = self._next_fault(method)
        if isinstance(fault, tuple):
            raise RefusedError(*fault[1:])
        if isinstance(fault, str) and fault in self._refusals:
            raise self._refusals[fault].error()
        if fault in ACTED_AND_REFUSED:
            _carry_out_quietly(carry_out)
            raise REFUSALS[ACTED_AND_REFUSED[fault]].error()
        if fault in NOTHING_DONE:
            raise BrokenLineError(fault, acted=False)
        if fault in ANSWER_LOST:
            _carry_out_quietly(carry_out)
            raise BrokenLineError(fault, acted=True)
        answer = carry_out()
        return answer if fault is None else ALTERATIONS[fault](answer)

    def _next_fault(self, method: str) -> Fault | None:
        for planned in self._planned:
            if planned.method in (method, ANY_METHOD):
                planned.times -= 1
                if planned.times <= 0:
                    self._planned.remove(planned)
                return planned.fault
        return None


def _carry_out_quietly(carry_out: Callable[[], Answer]) -> None:
    try:
        carry_out()
    except RefusedError:
        return
