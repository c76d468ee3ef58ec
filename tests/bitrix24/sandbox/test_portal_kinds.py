"""The two kinds of portal: the cloud with its two slots, and one on its owner's server."""

from collections.abc import Iterator

import httpx
import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.bitrix24.sandbox.caller import DEAL, Caller, mapping

pytestmark = pytest.mark.portal

INSTANCES = "bizproc.workflow.instances"
STOPS = ["bizproc.workflow.kill", "bizproc.workflow.terminate"]
DOCUMENTS = "Bitrix\\Crm\\Integration\\BizProc\\Document\\"
OTHER = ("crm", "CCrmDocumentDeal", "DEAL_760")
BY_ID = {"ORDER": {"ID": "ASC"}}


@pytest.fixture
def on_premise() -> Iterator[Caller]:
    with (
        SandboxServer(Sandbox(kind="on_premise")) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=5) as client,
    ):
        yield Caller(client, server.sandbox)


def start(sandbox: Sandbox, *ids: str, triple: tuple[str, str, str] = DEAL) -> None:
    for of in ids:
        sandbox.start_workflow(triple, 61, id=of)


@pytest.mark.parametrize("stop", STOPS)
def test_a_third_workflow_on_an_item_begins_when_one_of_two_is_stopped(
    sandbox: Sandbox, caller: Caller, stop: str
) -> None:
    start(sandbox, "a", "b", "c", "d")
    assert caller.ids(INSTANCES, BY_ID) == ["a", "b"]
    assert sandbox.queued == ["c", "d"]
    assert caller.result(stop, {"ID": "b"}) is True
    assert caller.ids(INSTANCES, BY_ID) == ["a", "c"]
    assert sandbox.end_workflow("a")
    assert caller.ids(INSTANCES, BY_ID) == ["c", "d"]
    assert sandbox.queued == []


def test_what_is_not_begun_cannot_be_stopped(sandbox: Sandbox, caller: Caller) -> None:
    start(sandbox, "a", "b", "c")
    assert caller.refusal(STOPS[0], {"ID": "c"})[:2] == (400, "")
    assert sandbox.queued == ["c"]


def test_a_workflow_that_waited_has_started_when_it_began() -> None:
    now = [1_000_000.0]
    sandbox = Sandbox(clock=lambda: now[0])
    start(sandbox, "a", "b", "c")
    now[0] += 60
    sandbox.end_workflow("a")
    assert sandbox.workflows["c"]["STARTED"] == sandbox.instant()
    assert sandbox.workflows["b"]["STARTED"] != sandbox.instant()


@pytest.mark.parametrize(
    "triple",
    [
        ("crm", "CCrmDocumentLead", "LEAD_1"),
        ("crm", "CCrmDocumentContact", "CONTACT_1"),
        ("crm", DOCUMENTS + "Quote", "QUOTE_1"),
        ("crm", DOCUMENTS + "Dynamic", "DYNAMIC_147_1"),
    ],
)
def test_every_item_of_the_crm_has_two_slots_of_its_own(
    sandbox: Sandbox, triple: tuple[str, str, str]
) -> None:
    start(sandbox, "a", "b", "c", triple=triple)
    start(sandbox, "d", "e", triple=OTHER)
    assert list(sandbox.workflows) == ["a", "b", "d", "e"]


@pytest.mark.parametrize(
    "triple",
    [
        ("lists", "BizprocDocument", "777"),
        ("tasks", "Bitrix\\Tasks\\Integration\\Bizproc\\Document\\Task", "49728"),
        ("disk", "Bitrix\\Disk\\BizProcDocument", "777"),
    ],
)
def test_other_documents_have_no_slots(sandbox: Sandbox, triple: tuple[str, str, str]) -> None:
    start(sandbox, *"abcde", triple=triple)
    assert list(sandbox.workflows) == list("abcde")


def test_robots_runs_take_no_slot(sandbox: Sandbox) -> None:
    sandbox.add_template(84, "Robots", auto_execute=8)
    for of in "xyz":
        sandbox.start_workflow(DEAL, 84, id=of)
    start(sandbox, "a", "b", "c")
    assert list(sandbox.workflows) == ["x", "y", "z", "a", "b"]


def test_a_workflow_that_came_back_has_a_slot_again(sandbox: Sandbox) -> None:
    start(sandbox, "a", "b")
    sandbox.end_workflow("a")
    start(sandbox, "a", "c", "a")
    assert (list(sandbox.workflows), sandbox.queued) == (["b", "a"], ["c"])


