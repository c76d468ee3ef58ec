"""Exactly the events that rules name are bound in the portal, and what cannot be is told."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
import structlog.testing

from responder.bitrix24.sandbox.application.bindings import Binding
from responder.rules.ruleset import load
from responder.service.doctor import application_checks
from responder.store.applications import installations, report
from responder.store.database.database import Database
from tests.support.installed import DrivingByApplication, driving_by_application
from tests.support.rounds import PORTAL, RULES, play

pytestmark = pytest.mark.portal

OURS = "https://responder.example.com/app/main"
TASKS = RULES.replace("deal.updated", "task.added").replace("deal.stage_semantic_id: F, ", "")
NAMES = ("ONCRMDEALMOVETOCATEGORY", "ONCRMDEALUPDATE")


@pytest.fixture
def driven(tmp_path: Path, sqlite_database: Database) -> Iterator[DrivingByApplication]:
    with driving_by_application(sqlite_database, tmp_path) as found:
        found.events_at = OURS
        yield found


def bound(driven: DrivingByApplication) -> set[tuple[str, str]]:
    """Return what is bound there beside the installation's own, as event and way."""
    return {
        (one.event, "offline" if one.offline else one.handler)
        for one in driven.there.bindings.all
        if one.event != "ONAPPINSTALL"
    }


def both_ways(*names: str) -> set[tuple[str, str]]:
    own = {(name, OURS) for name in ("ONAPPUNINSTALL", "ONOFFLINEEVENT")}
    return own | {(name, way) for name in names for way in (OURS, "offline")}


def change_rules(driven: DrivingByApplication, text: str) -> None:
    """Let other rules come into force, as a change of the file does."""
    driven.rules.ruleset = load(text.encode(), file="rules.yaml", portals=[PORTAL])


def seen(driven: DrivingByApplication) -> dict[str, object]:
    return driven.database.read(lambda conn: report.registered(conn, PORTAL))


def test_the_events_of_the_rules_are_bound_both_ways(driven: DrivingByApplication) -> None:
    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        assert bound(driven) == both_ways(*NAMES)
        (ping,) = driven.there.bindings.online("ONOFFLINEEVENT")
        assert ping.options["minTimeout"] in (10, "10")

    play(driven, story)
    assert seen(driven)["events"] == {
        "online": ["ONAPPUNINSTALL", *NAMES, "ONOFFLINEEVENT"],
        "offline": [*NAMES],
    }
    assert (seen(driven)["missing"], seen(driven)["events_error"]) == ([], None)


def test_where_nothing_reaches_us_they_are_bound_offline(driven: DrivingByApplication) -> None:
    driven.events_at = None

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()

    play(driven, story)
    assert bound(driven) == {(name, "offline") for name in NAMES}


def test_where_we_would_not_know_the_events_they_are_bound_offline(
    driven: DrivingByApplication,
) -> None:
    """Nobody knows the application token after an authorization in the browser."""
    known = driven.database.read(lambda conn: installations.installed(conn, PORTAL))
    assert known is not None
    unknown = replace(known, application_token_sha256="")
    driven.database.write(lambda tx: installations.pin(tx, unknown))

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()

    play(driven, story)
    assert bound(driven) == {(name, "offline") for name in NAMES}


def test_other_rules_bind_others_and_unbind_these(driven: DrivingByApplication) -> None:
    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        change_rules(driven, TASKS)
        await driven.until_idle()

    play(driven, story)
    assert bound(driven) == both_ways("ONTASKADD")


def test_rules_that_name_the_same_events_cost_no_call(driven: DrivingByApplication) -> None:
    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        driven.calls()
        change_rules(driven, RULES + "\n# another word\n")
        await driven.until_idle()
        assert driven.calls() == []

    play(driven, story)


def test_handlers_of_others_stay(driven: DrivingByApplication) -> None:
    others = [
        *driven.there.bindings.all,
        Binding(id=1, event="ONCRMDEALDELETE", handler="https://elsewhere.example/app/main"),
        Binding(id=2, event="ONAPPINSTALL", handler=OURS),
        Binding(id=3, event="ONAPPTEST", handler=OURS),
        Binding(id=4, event="ONCRMDEALDELETE", connector="another-program"),
    ]
    driven.there.bindings.all = list(others)

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        change_rules(driven, TASKS)
        await driven.until_idle()

    play(driven, story)
    assert seen(driven)["others"] == 2  # beside those of the application itself
    assert [one for one in others if one not in driven.there.bindings.all] == []
    assert len(driven.there.bindings.all) == len(others) + len(both_ways("ONTASKADD"))


def test_what_another_driver_left_is_put_right(driven: DrivingByApplication) -> None:
    driven.there.bindings.add("ONTASKDELETE", handler=OURS)
    driven.there.bindings.add("ONCRMDEALUPDATE", handler=OURS, auth_type=1)
    driven.bind("ONTASKADD", "ONCRMDEALUPDATE")

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()

    play(driven, story)
    assert bound(driven) == both_ways(*NAMES)
    assert {one.auth_type for one in driven.there.bindings.all} == {0}


def test_registering_takes_two_requests_and_looking_one_an_hour(
    driven: DrivingByApplication,
) -> None:
    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        batches = {call.batch for call in driven.sandbox.calls if call.method.startswith("event")}
        assert len(batches - {None}) == 2
        driven.calls()
        for _ in range(11):
            driven.later(minutes=5)
            await driven.until_idle()
        assert "event.get" not in driven.calls()
        driven.later(minutes=6)
        await driven.until_idle()
        calls = driven.calls()
        assert calls.count("event.get") == 1
        assert "event.bind" not in calls

    play(driven, story)


