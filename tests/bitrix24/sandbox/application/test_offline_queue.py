"""The queue of offline events (BITRIX24-APP §4; BITRIX24 §1.6)."""

from collections.abc import Mapping

import pytest

from responder.bitrix24.sandbox import Application, Sandbox
from tests.bitrix24.sandbox.application.client import ApplicationCaller
from tests.bitrix24.sandbox.caller import mapping, rows

GET, LIST, CLEAR = "event.offline.get", "event.offline.list", "event.offline.clear"
UPDATE = "ONCRMDEALUPDATE"
DAY = 24 * 3600


def deal(number: int) -> dict[str, object]:
    return {"FIELDS": {"ID": number}}


def taken(app: ApplicationCaller, **params: object) -> tuple[object, list[object]]:
    """Return the process id and the ids of deals of an `event.offline.get`."""
    answer = mapping(app.result(GET, params))
    found = [mapping(mapping(row["EVENT_DATA"])["FIELDS"])["ID"] for row in rows(answer["events"])]
    return answer["process_id"], found


def listed(app: ApplicationCaller, filters: Mapping[str, object] | None = None) -> list[object]:
    found = app.rows(LIST, {"filter": filters or {}})
    return [mapping(mapping(row["EVENT_DATA"])["FIELDS"])["ID"] for row in found]


def test_a_row_says_what_happened(extended: ApplicationCaller, sandbox: Sandbox) -> None:
    """§4, row: ids in EVENT_DATA are integers, all else text; the list adds two fields."""
    sandbox.happens(UPDATE, deal(5), user_id=7)
    (row,) = extended.rows(LIST)
    assert row == {
        "ID": "1",
        "TIMESTAMP_X": row["TIMESTAMP_X"],
        "EVENT_NAME": UPDATE,
        "EVENT_DATA": {"FIELDS": {"ID": 5}},
        "EVENT_ADDITIONAL": {"user_id": 7},
        "MESSAGE_ID": row["MESSAGE_ID"],
        "PROCESS_ID": "",
        "ERROR": "0",
    }
    assert len(bytes.fromhex(str(row["MESSAGE_ID"]))) == 16
    answer = mapping(extended.result(GET))
    assert rows(answer["events"]) == [
        {name: value for name, value in row.items() if name not in ("PROCESS_ID", "ERROR")}
    ]


def test_data_and_actor_may_be_false(extended: ApplicationCaller, sandbox: Sandbox) -> None:
    """§4, row: EVENT_DATA and EVENT_ADDITIONAL may be `false`; nobody is user 0."""
    sandbox.happens(UPDATE, None, user_id=None)
    sandbox.happens(UPDATE, deal(5))
    first, second = extended.rows(LIST)
    assert (first["EVENT_DATA"], first["EVENT_ADDITIONAL"]) == (False, False)
    assert second["EVENT_ADDITIONAL"] == {"user_id": 0}


