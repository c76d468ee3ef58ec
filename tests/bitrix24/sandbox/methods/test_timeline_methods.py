"""Comments, log entries and notifications (BITRIX24-APP §5)."""

import pytest

from responder.bitrix24.sandbox import Application, Sandbox
from tests.bitrix24.sandbox.application.client import ApplicationCaller, parsed
from tests.bitrix24.sandbox.caller import Caller, mapping, rows

COMMENT, COMMENTS = "crm.timeline.comment.add", "crm.timeline.comment.list"
LOG, LOGS = "crm.timeline.logmessage.add", "crm.timeline.logmessage.list"
NOTIFY, SYSTEM = "im.notify.personal.add", "im.notify.system.add"
DEAL = {"ENTITY_TYPE": "deal", "ENTITY_ID": 759}
DEAL_BY_NUMBER = {"entityTypeId": 2, "entityId": 759}


@pytest.fixture(autouse=True)
def deals(sandbox: Sandbox) -> None:
    sandbox.scopes = ("crm", "im")
    sandbox.add_item(2, 759)
    sandbox.add_item(2, 760)
    sandbox.add_item(147, 1)
    sandbox.add_user(7)


def comment(caller: Caller, text: str, **fields: object) -> object:
    return caller.result(COMMENT, {"fields": {**DEAL, "COMMENT": text, **fields}})


def test_a_comment_has_the_caller_as_its_author(caller: Caller) -> None:
    """§5, comment.add: author is the token's user, AUTHOR_ID ignored; rows are text."""
    number = comment(caller, "Stopped #r-7f3a9c", AUTHOR_ID=7)
    assert isinstance(number, int)
    [row] = caller.rows(COMMENTS, {"filter": DEAL})
    assert row == {
        "ID": str(number),
        "ENTITY_ID": "759",
        "ENTITY_TYPE": "deal",
        "CREATED": row["CREATED"],
        "COMMENT": "Stopped #r-7f3a9c",
        "AUTHOR_ID": "1",
    }


def test_comments_are_written_on_items_of_any_type(caller: Caller) -> None:
    """§5, comment.add: ENTITY_TYPE `dynamic_147`."""
    smart = {"ENTITY_TYPE": "dynamic_147", "ENTITY_ID": 1}
    comment(caller, "Here", **smart)
    assert len(caller.rows(COMMENTS, {"filter": smart})) == 1
    assert caller.rows(COMMENTS, {"filter": DEAL}) == []


def test_other_keys_of_the_filter_are_ignored(caller: Caller) -> None:
    """§5, comment.list: `filter{ENTITY_ID, ENTITY_TYPE}`, others ignored; order in upper case."""
    for text in ("a", "b", "c"):
        comment(caller, text)
    asked = {"filter": {**DEAL, "AUTHOR_ID": 7, "%COMMENT": "x", ">ID": 9999}}
    assert [row["COMMENT"] for row in caller.rows(COMMENTS, asked)] == ["a", "b", "c"]
    newest = caller.rows(COMMENTS, {**asked, "order": {"ID": "DESC"}})
    assert [row["COMMENT"] for row in newest] == ["c", "b", "a"]
    assert caller.rows(COMMENTS, {**asked, "order": {"id": "DESC"}})[0]["COMMENT"] == "a"


def test_comments_are_paged(caller: Caller) -> None:
    """§5, comment.list: 50 on a page."""
    for number in range(51):
        comment(caller, str(number))
    assert caller.call(COMMENTS, {"filter": DEAL})["next"] == 50


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"COMMENT": ""}, "INVALID_ARG_VALUE"),
        ({"ENTITY_TYPE": "task"}, "INVALID_ARG_VALUE"),
        ({"ENTITY_ID": 9999}, "OWNER_NOT_FOUND"),
        ({"ENTITY_ID": 760}, "ACCESS_DENIED"),
    ],
)
def test_a_comment_is_refused(
    caller: Caller, sandbox: Sandbox, fields: dict[str, object], code: str
) -> None:
    """§5, comment.add: OWNER_NOT_FOUND, ACCESS_DENIED (edit right), INVALID_ARG_VALUE, 100."""
    sandbox.timeline.read_only.add((2, 760))
    params = {"fields": {**DEAL, "COMMENT": "x", **fields}}
    assert caller.refusal(COMMENT, params)[:2] == (400, code)
    assert caller.refusal(COMMENT)[:2] == (400, "100")
    assert sandbox.timeline.comments == []


def test_comments_that_may_not_be_read_have_no_code(caller: Caller, sandbox: Sandbox) -> None:
    """§5, comment.list: denied: 400, `error: ""`."""
    sandbox.denied_items.add((2, 759))
    assert caller.refusal(COMMENTS, {"filter": DEAL})[:2] == (400, "")


def test_our_own_comment_comes_back_as_an_event(
    app: ApplicationCaller, sandbox: Sandbox, application: Application
) -> None:
    """§5, comment.add: fires ONCRMTIMELINECOMMENTADD; §4, own changes: not into the queue."""
    event = "ONCRMTIMELINECOMMENTADD"
    app.result("event.bind", {"event": event, "handler": "http://127.0.0.1:1/"})
    app.result("event.bind", {"event": event, "event_type": "offline"})
    number = comment(app, "Stopped")
    body = parsed(sandbox.outgoing[0].body)
    assert mapping(body["data"]) == {"FIELDS": {"ID": str(number)}}
    assert body["auth"]["user_id"] == "1"
    assert application.offline.rows == []