def test_on_premise_any_number_run_on_an_item(on_premise: Caller) -> None:
    start(on_premise.sandbox, *"abcdef")
    assert on_premise.ids(INSTANCES, BY_ID) == list("abcdef")


def test_on_premise_no_operating_time_is_told_and_none_blocks(on_premise: Caller) -> None:
    on_premise.sandbox.limits = True
    on_premise.sandbox.operating["scope"] = 1000.0
    times = mapping(on_premise.call("scope")["time"])
    assert "duration" in times
    assert not {"operating", "operating_reset_at"} & set(times)


def test_older_modules_count_from_a_start_of_minus_one(on_premise: Caller) -> None:
    start(on_premise.sandbox, *(f"w{number:02}" for number in range(60)))
    answer = on_premise.call(INSTANCES, {"start": -1})
    assert (answer["total"], answer["next"]) == (60, 49)


@pytest.mark.parametrize("key", ["STARTED", "<STARTED", ">STARTED", "!STARTED"])
def test_older_modules_cannot_read_the_date_in_a_filter_by_start(
    caller: Caller, on_premise: Caller, key: str
) -> None:
    at = "2026-09-20T10:00:00+03:00"
    for asked in (caller, on_premise):
        for of, started in (("a", "2026-09-20T09:00:00+03:00"), ("b", at)):
            asked.sandbox.start_workflow(DEAL, 61, id=of, started=started, modified=at)
        asked.sandbox.start_workflow(OTHER, 61, id="c", started="2026-09-20T08:00:00+00:00")
    found = {"STARTED": ["b"], "<STARTED": ["a"], ">STARTED": ["c"], "!STARTED": ["a", "c"]}
    asked_for = {"FILTER": {key: "2026-09-20T07:00:00+00:00"}, **BY_ID}
    assert caller.ids(INSTANCES, asked_for) == found[key]
    assert on_premise.ids(INSTANCES, asked_for) == []
    by_change = {"FILTER": {"MODIFIED": "2026-09-20T07:00:00+00:00"}, **BY_ID}
    assert on_premise.ids(INSTANCES, by_change) == ["a", "b"]


@pytest.mark.parametrize(
    ("fault", "code", "in_the_cloud", "on_their_own"),
    [
        ("credentials", "INVALID_CREDENTIALS", 403, 401),
        ("scope", "insufficient_scope", 403, 401),
        ("plan", "ACCESS_DENIED", 403, 401),
        ("overload", "OVERLOAD_LIMIT", 503, 401),
        ("deleted", "PORTAL_DELETED", 500, 403),
        ("denied", "ACCESS_DENIED", 403, 403),
        ("401", "NO_AUTH_FOUND", 401, 401),
        ("429_operating", "OPERATION_TIME_LIMIT", 429, 429),
    ],
)
def test_statuses_differ_between_the_documentation_and_the_modules(
    caller: Caller, on_premise: Caller, fault: str, code: str, in_the_cloud: int, on_their_own: int
) -> None:
    for asked, status in ((caller, in_the_cloud), (on_premise, on_their_own)):
        asked.sandbox.fail_next("scope", fault)
        assert asked.refusal("scope")[:2] == (status, code)


def test_a_webhook_without_its_scope_or_secret_is_refused_as_the_module_does(
    on_premise: Caller,
) -> None:
    on_premise.sandbox.scopes = ()
    assert on_premise.refusal("user.get")[:2] == (401, "insufficient_scope")
    on_premise.sandbox.secret = "another-secret-0002"
    assert on_premise.refusal("scope")[:2] == (401, "INVALID_CREDENTIALS")


def test_without_a_plan_everything_is_refused(caller: Caller, on_premise: Caller) -> None:
    for asked, status in ((caller, 403), (on_premise, 401)):
        asked.sandbox.plan_refused = True
        for method in ("profile", "scope", "crm.item.get", "bizproc.workflow.kill", "batch"):
            assert asked.refusal(method)[:2] == (status, "ACCESS_DENIED")
        assert [call.method for call in asked.sandbox.calls][:2] == ["profile", "scope"]
        asked.sandbox.plan_refused = False
        assert asked.result("scope")


def test_one_method_may_be_denied_alone(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.denied_methods.add("crm.item.get")
    assert caller.refusal("crm.item.get")[:2] == (403, "ACCESS_DENIED")
    parts = caller.batch({"a": "crm.item.get", "b": "scope"})
    assert mapping(mapping(parts["result_error"])["a"])["error"] == "ACCESS_DENIED"
    assert list(mapping(parts["result"])) == ["b"]
