"""Which events an application binds and unbinds, and what is said of those that it cannot."""

import pytest

from responder.bitrix24.client.answers import Answer, Failure, FailureKind
from responder.bitrix24.events import registration
from responder.bitrix24.events.registration import Binding, Bound, Catalogue

OURS = "https://responder.example.com/app/main"
OTHERS = "https://elsewhere.example.com/app/main"
UPDATED = "ONCRMDEALUPDATE"


def online(event: str, handler: str = OURS, auth_type: object = "0") -> dict[str, object]:
    return {"event": event, "handler": handler, "auth_type": auth_type, "offline": 0}


def offline(event: str, connector: str = "") -> dict[str, object]:
    return {"event": event, "connector_id": connector, "offline": 1}


def sent(*events: str) -> set[Binding]:
    return {Binding(event=event) for event in events}


def kept(*events: str) -> set[Binding]:
    return {Binding(event=event, offline=True) for event in events}


def refused(code: str, text: str, kind: FailureKind = FailureKind.REJECTED) -> Answer:
    return Answer(failure=Failure(kind, code, text))


def test_with_an_address_each_event_is_needed_both_ways() -> None:
    assert registration.needed({UPDATED}, OURS) == {
        *kept(UPDATED),
        *sent(UPDATED, "ONAPPUNINSTALL", "ONOFFLINEEVENT"),
    }


def test_without_an_address_events_are_needed_offline_alone() -> None:
    assert registration.needed({UPDATED}, None) == kept(UPDATED)


@pytest.mark.parametrize(
    ("row", "ours"),
    [
        (online(UPDATED), Binding(event=UPDATED)),
        (online("onCrmDealUpdate"), Binding(event=UPDATED)),
        (online(UPDATED, auth_type=7), Binding(event=UPDATED, user_id="7")),
        (online("ONAPPUNINSTALL"), Binding(event="ONAPPUNINSTALL")),
        (offline(UPDATED), Binding(event=UPDATED, offline=True)),
        ({"event": UPDATED, "connector_id": None, "offline": "1"}, *kept(UPDATED)),
        (online(UPDATED, OTHERS), None),
        (online(UPDATED, OURS + "/"), None),
        (online("ONAPPINSTALL"), None),
        (online("ONAPPUPDATE"), None),
        (online("ONAPPTEST"), None),
        (offline(UPDATED, "another-program"), None),
        ({"handler": OURS, "offline": 0}, None),
        ({"event": 5, "handler": OURS, "offline": 0}, None),
        ("a text", None),
    ],
)
def test_only_rows_that_are_surely_ours_are_ours(row: object, ours: Binding | None) -> None:
    is_its_own = isinstance(row, dict) and str(row.get("event")).startswith("ONAPP")
    others = 0 if is_its_own else 1
    expected = Bound(ours=frozenset(), others=others) if ours is None else None
    assert registration.bound([row], OURS) == (
        expected or Bound(ours=frozenset({ours} if ours else ()), others=0)
    )


def test_without_an_address_no_row_that_is_sent_is_ours() -> None:
    found = registration.bound([online(UPDATED), offline(UPDATED)], None)
    assert found == Bound(ours=frozenset(kept(UPDATED)), others=1)


@pytest.mark.parametrize("value", [None, True, "text", 7])
def test_an_answer_that_is_no_list_says_nothing_of_what_is_bound(value: object) -> None:
    assert registration.bound(value, OURS) is None


@pytest.mark.parametrize("value", [[], {}])
def test_an_empty_list_comes_in_two_spellings(value: object) -> None:
    assert registration.bound(value, OURS) == Bound(ours=frozenset(), others=0)


def test_a_list_with_gaps_comes_as_a_map() -> None:
    found = registration.bound({"1": offline(UPDATED), "4": online(UPDATED, OTHERS)}, OURS)
    assert found == Bound(ours=frozenset(kept(UPDATED)), others=1)


def test_exactly_the_difference_is_bound_and_unbound() -> None:
    there = Bound(ours=frozenset({*kept("ONTASKADD", UPDATED), *sent("ONTASKADD")}), others=3)
    wanted = registration.needed({UPDATED}, OURS)
    changed = registration.changes(wanted, there)
    assert set(changed.bind) == sent(UPDATED, "ONAPPUNINSTALL", "ONOFFLINEEVENT")
    assert set(changed.unbind) == {*kept("ONTASKADD"), *sent("ONTASKADD")}


