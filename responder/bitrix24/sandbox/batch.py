"""Carries out a batch: up to 50 commands, always answered 200, each part `[]` when empty."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from responder.bitrix24.sandbox import php
from responder.bitrix24.sandbox.answers import Answer, BrokenLineError, RefusedError
from responder.bitrix24.sandbox.faults import MISSING

MOST_COMMANDS = 50
_REFERENCE = re.compile(r"\$result((?:\[[^\]]+\])+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One parsed command of a batch."""

    key: str
    method: str
    params: Mapping[str, object]


def commands(params: Mapping[str, object]) -> tuple[Command, ...]:
    """Parse `cmd`. Commands that are not strings are skipped without a word.

    The query of a command is decoded once here: in a JSON body it is encoded once, in a form twice.
    """
    found = []
    for key, command in php.mapping(params.get("cmd")).items():
        if isinstance(command, str):
            method, _, query = command.partition("?")
            found.append(Command(key=key, method=method.lower(), params=php.nest(query)))
    return tuple(found)


@dataclass(slots=True)
class _Parts:
    result: dict[str, object] = field(default_factory=dict)
    result_error: dict[str, object] = field(default_factory=dict)
    result_total: dict[str, object] = field(default_factory=dict)
    result_next: dict[str, object] = field(default_factory=dict)
    result_time: dict[str, object] = field(default_factory=dict)

    def add(self, key: str, answer: Answer, time: Mapping[str, object]) -> None:
        if answer.value is MISSING:
            return
        self.result[key] = answer.value
        self.result_time[key] = time
        if answer.total is not None:
            self.result_total[key] = answer.total
        if answer.next is not None:
            self.result_next[key] = answer.next

    def refuse(self, key: str, refusal: RefusedError) -> None:
        self.result_error[key] = {"error": refusal.code, "error_description": refusal.text}

    def encoded(self) -> dict[str, object]:
        return {
            "result": php.array(self.result),
            "result_error": php.array(self.result_error),
            "result_total": php.array(self.result_total),
            "result_next": php.array(self.result_next),
            "result_time": php.array(self.result_time),
        }


def run(
    commands: Sequence[Command],
    *,
    halt: bool,
    carry_out: Callable[[str, Mapping[str, object]], Answer],
    time: Callable[[str], Mapping[str, object]],
) -> Answer:
    """Carry out the commands in turn; with `halt`, up to the first that is refused."""
    parts = _Parts()
    lost: BrokenLineError | None = None
    for number, command in enumerate(commands):
        try:
            _check(number, command)
            params = php.mapping(_resolved(command.params, parts.result))
            parts.add(command.key, carry_out(command.method, params), time(command.method))
        except RefusedError as refusal:
            parts.refuse(command.key, refusal)
            if halt:
                break
        except BrokenLineError as line:
            if not line.acted:
                raise
            lost = line
    if lost:
        raise lost
    return Answer(value=parts.encoded())


def _check(number: int, command: Command) -> None:
    if number >= MOST_COMMANDS:
        raise RefusedError(400, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
    if command.method == "batch":
        text = "Method is not allowed for batch usage"
        raise RefusedError(405, "ERROR_BATCH_METHOD_NOT_ALLOWED", text)


def _resolved(value: object, result: object) -> object:
    """Replace `$result[key][field]` by the earlier result that it names.

    A path that cannot be followed to its end gives the value reached, so a missing id can become
    all the results of other commands.
    """
    if isinstance(value, dict | list):
        inner = php.mapping(value).items()
        return php.array({name: _resolved(one, result) for name, one in inner})
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if match:
        for key in re.findall(r"\[([^\]]+)\]", match[1]):
            result = php.mapping(result).get(key, result)
        return result
    return value
