"""Which answer as it came belongs to which command."""

import json

from responder.bitrix24.client.answers import Answer, Command
from responder.bitrix24.client.rest import written
from responder.bitrix24.probe.listening import Listener

GET = Command("crm.item.get", {"id": 1})
LIST = Command("user.get", {"FILTER": {"ID": "7"}})


def test_a_single_call_has_its_status() -> None:
    listener = Listener()
    listener.hear(GET.method, GET.params, 400, b'\xef\xbb\xbf{"error": "NOT_FOUND"}')
    reply = listener.reply(GET, Answer())
    assert (reply.status, reply.content) == (400, {"error": "NOT_FOUND"})


def test_a_command_of_a_batch_has_the_form_of_a_single_call() -> None:
    listener = Listener()
    body = {
        "result": {
            "result": {"c1": [1]},
            "result_error": {"c0": {"error": "NOT_FOUND"}},
            "result_total": {"c1": 1},
            "result_next": [],
            "result_time": {"c1": {"duration": 0.1}},
        }
    }
    cmd = {"c0": written(GET), "c1": written(LIST)}
    listener.hear("batch", {"cmd": cmd}, 200, json.dumps(body).encode())
    assert listener.reply(GET, Answer()).content == {"error": "NOT_FOUND"}
    reply = listener.reply(LIST, Answer())
    assert reply.content == {"result": [1], "total": 1, "time": {"duration": 0.1}}
    assert reply.status is None
    assert listener.batches == [(200, body)]


def test_what_is_no_json_belongs_to_nothing() -> None:
    listener = Listener()
    listener.hear(GET.method, GET.params, 502, b"<html>")
    assert listener.reply(GET, Answer()).content is None
