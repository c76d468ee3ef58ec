"""Parses a portal's answers: from status and bytes to a value or a failure.

Theory of operation. After a call there are five kinds of failure, which lead to different acts. The
call was certainly not carried out, and may be tried again (busy). It may have been carried out
(uncertain), so that a kill must be looked up before it is tried again. No call to this portal works
(portal), or none of this method (method), until a person mends it. Or this one request was refused
(rejected). Statuses differ between versions of the portal and texts are localised, so the code
decides first, compared without its case, and the status only where the code is not known. One code
has several widths: `ACCESS_DENIED` means "not this item", "no administrator" and, with 401 or 403,
"REST is available only by subscription". The table takes the narrow meaning; an answer that may
have the wide one is marked (`denied`), and the caller (`client`) finds out.

A key `error` is a failure, whatever its value and under whatever status: an unknown workflow is
`"error": ""`, and some methods answer errors with 200 (docs: _includes/system-errors.md).
"""

import json
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from responder.model import Action

TEXT_LENGTH = 200
CODE_LENGTH = 64
MOST_ROWS = 10**12  # no list is longer
LATEST = 10.0**11  # in seconds: of no Unix time nor duration there is more

Redact = Callable[[str], str]


class FailureKind(StrEnum):
    """The width of a failure, and whether the call may have been carried out."""

    BUSY = "busy"
    UNCERTAIN = "uncertain"
    PORTAL = "portal"
    METHOD = "method"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why there is no value. `code` is the portal's own, in one spelling if it is known.

    It may be `""`. Where the portal gave none, it is a word of ours in lower case: `no_connection`,
    `timeout`, `dropped`, `not_json`, `too_big`, `encoded`, `wrong_type`, `missing_part`,
    `http_302`; or `unsendable`, for what was not sent. `text`: at most 200 characters, no secrets.
    """

    kind: FailureKind
    code: str
    text: str


def explain(failure: Failure) -> str:
    """Return a failure in one line, for the log and for the reason of an unknown fact."""
    return f"{failure.code}: {failure.text}" if failure.code else failure.text


@dataclass(frozen=True, slots=True)
class Command:
    """A REST method and its parameters. If it is `optional`, no refusal opens its breaker."""

    method: str
    params: Mapping[str, object]
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one command: a value, or a failure.

    `total` and `next` come with lists. `seconds` is how long the portal took, and `finished_at`
    (Unix time, by the portal's clock) when it had finished. `operating` is the time, in seconds,
    that the method has used of its allowance; `operating_reset_at` is when part of that is
    forgotten. `denied`: the failure may be the whole portal's (in a batch there is no status that
    would decide it).
    """

    value: object = None
    total: int | None = None
    next: int | None = None
    failure: Failure | None = None
    seconds: float | None = None
    finished_at: float | None = None
    operating: float | None = None
    operating_reset_at: float | None = None
    denied: bool = False


def is_done(answer: Answer) -> bool:
    """Return whether the portal confirmed a kill or terminate: `true` itself, nothing truthy."""
    return answer.failure is None and answer.value is True


class Row(NamedTuple):
    """One line of the table of failures. An empty text in the first three matches everything.

    `status` may be a class (`5xx`); a command of a batch has none, and only `""` matches it.
    `method` is the beginning of a method's name.
    """

    code: str
    status: str
    method: str
    kind: FailureKind
    source: str


_BUSY, _UNCERTAIN = FailureKind.BUSY, FailureKind.UNCERTAIN
_PORTAL, _METHOD, _REJECTED = FailureKind.PORTAL, FailureKind.METHOD, FailureKind.REJECTED

_LIMITS = "limits.md"
_SYSTEM = "_includes/system-errors.md"
_AUTH = "module rest, lib/apauth/auth.php"
_SDK = "b24pysdk, api/requesters/_utils/parse_response.py"
_ITEM = "api-reference/crm/universal/crm-item-get.md"
_COMMENT = "api-reference/crm/timeline/comments/crm-timeline-comment-add.md"
_NOTIFY = "api-reference/chats/notifications/im-notify-system-add.md"
_BIZPROC = "module bizproc, lib/restservice.php"
_BATCH = "how-to-call-rest-api/batch.md"
_OFFLINE = "api-reference/events/event-offline-get.md"
_HTTP = "RFC 9110"