def test_reading_deletes_unless_it_is_told_not_to(
    extended: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§4, event.offline.get: `clear` is 1 by default, and there is no process id then."""
    sandbox.happens(UPDATE, deal(5))
    assert taken(extended) == (None, [5])
    assert taken(extended) == (None, [])


def test_reserved_rows_wait_for_their_confirmation(
    extended: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§4: reserve with `clear=0`, read again with the process id, then clear: always true."""
    for number in (5, 6):
        sandbox.happens(UPDATE, deal(number))
    process_id, found = taken(extended, clear=0)
    assert (len(str(process_id)), found) == (32, [5, 6])
    assert taken(extended, clear=0)[1] == []
    assert taken(extended, clear=0, process_id=process_id) == (process_id, [5, 6])
    assert extended.result(CLEAR, {"process_id": process_id}) is True
    assert extended.result(CLEAR, {"process_id": process_id}) is True
    assert listed(extended) == []


def test_reserving_is_a_matter_of_the_plan(extended: ApplicationCaller, sandbox: Sandbox) -> None:
    """§4: `clear=0` needs `rest_offline_extended`, else 403 WRONG_LICENSE; list and take do not."""
    sandbox.features.discard("rest_offline_extended")
    for number in (5, 6, 7):
        sandbox.happens(UPDATE, deal(number))
    assert extended.refusal(GET, {"clear": 0})[:2] == (403, "WRONG_LICENSE")
    assert listed(extended) == [5, 6, 7]
    assert taken(extended, filter={"<=ID": 2}) == (None, [5, 6])
    assert listed(extended) == [7]


def test_a_batch_that_is_read_again_with_clear_is_deleted_whole(
    extended: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§4: clear=1 deletes the whole batch, beyond `limit` too."""
    for number in range(4):
        sandbox.happens(UPDATE, deal(number))
    process_id, _ = taken(extended, clear=0)
    assert taken(extended, process_id=process_id, limit=1) == (process_id, [0])
    assert listed(extended) == []


def test_an_empty_process_id_is_every_row_that_is_not_reserved(
    extended: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§4: `process_id=""` = all unreserved rows: never send."""
    sandbox.happens(UPDATE, deal(1))
    taken(extended, clear=0)
    for number in (2, 3, 4):
        sandbox.happens(UPDATE, deal(number))
    assert taken(extended, process_id="", limit=1) == ("", [2])
    assert listed(extended) == [1]


def test_a_lost_answer_is_found_by_the_list(extended: ApplicationCaller, sandbox: Sandbox) -> None:
    """§4: list with `{">PROCESS_ID": ""}` shows reserved rows; they never come back themselves."""
    sandbox.happens(UPDATE, deal(5))
    sandbox.fail_next(GET, "act_then_500")
    assert extended.post(GET, {"clear": 0}).status_code == 500
    sandbox.happens(UPDATE, deal(6))
    (row,) = extended.rows(LIST, {"filter": {">PROCESS_ID": ""}})
    assert taken(extended, clear=0)[1] == [6]
    assert taken(extended, clear=0, process_id=row["PROCESS_ID"])[1] == [5]


def test_rows_are_merged_until_they_are_reserved(
    extended: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§4, merging: one unreserved row by event and data; a repeat refreshes time and actor."""
    now = sandbox.clock()
    sandbox.clock = lambda: now
    sandbox.happens("ONCRMDEALADD", deal(5), user_id=7)
    sandbox.happens(UPDATE, deal(5), user_id=7)
    sandbox.clock = lambda: now + 60
    sandbox.happens(UPDATE, deal(5), user_id=8)
    added, updated = extended.rows(LIST)
    assert (added["ID"], updated["ID"]) == ("1", "2")
    assert str(updated["TIMESTAMP_X"]) > str(added["TIMESTAMP_X"])
    assert updated["EVENT_ADDITIONAL"] == {"user_id": 8}
    taken(extended, clear=0)
    sandbox.happens(UPDATE, deal(5), user_id=9)
    assert [row["ID"] for row in extended.rows(LIST)] == ["1", "2", "3"]


def test_confirming_some_rows_leaves_the_others(
    extended: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§4, event.offline.clear: by id or message; both: the module obeys one, the docs the other."""
    for number in range(1, 5):
        sandbox.happens(UPDATE, deal(number))
    process_id, _ = taken(extended, clear=0)
    messages = [row["MESSAGE_ID"] for row in extended.rows(LIST)]
    extended.result(CLEAR, {"process_id": process_id, "id": [1]})
    assert listed(extended) == [2, 3, 4]
    both = {"process_id": process_id, "id": ["2"], "message_id": [messages[2]]}
    extended.result(CLEAR, both)
    assert listed(extended) == [2, 4]


def test_the_documentation_obeys_the_other_one(
    extended: ApplicationCaller, sandbox: Sandbox, application: Application
) -> None:
    """§4, event.offline.clear: `by_the_docs` obeys ids."""
    application.offline.by_the_docs = True
    for number in (1, 2):
        sandbox.happens(UPDATE, deal(number))
    process_id, _ = taken(extended, clear=0)
    both = {"process_id": process_id, "id": ["1"], "message_id": ["none"]}
    extended.result(CLEAR, both)
    assert listed(extended) == [2]


def test_clearing_names_a_process(extended: ApplicationCaller) -> None:
    """§4, event.offline.clear: `process_id` is required."""
    assert extended.refusal(CLEAR, {"id": [1]})[:2] == (400, "ERROR_ARGUMENT")


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"ID": 2}, [2]),
        ({"=ID": "2"}, [2]),
        ({"<ID": 2}, [1]),
        ({">ID": 2, "<=ID": 3}, [3]),
        ({">=ID": 3}, [3]),
        ({"EVENT_NAME": UPDATE}, [1, 2, 3]),
        ({"EVENT_NAME": "ONCRMDEALADD"}, []),
        ({">TIMESTAMP_X": "2100-01-01T00:00:00+00:00"}, []),
    ],
)
@pytest.mark.parametrize("method", [GET, LIST])
def test_rows_are_filtered(
    extended: ApplicationCaller,
    sandbox: Sandbox,
    filters: dict[str, object],
    found: list[int],
    method: str,
) -> None:
    """§4, filter: ID, TIMESTAMP_X, EVENT_NAME, MESSAGE_ID; `= > < >= <=`."""
    for number in (1, 2, 3):
        sandbox.happens(UPDATE, deal(number))
    answer = taken(extended, filter=filters)[1] if method == GET else listed(extended, filters)
    assert answer == found


@pytest.mark.parametrize(
    "params",
    [
        {"filter": {"id": 1}},
        {"filter": {"!ID": 1}},
        {"filter": {"@ID": [1]}},
        {"filter": {"ID": [1, 2]}},
        {"filter": {"EVENT_DATA": "x"}},
        {"filter": {">PROCESS_ID": ""}},
        {"order": {"EVENT_DATA": "ASC"}},
        {"order": {"ID": "UP"}},
    ],
)
def test_a_wrong_filter_is_refused_and_takes_nothing(
    extended: ApplicationCaller, sandbox: Sandbox, params: dict[str, object]
) -> None:
    """§4, filter: no arrays; a bad key is 400 ERROR_ARGUMENT."""
    sandbox.happens(UPDATE, deal(1))
    assert extended.refusal(GET, params)[:2] == (400, "ERROR_ARGUMENT")
    assert listed(extended) == [1]


