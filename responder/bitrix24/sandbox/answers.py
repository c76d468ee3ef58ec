"""Defines the results of a call: an answer, a refusal, or a broken line."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of a method; `total` and `next` only where it is a list."""

    value: object
    total: int | None = None
    next: int | None = None


class RefusedError(Exception):
    """An error that the portal words itself: `{"error": code, "error_description": text}`.

    `status` is the documentation's, and the cloud's; `on_premise` that of the portal's modules,
    where it differs.
    """

    def __init__(self, status: int, code: str, text: str, *, on_premise: int | None = None) -> None:
        super().__init__(status, code, text)
        self.status = status
        self.code = code
        self.text = text
        self.on_premise = on_premise or status


class BrokenLineError(Exception):
    """The loss or replacement of the whole HTTP answer, whatever the other commands of a batch did.

    Where `acted` is false, the commands that follow in the batch are not carried out either.
    """

    def __init__(self, fault: str, *, acted: bool) -> None:
        super().__init__(fault)
        self.fault = fault
        self.acted = acted