# The first row that matches holds. Sources are pages of the official documentation (bitrix24/
# b24restdocs), modules of the product, or an official SDK.
TABLE: tuple[Row, ...] = (
    # A redirect's body is no answer, and its target is never followed (docs: change-domen).
    Row("", "3xx", "", _UNCERTAIN, _HTTP),
    Row("QUERY_LIMIT_EXCEEDED", "", "", _BUSY, _LIMITS),
    Row("OPERATION_TIME_LIMIT", "", "", _BUSY, _LIMITS),
    Row("OVERLOAD_LIMIT", "", "", _PORTAL, _SYSTEM),
    # With these statuses the code proves nothing of an item.
    Row("NOT_FOUND", "401", "", _PORTAL, _HTTP),
    Row("NOT_FOUND", "403", "", _UNCERTAIN, _HTTP),
    Row("NOT_FOUND", "429", "", _BUSY, _HTTP),
    Row("NO_AUTH_FOUND", "", "", _PORTAL, _SYSTEM),
    Row("INVALID_CREDENTIALS", "", "", _PORTAL, _SYSTEM),
    Row("expired_token", "", "", _PORTAL, _SYSTEM),
    Row("user_access_error", "", "", _PORTAL, _SYSTEM),
    Row("PORTAL_DELETED", "", "", _PORTAL, _SYSTEM),
    Row("authorization_error", "", "", _PORTAL, _AUTH),
    Row("invalid_token", "", "", _PORTAL, _SDK),
    # The documentation has notifications for applications alone, the module for webhooks too.
    Row("WRONG_AUTH_TYPE", "", "im.", _METHOD, _NOTIFY),
    Row("WRONG_AUTH_TYPE", "", "", _PORTAL, _SDK),
    Row("PAYMENT_REQUIRED", "", "", _PORTAL, _SDK),
    Row("APPLICATION_NOT_FOUND", "", "", _PORTAL, _SDK),
    Row("NOT_INSTALLED", "", "", _PORTAL, _SDK),
    Row("INVALID_REQUEST", "", "", _PORTAL, _SYSTEM),  # "Https required"
    # `batch` and `profile` need no right and no scope: a caller refused these has no REST at all.
    Row("ACCESS_DENIED", "", "batch", _PORTAL, _SYSTEM),
    Row("ACCESS_DENIED", "", "profile", _PORTAL, _SYSTEM),
    Row("ACCESS_DENIED", "", "crm.item.", _REJECTED, _ITEM),
    Row("ACCESS_DENIED", "", "crm.timeline.", _REJECTED, _COMMENT),
    Row("ACCESS_DENIED", "", "tasks.task.", _REJECTED, "api-reference/tasks/tasks-task-get.md"),
    Row("ACCESS_DENIED", "", "", _METHOD, _BIZPROC),
    # A batch that fails whole: its failure becomes that of every command in it, so it must never
    # read like the refusal of one of them (NOT_FOUND would mean "the deal does not exist").
    Row("", "401", "batch", _PORTAL, _BATCH),
    Row("", "403", "batch", _PORTAL, _BATCH),
    Row("", "404", "batch", _PORTAL, _BATCH),
    Row("", "429", "batch", _BUSY, _BATCH),
    Row("", "", "batch", _UNCERTAIN, _BATCH),
    Row("insufficient_scope", "", "", _METHOD, _SYSTEM),
    Row("ERROR_METHOD_NOT_FOUND", "", "", _METHOD, _SYSTEM),
    Row("ERROR_BATCH_METHOD_NOT_ALLOWED", "", "", _METHOD, _BATCH),
    Row("METHOD_CONFIRM_WAITING", "", "", _METHOD, _AUTH),
    Row("METHOD_CONFIRM_DENIED", "", "", _METHOD, _AUTH),
    Row("allowed_only_intranet_user", "", "", _METHOD, _ITEM),
    # A parameter that the plan does not allow; the method works without it.
    Row("WRONG_LICENSE", "", "event.", _REJECTED, _OFFLINE),
    Row("INTERNAL_SERVER_ERROR", "", "", _UNCERTAIN, _SYSTEM),
    Row("ERROR_UNEXPECTED_ANSWER", "", "", _UNCERTAIN, _SYSTEM),
    # The method was carried out; its answer could not be written as JSON.
    Row("WRONG_ENCODING", "", "", _UNCERTAIN, "module rest, classes/general/rest.php"),
    Row("", "5xx", "", _UNCERTAIN, _HTTP),
    Row("ERROR_BATCH_LENGTH_EXCEEDED", "", "", _REJECTED, _BATCH),
    Row("ERROR_WRONG_WORKFLOW_ID", "", "", _REJECTED, _BIZPROC),
    Row("NOT_FOUND", "", "", _REJECTED, _ITEM),
    Row("ERROR_NOT_FOUND", "", "", _REJECTED, "module rest, lib/restexception.php"),
    Row("ERROR_CORE", "", "", _REJECTED, "module rest, lib/restexception.php"),
    Row("ERROR_ARGUMENT", "", "", _REJECTED, "module rest, lib/restexception.php"),
    Row("ENTITY_TYPE_NOT_SUPPORTED", "", "", _REJECTED, _ITEM),
    # Codes that no row names, and the empty one.
    Row("", "401", "", _PORTAL, _HTTP),
    Row("", "403", "profile", _PORTAL, _SYSTEM),
    Row("", "403", "crm.item.", _REJECTED, _HTTP),
    Row("", "403", "crm.timeline.", _REJECTED, _HTTP),
    Row("", "403", "tasks.task.", _REJECTED, _HTTP),
    Row("", "403", "", _METHOD, _HTTP),
    Row("", "429", "", _BUSY, _HTTP),
    Row("", "", "", _REJECTED, _BIZPROC),
)