def test_oldest_rows_come_first_and_fifty_of_them(
    extended: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§4, get: TIMESTAMP_X ASC, `limit` 50 with no maximum; list: pages of 50, `total`, ID ASC."""
    now = sandbox.clock()
    sandbox.clock = lambda: now
    for number in range(60):
        sandbox.happens(UPDATE, deal(number))
    sandbox.clock = lambda: now + 60
    sandbox.happens(UPDATE, deal(0))
    page = extended.call(LIST, {"start": 50})
    assert (page["total"], len(rows(page["result"])), "next" in page) == (60, 10, False)
    assert extended.call(LIST)["next"] == 50
    _, found = taken(extended, clear=0)
    assert found == list(range(1, 51))
    assert taken(extended, limit=100)[1] == [*range(51, 60), 0]


def test_rows_are_forgotten_after_thirty_four_days_reserved_or_not(
    extended: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§4, retention: every row older than 2,952,000 s is deleted."""
    now = sandbox.clock()
    for number in (1, 2):
        sandbox.happens(UPDATE, deal(number))
    taken(extended, clear=0, limit=1)
    extended.sandbox.clock = lambda: now + 31 * DAY
    renew(extended)
    assert listed(extended) == [1, 2]
    extended.sandbox.clock = lambda: now + 2_952_002
    renew(extended)
    assert listed(extended) == []


def test_the_documentation_forgets_reserved_rows_earlier(
    extended: ApplicationCaller, sandbox: Sandbox, application: Application
) -> None:
    """§4, retention: docs: reserved 30 days."""
    application.offline.by_the_docs = True
    now = sandbox.clock()
    for number in (1, 2):
        sandbox.happens(UPDATE, deal(number))
    taken(extended, clear=0, limit=1)
    sandbox.clock = lambda: now + 31 * DAY
    renew(extended)
    assert listed(extended) == [2]


def renew(app: ApplicationCaller) -> None:
    assert app.sandbox.application
    app.use(app.sandbox.application)


def test_marking_errors_loses_newer_rows_and_hides_later_ones(
    extended: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§4: event.offline.error is a trap: drops newer rows, later changes merge into its row."""
    sandbox.happens(UPDATE, deal(5))
    process_id, _ = taken(extended, clear=0)
    (row,) = extended.rows(LIST)
    sandbox.happens(UPDATE, deal(5))
    marked = {"process_id": process_id, "message_id": [row["MESSAGE_ID"]]}
    assert extended.result("event.offline.error", marked) is True
    sandbox.happens(UPDATE, deal(5))
    assert [row["ERROR"] for row in extended.rows(LIST)] == ["1"]
    assert taken(extended)[1] == []
    assert taken(extended, error=1)[1] == [5]


def test_rows_of_a_connector_are_seen_by_its_name_alone(
    extended: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§4, connectors: bind, get, list and clear must name the same."""
    event = {"event": UPDATE, "event_type": "offline", "auth_connector": "other"}
    extended.result("event.bind", event)
    sandbox.happens(UPDATE, deal(5))
    assert extended.call(LIST)["total"] == extended.call(LIST, {"auth_connector": "other"})["total"]
    assert taken(extended)[1] == [5]
    assert taken(extended)[1] == []
    assert taken(extended, auth_connector="other")[1] == [5]


@pytest.mark.parametrize(("by_the_docs", "found"), [(False, []), (True, [5])])
def test_own_changes_come_back_by_the_docs_alone(
    extended: ApplicationCaller,
    sandbox: Sandbox,
    application: Application,
    by_the_docs: bool,
    found: list[int],
) -> None:
    """§4, own changes: the module skips them without a connector too, the docs say they loop."""
    application.offline.by_the_docs = by_the_docs
    event = {"event": UPDATE, "event_type": "offline", "auth_connector": "ours"}
    extended.result("event.bind", event)
    sandbox.happens(UPDATE, deal(5), user_id=1, ours=True)
    assert taken(extended)[1] == found
    assert taken(extended, auth_connector="ours")[1] == [5]
    sandbox.happens(UPDATE, deal(5), user_id=1, ours=True, connector="ours")
    assert taken(extended, auth_connector="ours")[1] == []
    assert taken(extended)[1] == [5]


def test_the_queue_is_an_administrators(
    extended: ApplicationCaller, sandbox: Sandbox, application: Application
) -> None:
    """§1: offline.* need an administrator."""
    sandbox.add_user(7)
    extended.use(application, "7")
    for method in (GET, LIST, CLEAR):
        assert extended.refusal(method)[:2] == (403, "ACCESS_DENIED")


def test_a_batch_reads_the_queue_as_well(extended: ApplicationCaller, sandbox: Sandbox) -> None:
    """§4, cost: one request each, batchable."""
    sandbox.happens(UPDATE, deal(5))
    parts = extended.batch({"a": f"{GET}?clear=0", "b": LIST})
    result = mapping(parts["result"])
    assert len(rows(mapping(result["a"])["events"])) == len(rows(result["b"])) == 1
