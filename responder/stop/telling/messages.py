"""Defines the calls that tell people something, and reads what became of them.

A comment has a mark in its text, by which it can be looked for; a notification cannot be looked for
(docs: im.notify.get is not for everybody). The author of a comment is the user whom we call as,
whatever is asked; a notification of the system has no sender, and an application's name in front.
https://apidocs.bitrix24.com/api-reference/crm/timeline/comments/crm-timeline-comment-add.html and
.../chats/notifications/im-notify-system-add.html.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import (
    COMMENT,
    NOTIFY,
    Answer,
    Command,
    FailureKind,
    explain,
)
from responder.journal.telling.tellings import Telling
from responder.model import Document
from responder.stop.telling.message_words import with_mark

PAGE = 50
PAGES = 3  # of the newest comments on an item, among which ours is looked for


class Heard(StrEnum):
    """What an answer says of a call: carried out, refused for good, not carried out, or unclear."""

    DONE = "done"
    REFUSED = "refused"
    NOT_DONE = "not done"
    UNCLEAR = "unclear"


def command_of(one: Telling) -> Command:
    """Return the call that tells it."""
    if one.user is not None:
        return Command(NOTIFY, {"USER_ID": one.user, "MESSAGE": one.message})
    text = with_mark(one.message, one.mark)
    return Command(COMMENT, {"fields": {**_owner(one.document), "COMMENT": text}})


def heard(one: Telling, answer: Answer) -> tuple[Heard, str]:
    """Return what the answer to its call says, and why in words, or what was made."""
    failure = answer.failure
    if failure is None:
        return _made(one, answer.value)
    match failure.kind:
        case FailureKind.UNCERTAIN:
            return Heard.UNCLEAR, explain(failure)
        case FailureKind.BUSY | FailureKind.PORTAL:
            return Heard.NOT_DONE, explain(failure)
        case FailureKind.METHOD | FailureKind.REJECTED:
            return Heard.REFUSED, explain(failure)


def _made(one: Telling, value: object) -> tuple[Heard, str]:
    is_number = isinstance(value, int | str) and not isinstance(value, bool)
    if is_number and str(value).isdigit() and int(str(value)) > 0:
        return Heard.DONE, f"{'comment' if one.user is None else 'notification'} {value}"
    if value is False and one.user is not None:
        return Heard.REFUSED, "the portal has no such user who may be told: perhaps dismissed"
    return Heard.UNCLEAR, "the answer has no number of what was made"


def searches(one: Telling) -> list[Command]:
    """Return the calls for the newest comments on the document, newest first."""
    wanted = {"filter": _owner(one.document), "order": {"ID": "DESC"}, "select": ["ID", "COMMENT"]}
    method = "crm.timeline.comment.list"
    return [Command(method, {**wanted, "start": PAGE * page}) for page in range(PAGES)]


def found(one: Telling, answers: Sequence[Answer]) -> str | None:
    """Return the number of the comment that has the mark of a telling, or None."""
    for row in _rows(answers):
        if one.mark in str(row.get("COMMENT", "")):
            return str(row.get("ID"))
    return None


def are_whole(answers: Sequence[Answer]) -> bool:
    """Return whether these lists show that a comment which is not among them does not exist."""
    if any(answer.failure is not None or answer.total is None for answer in answers):
        return False
    total = max(answer.total or 0 for answer in answers)
    return total <= PAGE * PAGES and len(list(_rows(answers))) >= total


def _rows(answers: Sequence[Answer]) -> Iterator[dict[str, object]]:
    seen: set[object] = set()
    for answer in answers:
        for row in answer.value if isinstance(answer.value, list) else ():
            if isinstance(row, dict) and row.get("ID") not in seen:
                seen.add(row.get("ID"))
                yield row


def _owner(document: Document) -> dict[str, object]:
    number = int(document.item_id)
    return {"ENTITY_ID": number, "ENTITY_TYPE": _type_of(document.kind)}


def _type_of(kind: str) -> str:
    """Return the word for a kind in timelines: `deal`, `smart_invoice`, `dynamic_147`."""
    if kind.startswith("item_"):
        return f"dynamic_{documents.entity_type_id(kind)}"
    return "smart_invoice" if kind == "invoice" else kind