def classify(code: str, status: int | None, method: str) -> Row:
    """Return the first row of the table for this code, status (None in a batch) and method."""
    for row in TABLE:
        if row.code and row.code.casefold() != code.casefold():
            continue
        if _status_matches(row.status, status) and method.startswith(row.method):
            return row
    raise AssertionError("the last row matches everything")


def _status_matches(pattern: str, status: int | None) -> bool:
    if not pattern:
        return True
    return status is not None and pattern in (str(status), f"{status // 100}xx")


def uncertain(code: str, text: str) -> Failure:
    """Return the failure of a call that may have been carried out."""
    return Failure(FailureKind.UNCERTAIN, code, text)


def read(status: int, body: bytes, method: str, redact: Redact) -> Answer:
    """Parse the answer to one call."""
    content = decoded(body)
    if content is None or ("error" not in content and status != 200):
        code = "not_json" if status == 200 else f"http_{status}"
        return _failed(uncertain(code, f"the portal answered {status}, and not as it should"))
    if "error" in content:
        return _refused(content, status, method, redact)
    if "result" not in content:
        return _failed(uncertain("wrong_type", "the answer has no result"))
    return _answer(method, content["result"], content)


def read_batch(
    status: int, body: bytes, methods: Mapping[str, str], redact: Redact
) -> dict[str, Answer]:
    """Parse the answer to a batch; `methods` has the method of each command's key."""
    whole = read(status, body, "batch", redact)
    if whole.failure is not None:
        return dict.fromkeys(methods, whole)
    parts = _parts(whole.value)
    if parts is None:
        broken = _failed(uncertain("wrong_type", "the answer to a batch has no such shape"))
        return dict.fromkeys(methods, broken)
    return {key: _part(key, method, parts, redact) for key, method in methods.items()}


_PARTS = ("result", "result_error", "result_total", "result_next", "result_time")


def _parts(value: object) -> dict[str, Mapping[str, object]] | None:
    """Return a batch's five maps. PHP writes an empty one as `[]` (docs: batch.md)."""
    if not isinstance(value, dict) or "result" not in value or "result_error" not in value:
        return None
    parts = {name: value.get(name, {}) or {} for name in _PARTS}
    return parts if all(isinstance(part, dict) for part in parts.values()) else None


def _part(
    key: str, method: str, parts: Mapping[str, Mapping[str, object]], redact: Redact
) -> Answer:
    if key in parts["result_error"]:
        error = parts["result_error"][key]
        content = error if isinstance(error, dict) else {"error": error}
        return _refused(content, None, method, redact)
    if key not in parts["result"]:
        return _failed(uncertain("missing_part", "the answer to a batch lacks this command"))
    beside = {
        "total": parts["result_total"].get(key),
        "next": parts["result_next"].get(key),
        "time": parts["result_time"].get(key),
    }
    return _answer(method, parts["result"][key], beside)


