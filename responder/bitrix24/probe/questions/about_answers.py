"""Asks about the form of answers: batches, errors, times, and a kill of what cannot exist."""

from collections.abc import Mapping, Sequence

from responder.bitrix24.client.answers import Command
from responder.bitrix24.fetch.items import item_of
from responder.bitrix24.lists.workflow_row import instance_of_id
from responder.bitrix24.probe.question import (
    CannotAskError,
    Heard,
    Question,
    Verdict,
    differs,
    expected,
    whether,
)
from responder.bitrix24.probe.questions.about_filters import NOBODYS_ID
from responder.bitrix24.probe.questions.about_items import NO_ITEM
from responder.bitrix24.probe.questions.sample import DEAL
from responder.bitrix24.probe.questions.value_kinds import instant

KILL = "bizproc.workflow.kill"
NO_METHOD = "responder.no.such.method"
CLOCKS_APART = 60
_PARTS = ("result", "result_error", "result_total", "result_next", "result_time")


def _two_methods(_heard: Heard) -> dict[str, Command]:
    named = {"kill": KILL, "none": NO_METHOD}
    return {name: Command("method.get", {"name": method}) for name, method in named.items()}


def _exists(heard: Heard, name: str) -> object:
    value = heard[name].value
    return value.get("isExisting") if isinstance(value, dict) else None


def _own_answers(heard: Heard) -> Verdict:
    found = (_exists(heard, "kill"), _exists(heard, "none"))
    if not all(isinstance(one, bool) for one in found):
        raise CannotAskError("method.get did not say which method there is")
    return whether(found != (False, True), "each its own", "answers under each other's keys")


def _method_shape(heard: Heard) -> Verdict:
    value = heard["kill"].value
    names = ("isExisting", "isAvailable")
    is_right = isinstance(value, dict) and all(isinstance(value.get(n), bool) for n in names)
    return whether(is_right, "two booleans", "something else")


def _batches(heard: Heard) -> Sequence[Mapping[str, object]]:
    answered = (content for status, content in heard.batches if status == 200)
    found = [parts for one in answered if isinstance(parts := one.get("result"), dict)]
    if not found:
        raise CannotAskError("no batch was listened to")
    return found


def _has_parts(heard: Heard) -> Verdict:
    lacking = {name for one in _batches(heard) for name in _PARTS if name not in one}
    return whether(not lacking, "all five", f"without {', '.join(sorted(lacking))}")


def _empty_parts(heard: Heard) -> Verdict:
    empty = [one[name] for one in _batches(heard) for name in _PARTS if one.get(name) in ([], {})]
    if not empty:
        raise CannotAskError("no part was empty")
    return whether(all(isinstance(one, list) for one in empty), "`[]`", "`{}`")


def _failing(_heard: Heard) -> dict[str, Command]:
    return {"failing": item_of(DEAL, NO_ITEM + 1)}  # another than is asked for alone


def _fails_alone(heard: Heard) -> Verdict:
    _batches(heard)
    code = heard["failing"].code
    others = [reply for reply in heard.again.values() if reply.answer.failure is None]
    if code is None or not others:
        raise CannotAskError("nothing failed, or all did")
    return expected("its own error, and 200 for the batch")


def _no_method(heard: Heard) -> Verdict:
    reply = heard["no_method"]
    failure = reply.answer.failure
    if failure is None or failure.code != "ERROR_METHOD_NOT_FOUND":
        _ = reply.code  # raises where no answer came at all
        return differs("another code", "code")
    if reply.status is None:
        raise CannotAskError("the status was not heard", failed=True)
    return whether(reply.status == 404, "404 ERROR_METHOD_NOT_FOUND", f"status {reply.status}")


def _operating(heard: Heard) -> Verdict:
    answer = heard["kill"].answer
    _ = heard["kill"].value
    told = (answer.operating is not None, answer.operating_reset_at is not None)
    if told == (True, True):
        return expected("with every answer", "told")
    return expected("not at all", "untold") if told == (False, False) else differs("only in part")


def _durations(heard: Heard) -> Verdict:
    answer = heard["kill"].answer
    _ = heard["kill"].value
    told = answer.seconds is not None and answer.finished_at is not None
    return whether(told, "duration and finish, in seconds", "without them")


def _clock(heard: Heard) -> Verdict:
    value = heard["time"].value
    at = instant(value)
    if at is None or heard.now is None:
        return differs("no instant with an offset", "form")
    apart = abs((heard.now - at).total_seconds())
    return whether(apart <= CLOCKS_APART, "within a minute of ours", "more than a minute from ours")


