"""What the sandbox's tests ask with, over a real socket."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from responder.bitrix24.sandbox import Sandbox

DEAL = ("crm", "CCrmDocumentDeal", "DEAL_759")
# On a document that is not of the CRM any number of workflows may wait.
ELEMENT = ("lists", "BizprocDocument", "777")


def mapping(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def rows(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return [mapping(row) for row in value]


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls methods with JSON bodies, as our portal client does."""

    client: httpx.Client
    sandbox: Sandbox

    def post(self, method: str, params: Mapping[str, object] | None = None) -> httpx.Response:
        return self.client.post(method, json=params or {})

    def call(self, method: str, params: Mapping[str, object] | None = None) -> dict[str, object]:
        answer = self.post(method, params)
        assert answer.status_code == 200, answer.text
        return mapping(answer.json())

    def result(self, method: str, params: Mapping[str, object] | None = None) -> object:
        return self.call(method, params)["result"]

    def rows(
        self, method: str, params: Mapping[str, object] | None = None
    ) -> list[dict[str, object]]:
        return rows(self.result(method, params))

    def ids(self, method: str, params: Mapping[str, object] | None = None) -> list[object]:
        return [row["ID"] for row in self.rows(method, params)]

    def refusal(
        self, method: str, params: Mapping[str, object] | None = None
    ) -> tuple[int, object, object]:
        answer = self.post(method, params)
        body = mapping(answer.json())
        return (answer.status_code, body["error"], body["error_description"])

    def batch(self, commands: object, halt: object = 0) -> dict[str, object]:
        return mapping(self.result("batch", {"halt": halt, "cmd": commands}))
