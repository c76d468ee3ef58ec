"""Implements the methods by which people are told, in timelines and by notifications.

https://apidocs.bitrix24.com/api-reference/crm/timeline/ and .../chats/messages/notifications/.
"""

import re
from collections.abc import Mapping

from responder.bitrix24.sandbox import php
from responder.bitrix24.sandbox.answers import Answer, RefusedError
from responder.bitrix24.sandbox.contents.timeline import Comment, LogMessage
from responder.bitrix24.sandbox.methods.event_methods import upper
from responder.bitrix24.sandbox.rows import Listing, ListParams, page
from responder.bitrix24.sandbox.state import State

LOG_PAGE = 10
_TYPES = {"lead": 1, "deal": 2, "contact": 3, "company": 4, "quote": 7, "order": 14}
_TYPES |= {"smart_invoice": 31}
_EVENTS = {1: "LEAD", 2: "DEAL", 3: "CONTACT", 4: "COMPANY", 7: "QUOTE"}
_DYNAMIC = re.compile(r"dynamic_([0-9]+)")
_COMMENT_FIELDS = ("ID", "ENTITY_ID", "ENTITY_TYPE", "CREATED", "COMMENT", "AUTHOR_ID")
_COMMENTS = Listing(fields=_COMMENT_FIELDS, select=_COMMENT_FIELDS, order=(("ID", "ASC"),))


def add_comment(state: State, params: Mapping[str, object]) -> Answer:
    """Write a comment as the caller, whatever author is given; the events of it follow.

    A comment by another than whoever is responsible counts as activity: the item is updated for it,
    without robots and workflows (module crm, lib/Service/Timeline/Monitor.php, LastActivity.php).
    """
    fields = _fields(params)
    text, entity_type = php.text(fields.get("COMMENT")).strip(), php.text(fields.get("ENTITY_TYPE"))
    entity_id, type_id = php.integer(fields.get("ENTITY_ID")), _type_id(entity_type)
    if not text or not type_id or entity_id <= 0:
        raise RefusedError(400, "INVALID_ARG_VALUE", "Invalid value of a field")
    _check_editable(state, (type_id, entity_id), missing="OWNER_NOT_FOUND")
    comment = Comment(
        id=state.timeline.next_id(),
        entity_type_id=type_id,
        entity_type=entity_type,
        entity_id=entity_id,
        author_id=state.actor.user_id,
        text=text,
        created=state.instant(),
    )
    state.timeline.comments.append(comment)
    state.happens(
        "ONCRMTIMELINECOMMENTADD",
        {"FIELDS": {"ID": comment.id}},
        user_id=php.integer(state.actor.user_id),
        ours=state.actor.application,
        connector=php.text(upper(params).get("AUTH_CONNECTOR")),
    )
    _count_as_activity(state, comment)
    return Answer(value=comment.id)


def _count_as_activity(state: State, comment: Comment) -> None:
    item = state.items[comment.entity_type_id, comment.entity_id]
    if str(item.get("assignedById")) == comment.author_id:
        return
    author = php.integer(comment.author_id)
    item |= {"lastActivityTime": comment.created, "lastActivityBy": author}
    item |= {"updatedTime": comment.created, "updatedBy": author}
    common = _EVENTS.get(comment.entity_type_id)
    of_type = {} if common else {"ENTITY_TYPE_ID": comment.entity_type_id}
    state.happens(
        f"ONCRM{common or 'DYNAMICITEM'}UPDATE",
        {"FIELDS": {"ID": comment.entity_id, **of_type}},
        user_id=author,
        ours=state.actor.application,
    )


def comments(state: State, params: Mapping[str, object]) -> Answer:
    """List the comments of one item. Every other key of the filter is ignored."""
    wanted = php.mapping(params.get("filter"))
    type_id = _type_id(php.text(wanted.get("ENTITY_TYPE")))
    item = (type_id, php.integer(wanted.get("ENTITY_ID")))
    if item not in state.items or item in state.denied_items:
        raise RefusedError(400, "", "Access denied.")
    rows = [
        _comment(one)
        for one in state.timeline.comments
        if (one.entity_type_id, one.entity_id) == item
    ]
    return page(
        rows,
        ListParams(
            filter={},
            order=php.mapping(params.get("order")),
            select=php.texts(params.get("select")),
            start=php.integer(params.get("start")),
        ),
        _COMMENTS,
    )


