"""What is made of a portal's answers: each table has a row for each verdict."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from responder.bitrix24.client.answers import TABLE, Answer, Failure, FailureKind
from responder.model import Breaker
from responder.rules.ruleset import load
from responder.service.doctor import portal_checks as judged
from responder.service.doctor.checks import Finding, Status
from responder.service.doctor.portal_checks import Needs
from responder.settings.settings import PortalSettings

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NOTHING = Needs()
LOST = Answer(failure=Failure(FailureKind.UNCERTAIN, "dropped", "the connection broke"))
DENIED = Answer(failure=Failure(FailureKind.METHOD, "insufficient_scope", "no"))


def told(value: object) -> Answer:
    return Answer(value=value)


def status(found: list[Finding] | Finding) -> str:
    """Return the worst of them, each of which says what to do unless all is well."""
    among = [found] if isinstance(found, Finding) else found
    assert among
    assert all((f.advice is None) == (f.status is Status.OK) for f in among)
    return max(among, key=lambda f: list(Status).index(f.status)).status.value


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (told({"ID": "1", "ADMIN": True}), "ok"),
        (told({"ID": 1, "ADMIN": True}), "ok"),
        (told({"ID": "1", "ADMIN": False}), "problem"),
        (told({"ID": "1", "ADMIN": "Y"}), "problem"),
        (told({"ID": "1"}), "problem"),
        (told([]), "problem"),
        (told(None), "problem"),
        (told({"ID": "<b>", "ADMIN": True}), "problem"),
        (LOST, "warning"),
        (DENIED, "problem"),
    ],
)
def test_only_an_administrator_will_do(answer: Answer, wanted: str) -> None:
    assert status(judged.identity(answer, "main")) == wanted


ALL = ["bizproc", "crm", "user_brief", "task"]


@pytest.mark.parametrize(
    ("granted", "needs", "wanted"),
    [
        (ALL, NOTHING, "ok"),
        (["bizproc", "crm", "user"], NOTHING, "ok"),
        (["bizproc", "crm", "user_basic"], Needs(people=True), "ok"),
        (["bizproc", "crm"], NOTHING, "warning"),
        (["bizproc", "crm"], Needs(people=True), "problem"),
        (["bizproc", "user_brief"], NOTHING, "problem"),
        (["crm", "user_brief"], NOTHING, "problem"),
        (["bizproc", "crm", "user_brief"], Needs(tasks=True), "problem"),
        (["bizproc", "crm", "user_brief"], Needs(lists=True), "problem"),
        (ALL, Needs(tasks=True, people=True), "ok"),
        (ALL, Needs(notifications=True), "problem"),
        ([*ALL, "im"], Needs(notifications=True, comments=True), "ok"),
        ("bizproc", NOTHING, "problem"),
    ],
)
def test_scopes_are_those_that_the_rules_need(granted: object, needs: Needs, wanted: str) -> None:
    assert status(judged.scopes(told(granted), needs)) == wanted


def test_what_is_needed_is_read_from_the_rules() -> None:
    def needs(test: str, more: str = "") -> Needs:
        text = f"""\
version: 1
rules:
  - {{id: a, when: [deal.updated, task.updated, {{every: 1h}}], if: {test}, then: kill,
     every_template: true{more}}}