_DENIED_WITH = (401, 403, None)

# For these any result but `true` leaves open what happened.
STOPPING = ("bizproc.workflow.kill", "bizproc.workflow.terminate")
# Each of these tells somebody something, and once more when it is sent once more.
COMMENT, NOTIFY = TELLING = ("crm.timeline.comment.add", "im.notify.system.add")


def stopping_method(action: Action) -> str:
    """Name the REST method that carries an action out."""
    return f"bizproc.workflow.{action.value}"


def _answer(method: str, value: object, beside: Mapping[str, object]) -> Answer:
    total, following = beside.get("total"), beside.get("next")
    if not (_count_or_none(total) and _count_or_none(following)):
        return _failed(uncertain("wrong_type", "the answer's `total` or `next` is no number"))
    time = beside.get("time")
    times = time if isinstance(time, dict) else {}
    failure = None
    if method in STOPPING and value is not True:
        failure = uncertain("wrong_type", "the result is not `true`")
    return Answer(
        value=value,
        total=total if isinstance(total, int) else None,
        next=following if isinstance(following, int) else None,
        failure=failure,
        seconds=_seconds(times.get("duration")),
        finished_at=_seconds(times.get("finish")),
        operating=_seconds(times.get("operating")),
        operating_reset_at=_seconds(times.get("operating_reset_at")),
    )


def _count_or_none(value: object) -> bool:
    if isinstance(value, bool):
        return False
    return value is None or (isinstance(value, int) and 0 <= value <= MOST_ROWS)


def _seconds(value: object) -> float | None:
    """Return a number of seconds; None for anything else, or beyond `LATEST`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -LATEST <= value <= LATEST else None


def _refused(
    content: Mapping[str, object], status: int | None, method: str, redact: Redact
) -> Answer:
    failure = _refusal(content, status, method, redact)
    may_be_wider = failure.kind is not _PORTAL and status in _DENIED_WITH
    return Answer(failure=failure, denied=may_be_wider and failure.code == "ACCESS_DENIED")


def _refusal(
    content: Mapping[str, object], status: int | None, method: str, redact: Redact
) -> Failure:
    error: object = content.get("error")
    description: object = content.get("error_description")
    if isinstance(error, dict):  # REST 3.0 nests them
        description = error.get("message", description)
        error = error.get("code")
    sent = error if isinstance(error, str) else "" if error is None else reprlib.repr(error)
    row = classify(sent, status, method)
    code = row.code or clipped(redact(sent), CODE_LENGTH)
    text = clipped(redact(description), TEXT_LENGTH) if isinstance(description, str) else ""
    return Failure(row.kind, code, text or f"the portal refused: {code or 'it gave no code'}")


def as_list(value: object) -> object:
    """Return several values as a list, also where they came as a map with numbers for keys."""
    if not isinstance(value, dict) or not value:
        return value
    # PHP writes a list whose places are not 0, 1, 2 … as an object: `{"1": 5, "3": 7}`.
    are_places = all(key.isascii() and key.isdigit() for key in value)
    are_plain = not any(isinstance(one, dict | list) for one in value.values())
    return list(value.values()) if are_places and are_plain else value


def clipped(text: str, length: int) -> str:
    """Return a text as one printable line of at most this many characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * length]).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _failed(failure: Failure) -> Answer:
    return Answer(failure=failure)


def decoded(body: bytes) -> dict[str, object] | None:
    """Return the JSON object that a body holds, or None."""
    try:
        content: object = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def query(params: Mapping[str, object]) -> Sequence[tuple[str, str]]:
    """Flatten parameters as PHP's `http_build_query` does: `FILTER[MODULE_ID]=crm`, `SELECT[0]=ID`.

    None has no form there and is left out; true and false are 1 and 0.
    """
    pairs: list[tuple[str, str]] = []
    for name, value in params.items():
        _flatten(name, value, pairs)
    return pairs


def _flatten(name: str, value: object, pairs: list[tuple[str, str]]) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _flatten(f"{name}[{key}]", inner, pairs)
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            _flatten(f"{name}[{place}]", inner, pairs)
    elif isinstance(value, bool):
        pairs.append((name, "1" if value else "0"))
    elif value is not None:
        pairs.append((name, str(value)))