def add_log_message(state: State, params: Mapping[str, object]) -> Answer:
    """Write an entry into the log of an item: no comment, and no event."""
    fields = _fields(params)
    item = (php.integer(fields.get("entityTypeId")), php.integer(fields.get("entityId")))
    if php.is_empty(fields.get("title")) or php.is_empty(fields.get("text")):
        raise RefusedError(400, "REQUIRED_ARG_MISSING", "A required field is missing")
    _check_editable(state, item, missing="NOT_FOUND")
    entry = LogMessage(
        id=state.timeline.next_id(),
        entity_type_id=item[0],
        entity_id=item[1],
        author_id=state.actor.user_id,
        title=php.text(fields["title"]),
        text=php.text(fields["text"]),
        icon=php.text(fields.get("iconCode")) or "info",
        created=state.instant(),
    )
    state.timeline.log.append(entry)
    return Answer(value={"logMessage": _log_message(entry)})


def log_messages(state: State, params: Mapping[str, object]) -> Answer:
    """List the entries of an item, ten on a page, the newest first."""
    item = (php.integer(params.get("entityTypeId")), php.integer(params.get("entityId")))
    if item not in state.items:
        raise RefusedError(400, "NOT_FOUND", "Element not found")
    if item in state.denied_items:
        raise RefusedError(400, "ACCESS_DENIED", "Access denied")
    log = [one for one in state.timeline.log if (one.entity_type_id, one.entity_id) == item]
    start = max(0, php.integer(params.get("start")))
    part = log[::-1][start : start + LOG_PAGE]
    following = start + len(part)
    return Answer(
        value={"logMessages": [_log_message(one) for one in part]},
        total=len(log),
        next=following if following < len(log) else None,
    )


def notify_personally(state: State, params: Mapping[str, object]) -> Answer:
    """Notify a person as the caller."""
    return _notify(state, params, author_id=state.actor.user_id, prefix="")


def notify_by_system(state: State, params: Mapping[str, object]) -> Answer:
    """Notify a person without a sender; the application's name stands in front."""
    application = state.application if state.actor.application else None
    prefix = f"{application.title}: " if application else ""
    return _notify(state, params, author_id="0", prefix=prefix)


def _notify(state: State, params: Mapping[str, object], *, author_id: str, prefix: str) -> Answer:
    asked = upper(params)
    user_id, text = php.text(asked.get("USER_ID")), php.text(asked.get("MESSAGE")).strip()
    if php.integer(user_id) <= 0:
        raise RefusedError(400, "USER_ID_EMPTY", "User ID can't be empty")
    if not text:
        raise RefusedError(400, "MESSAGE_EMPTY", "Message can't be empty")
    user = state.users.get(user_id)
    if user is None or not user["ACTIVE"]:
        return Answer(value=False)
    # In the module a tag counts for applications alone; by the docs a webhook names a CLIENT_ID.
    tagged = state.actor.application or "CLIENT_ID" in asked
    number = state.notifications.add(
        user_id=user_id,
        author_id=author_id,
        text=f"{prefix}{text}",
        tag=php.text(asked.get("TAG")) if tagged else "",
        at=state.clock(),
    )
    return Answer(value=number)


def _fields(params: Mapping[str, object]) -> Mapping[str, object]:
    if "fields" not in params:
        raise RefusedError(400, "100", "Could not find value for parameter {fields}")
    return php.mapping(params["fields"])


def _type_id(name: str) -> int:
    dynamic = _DYNAMIC.fullmatch(name.lower())
    return int(dynamic[1]) if dynamic else _TYPES.get(name.lower(), 0)


def _check_editable(state: State, item: tuple[int, int], *, missing: str) -> None:
    if item not in state.items:
        raise RefusedError(400, missing, "Owner not found")
    if item in state.denied_items or item in state.timeline.read_only:
        raise RefusedError(400, "ACCESS_DENIED", "Access denied")


def _comment(comment: Comment) -> dict[str, object]:
    return {
        "ID": str(comment.id),
        "ENTITY_ID": str(comment.entity_id),
        "ENTITY_TYPE": comment.entity_type,
        "CREATED": comment.created,
        "COMMENT": comment.text,
        "AUTHOR_ID": comment.author_id,
    }


def _log_message(entry: LogMessage) -> dict[str, object]:
    return {
        "id": entry.id,
        "created": entry.created,
        "authorId": php.integer(entry.author_id),
        "title": entry.title,
        "text": entry.text,
        "iconCode": entry.icon,
    }