def _absent(_heard: Heard) -> dict[str, Command]:
    return {"absent": instance_of_id(NOBODYS_ID)}


def _kill(heard: Heard) -> dict[str, Command]:
    """Kill what the list proves absent: an id that no workflow can have."""
    if any(row.get("ID") == NOBODYS_ID for row in heard["absent"].rows):
        raise CannotAskError("a workflow has the id that none can have")
    return {"killed": Command(KILL, {"ID": NOBODYS_ID})}


def _refuses_kill(heard: Heard) -> Verdict:
    reply = heard["killed"]
    code = reply.code
    if code is None:
        return differs("the portal says that it was killed", "killed")
    if code:
        return differs("another code", "code")
    return whether(reply.status == 400, "400, with an empty code", f"status {reply.status}")


QUESTIONS = (
    Question(
        id="batch-answers-each-its-own",
        section="6.5",
        asks="Does each command of a batch have its answer under its own key?",
        expected="each its own",
        leads_to="A stop could be logged with another's outcome.",
        commands=_two_methods,
        judge=_own_answers,
        crucial=True,
        like={"differs": ("swaps_answers", True)},
    ),
    Question(
        id="batch-has-five-parts",
        section="6.5",
        asks="Has a batch's answer results, errors, totals, nexts and times?",
        expected="all five",
        leads_to="Lists without totals are not believed: nothing is stopped.",
        commands=_two_methods,
        judge=_has_parts,
        like={"differs": ("absent_parts", frozenset({"result_next"}))},
    ),
    Question(
        id="empty-part-is-a-list",
        section="6.5",
        asks="Is a part of a batch that has nothing `[]`?",
        expected="`[]`",
        leads_to="Nothing: both are read.",
        commands=_two_methods,
        judge=_empty_parts,
        like={"differs": ("empty_maps", True)},
    ),
    Question(
        id="batch-with-a-failure-is-answered",
        section="6.5",
        asks="Is a batch answered with 200 where one of its commands fails?",
        expected="its own error, and 200 for the batch",
        leads_to="Failures of one document would be those of all that was asked with it.",
        sample=("workflows",),
        commands=_failing,
        judge=_fails_alone,
    ),
    Question(
        id="method-get-says-booleans",
        section="6.4",
        asks="Does method.get answer with isExisting and isAvailable?",
        expected="two booleans",
        leads_to="`doctor` could not say which methods the webhook may call.",
        commands=_two_methods,
        judge=_method_shape,
        like={"differs": ("methods_as_text", True)},
    ),
    Question(
        id="unknown-method-is-404",
        section="7.2",
        asks="Is a method that does not exist answered with 404 ERROR_METHOD_NOT_FOUND?",
        expected="404 ERROR_METHOD_NOT_FOUND",
        leads_to="A plan without workflows would not be recognised at once.",
        alone=lambda _heard: {"no_method": Command(NO_METHOD, {})},
        judge=_no_method,
        like={"code": ("absent_method_code", "ERROR_CORE")},
    ),
    Question(
        id="operating-time-is-told",
        section="7.1",
        asks="Do answers say how much operating time the method has used?",
        expected="`operating` and `operating_reset_at`, or neither",
        leads_to="A method would be blocked before its limit is known.",
        commands=_two_methods,
        judge=_operating,
        like={
            "told": ("tells_operating", True),
            "untold": ("tells_operating", False),
            "differs": ("no_reset", True),
        },
    ),
    Question(
        id="answers-have-times",
        section="6",
        asks="Do answers say how long they took, and when they were finished?",
        expected="duration and finish, in seconds",
        leads_to="Batches are sized by guesses: more requests.",
        commands=_two_methods,
        judge=_durations,
        like={"differs": ("no_times", True)},
    ),
    Question(
        id="clock-agrees",
        section="6.4",
        asks="Is server.time an instant with an offset, near to our own clock?",
        expected="within a minute of ours",
        leads_to="Ages of workflows are reckoned with both clocks: set this machine's (NTP).",
        sample=("time",),
        judge=_clock,
        like={"form": ("clock_without_offset", True), "differs": ("clock_ahead", True)},
    ),
    Question(
        id="kill-of-nobody-is-refused",
        section="6.1",
        asks="Is a kill of an id that cannot exist refused with 400 and an empty code?",
        expected="400, with an empty code",
        leads_to="A kill that did nothing would be logged as killed.",
        commands=_absent,
        alone=_kill,
        judge=_refuses_kill,
        crucial=True,
        kills=True,
        like={"killed": ("kills_anything", True), "code": ("unknown_id_code", "ERROR_CORE")},
    ),
)