def test_what_the_portal_has_dropped_is_bound_again(driven: DrivingByApplication) -> None:
    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        driven.there.bindings.clear()
        driven.later(minutes=61)
        await driven.until_idle()

    play(driven, story)
    assert bound(driven) == both_ways(*NAMES)


def test_a_reinstalled_application_is_registered_at_once(driven: DrivingByApplication) -> None:
    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        driven.there.bindings.clear()
        driven.later(minutes=2)
        driven.install()
        driven.later(seconds=2)
        await driven.until_idle()

    play(driven, story)
    assert bound(driven) == both_ways(*NAMES)


def test_an_event_whose_scope_is_missing_is_told_until_it_is_there(
    driven: DrivingByApplication,
) -> None:
    driven.there.scopes = ("bizproc", "crm", "user_brief")

    async def story(driven: DrivingByApplication) -> None:
        change_rules(driven, TASKS)
        await driven.until_idle()
        missing = seen(driven)["missing"]
        assert isinstance(missing, list)
        assert {(one["event"], one["way"]) for one in missing} == {
            ("ONTASKADD", "online"),
            ("ONTASKADD", "offline"),
        }
        assert "lacks the scope task" in missing[0]["why"]
        shown = driven.metrics.render().decode()
        assert 'responder_events_unregistered{portal="main",way="offline"} 1.0' in shown
        driven.there.scopes = ("bizproc", "crm", "user_brief", "task")
        driven.later(minutes=61)
        await driven.until_idle()
        assert seen(driven)["missing"] == []

    play(driven, story)
    assert bound(driven) == both_ways("ONTASKADD")


def test_what_could_not_be_registered_is_not_logged_as_if_it_were(
    driven: DrivingByApplication,
) -> None:
    driven.there.scopes = ("bizproc", "crm", "user_brief")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("info"))

    async def story(driven: DrivingByApplication) -> None:
        change_rules(driven, TASKS)
        await driven.until_idle()
        driven.later(minutes=61)
        await driven.until_idle()

    with structlog.testing.capture_logs() as logged:
        play(driven, story)
    registered = [one for one in logged if one["event"] == "events were registered"]
    assert [one["bound"] for one in registered] == [
        ["ONAPPUNINSTALL online", "ONOFFLINEEVENT online"]
    ]


@pytest.mark.parametrize("fault", ["act_then_drop", "drop_before", "503_limit", "500"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_lost_answer_is_asked_for_again_in_a_minute(
    fault: str, nth: int, driven: DrivingByApplication
) -> None:
    if nth == 1:
        driven.sandbox.fail_next("batch", fault)
    else:
        driven.before("event.get", lambda: driven.sandbox.fail_next("batch", fault))

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        driven.later(seconds=61)
        await driven.until_idle()

    play(driven, story)
    assert bound(driven) == both_ways(*NAMES)
    assert (seen(driven)["missing"], seen(driven)["events_error"]) == ([], None)


def test_a_portal_that_does_not_let_us_look_is_told_of(driven: DrivingByApplication) -> None:
    driven.sandbox.denied_methods.add("event.get")

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()

    play(driven, story)
    assert "ACCESS_DENIED" in str(seen(driven)["events_error"])


def test_where_the_lease_has_no_time_left_nothing_is_bound(driven: DrivingByApplication) -> None:
    async def story(driven: DrivingByApplication) -> None:
        driven.leased = False
        await driven.until_idle()

    play(driven, story)
    assert bound(driven) == set()


def test_a_fault_of_ours_holds_up_no_event(driven: DrivingByApplication) -> None:
    driven.lost_deals([759])
    asked: list[int] = []

    def fail() -> str | None:
        asked.append(1)
        raise ValueError("a fault of ours")

    driven.address = fail

    async def story(driven: DrivingByApplication) -> None:
        driven.deliver([759])
        await driven.until_idle()
        assert driven.outcomes()["killed"] == 1
        assert asked

    play(driven, story)


BY_APPLICATION: dict[str, object] = {
    "called_by": "application",
    "events": {"online": ["A", "B"], "offline": ["A"]},
    "events_at": "2026-11-28T00:00:00Z",
    "events_error": None,
    "missing": [],
    "unneeded": [],
    "others": 0,
}


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({}, "ok", "2 online, 1 offline"),
        ({"events_at": None}, "warning", "no events were registered yet"),
        ({"events_error": "timeout: x"}, "problem", "timeout"),
        (
            {"missing": [{"event": "ONX", "way": "offline", "why": "no such event"}]},
            "problem",
            "ONX does not come offline: no such event",
        ),
        ({"unneeded": [{"event": "ONX", "way": "online"}]}, "warning", "ONX (online)"),
        ({"others": 3}, "warning", "3 registered events do not go to this address"),
    ],
)
def test_doctor_says_what_is_registered(changed: dict[str, object], status: str, said: str) -> None:
    (finding,) = application_checks.events(BY_APPLICATION | changed)
    assert finding.status == status
    assert said in finding.message


def test_doctor_says_nothing_of_events_where_a_webhook_is_used() -> None:
    assert application_checks.events(BY_APPLICATION | {"called_by": "webhook"}) == []