"""
        return Needs.of(load(text.encode(), file="rules.yaml").rules)

    assert needs("{deal.stage_id: NEW}") == NOTHING
    assert needs('{task.status: "2"}') == Needs(tasks=True)
    assert needs("{deal.assigned_by.active: false}") == Needs(people=True)
    assert needs("{deal.assigned_by.id: 7, deal.company.title: x}") == Needs()
    assert needs("{deal.title: x}", ", tell: [timeline]") == Needs(comments=True)
    assert needs("{deal.title: x}", ", tell: [starter]") == Needs(notifications=True)
    assert needs("{list_23.name: x}") == Needs(lists=True)
    assert needs('{task.status: "2"}', ", disabled: later") == NOTHING
    assert "tasks.task.get" in needs('{task.status: "2"}').methods
    assert "tasks.task.get" not in NOTHING.methods


HAS = told({"isExisting": True, "isAvailable": True})
CLOSED = told({"isExisting": True, "isAvailable": False})
ABSENT = told({"isExisting": False, "isAvailable": False})


@pytest.mark.parametrize(
    ("answers", "wanted", "words"),
    [
        ({"a": HAS, "b": HAS}, "ok", "all 2"),
        ({"a": HAS, "b": CLOSED}, "problem", "may not call b"),
        ({"a": ABSENT, "b": HAS}, "problem", "has no a"),
        ({"a": told([])}, "problem", "has no a"),
        ({"a": HAS, "b": LOST}, "warning", "dropped"),
    ],
)
def test_methods_are_there_and_open(answers: dict[str, Answer], wanted: str, words: str) -> None:
    found = judged.methods(answers)
    assert status(found) == wanted
    assert words in found[0].message


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (told({"LICENSE": "ru_ent250"}), "ru_ent250"),
        (told({"LICENSE": "bad\nline"}), None),
        (told({"LICENSE": 5}), None),
        (told([]), None),
        (DENIED, None),
    ],
)
def test_a_plan_is_told_or_not(answer: Answer, name: str | None) -> None:
    assert judged.plan_name(answer) == name
    assert status(judged.plan(answer)) == "ok"


def portal(rate: float = 2, burst: int = 50, count: int = 1) -> PortalSettings:
    return PortalSettings(
        url=SecretStr("https://portal.example/rest/1/hook-secret-0001/"),
        application_tokens=tuple(SecretStr(f"token-{n}-0123456789abcdef") for n in range(count)),
        requests_per_second=rate,
        burst=burst,
        member_id="m" * 32 if count > 1 else None,
        url_key=SecretStr("a-secret-path-segment") if count > 1 else None,
    )


@pytest.mark.parametrize(
    ("rate", "burst", "plan", "wanted"),
    [
        (2, 50, None, "ok"),
        (2, 50, "ru_ent250", "ok"),
        (5, 250, "ru_ent250", "ok"),
        (5, 250, "ru_pro", "warning"),
        (5, 50, None, "warning"),
        (2, 250, None, "warning"),
        (6, 250, "ru_ent250", "warning"),
    ],
)
def test_a_limit_above_the_plans_is_doubted(
    rate: float, burst: int, plan: str | None, wanted: str
) -> None:
    assert status(judged.limits(portal(rate, burst), plan)) == wanted


@pytest.mark.parametrize(
    ("ahead", "wanted"),
    [(0, "ok"), (5, "ok"), (-5, "ok"), (9, "warning"), (-9, "warning"), (90, "problem"),
     (-3600, "problem")],
)  # fmt: skip
def test_a_clock_may_be_a_little_off(ahead: int, wanted: str) -> None:
    portals = (NOW - timedelta(seconds=ahead)).replace(microsecond=0).isoformat()
    (found,) = judged.clock(told(portals), NOW, NOW + timedelta(milliseconds=80))
    assert status(found) == wanted
    if wanted != "ok":
        assert ("ahead of" in found.message) == (ahead > 0)


def test_a_slow_answer_is_no_skew() -> None:
    portals = (NOW + timedelta(seconds=7)).isoformat()
    assert status(judged.clock(told(portals), NOW, NOW + timedelta(seconds=8))) == "ok"


@pytest.mark.parametrize("value", [None, "soon", "2026-11-24T12:00:00", 1736405807])
def test_a_time_that_cannot_be_read_is_said_to_be_so(value: object) -> None:
    assert status(judged.clock(told(value), NOW, NOW)) == "warning"


@pytest.mark.parametrize(
    ("days", "wanted"), [(None, "warning"), (0, "ok"), (2, "ok"), (4, "warning")]
)
def test_silence_is_an_alarm(days: int | None, wanted: str) -> None:
    heard_at = None if days is None else NOW - timedelta(days=days)
    assert status(judged.heard_from(heard_at, NOW)) == wanted


def test_tokens_are_counted_and_not_shown() -> None:
    (one,), (two,) = judged.tokens(portal()), judged.tokens(portal(count=2))
    assert one.message == "1 application token, the member id is not pinned"
    assert two.message.startswith("2 application tokens, the member id is pinned, calls without")
    assert "0123456789abcdef" not in one.message + two.message
    assert "segment" not in two.message


@pytest.mark.parametrize("method", ["", "bizproc.workflow.kill"])
def test_an_open_breaker_is_a_problem(method: str) -> None:
    opened = Breaker(
        portal="main", method=method, code="NO_AUTH_FOUND", opened_at=NOW, probe_at=NOW
    )
    (found,) = judged.breakers([opened], "main")
    assert status(found) == "problem"
    assert (method or "the whole portal") in found.message
    assert "NO_AUTH_FOUND" in found.message


def test_no_open_breaker_is_well() -> None:
    assert status(judged.breakers([], "main")) == "ok"


@pytest.mark.parametrize("row", [row for row in TABLE if row.code], ids=lambda row: row.code)
def test_every_code_of_a_failure_has_an_advice_without_a_gap(row: object) -> None:
    code, kind = getattr(row, "code"), getattr(row, "kind")  # noqa: B009
    found = judged.unreachable(Failure(kind, code, "why"), "sales_eu")
    assert found.status is not Status.OK
    assert "{" not in str(found.advice)


@pytest.mark.parametrize(
    ("seconds", "wanted"), [(0.05, "ok"), (3.5, "warning")], ids=["at once", "slowly"]
)
def test_a_portal_may_be_slow(seconds: float, wanted: str) -> None:
    assert status(judged.reachable(seconds)) == wanted


def test_a_limit_that_was_reached_is_no_broken_portal() -> None:
    busy = Failure(FailureKind.BUSY, "QUERY_LIMIT_EXCEEDED", "Too many requests")
    assert status(judged.unreachable(busy, "main")) == "warning"
    gone = Failure(FailureKind.BUSY, "no_connection", "no connection")
    assert status(judged.unreachable(gone, "main")) == "problem"