def test_a_log_entry_is_no_comment(caller: Caller, sandbox: Sandbox) -> None:
    """§5, logmessage.add: a log entry; `.list` has 10 on a page, newest first."""
    for number in range(1, 12):
        fields = {**DEAL_BY_NUMBER, "title": "Stopped", "text": str(number), "iconCode": "info"}
        answer = mapping(mapping(caller.result(LOG, {"fields": fields}))["logMessage"])
        assert (answer["authorId"], answer["text"]) == (1, str(number))
    first = caller.call(LOGS, DEAL_BY_NUMBER)
    entries = rows(mapping(first["result"])["logMessages"])
    assert [row["text"] for row in entries] == [str(number) for number in range(11, 1, -1)]
    assert (first["next"], first["total"]) == (10, 11)
    assert sandbox.timeline.comments == []


def test_a_log_entry_is_refused(caller: Caller, sandbox: Sandbox) -> None:
    """§5, logmessage.add: edit right."""
    fields = {**DEAL_BY_NUMBER, "title": "a", "text": "b"}
    assert caller.refusal(LOG, {"fields": {**fields, "text": ""}})[0] == 400
    assert caller.refusal(LOG, {"fields": {**fields, "entityId": 1}})[1] == "NOT_FOUND"
    assert caller.refusal(LOGS, {"entityTypeId": 2, "entityId": 1})[1] == "NOT_FOUND"
    sandbox.denied_items.add((2, 759))
    assert caller.refusal(LOG, {"fields": fields})[1] == "ACCESS_DENIED"
    assert caller.refusal(LOGS, DEAL_BY_NUMBER)[1] == "ACCESS_DENIED"


def test_a_notification_is_from_the_caller_or_from_nobody(
    app: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§5, im.notify: personal from the token's user; system no sender, the name in front."""
    assert isinstance(app.result(NOTIFY, {"USER_ID": 7, "MESSAGE": "Hello"}), int)
    app.result(SYSTEM, {"USER_ID": 7, "MESSAGE": "Hello"})
    found = [(one.author_id, one.text) for one in sandbox.notifications.all]
    assert found == [("1", "Hello"), ("0", "Responder: Hello")]


def test_a_tag_replaces_what_had_it_and_alerts_again(
    app: ApplicationCaller, caller: Caller, sandbox: Sandbox
) -> None:
    """§5, notifications: same TAG and recipient: replaced; TAG counts with app auth only."""
    for who in (7, 7, 1):
        app.result(NOTIFY, {"USER_ID": who, "MESSAGE": "Waits", "TAG": "d-1"})
    assert [one.user_id for one in sandbox.notifications.all] == ["7", "1"]
    assert len(sandbox.notifications.alerts) == 3
    for _ in range(2):
        caller.result(NOTIFY, {"USER_ID": 7, "MESSAGE": "Waits", "TAG": "d-1"})
    assert [one.user_id for one in sandbox.notifications.all] == ["7", "1", "7", "7"]
    named = {"USER_ID": 7, "MESSAGE": "Waits", "TAG": "d-2", "CLIENT_ID": "x"}
    for _ in range(2):
        caller.result(NOTIFY, named)
    assert len(sandbox.notifications.all) == 5


def test_a_muted_recipient_is_told_of_by_the_time(caller: Caller, sandbox: Sandbox) -> None:
    """§5, im.notify: muted recipient: the "id" is the Unix time [src]; nobody there is false."""
    sandbox.clock = lambda: 1_764_266_400.5
    sandbox.notifications.muted.add("7")
    assert caller.result(NOTIFY, {"USER_ID": 7, "MESSAGE": "Hello"}) == 1_764_266_400
    assert sandbox.notifications.all == []
    assert caller.result(NOTIFY, {"USER_ID": 99, "MESSAGE": "Hello"}) is False


def test_a_notification_needs_a_person_and_a_text(caller: Caller, sandbox: Sandbox) -> None:
    """§5, im.notify: USER_ID and MESSAGE, scope im."""
    assert caller.refusal(NOTIFY, {"MESSAGE": "x"})[:2] == (400, "USER_ID_EMPTY")
    assert caller.refusal(NOTIFY, {"USER_ID": 7})[:2] == (400, "MESSAGE_EMPTY")
    sandbox.scopes = ("crm",)
    assert caller.refusal(NOTIFY, {"USER_ID": 7, "MESSAGE": "x"})[1] == "insufficient_scope"


def test_a_comment_by_somebody_else_than_the_responsible_counts_as_activity(
    sandbox: Sandbox, caller: Caller
) -> None:
    """Module crm, lib/Service/Timeline/Monitor.php and LastActivity.php: it updates the item."""
    sandbox.add_item(2, 759, assignedById=7)
    comment(caller, "Stopped")
    item = sandbox.items[2, 759]
    assert (item["lastActivityBy"], item["updatedBy"]) == (1, 1)
    assert item["updatedTime"] == item["lastActivityTime"]
    sandbox.add_item(2, 760, assignedById=1)
    comment(caller, "Stopped", ENTITY_ID=760)
    assert "updatedTime" not in sandbox.items[2, 760]