def test_what_is_bound_already_needs_no_change() -> None:
    wanted = registration.needed({UPDATED}, OURS)
    changed = registration.changes(wanted, Bound(ours=wanted, others=0))
    assert changed.commands(OURS) == []


def test_an_event_bound_for_a_certain_user_is_bound_afresh() -> None:
    there = Bound(ours=frozenset({Binding(event=UPDATED, user_id="7"), *kept(UPDATED)}), others=0)
    changed = registration.changes({*kept(UPDATED), *sent(UPDATED)}, there)
    assert [(one.method, dict(one.params)) for one in changed.commands(OURS)] == [
        ("event.bind", {"event": UPDATED, "handler": OURS, "auth_type": "0"}),
        ("event.unbind", {"event": UPDATED, "handler": OURS, "auth_type": "7"}),
    ]


def test_offline_events_are_bound_without_an_address() -> None:
    changed = registration.changes(kept(UPDATED), Bound(ours=frozenset(kept("X")), others=0))
    assert [(one.method, dict(one.params)) for one in changed.commands(OURS)] == [
        ("event.bind", {"event": UPDATED, "event_type": "offline"}),
        ("event.unbind", {"event": "X", "event_type": "offline"}),
    ]


def test_announcements_of_offline_events_are_not_asked_for_at_every_change() -> None:
    changed = registration.changes(sent("ONOFFLINEEVENT"), Bound(ours=frozenset(), others=0))
    (command,) = changed.commands(OURS)
    assert command.params["options"] == {"minTimeout": 10}


def test_what_is_bound_twice_is_bound() -> None:
    answer = refused("ERROR_CORE", "Unable to set event handler: Handler already binded")
    assert registration.is_bound(answer)
    assert registration.missing(kept(UPDATED), [answer], Catalogue()) == ()


@pytest.mark.parametrize(
    ("kind", "again"),
    [
        (FailureKind.BUSY, True),
        (FailureKind.UNCERTAIN, True),
        (FailureKind.METHOD, False),
        (FailureKind.REJECTED, False),
    ],
)
def test_a_lost_answer_is_asked_for_again_soon(kind: FailureKind, again: bool) -> None:
    assert registration.may_be_bound(refused("x", "y", kind)) is again


GRANTED = frozenset({"ONTASKADD"})
EVERY = frozenset({"ONTASKADD", UPDATED, "ONIMBOTJOINCHAT"})


@pytest.mark.parametrize(
    ("event", "catalogue", "why"),
    [
        (UPDATED, Catalogue(granted=GRANTED, every=EVERY), "lacks the scope crm"),
        ("ONIMBOTJOINCHAT", Catalogue(granted=GRANTED, every=EVERY), "a scope is missing"),
        ("ONCRMDEALSOMETHING", Catalogue(granted=GRANTED, every=EVERY), "has no such event"),
        (UPDATED, Catalogue(granted=GRANTED), "or the application lacks the scope crm"),
        ("ONELSE", Catalogue(), "the portal does not know this event"),
    ],
)
def test_an_event_that_was_not_found_is_missing_with_the_reason(
    event: str, catalogue: Catalogue, why: str
) -> None:
    answer = refused("ERROR_EVENT_NOT_FOUND", "Event not found")
    (found,) = registration.missing(kept(event), [answer], catalogue)
    assert found.binding == Binding(event=event, offline=True)
    assert why in found.why


def test_another_refusal_is_the_reason_itself() -> None:
    answer = refused("ACCESS_DENIED", "Access denied!", FailureKind.METHOD)
    (found,) = registration.missing(kept(UPDATED), [answer], Catalogue())
    assert found.why == "ACCESS_DENIED: Access denied!"


def test_the_catalogue_is_what_two_answers_list() -> None:
    found = Catalogue.of(Answer(value=["onTaskAdd", 5]), refused("ACCESS_DENIED", ""))
    assert found == Catalogue(granted=GRANTED, every=None)
